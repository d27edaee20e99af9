"""What people ask of the ledger, answered from the read models, in the form that they see."""

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from adapters.effect_views import EffectView, effect_view
from adapters.ledger import OrderLedger
from adapters.storage.effects import EffectStore
from adapters.storage.views import Reader, Views
from domain.log import Position, Recorded
from domain.money import amount_text
from domain.order import OrderEvent
from domain.payment import Origin
from projections.audit_history import HISTORY, HistoryRow
from projections.model import Place, Row
from projections.order_status import ORDER_STATUS, ORDERS, REFERENCES, OrderRow

PAGE_SIZE_MAX = 1000
STREAM_PAGE_SIZE = 1000
RECONCILED = (Origin.IMPORT, Origin.RECONCILE)


class OrderView(BaseModel):
    """An order. Amounts are decimal strings in major units, times RFC 3339 UTC."""

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
    body_sha256: str | None
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
    """Orders in the order of (store, order_id); `next` is the `after` of the next page, or null."""

    items: list[OrderView]
    next: str | None


class PaymentPage(BaseModel):
    """Payment news in the order of the log; `next` is the `after` of the next page, or null."""

    items: list[EventView]
    next: str | None


class AmbiguousReference(Exception):
    """Several orders of the store carry this reference."""


class BadCursor(ValueError):
    """The cursor was not made by this service."""


class PaymentFilter(BaseModel):
    """Which payment news is wanted. `since` and `until` bound `recorded_at`, `until` excluded, and
    so does `as_of`, itself included. `occurred_before` bounds when it happened, as its provider
    says; news that does not say had happened when it came in."""

    since: datetime | None = None
    until: datetime | None = None
    status: str | None = None
    provider: str | None = None
    order_id: str | None = None
    store: str | None = None
    as_of: datetime | None = None
    occurred_before: datetime | None = None


