"""Where an event stands: its stream, its position in the log, and when it was recorded."""

import re
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

EventT_co = TypeVar("EventT_co", covariant=True)
_POSITION = re.compile(r"(0|[1-9][0-9]{0,8})-(0|[1-9][0-9]{0,17})")


class Position(NamedTuple):
    """A place in the log: a partition and the gapless index within it. Text form: `0-42`."""

    partition: int
    index: int  # type: ignore[assignment]  # it hides what tuples have: nobody searches a position

    def __str__(self) -> str:
        return f"{self.partition}-{self.index}"

    @classmethod
    def parse(cls, text: str) -> "Position":
        """Read the text form. Raises `ValueError` for anything else."""
        match = _POSITION.fullmatch(text)
        if match is None:
            raise ValueError("a position looks like 0-42: partition, hyphen, index")
        return cls(int(match[1]), int(match[2]))


class Recorded(NamedTuple, Generic[EventT_co]):
    """An event as the log holds it. `recorded_at` is the writer's clock at the append, UTC."""

    position: Position
    recorded_at: datetime
    event: EventT_co


def stream_of(store: str, order_id: str) -> str:
    """The name of an order's stream. A store's name has no slash, so two orders never share one."""
    return f"{store}/{order_id}"


def split_stream(stream: str) -> tuple[str, str]:
    """The (store, order_id) of a stream."""
    store, _, order_id = stream.partition("/")
    return store, order_id
