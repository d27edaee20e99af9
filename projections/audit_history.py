"""The read model `audit_history`: every event of every order, flat, as an auditor reads it."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from domain.log import Recorded, split_stream
from domain.order import (
    Consequence,
    Delivered,
    DeliveryConflicted,
    Disposition,
    News,
    OrderEvent,
    OrderPlaced,
    ParkedNewsMoved,
    PaymentReceived,
    PersonalDataErased,
    ReviewRequired,
    ReviewResolved,
)
from projections.model import AnyTable, Place, Projection, Row, Table


class HistoryRow(NamedTuple):
    """One event. Columns that its type does not have are None.

    `caused_by` is the version of the event that an event follows from, for a conflict that of the
    original delivery; `decision` that of what let a PAID count that waited. `by` is who registered
    the order or decided its review. `told_status` is what a provider's word means where another
    status was recorded, `moved_to` the order that took in what was parked. The `payment_*` of a
    money movement are `payment_ref`, `payment_state` and `payment_amount`; `payment_status` is what
    the provider says of the order's payment. `body_digest` is salted.
    """

    partition: int
    idx: int
    store: str
    order_id: str
    version: int
    type: str
    recorded_at: datetime
    received_at: datetime | None = None
    occurred_at: datetime | None = None
    provider: str | None = None
    payment_status: str | None = None
    raw_status: str | None = None
    amount: Decimal | None = None
    currency: str | None = None
    payment_ref: str | None = None
    payment_state: str | None = None
    payment_amount: Decimal | None = None
    references: tuple[str, ...] = ()
    delivery_key: str | None = None
    body_digest: str | None = None
    disposition: str | None = None
    stale: bool = False
    caused_by: int | None = None
    reason: str | None = None
    key_id: str | None = None
    origin: str | None = None
    decision: int | None = None
    told_status: str | None = None
    by: str | None = None
    verdict: str | None = None
    moved_to: str | None = None


HISTORY = Table(
    "audit_history",
    HistoryRow,
    ("partition", "idx"),
    (("store", "order_id", "version"), ("recorded_at",)),
    only_grows=True,
)


def reads(_: Recorded[OrderEvent]) -> tuple[Place, ...]:
    """A row depends on its own event alone."""
    return ()


def fold(_: Mapping[Place, Row], recorded: Recorded[OrderEvent]) -> Iterator[tuple[AnyTable, Row]]:
    """The event as one row."""
    event = recorded.event
    store, order_id = split_stream(event.originator_id)
    yield (
        HISTORY,
        HistoryRow(
            partition=recorded.position.partition,
            idx=recorded.position.index,
            store=store,
            order_id=order_id,
            version=event.originator_version,
            type=type(event).__name__,
            recorded_at=recorded.recorded_at,
            **_details(event),
        ),
    )


def _details(event: OrderEvent) -> dict[str, Any]:
    match event:
        case News():
            return _told(event) | _standing(event)
        case ReviewRequired():
            return {"caused_by": event.caused_by, "reason": event.reason.value}
        case Delivered():
            return {"caused_by": event.caused_by, "decision": event.decision}
        case Consequence():
            return {"caused_by": event.caused_by}
        case OrderPlaced():
            return {
                "amount": event.amount,
                "currency": event.currency,
                "references": event.references,
                "by": event.by,
            }
        case ReviewResolved():
            verdict = event.verdict.value
            return {"reason": event.reason, "by": event.by, "verdict": verdict}
        case ParkedNewsMoved():
            return {"moved_to": event.to}
        case PersonalDataErased():
            return {"reason": event.reason, "by": event.by}
    return {}


def _told(news: News) -> dict[str, Any]:
    payment = news.payment
    return {
        "received_at": news.received_at,
        "occurred_at": news.occurred_at,
        "provider": news.provider,
        "payment_status": news.status.value,
        "raw_status": news.raw_status,
        "amount": news.amount,
        "currency": news.currency,
        "payment_ref": payment.ref if payment else None,
        "payment_state": payment.status.value if payment else None,
        "payment_amount": payment.amount if payment else None,
        "references": news.references,
        "delivery_key": news.delivery_key,
        "body_digest": news.body_digest,
        "key_id": news.key_id,
        "origin": news.origin.value,
    }


def _standing(news: News) -> dict[str, Any]:
    match news:
        case PaymentReceived():
            return {
                "disposition": news.disposition.value,
                "stale": news.disposition is Disposition.STALE,
                "told_status": news.told_status.value if news.told_status else None,
            }
        case DeliveryConflicted():
            return {"caused_by": news.original_version}
    return {}


AUDIT_HISTORY = Projection("audit_history", 3, (HISTORY,), reads, fold)