class Queries:
    """The read side. Every method blocks; call none on an event loop."""

    def __init__(self, ledger: OrderLedger, views: Views, effects: EffectStore) -> None:
        self._ledger = ledger
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
        row = self._views.read(lambda reader: _find(reader, store, name))
        return row.order_id if row else None

    def order(self, store: str, name: str) -> OrderView | None:
        """An order now, by its id or, where none has it, by this reference.

        Raises `AmbiguousReference` where several orders share the reference.
        """
        row = self._views.read(lambda reader: _find(reader, store, name))
        return _order_view(row) if row else None

    def orders(
        self,
        *,
        store: str | None = None,
        status: str | None = None,
        review_open: bool = False,
        parked: bool = False,
        reference: str | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> OrderPage:
        """A page of orders. Raises `BadCursor`."""
        position = None if after is None else _read_cursor(after)

        def ask(reader: Reader) -> list[OrderRow]:
            return _orders(
                reader, store, status, review_open, parked, reference, position, limit + 1
            )

        rows = self._views.read(ask)
        items = [_order_view(row) for row in rows[:limit]]
        last = items[-1] if len(rows) > limit else None
        return OrderPage(items=items, next=cursor_of(last.store, last.order_id) if last else None)

    def parked(self) -> ParkedNews:
        """What waits for its order to be registered, since when."""
        clauses = 'WHERE "parked_since" IS NOT NULL ORDER BY "parked_since" LIMIT '
        rows = self._views.select(ORDERS, f"{clauses}{PAGE_SIZE_MAX:d}", ())
        return ParkedNews(orders=len(rows), oldest_since=rows[0].parked_since if rows else None)

    def history(self, store: str, order_id: str) -> HistoryView | None:
        """Every event of an order."""
        clauses = 'WHERE "store" = ? AND "order_id" = ? ORDER BY "version"'
        rows = self._views.select(HISTORY, clauses, (store, order_id))
        if not rows:
            return None
        events = [event_view(row) for row in rows]
        effects = [effect_view(row) for row in self._effects.of_order(store, order_id)]
        return HistoryView(order_id=order_id, store=store, events=events, effects=effects)

    def payments(self, wanted: PaymentFilter, after: str | None, limit: int) -> PaymentPage:
        """A page of payment news. Raises `BadCursor`."""
        rows = self._payment_rows(wanted, read_position(after), limit + 1)
        items = [event_view(row) for row in rows[:limit]]
        more = len(rows) > limit
        return PaymentPage(items=items, next=items[-1].position if more else None)

    def stream_payments(
        self, wanted: PaymentFilter, after: str | None, limit: int | None
    ) -> Iterator[EventView]:
        """All the payment news there is, page by page, so that memory stays flat."""
        position = read_position(after)
        left = limit
        while left is None or left > 0:
            size = STREAM_PAGE_SIZE if left is None else min(left, STREAM_PAGE_SIZE)
            rows = self._payment_rows(wanted, position, size)
            for row in rows:
                yield event_view(row)
            if len(rows) < size:
                return
            position = Position(rows[-1].partition, rows[-1].idx)
            left = None if left is None else left - len(rows)

    def _payment_rows(
        self, wanted: PaymentFilter, after: Position | None, limit: int
    ) -> Sequence[HistoryRow]:
        where, params = ['"payment_status" IS NOT NULL'], []
        conditions: list[tuple[str, Any]] = [
            ('"recorded_at" >= ?', wanted.since),
            ('"recorded_at" < ?', wanted.until),
            ('"payment_status" = ?', wanted.status),
            ('"provider" = ?', wanted.provider),
            ('"order_id" = ?', wanted.order_id),
            ('"store" = ?', wanted.store),
            ('"recorded_at" <= ?', wanted.as_of),
            ('coalesce("occurred_at", "received_at") < ?', wanted.occurred_before),
        ]
        for condition, value in conditions:
            if value is not None:
                where.append(condition)
                params.append(self._views.param(value))
        if after is not None:
            where.append('("partition", "idx") > (?, ?)')
            params += [after.partition, after.index]
        clauses = f'WHERE {" AND ".join(where)} ORDER BY "partition", "idx" LIMIT {limit:d}'
        return self._views.select(HISTORY, clauses, params)


def _find(reader: Reader, store: str, name: str) -> OrderRow | None:
    rows = reader.rows(ORDERS, [(store, name)])
    if not rows:
        clauses = 'WHERE "store" = ? AND "reference" = ? LIMIT 2'
        found = reader.select(REFERENCES, clauses, (store, name))
        if len(found) > 1:
            raise AmbiguousReference
        rows = reader.rows(ORDERS, [(store, one.order_id) for one in found])
    return rows[0] if rows else None


def _orders(
    reader: Reader,
    store: str | None,
    status: str | None,
    review_open: bool,
    parked: bool,
    reference: str | None,
    after: tuple[str, str] | None,
    limit: int,
) -> list[OrderRow]:
    where, params = ["1 = 1"], []
    if store is not None:
        where.append('"store" = ?')
        params.append(store)
    if status is not None:
        where.append('"status" = ?')
        params.append(status)
    if review_open:
        where.append('"review" IS NOT NULL')
    if parked:
        where.append('"parked_since" IS NOT NULL')
    if reference is not None:
        named = f'SELECT "store", "order_id" FROM {reader.relation(REFERENCES)} AS r'
        where.append(
            '("order_id" = ? OR ("store", "order_id") IN ' + f'({named} WHERE "reference" = ?))'
        )
        params += [reference, reference]
    if after is not None:
        where.append('("store", "order_id") > (?, ?)')
        params += after
    clauses = f'WHERE {" AND ".join(where)} ORDER BY "store", "order_id" LIMIT {limit:d}'
    return reader.select(ORDERS, clauses, params)


def order_after(history: Iterable[Recorded[OrderEvent]]) -> OrderView | None:
    """An order as its first events tell it, folded from them."""
    rows: dict[Place, Row] = {}
    for recorded in history:
        for table, row in ORDER_STATUS.fold(rows, recorded):
            rows[table, table.key_of(row)] = row
    found = [row for (table, _), row in rows.items() if table is ORDERS]
    return _order_view(found[0]) if found and isinstance(found[0], OrderRow) else None


def _order_view(row: OrderRow) -> OrderView:
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
    )


def event_view(row: HistoryRow) -> EventView:
    """An event as people and programs see it."""
    values = row._asdict()
    position = Position(values.pop("partition"), values.pop("idx"))
    for name in ("amount", "payment_amount"):
        values[name] = amount_text(values[name]) if values[name] is not None else None
    return EventView(position=str(position), reconciled=values["origin"] in RECONCILED, **values)


def read_position(text: str | None) -> Position | None:
    """The position that a cursor is. Raises `BadCursor`."""
    try:
        return None if text is None else Position.parse(text)
    except ValueError as error:
        raise BadCursor(str(error)) from None


def cursor_of(store: str, order_id: str) -> str:
    """The cursor behind an order, in lists that go by store and id."""
    return base64.urlsafe_b64encode(json.dumps([store, order_id]).encode()).decode().rstrip("=")


def _read_cursor(text: str) -> tuple[str, str]:
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        store, order_id = json.loads(raw)
        f"{store}{order_id}".encode()  # a lone surrogate is no text that could be compared
    except (ValueError, TypeError, RecursionError):
        raise BadCursor("after: not a cursor of this service") from None
    if not isinstance(store, str) or not isinstance(order_id, str) or "\x00" in store + order_id:
        raise BadCursor("after: not a cursor of this service")
    return store, order_id
