"""The command line, `order-ledger`."""
