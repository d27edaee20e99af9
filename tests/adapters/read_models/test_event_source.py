"""One reader of the log: what it read is at hand for who follows behind it."""

from collections.abc import Sequence

import pytest

from adapters.read_models import event_source
from adapters.read_models.event_source import EventSource
from adapters.storage.evidence import RawRow
from domain.log import Position
from domain.order import Delivered

LOG: list[RawRow] = [
    (n, b"shop/o-1", n, b"Delivered", b'{"v":1,"caused_by":1}', 1_000_000 * n, None)
    for n in range(1, 51)
]


def read(after: int, limit: int) -> Sequence[RawRow]:
    return LOG[after : after + limit]


def test_rows_come_as_events_and_stay_at_hand() -> None:
    source = EventSource(read)
    events, poison = source.recorded(None, 10)
    assert poison is None
    assert [e.position for e in events] == [Position(0, n) for n in range(1, 11)]
    assert events[4].event == Delivered(
        originator_id="shop/o-1", originator_version=5, caused_by=1, decision=None
    )
    source.recorded(Position(0, 10), 10)
    assert source.recent(0, 100) == LOG[:20]
    assert source.recent(7, 5) == LOG[7:12]


def test_what_was_not_read_here_is_not_at_hand() -> None:
    source = EventSource(read)
    assert source.recent(0, 5) == ()
    source.recorded(Position(0, 10), 10)
    assert not source.recent(9, 5)
    assert not source.recent(20, 5)
    assert source.recent(10, 5) == LOG[10:15]


def test_who_reads_elsewhere_begins_anew() -> None:
    source = EventSource(read)
    source.recorded(None, 10)
    source.recorded(Position(0, 30), 10)  # a generation that stands elsewhere
    assert not source.recent(0, 5)
    assert source.recent(30, 100) == LOG[30:40]


def test_only_the_last_rows_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_source, "RECENT_EVENTS", 15)
    source = EventSource(read)
    for at in range(0, 50, 10):
        source.recorded(Position(0, at), 10)
    assert source.recent(25, 100) == LOG[25:]
    assert not source.recent(24, 100)
