"""What may name a person, kept so that it can be forgotten: bodies and private fields are sealed
under a key of their order, and those keys under the ledger's master key. Why, and why so: ADR 9."""


class VaultTrouble(Exception):
    """The ledger's keys cannot be used as they are; the message says why, and what helps."""


class Unopened(Exception):
    """What was sealed cannot be opened: it was changed, or is not what its place says."""
