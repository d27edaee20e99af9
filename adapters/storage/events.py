"""How projections read the log: stored events as plain rows, as fast as the database gives them."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

# A stored event: its index, stream, version, topic, JSON state, and time of append (UTC). A plain
# tuple, as the driver makes it: there are millions of them.
EventRow = tuple[int, str, int, str, bytes, datetime]


class Slice(NamedTuple):
    """One of several parts of the log; each has whole orders, chosen by a hash of their stream."""

    number: int
    of: int


WHOLE = Slice(0, 1)


class Events(Protocol):
    """The log as projections read it. Every method blocks and raises `StorageUnavailable`."""

    def next(self, after: int, limit: int) -> Sequence[EventRow]:
        """The next events after an index, gapless and in order."""

    def between(self, after: int, upto: int, part: Slice = WHOLE) -> Sequence[EventRow]:
        """The events of one slice after an index and up to another, in order."""

    def of_streams(self, streams: Sequence[str]) -> Sequence[EventRow]:
        """The events of some orders, each order's in the order of its versions."""

    def streams(self, after: str, limit: int) -> Sequence[str]:
        """The next orders that have events, in the order of their streams' bytes."""
