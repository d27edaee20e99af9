"""The short cut of a verification says what folding every history whole would say."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from adapters.evidence.orders import Orders, read_facts
from adapters.ledger.mapper import EventMapper
from adapters.storage.evidence import RawRow, StoredRow
from domain.order import ImpossibleHistory, Order, OrderEvent, decide, evolve
from tests.strategies import notices

MAPPER = EventMapper()
STREAM = "default/1"


@st.composite
def histories(draw: st.DrawFn) -> list[OrderEvent]:
    """Events that the rules made, of which one may be left out, or put elsewhere."""
    order = Order(STREAM)
    events: list[OrderEvent] = []
    for notice in draw(st.lists(notices(), max_size=4)):
        for event in decide(order, notice).events:
            order = evolve(order, event)
            events.append(event)
    is_touched, is_moved = draw(st.tuples(st.booleans(), st.booleans()))
    if events and is_touched:
        at, to = draw(st.tuples(*[st.integers(0, len(events) - 1)] * 2))
        taken = events.pop(at)
        if is_moved:
            events.insert(to, taken)
    return events


def rows_of(events: Sequence[OrderEvent], first: int = 1) -> list[RawRow]:
    rows: list[RawRow] = []
    for index, event in enumerate(events, first):
        stored = MAPPER.to_stored_event(event)
        names = (STREAM.encode(), stored.topic.encode())
        version = stored.originator_version
        rows.append((index, names[0], version, names[1], stored.state, 0, None))
    return rows


def whole(events: Sequence[OrderEvent]) -> list[tuple[int, str]]:
    """What a fold of all says."""
    order = Order(STREAM)
    for index, event in enumerate(events, 1):
        try:
            order = evolve(order, event)
        except ImpossibleHistory as error:
            return [(index, str(error))]
    return []


def check(rows: Sequence[RawRow], stored: Sequence[RawRow] = ()) -> list[tuple[int, str]]:
    orders = Orders(lambda streams: [StoredRow._make(row) for row in stored])
    return list(orders.take(rows, [read_facts(row[4]) for row in rows]))


@given(histories())
def test_the_verdict_on_a_history_is_that_of_the_domain(events: list[OrderEvent]) -> None:
    assert check(rows_of(events)) == whole(events)


@given(histories(), st.integers(1, 6))
def test_a_history_may_be_looked_at_from_its_middle_on(events: list[OrderEvent], at: int) -> None:
    rows = rows_of(events)
    if not whole(events):
        assert check(rows[at:], rows) == []


def test_a_state_that_cannot_be_read_is_said_once() -> None:
    row: RawRow = (1, b"default/1", 1, b"Delivered", b"{", 0, None)
    later: RawRow = (2, b"default/1", 2, b"Delivered", b"{}", 0, None)
    orders = Orders(lambda streams: [])
    assert list(orders.take([row, later], [None, read_facts(b"{}")])) == [
        (1, "its state cannot be read")
    ]


def test_names_that_are_no_text_are_said() -> None:
    row: RawRow = (1, b"default/\xff", 1, b"Delivered", b"{}", 0, None)
    assert check([row]) == [(1, "it cannot be read")]
