"""What people ask of the ledger, answered from the read models, in the form that they see."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from eventsourcing.persistence import MapperDeserialisationError
from pydantic import BaseModel

from adapters.ledger.application import OrderLedger
from adapters.queries.effect_views import EffectView, effect_view
from adapters.queries.order_search import (
    BadCursor,
    Hidden,
    Listed,
    OrderFilter,
    is_moved,
    list_orders,
    read_cursor,
    write_cursor,
)
from adapters.queries.payment_search import PaymentFilter, select_payments
from adapters.storage.effects import EffectStore
from adapters.storage.views import Pin, Reader, Views
from adapters.vault.bodies import Bodies
from domain.log import Position, Recorded, stream_of
from domain.money import amount_text, exact_amount
from domain.order import News, OrderEvent, ParkedNewsMoved
from domain.payment import Origin
from projections.audit_history import HISTORY, HistoryRow
from projections.model import Place, Row
from projections.order_status import ORDER_STATUS, ORDERS, REFERENCES, OrderRow
from projections.totals import paid

PAGE_SIZE_MAX = 1000
STREAM_PAGE_SIZE = 1000
RECONCILED = (Origin.IMPORT, Origin.RECONCILE)


class OrderView(BaseModel):
    """An order. Amounts are decimal strings in major units, times RFC 3339 UTC. `erased` says that
    what may name a person cannot be read any more; until then its history tells it."""

    order_id: str
    store: str
    status: str
    payment_status: str | None
    review: str | None
    amount: str | None
    currency: str | None
    references: list[str]
    provider: str | None
    delivered_at: datetime | None
    updated_at: datetime
    version: int
    position: str
    registered: bool
    parked_since: datetime | None
    erased: bool


class OrderDetail(OrderView):
    """An order by itself. `paid_amount` is what its payments that count add up to, in its currency:
    each completed one that was named, else what its PAID told. It is null where none is known, or
    was paid in another currency, and where `occurred_before` is asked for."""

    paid_amount: str | None


class ParkedNews(BaseModel):
    """How many orders, 1,000 standing for more, have news that waits for them to be registered, and
    when the oldest of it came."""

    orders: int
    oldest_since: datetime | None


class EventView(BaseModel):
    """An event of an order's history. What its type does not have is null.

    `caused_by` is the version of the event that it follows from, for a conflict the original's;
    `decision` that of the registration or the verdict that let a PAID count which had waited.
    `key_id` names the secret that proved news, `origin` the way on which it came in (webhook,
    replay, import, reconcile); `reconciled` news is what webhooks lost and was brought in later.
    `body_digest` is the salted digest that is in the log, `body_sha256` that of the body itself,
    null once its key was destroyed. `customer`, and the references that somebody typed, are told in
    an order's history alone, and only as long.
    """

    position: str
    order_id: str
    store: str
    version: int
    type: str
    recorded_at: datetime
    received_at: datetime | None
    occurred_at: datetime | None
    provider: str | None
    payment_status: str | None
    raw_status: str | None
    amount: str | None
    currency: str | None
    payment_ref: str | None
    payment_state: str | None
    payment_amount: str | None
    references: list[str]
    delivery_key: str | None
    body_digest: str | None
    body_sha256: str | None
    customer: str | None
    disposition: str | None
    stale: bool
    caused_by: int | None
    reason: str | None
    key_id: str | None
    origin: str | None
    reconciled: bool
    decision: int | None
    told_status: str | None
    by: str | None
    verdict: str | None
    moved_to: str | None


class HistoryView(BaseModel):
    """Every event of one order, oldest first, and what followed from them outside of the ledger."""

    order_id: str
    store: str
    events: list[EventView]
    effects: list[EffectView]


class OrderPage(BaseModel):
    """Orders in the order of (store, order_id), or the last changed first; `next` is the `after` of
    the next page, or null. What no index knows is looked for among 20,000 orders a page, which may
    then hold fewer than asked for, even none, and go on."""

    items: list[OrderView]
    next: str | None


class PaymentPage(BaseModel):
    """Payment news in the order of the log, or the newest first; `next` is the `after` of the next
    page, or null."""

    items: list[EventView]
    next: str | None


class AmbiguousReference(Exception):
    """Several orders of the store carry this reference."""


class Queries:
    """The read side. Every method blocks; call none on an event loop."""

    def __init__(
        self, ledger: OrderLedger, views: Views, effects: EffectStore, bodies: Bodies
    ) -> None:
        self._ledger = ledger
        self._bodies = bodies
        self._views = views
        self._effects = effects

    def checkpoint(self, projection: str) -> Position | None:
        """How far a read model has come."""
        return self._views.checkpoint(projection)

    def head(self) -> str | None:
        """Where the log ends."""
        position = self._ledger.event_log.head()
        return str(position) if position else None

    def find(self, store: str, name: str) -> str | None:
        """The id of the order that has this id or, where none has, this reference.

        Raises `AmbiguousReference` where several orders share the reference.
        """
        row = self._find(store, name)
        return row.order_id if row else None

    def order(self, store: str, name: str) -> OrderDetail | None:
        """An order now, by its id or, where none has it, by this reference.

        Raises `AmbiguousReference` where several orders share the reference.
        """
        row = self._find(store, name)
        if row is None:
            return None
        return order_detail(row, self._history(stream_of(store, row.order_id))[: row.version])

    def _find(self, store: str, name: str) -> OrderRow | None:
        typed = self._ledger.vault.hashing.reference(name)
        row = self._views.read(lambda reader: _find(reader, store, name, typed))
        if row is None or not is_moved(row):
            return row
        history = self._history(stream_of(store, row.order_id))
        there = [(store, e.event.to) for e in history if isinstance(e.event, ParkedNewsMoved)][-1:]
        return next(iter(self._views.read(lambda reader: reader.rows(ORDERS, there))), row)

    def _history(self, stream: str) -> list[Recorded[OrderEvent]]:
        """The events of an order; none where one is damaged, of which `verify` tells."""
        try:
            return self._ledger.history(stream)
        except MapperDeserialisationError:
            return []

    def named_otherwise(self, store: str | None, name: str) -> str | None:
        """What to tell who gives a reference where an order's id is wanted; None where an order has
        this id, or none this reference."""
        wanted = OrderFilter(store=store, reference=name)
        found = [order.order_id for order in self.orders(wanted).items]
        if not found or name in found:
            return None
        if len(found) > 1:
            return f"{name} is a reference of several orders: name one by its id"
        return f"{name} is a reference of the order {found[0]}: name {found[0]}"

    def orders(self, wanted: OrderFilter, after: str | None = None, limit: int = 100) -> OrderPage:
        """A page of orders. Raises `BadCursor`."""
        found = self._listed(wanted, after, limit)
        return OrderPage(
            items=[order_view(row) for row in found.rows],
            next=None if found.after is None else write_cursor(found.after),
        )

    def stream_orders(self, wanted: OrderFilter) -> Iterator[OrderView]:
        """All the orders there are, page by page, so that memory stays flat. All are of the
        generation that was live at the first; raises `GenerationGone` where that is dropped."""
        after = None
        pin = Pin()
        while True:
            found = self._listed(wanted, after, STREAM_PAGE_SIZE, pin)
            yield from map(order_view, found.rows)
            if found.after is None:
                return
            after = write_cursor(found.after)

    def order_rows(self, wanted: OrderFilter, after: str | None, limit: int) -> Sequence[OrderRow]:
        """The rows behind a page of orders. Raises `BadCursor`."""
        return self._listed(wanted, after, limit).rows

    def _listed(
        self, wanted: OrderFilter, after: str | None, limit: int, pin: Pin | None = None
    ) -> Listed:
        place = None if after is None else read_cursor(wanted, after)
        param = self._views.param
        hidden = self.hidden(wanted)
        return self._views.read(
            lambda reader: list_orders(reader, wanted, place, limit, param, hidden), pin
        )

    def hidden(self, wanted: OrderFilter) -> Hidden:
        """What is looked for, as the read models hold what may name a person: hashed."""
        reference, customer = wanted.reference, wanted.customer
        hashing = self._ledger.vault.hashing if reference or customer else None
        return Hidden(
            hashing.reference(reference) if hashing and reference else None,
            hashing.customer(customer) if hashing and customer else None,
        )

    def parked(self) -> ParkedNews:
        """What waits for its order to be registered, since when."""
        clauses = 'WHERE "parked_since" IS NOT NULL ORDER BY "parked_since" LIMIT '
        rows = self._views.select(ORDERS, f"{clauses}{PAGE_SIZE_MAX:d}", ())
        return ParkedNews(orders=len(rows), oldest_since=rows[0].parked_since if rows else None)

    def history(
        self, store: str, order_id: str, as_of: datetime | None = None
    ) -> HistoryView | None:
        """Every event of an order; with `as_of` those that were recorded by then, and no effects,
        of which only what became of them is known."""
        clauses = 'WHERE "store" = ? AND "order_id" = ? ORDER BY "version"'
        rows = self._views.select(HISTORY, clauses, (store, order_id))
        if as_of is not None:
            rows = [row for row in rows if row.recorded_at <= as_of]
        if not rows:
            return None
        events = self.events(rows)
        self._tell_private(stream_of(store, order_id), events)
        sent = self._effects.of_order(store, order_id) if as_of is None else ()
        effects = [effect_view(row) for row in sent]
        return HistoryView(order_id=order_id, store=store, events=events, effects=effects)

    def payments(self, wanted: PaymentFilter, after: str | None, limit: int) -> PaymentPage:
        """A page of payment news. Raises `BadCursor`."""
        rows = self._payment_rows(wanted, read_position(after), limit + 1)
        items = self.events(rows[:limit])
        more = len(rows) > limit
        return PaymentPage(items=items, next=items[-1].position if more else None)

    def stream_payments(
        self, wanted: PaymentFilter, after: str | None, limit: int | None
    ) -> Iterator[EventView]:
        """All the payment news there is, page by page, so that memory stays flat. All is of the
        generation that was live at the first; raises `GenerationGone` where that is dropped."""
        position = read_position(after)
        pin = Pin()
        left = limit
        while left is None or left > 0:
            size = STREAM_PAGE_SIZE if left is None else min(left, STREAM_PAGE_SIZE)
            rows = self._payment_rows(wanted, position, size, pin)
            yield from self.events(rows)
            if len(rows) < size:
                return
            position = Position(rows[-1].partition, rows[-1].idx)
            left = None if left is None else left - len(rows)

    def events(self, rows: Sequence[HistoryRow]) -> list[EventView]:
        """Events as people and programs see them, with the sha256 of their bodies as long as the
        keys of those are there."""
        told = [row.idx for row in rows if row.body_digest is not None]
        opened = self._bodies.of_events(told)
        return [
            _event_view(row, opened[row.idx].sha256 if row.idx in opened else None) for row in rows
        ]

    def _tell_private(self, stream: str, events: Sequence[EventView]) -> None:
        """Add what is private in events of an order, as long as its key is there."""
        news = [told.event for told in self._history(stream) if isinstance(told.event, News)]
        private = self._bodies.private(news)
        for event in events:
            if (personal := private.get(event.version)) is not None:
                event.references += personal.references
                event.customer = personal.customer

    def _payment_rows(
        self, wanted: PaymentFilter, after: Position | None, limit: int, pin: Pin | None = None
    ) -> Sequence[HistoryRow]:
        param = self._views.param
        return self._views.read(
            lambda reader: select_payments(reader, wanted, after, limit, param), pin
        )


def _find(reader: Reader, store: str, name: str, typed: str) -> OrderRow | None:
    rows = reader.rows(ORDERS, [(store, name)])
    if not rows:
        clauses = 'WHERE "store" = ? AND "reference" IN (?, ?) LIMIT 3'
        named = reader.select(REFERENCES, clauses, (store, name, typed))
        found = {one.order_id for one in named}
        if len(found) > 1:
            raise AmbiguousReference
        rows = reader.rows(ORDERS, [(store, order_id) for order_id in found])
    return rows[0] if rows else None


def order_after(history: Iterable[Recorded[OrderEvent]]) -> OrderDetail | None:
    """An order as its first events tell it, folded from them."""
    told = list(history)
    row = row_after(told)
    return order_detail(row, told) if row is not None else None


def row_after(history: Iterable[Recorded[OrderEvent]]) -> OrderRow | None:
    """The same, as the read model has it."""
    rows: dict[Place, Row] = {}
    for recorded in history:
        for table, row in ORDER_STATUS.fold(rows, recorded):
            rows[table, table.key_of(row)] = row
    found = [row for (table, _), row in rows.items() if table is ORDERS]
    return found[0] if found and isinstance(found[0], OrderRow) else None


def order_view(row: OrderRow) -> OrderView:
    """An order as people and programs see it."""
    return OrderView(
        order_id=row.order_id,
        store=row.store,
        status=row.status,
        payment_status=row.payment_status,
        review=row.review,
        amount=amount_text(row.amount) if row.amount is not None else None,
        currency=row.currency,
        references=list(row.references),
        provider=row.provider,
        delivered_at=row.delivered_at,
        updated_at=row.updated_at,
        version=row.version,
        position=str(Position(row.partition, row.idx)),
        registered=bool(row.registered),  # an older release's generation does not say
        parked_since=row.parked_since,
        erased=bool(row.erased),
    )


def order_detail(row: OrderRow, history: Iterable[Recorded[OrderEvent]]) -> OrderDetail:
    """The same with what its events tell besides."""
    amount, currency = paid(history) or (None, None)
    is_known = amount is not None and currency is not None and currency == row.currency
    told = amount_text(exact_amount(amount, currency)) if is_known and amount is not None else None
    return OrderDetail(**order_view(row).model_dump(), paid_amount=told)


def _event_view(row: HistoryRow, body_sha256: str | None) -> EventView:
    values = row._asdict()
    position = Position(values.pop("partition"), values.pop("idx"))
    for name in ("amount", "payment_amount"):
        values[name] = amount_text(values[name]) if values[name] is not None else None
    return EventView(
        position=str(position),
        reconciled=values["origin"] in RECONCILED,
        body_sha256=body_sha256,
        customer=None,
        **values,
    )


def read_position(text: str | None) -> Position | None:
    """The position that a cursor is. Raises `BadCursor`."""
    try:
        return None if text is None else Position.parse(text)
    except ValueError as error:
        raise BadCursor(str(error)) from None
