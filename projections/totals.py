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
from projections.model import Change, Place, Projection, Row, Table


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


# Looked up once: a member of an enumeration, and its value, cost as much as the rest of a step.
_PARKED = Disposition.PARKED
_PAID = PaymentStatus.PAID


def reads(recorded: Recorded[OrderEvent]) -> Sequence[Place]:
    """The fold needs the payment and the order as they were."""
    event = recorded.event
    if isinstance(event, PaymentReceived):
        key = split_stream(event.originator_id)
        if event.payment is None:
            return ((STATED, key),)
        return ((STATED, key), (PAYMENTS, (*key, event.provider, event.payment.ref)))
    return ((STATED, split_stream(event.originator_id)),) if isinstance(event, Delivered) else ()


def fold(rows: Mapping[Place, Row], recorded: Recorded[OrderEvent]) -> Iterable[Change]:
    """The rows that an event changes. What is parked counts when it is taken in."""
    event = recorded.event
    if not isinstance(event, PaymentReceived | Delivered):
        return ()
    key = split_stream(event.originator_id)
    found = rows.get((STATED, key))
    stated = found if isinstance(found, StatedRow) else None
    if isinstance(event, PaymentReceived):
        if event.disposition is _PARKED:
            return ()
        day = _day(recorded)
        if event.payment is None:
            return _state(key, day, stated, event)
        return _named(rows, key, day, stated, event)
    if stated is not None and not stated.names_payments:
        return ((STATED, _counted(stated, _day(recorded))),)
    return ()


def _day(recorded: Recorded[OrderEvent]) -> str:
    return recorded.recorded_at.date().isoformat()


def _counted(stated: StatedRow, day: str) -> StatedRow:
    # One for each order that is delivered, so in one step: `_replace` costs three times as much.
    store, order_id, provider, _, status, amount, currency, _, names = stated
    return StatedRow(store, order_id, provider, day, status, amount, currency, True, names)


def _state(
    key: tuple[str, str], day: str, stated: StatedRow | None, news: PaymentReceived
) -> Sequence[Change]:
    """What an order's state says: a PAID before it is delivered, or that the money went back."""
    if stated is not None and stated.counts:
        back = news.status in MONEY_WENT_BACK and news.disposition is Disposition.APPLIED
        if back and news.status.value != stated.status:
            return ((STATED, stated._replace(status=news.status.value, day=day)),)
    elif news.status is _PAID:
        status, names = (stated.status, stated.names_payments) if stated else (_PAID.value, False)
        row = StatedRow(
            *key, news.provider, day, status, news.amount, news.currency, False, names
        )  # it counts once the order is delivered
        return ((STATED, row),)
    return ()


def _named(
    rows: Mapping[Place, Row],
    key: tuple[str, str],
    day: str,
    stated: StatedRow | None,
    news: PaymentReceived,
) -> Iterator[Change]:
    """A payment that is named; from then on the order's state counts no more."""
    yield from _move(rows, key, day, news)
    if stated is None or not stated.names_payments:
        row = stated or StatedRow(
            *key, news.provider, day, _PAID.value, None, None, counts=False, names_payments=True
        )
        yield STATED, row._replace(counts=False, names_payments=True)


def _move(
    rows: Mapping[Place, Row], key: tuple[str, str], day: str, news: PaymentReceived
) -> Iterator[Change]:
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


def paid(history: Iterable[Recorded[OrderEvent]]) -> tuple[Decimal, str | None] | None:
    """What the payments of an order that count add up to by its events, and in which currency: what
    the completed ones moved that were named, else what its PAID told. None where none is, where an
    amount was not told, and where they are of several currencies."""
    rows: dict[Place, Row] = {}
    for recorded in history:
        for table, row in fold(rows, recorded):
            rows[table, table.key_of(row)] = row
    named = [row for row in rows.values() if isinstance(row, PaymentRow)]
    stated = [row for row in rows.values() if isinstance(row, StatedRow)]
    pieces = [row for row in named or stated if row.status == _PAID.value]
    amounts = [row.amount for row in pieces if row.amount is not None]
    currencies = {row.currency for row in pieces}
    if len(amounts) < len(pieces) or len(currencies) != 1:
        return None
    (currency,) = currencies
    return exact_sum(amounts), currency


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
