"""The read model `order_status`: every order as it stands now, and its references."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from domain.log import Recorded, split_stream
from domain.order import (
    TRANSITIONS,
    Delivered,
    DeliveryConflicted,
    Disposition,
    OrderEvent,
    OrderPlaced,
    OrderStatus,
    ParkedNewsMoved,
    PaymentFailed,
    PaymentReceived,
    PersonalDataErased,
    ReviewRequired,
    ReviewResolved,
    Then,
)
from domain.payment import PaymentStatus
from projections.model import Change, Place, Projection, Row, Table


class OrderRow(NamedTuple):
    """An order now. Times are UTC; `updated_at` and the position are those of its last event.

    Of a registered order amount and currency are the registered ones. `parked_since` is when the
    first of the news came that waits for the order to be registered. `hidden` are the keyed hashes
    of its customers, also of those that only news tells of which is not applied (who erases one
    has to find all), and of names that somebody typed; `erased` says that what they stand for
    cannot be read any more.
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
    hidden: tuple[str, ...] = ()
    erased: bool = False


class ReferenceRow(NamedTuple):
    """One name under which an order can be found, or the keyed hash of one."""

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
# Looked up once: a member of an enumeration, and its value, cost as much as the rest of a step.
_APPLIED = Disposition.APPLIED
_PARKED = Disposition.PARKED
_AWAITING = OrderStatus.AWAITING_PAYMENT.value
_DELIVERED = OrderStatus.DELIVERED.value
_PAID = PaymentStatus.PAID.value
_MAKES_WAIT = frozenset(s for s, rule in TRANSITIONS.items() if rule.before_paid is Then.AWAIT)

# An order before its first event; the first one names it.
_NEW = OrderRow(
    store="",
    order_id="",
    version=0,
    provider=None,
    status=_AWAITING,
    payment_status=None,
    review=None,
    amount=None,
    currency=None,
    references=(),
    delivered_at=None,
    updated_at=datetime.min.replace(tzinfo=UTC),
    partition=0,
    idx=0,
)


def reads(recorded: Recorded[OrderEvent]) -> Sequence[Place]:
    """The fold needs the order as it was."""
    return ((ORDERS, split_stream(recorded.event.originator_id)),)


def fold(rows: Mapping[Place, Row], recorded: Recorded[OrderEvent]) -> Sequence[Change]:
    """The order after one more event, and the references that are new."""
    key = store, order_id = split_stream(recorded.event.originator_id)
    found = rows.get((ORDERS, key))
    before = found if isinstance(found, OrderRow) else _NEW
    after = _after(before, key, recorded)
    if after.references is before.references and after.hidden is before.hidden:
        return ((ORDERS, after),)
    new = (*after.references[len(before.references) :], *after.hidden[len(before.hidden) :])
    return (ORDERS, after), *[(REFERENCES, ReferenceRow(store, r, order_id)) for r in new]


def _after(row: OrderRow, key: tuple[str, str], recorded: Recorded[OrderEvent]) -> OrderRow:
    position, at, event = recorded.position, recorded.recorded_at, recorded.event
    # The two that nearly all events are make their row in one step, the others by name: `_replace`
    # costs three times as much.
    if isinstance(event, PaymentReceived):
        return _with_news(row, key, event, recorded)
    if isinstance(event, Delivered):
        return OrderRow(
            *key, event.originator_version, row.provider, _DELIVERED, _PAID, row.review, row.amount,
            row.currency, row.references, at, at, position.partition, position.index,
            row.registered, row.parked_since, row.hidden, row.erased,
        )  # fmt: skip
    return row._replace(
        store=key[0],
        order_id=key[1],
        version=event.originator_version,
        updated_at=at,
        partition=position.partition,
        idx=position.index,
        **_changes(row, event),
    )


def _changes(row: OrderRow, event: OrderEvent) -> dict[str, Any]:
    """What an event changes about an order, by column."""
    match event:
        case OrderPlaced() as placed:
            return {
                "registered": True,
                "amount": placed.amount,
                "currency": placed.currency,
                "references": _with(row.references, placed.references),
                "parked_since": None,
            }
        case ParkedNewsMoved():
            return {"parked_since": None}
        case PersonalDataErased():
            return {"erased": True}
        case DeliveryConflicted(customer=str(customer)):
            return {"hidden": _with(row.hidden, (customer,))}
        case ReviewResolved():
            return {"review": None}
        case PaymentFailed():
            return {"status": OrderStatus.PAYMENT_FAILED.value}
        case ReviewRequired(reason=reason):
            return {"review": reason.value}
    return {}


def _with_news(
    row: OrderRow, key: tuple[str, str], news: PaymentReceived, recorded: Recorded[OrderEvent]
) -> OrderRow:
    (
        _, _, _, provider, status, payment_status, review, amount, currency, references,
        delivered_at, _, _, _, registered, parked_since, hidden, erased,
    ) = row  # fmt: skip
    if news.disposition is _PARKED:
        if amount is None and news.amount is not None:
            amount, currency = news.amount, news.currency
        parked_since = parked_since or news.received_at
        references = _with(references, news.references)
        hidden = _with(hidden, _hidden(news))
    elif registered or provider is None or provider == news.provider:
        provider = provider or news.provider
        applied = news.disposition is _APPLIED
        if applied:
            payment_status = news.status.value
            if news.status in _MAKES_WAIT:
                status = _AWAITING
        if not registered:
            tells_amount = news.amount is not None and (applied or amount is None)
            amount = news.amount if tells_amount else amount
            currency = news.currency if tells_amount or currency is None else currency
        references = _with(references, news.references)
        hidden = _with(hidden, _hidden(news))
    elif news.customer is not None:
        hidden = _with(hidden, (news.customer,))
    return OrderRow(
        *key, news.originator_version, provider, status, payment_status, review, amount, currency,
        references, delivered_at, recorded.recorded_at, recorded.position.partition,
        recorded.position.index, registered, parked_since, hidden, erased,
    )  # fmt: skip


def _hidden(news: PaymentReceived) -> tuple[str, ...]:
    if news.customer is None:
        return news.hidden_references
    return (*news.hidden_references, news.customer)


def _with(known: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    """The references with those that are new; the very same where none is."""
    every = dict.fromkeys(known + more)
    return tuple(every) if len(every) > len(known) else known


ORDER_STATUS = Projection("order_status", 3, (ORDERS, REFERENCES), reads, fold)
