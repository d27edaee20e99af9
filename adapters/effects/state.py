"""How an effect stands."""

from enum import StrEnum


class State(StrEnum):
    """How an effect stands."""

    PENDING = "pending"  # not tried yet
    FAILED = "failed"  # tried, and will be again
    SENT = "sent"
    DEAD = "dead"  # tried as often as may be; it waits for a person
    SKIPPED = "skipped"  # a person decided that it is not to be sent
