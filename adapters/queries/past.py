"""Orders as they were: what was known at an instant of recording, of what had happened by another.

Read models know orders as they are now, so this folds: the events of a page's orders, and no more.
A list of the past goes through orders in the order of their first events, so that what came later
costs nothing; one of a reference goes through the orders that have it now.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import NamedTuple

from pydantic import BaseModel

from adapters.ledger.mapper import decode
from adapters.queries.order_search import Hidden, OrderFilter, is_moved, write_cursor
from adapters.queries.queries import (
    EventView,
    OrderDetail,
    OrderPage,
    OrderView,
    Queries,
    order_after,
    order_view,
    read_position,
    row_after,
)
from adapters.storage.events import EventRow, Events
from adapters.storage.log import PARTITION
from domain.log import Position, Recorded, split_stream, stream_of
from domain.order import Consequence, Delivered, OrderEvent
from projections.audit_history import AUDIT_HISTORY, HistoryRow
from projections.model import Place, Row
from projections.occurrence import occurred_before
from projections.order_status import ORDER_STATUS, OrderRow

ORDERS_AT_ONCE = 200  # folded
EVENTS_AT_ONCE = 1000  # looked through for orders that changed
STEPS_MAX = 10  # of so many orders, or events, each: then a page ends
UNBOUND = sys.maxsize  # steps, for who waits until a page is full

History = list[Recorded[OrderEvent]]


class Clocks(NamedTuple):
    """Two clocks: what was recorded at `as_of` or before, and of that what had happened before
    `occurred_before`. None is the end of time."""

    as_of: datetime | None = None
    occurred_before: datetime | None = None


class Standing(BaseModel):
    """Where an order stood."""

    status: str
    review: str | None


class OrderChange(BaseModel):
    """How an order stood at one instant and at a later one; `before` is null where nothing was
    known of it yet. `because` are the events that set its status and its review to what they are
    afterwards, where these differ, and the events that those follow from."""

    order_id: str
    store: str
    before: Standing | None
    after: Standing
    because: list[EventView]


class ChangePage(BaseModel):
    """Orders that changed, in the order of the first event that each had in the time; `next` is
    the `after` of the next page, or null. A page may hold fewer than asked for, even none, and go
    on: it ends after looking through 10,000 events."""

    items: list[OrderChange]
    next: str | None


class Past:
    """What was. Every method blocks."""

    def __init__(self, events: Events, queries: Queries) -> None:
        self._events = events
        self._queries = queries

    def order(self, store: str, order_id: str, clocks: Clocks) -> OrderDetail | None:
        """An order as it was; None where nothing was known of it, or had happened to it."""
        stream = stream_of(store, order_id)
        histories = self._histories([stream], self._upto(clocks.as_of))
        order = order_after(_happened(histories.get(stream, ()), clocks))
        if order is not None and clocks.occurred_before is not None:
            order.paid_amount = None  # payments are added up as they were recorded
        return order

    def orders(
        self,
        clocks: Clocks,
        wanted: OrderFilter,
        after: str | None,
        limit: int,
        steps: int = STEPS_MAX,
    ) -> OrderPage:
        """A page of orders as they were. It may hold fewer than asked for, even none, and go on:
        after so many steps it ends. Raises `BadCursor`."""
        upto = self._upto(clocks.as_of)
        items: list[OrderView] = []
        hidden = self._queries.hidden(wanted)
        reached = after
        for _ in range(steps):
            candidates, end = self._candidates(wanted, upto, reached)
            orders = self._orders([stream for _, stream in candidates], upto, clocks)
            for cursor, stream in candidates:
                order = orders.get(stream)
                if order is not None and self._fits(order, wanted, hidden):
                    if len(items) == limit:
                        return OrderPage(items=items, next=reached)
                    items.append(order_view(order))
                reached = cursor
            if end is None:
                return OrderPage(items=items, next=None)
            reached = end
        return OrderPage(items=items, next=reached)

    def _fits(self, order: OrderRow, wanted: OrderFilter, hidden: Hidden) -> bool:
        """Whether an order, as it was, is wanted."""
        named = wanted.reference in _names_of(order) or hidden.reference in order.hidden
        return (
            (wanted.status is None or (order.status == wanted.status and not is_moved(order)))
            and (not wanted.review_open or order.review is not None)
            and (not wanted.parked or order.parked_since is not None)
            and (wanted.reference is None or named)
            and (wanted.customer is None or hidden.customer in order.hidden)
            and (wanted.provider is None or order.provider == wanted.provider)
            and (wanted.amount is None or order.amount == wanted.amount)
            and (wanted.currency is None or order.currency == wanted.currency)
            and (wanted.since is None or wanted.since <= order.updated_at)
            and (wanted.until is None or order.updated_at < wanted.until)
        )

    def _candidates(
        self, wanted: OrderFilter, upto: int, after: str | None
    ) -> tuple[Sequence[tuple[str, str]], str | None]:
        """The next orders that may be wanted, each with the cursor behind it, and the cursor behind
        them all; None at the end."""
        if wanted.reference is not None or wanted.customer is not None:
            named = OrderFilter(
                store=wanted.store, reference=wanted.reference, customer=wanted.customer
            )
            rows = self._queries.order_rows(named, after, ORDERS_AT_ONCE)
            candidates = [
                (write_cursor((row.store, row.order_id)), stream_of(row.store, row.order_id))
                for row in rows
            ]
            return candidates, candidates[-1][0] if len(rows) == ORDERS_AT_ONCE else None
        position = read_position(after)
        start = position.index if position else 0
        if start >= upto:
            return [], None
        found, end = self._events.first_events(start, upto, wanted.store, ORDERS_AT_ONCE)
        candidates = [(_cursor(idx), stream) for idx, stream in found]
        return candidates, _cursor(end) if end < upto else None

    def changes(
        self,
        since: datetime,
        until: datetime,
        store: str | None,
        after: str | None,
        limit: int,
        steps: int = STEPS_MAX,
    ) -> ChangePage:
        """A page of the orders whose status or review was another at `until` than at `since`, both
        as `as_of` means them. Reads what was recorded between the two, and the histories of the
        orders that it is about. Raises `BadCursor`."""
        first, last = self._events.upto(since), self._events.upto(until)
        position = read_position(after)
        reached = max(first, position.index if position else 0)
        found: list[_Change] = []
        for _ in range(steps):
            end = min(reached + EVENTS_AT_ONCE, last)
            for idx, stream, history in self._touched(first, reached, end, last, store):
                change = _change(stream, history, first)
                if change is not None:
                    if len(found) == limit:
                        return self._page(found, _cursor(idx - 1))
                    found.append(change)
            if end >= last:
                return self._page(found, None)
            reached = end
        return self._page(found, _cursor(reached))

    def _page(self, found: Sequence["_Change"], cursor: str | None) -> ChangePage:
        told = iter(self._queries.events([row for one in found for row in one.because]))
        items = []
        for stream, before, after, because in found:
            store, order_id = split_stream(stream)
            items.append(
                OrderChange(
                    order_id=order_id,
                    store=store,
                    before=before,
                    after=after,
                    because=list(islice(told, len(because))),
                )
            )
        return ChangePage(items=items, next=cursor)

    def _touched(
        self, first: int, after: int, end: int, last: int, store: str | None
    ) -> Iterator[tuple[int, str, History]]:
        """The orders whose first event behind `first` lies between `after` and `end`, that event's
        index, and their histories until `last`."""
        found: dict[str, int] = {}
        for idx, stream, *_ in self._events.between(after, end):
            if store is None or split_stream(stream)[0] == store:
                found.setdefault(stream, idx)
        streams = list(found)
        for start in range(0, len(streams), ORDERS_AT_ONCE):
            some = streams[start : start + ORDERS_AT_ONCE]
            histories = self._histories(some, last)
            for stream in some:
                history = histories[stream]
                begun = next(r for r in history if r.position.index > first)
                if begun.position.index == found[stream]:  # else an earlier page told of it
                    yield found[stream], stream, history

    def _upto(self, as_of: datetime | None) -> int:
        if as_of is not None:
            return self._events.upto(as_of)
        head = self._queries.head()
        return Position.parse(head).index if head else 0

    def _orders(self, streams: Sequence[str], upto: int, clocks: Clocks) -> Mapping[str, OrderRow]:
        orders: dict[str, OrderRow] = {}
        for stream, history in self._histories(streams, upto).items():
            order = row_after(_happened(history, clocks))
            if order is not None:
                orders[stream] = order
        return orders

    def _histories(self, streams: Sequence[str], upto: int) -> dict[str, History]:
        """The events of orders up to an index."""
        histories: dict[str, History] = {}
        if streams:
            for row in self._events.of_streams(streams):
                if row[0] <= upto:
                    histories.setdefault(row[1], []).append(_recorded(row))
        return histories


def _happened(
    history: Sequence[Recorded[OrderEvent]], clocks: Clocks
) -> Sequence[Recorded[OrderEvent]]:
    if clocks.occurred_before is None:
        return history
    return list(occurred_before(history, clocks.occurred_before))


def _names_of(order: OrderRow) -> tuple[str, ...]:
    return (order.order_id, *order.references)


def _recorded(row: EventRow) -> Recorded[OrderEvent]:
    idx, stream, version, topic, state, recorded_at = row
    event = decode(stream, version, topic, state)
    return Recorded(Position(PARTITION, idx), recorded_at, event)


def _cursor(index: int) -> str:
    return str(Position(PARTITION, index))


class _Change(NamedTuple):
    """How an order changed, and the events because of which it did."""

    stream: str
    before: Standing | None
    after: Standing
    because: Sequence[HistoryRow]


def _change(stream: str, history: History, first: int) -> _Change | None:
    """How an order changed behind an index, if it did."""
    before: Standing | None = None
    after = Standing(status="", review=None)
    set_by: dict[str, Recorded[OrderEvent]] = {}  # by the field: the event that set it
    for recorded, now in _standings(history):
        for field in Standing.model_fields:
            if getattr(after, field) != getattr(now, field):
                set_by[field] = recorded
        after = now
        if recorded.position.index <= first:
            before = now
    changed = [f for f in set_by if getattr(before, f, None) != getattr(after, f)]
    if not changed:
        return None
    because = _with_causes([set_by[field] for field in changed], history)
    return _Change(stream, before, after, because)


def _standings(history: History) -> Iterator[tuple[Recorded[OrderEvent], Standing]]:
    """Each event of an order, and where the order stands behind it."""
    rows: dict[Place, Row] = {}
    for recorded in history:
        for table, row in ORDER_STATUS.fold(rows, recorded):
            rows[table, table.key_of(row)] = row
            if isinstance(row, OrderRow):
                yield recorded, Standing(status=row.status, review=row.review)


def _with_causes(events: Iterable[Recorded[OrderEvent]], history: History) -> list[HistoryRow]:
    """The events, and those that they follow from, in the order of the log."""
    by_version = {recorded.event.originator_version: recorded for recorded in history}
    told: dict[int, Recorded[OrderEvent]] = {}
    for recorded in events:
        event = recorded.event
        causes = [event.caused_by] if isinstance(event, Consequence) else []
        if isinstance(event, Delivered) and event.decision is not None:
            causes.append(event.decision)
        for version in (event.originator_version, *causes):
            told[version] = by_version[version]
    return [_row_of(told[version]) for version in sorted(told)]


def _row_of(recorded: Recorded[OrderEvent]) -> HistoryRow:
    ((_, row),) = AUDIT_HISTORY.fold({}, recorded)
    assert isinstance(row, HistoryRow)
    return row
