"""The log as projections take it in: stored rows decoded into the domain's events."""

from collections.abc import Iterable, Sequence

from adapters.mapper import UnreadableEvent, decode
from adapters.storage.events import EventRow, Events
from adapters.storage.log import PARTITION
from domain.log import Position, Recorded
from domain.order import OrderEvent
from projections.runner import Poison


class EventSource:
    """Reads the log for the runner of the projections."""

    def __init__(self, events: Events) -> None:
        self._events = events

    def recorded(
        self, after: Position | None, limit: int
    ) -> tuple[Sequence[Recorded[OrderEvent]], Poison | None]:
        """The next events of the log, up to the first that cannot be decoded."""
        return decoded(self._events.next(after.index if after else 0, limit))


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
