"""Kills, cuts and fills what a ledger stands on, and looks whether it kept its word."""
