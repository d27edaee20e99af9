"""How projections read the log: stored events as plain rows, as fast as the database gives them."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
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
FIRST_EVENTS_WITHIN = 20_000  # events, of which one call looks for orders' first ones


class Events(Protocol):
    """The log as projections read it. Every method blocks and raises `StorageUnavailable`."""

    def next(self, after: int, limit: int) -> Sequence[EventRow]:
        """The next events after an index, gapless and in order."""

    def between(self, after: int, upto: int, part: Slice = WHOLE) -> Sequence[EventRow]:
        """The events of one slice after an index and up to another, in order."""

    def of_streams(self, streams: Sequence[str]) -> Sequence[EventRow]:
        """The events of some orders, each order's in the order of its versions."""

    def upto(self, instant: datetime) -> int:
        """The index of the last event that was recorded at this instant or before; 0 for none. Of
        an instant that has passed the answer never changes: an append that is under way is waited
        for where it may have been stamped before."""

    def first_events(
        self, after: int, upto: int, store: str | None, limit: int
    ) -> tuple[Sequence[tuple[int, str]], int]:
        """The next orders of a store, or of all, in the order of their first events, each with that
        event's index; and up to which index they were looked for: not far, so that the answer comes
        soon however many events are of older orders."""

    def streams(self, after: str, limit: int) -> Sequence[str]:
        """The next orders that have events, in the order of their streams' bytes."""


def last_upto(instant: datetime, head: int, recorded_at: Callable[[int], datetime]) -> int:
    """The index of the last event that was recorded at an instant or before, found in as many looks
    as the head has binary digits: no event was recorded before its predecessor."""
    return bisect_right(range(1, head + 1), instant, key=recorded_at)
