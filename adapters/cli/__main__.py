"""`python -m adapters.cli`: the same as the command `order-ledger`."""

from adapters.cli.main import main

main()
