"""The read model `order_status`: every order as it stands now, and its references."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from domain.log import Recorded, split_stream
from domain.order import (
    TRANSITIONS,
    Delivered,
    Disposition,
    OrderEvent,
    OrderPlaced,
    OrderStatus,
    ParkedNewsMoved,
    PaymentFailed,
    PaymentReceived,
    ReviewRequired,
    ReviewResolved,
    Then,
)
from domain.payment import PaymentStatus
from projections.model import AnyTable, Place, Projection, Row, Table


class OrderRow(NamedTuple):
    """An order now. Times are UTC; `updated_at` and the position are those of its last event.

    Of a registered order amount and currency are the registered ones. `parked_since` is when the
    first of the news came that waits for the order to be registered.
    """

    store: str
    order_id: str
    version: int
    provider: str | None
    status: str
    payment_status: str | None
    review: str | None
    amount: Decimal | None
    currency: str | None
    references: tuple[str, ...]
    delivered_at: datetime | None
    updated_at: datetime
    partition: int
    idx: int
    registered: bool = False
    parked_since: datetime | None = None


class ReferenceRow(NamedTuple):
    """One name under which an order can be found."""

    store: str
    reference: str
    order_id: str


ORDERS = Table(
    "order_status",
    OrderRow,
    ("store", "order_id"),
    (
        ("status", "store", "order_id"),
        ("review",),
        ("parked_since",),
        ("amount", "store", "order_id"),
        ("updated_at", "store", "order_id"),
    ),
)
REFERENCES = Table(
    "order_references",
    ReferenceRow,
    ("store", "order_id", "reference"),
    (("reference", "store"),),
    only_grows=True,
)


def reads(recorded: Recorded[OrderEvent]) -> Iterable[Place]:
    """The fold needs the order as it was."""
    return [(ORDERS, split_stream(recorded.event.originator_id))]


def fold(
    rows: Mapping[Place, Row], recorded: Recorded[OrderEvent]
) -> Iterator[tuple[AnyTable, Row]]:
    """The order after one more event, and the references that are new."""
    event = recorded.event
    store, order_id = key = split_stream(event.originator_id)
    found = rows.get((ORDERS, key))
    before = found if isinstance(found, OrderRow) else _new(key, recorded)
    after = before._replace(
        version=event.originator_version,
        updated_at=recorded.recorded_at,
        partition=recorded.position.partition,
        idx=recorded.position.index,
        **_changes(before, recorded),
    )
    yield ORDERS, after
    for reference in after.references[len(before.references) :]:
        yield REFERENCES, ReferenceRow(store, reference, order_id)


def _new(key: tuple[str, str], recorded: Recorded[OrderEvent]) -> OrderRow:
    return OrderRow(
        store=key[0],
        order_id=key[1],
        version=0,
        provider=None,
        status=OrderStatus.AWAITING_PAYMENT.value,
        payment_status=None,
        review=None,
        amount=None,
        currency=None,
        references=(),
        delivered_at=None,
        updated_at=recorded.recorded_at,
        partition=recorded.position.partition,
        idx=recorded.position.index,
    )


def _changes(row: OrderRow, recorded: Recorded[OrderEvent]) -> dict[str, Any]:
    """What an event changes about an order, by column."""
    match recorded.event:
        case PaymentReceived(disposition=Disposition.PARKED) as news:
            return _parked(row, news)
        case PaymentReceived() as news if row.registered or row.provider in (None, news.provider):
            return _news(row, news)
        case OrderPlaced() as placed:
            return {
                "registered": True,
                "amount": placed.amount,
                "currency": placed.currency,
                "references": _with(row.references, placed.references),
                "parked_since": None,
            }
        case Delivered():
            return {
                "status": OrderStatus.DELIVERED.value,
                "payment_status": PaymentStatus.PAID.value,
                "delivered_at": recorded.recorded_at,
            }
        case ParkedNewsMoved():
            return {"parked_since": None}
        case ReviewResolved():
            return {"review": None}
        case PaymentFailed():
            return {"status": OrderStatus.PAYMENT_FAILED.value}
        case ReviewRequired(reason=reason):
            return {"review": reason.value}
    return {}


def _parked(row: OrderRow, news: PaymentReceived) -> dict[str, Any]:
    told = row.amount is None and news.amount is not None
    return {
        "amount": news.amount if told else row.amount,
        "currency": news.currency if told else row.currency,
        "references": _with(row.references, news.references),
        "parked_since": row.parked_since or news.received_at,
    }


def _news(row: OrderRow, news: PaymentReceived) -> dict[str, Any]:
    applied = news.disposition is Disposition.APPLIED
    awaits = applied and TRANSITIONS[news.status].before_paid is Then.AWAIT
    changes: dict[str, Any] = {
        "provider": row.provider or news.provider,
        "status": OrderStatus.AWAITING_PAYMENT.value if awaits else row.status,
        "payment_status": news.status.value if applied else row.payment_status,
        "references": _with(row.references, news.references),
    }
    if not row.registered:
        tells_amount = news.amount is not None and (applied or row.amount is None)
        changes["amount"] = news.amount if tells_amount else row.amount
        known = not tells_amount and row.currency is not None
        changes["currency"] = row.currency if known else news.currency
    return changes


def _with(references: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(references + more))


ORDER_STATUS = Projection("order_status", 2, (ORDERS, REFERENCES), reads, fold)
