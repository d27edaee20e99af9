"""What happens outside of the ledger because of its events: see docs/effects.md."""
