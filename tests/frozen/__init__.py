"""Ledgers that earlier versions wrote. Their files never change; every later version reads them."""
