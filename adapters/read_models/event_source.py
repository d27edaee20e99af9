"""The log as projections take it in: stored rows decoded into the domain's events."""

from collections.abc import Callable, Iterable, Sequence

from adapters.ledger.mapper import UnreadableEvent, decode
from adapters.storage.events import EventRow
from adapters.storage.evidence import RawRow
from adapters.storage.log import PARTITION
from adapters.storage.sqlite import from_microseconds
from domain.log import Position, Recorded
from domain.order import OrderEvent
from projections.runner import Poison

RECENT_EVENTS = 8192  # about 8 MB; more than come between two looks of whoever follows behind


class EventSource:
    """Reads the log for the runner of the projections, as its rows are stored, and keeps the last
    ones at hand for who follows behind it in the same process, which then need not read them again.

    `read` gives the rows of the next indexes after one (`EvidenceStore.raw_rows`). One thread
    reads; any may ask for what is at hand.
    """

    def __init__(self, read: Callable[[int, int], Sequence[RawRow]]) -> None:
        self._read = read
        self._recent: Sequence[RawRow] = ()  # of neighbouring indexes; replaced, never changed

    def recorded(
        self, after: Position | None, limit: int
    ) -> tuple[Sequence[Recorded[OrderEvent]], Poison | None]:
        """The next events of the log, up to the first that cannot be decoded."""
        rows = self._read(after.index if after else 0, limit)
        if rows:
            recent = self._recent
            follow_on = bool(recent) and rows[0][0] == recent[-1][0] + 1
            self._recent = [*recent[-RECENT_EVENTS:], *rows] if follow_on else rows
        return decoded(map(_event_row, rows))

    def recent(self, after: int, limit: int) -> Sequence[RawRow]:
        """The rows after an index that were read a moment ago: not all, or none."""
        recent = self._recent
        start = after + 1 - recent[0][0] if recent else -1
        return recent[start : start + limit] if start >= 0 else ()


def _event_row(row: RawRow) -> EventRow:
    idx, stream, version, topic, state, recorded_at, _ = row
    return idx, stream.decode(), version, topic.decode(), state, from_microseconds(recorded_at)


def decoded(rows: Iterable[EventRow]) -> tuple[list[Recorded[OrderEvent]], Poison | None]:
    """The events of stored rows, up to the first that cannot be decoded."""
    events: list[Recorded[OrderEvent]] = []
    for idx, stream, version, topic, state, recorded_at in rows:
        position = Position(PARTITION, idx)
        try:
            event = decode(stream, version, topic, state)
        except UnreadableEvent as error:
            return events, Poison(position, f"{topic} of {stream}", str(error))
        events.append(Recorded(position, recorded_at, event))
    return events, None
