"""The read model `money`: every movement of money once, so that what came in can be added up.

A payment stands here with its latest status and amount, on the day (UTC) on which that was
recorded. An order whose payments nobody named is one movement, once it is delivered. Rows are of
one order each; whoever asks adds them up, exactly (`total`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from domain.events import Disposition
from domain.gate import Movement, with_movement
from domain.log import Recorded, split_stream
from domain.money import exact_product, exact_sum
from domain.order import Delivered, OrderEvent, PaymentReceived
from domain.payment import PaymentStatus
from domain.transitions import MONEY_WENT_BACK
from projections.model import AnyTable, Place, Projection, Row, Table


class PaymentRow(NamedTuple):
    """A payment as it is known now; times are UTC. Its day is that of its latest change."""

    store: str
    order_id: str
    provider: str
    payment_ref: str
    day: str
    status: str
    amount: Decimal | None
    currency: str | None
    occurred_at: datetime | None


class StatedRow(NamedTuple):
    """What an order's own PAID told of money. It `counts` once the order is delivered, unless a
    payment of the order is named."""

    store: str
    order_id: str
    provider: str
    day: str
    status: str
    amount: Decimal | None
    currency: str | None
    counts: bool
    names_payments: bool


PAYMENTS = Table(
    "money_payments",
    PaymentRow,
    ("store", "order_id", "provider", "payment_ref"),
    (("day",),),
)
STATED = Table("money_stated", StatedRow, ("store", "order_id"), (("day",),))


def reads(recorded: Recorded[OrderEvent]) -> Iterator[Place]:
    """The fold needs the payment and the order as they were."""
    event = recorded.event
    key = split_stream(event.originator_id)
    if isinstance(event, PaymentReceived):
        yield STATED, key
        if event.payment is not None:
            yield PAYMENTS, (*key, event.provider, event.payment.ref)
    elif isinstance(event, Delivered):
        yield STATED, key


def fold(
    rows: Mapping[Place, Row], recorded: Recorded[OrderEvent]
) -> Iterator[tuple[AnyTable, Row]]:
    """The rows that an event changes. What is parked counts when it is taken in."""
    event = recorded.event
    key = split_stream(event.originator_id)
    day = recorded.recorded_at.date().isoformat()
    found = rows.get((STATED, key))
    stated = found if isinstance(found, StatedRow) else None
    match event:
        case PaymentReceived(disposition=Disposition.PARKED):
            return
        case PaymentReceived(payment=None):
            yield from _state(key, day, stated, event)
        case PaymentReceived():
            yield from _move(rows, key, day, event)
            if stated is None or not stated.names_payments:
                row = stated or _unpaid(key, day, event)
                yield STATED, row._replace(counts=False, names_payments=True)
        case Delivered() if stated is not None and not stated.names_payments:
            yield STATED, stated._replace(counts=True, day=day)


def _state(
    key: tuple[str, str], day: str, stated: StatedRow | None, news: PaymentReceived
) -> Iterator[tuple[AnyTable, Row]]:
    """What an order's state says: a PAID before it is delivered, or that the money went back."""
    if stated is not None and stated.counts:
        back = news.status in MONEY_WENT_BACK and news.disposition is Disposition.APPLIED
        if back and news.status.value != stated.status:
            yield STATED, stated._replace(status=news.status.value, day=day)
    elif news.status is PaymentStatus.PAID:
        before = stated or _unpaid(key, day, news)
        yield (
            STATED,
            before._replace(
                provider=news.provider, day=day, amount=news.amount, currency=news.currency
            ),
        )


def _unpaid(key: tuple[str, str], day: str, news: PaymentReceived) -> StatedRow:
    paid = PaymentStatus.PAID.value
    return StatedRow(*key, news.provider, day, paid, None, None, False, False)


def _move(
    rows: Mapping[Place, Row], key: tuple[str, str], day: str, news: PaymentReceived
) -> Iterator[tuple[AnyTable, Row]]:
    assert news.payment is not None
    ref = (news.provider, news.payment.ref)
    found = rows.get((PAYMENTS, (*key, *ref)))
    before = found if isinstance(found, PaymentRow) else None
    known = {}
    if before is not None:
        status = PaymentStatus(before.status)
        known[ref] = Movement(status, before.amount, before.currency, before.occurred_at)
    status, amount, currency, occurred_at = with_movement(known, news)[ref]
    row = PaymentRow(*key, *ref, day, status.value, amount, currency, occurred_at)
    if before is not None and row[5:8] == before[5:8]:  # told once more
        row = row._replace(day=before.day)
    if row != before:
        yield PAYMENTS, row


class Total(NamedTuple):
    """What moved on a day by a provider, in a currency, with a status; `unknown` of the `payments`
    told no amount."""

    day: str
    provider: str
    currency: str | None
    status: str
    payments: int
    amount: Decimal
    unknown: int


Counted = tuple[str, str, str | None, str, Decimal | None, int]  # a day ... an amount, how often


def total(counted: Iterable[Counted]) -> Sequence[Total]:
    """Add up amounts that were counted, exactly, by day, provider, currency and status."""
    groups: dict[tuple[str, str, str | None, str], list[tuple[Decimal | None, int]]] = {}
    for *group, amount, times in counted:
        groups.setdefault(tuple(group), []).append((amount, times))  # type: ignore[arg-type]
    return [
        Total(
            *group,
            payments=sum(times for _, times in told),
            amount=exact_sum(exact_product(amount, times) for amount, times in told if amount),
            unknown=sum(times for amount, times in told if amount is None),
        )
        for group, told in sorted(groups.items(), key=lambda item: [part or "" for part in item[0]])
    ]


MONEY = Projection("money", 1, (PAYMENTS, STATED), reads, fold)
