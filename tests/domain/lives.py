"""What can happen to a registered order, step by step, and what has to be true of it at any time.

The invariants are written from the rules and not from the code: they look at the events alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, NamedTuple

from domain.events import Verdict
from domain.order import (
    Delivered,
    Disposition,
    Order,
    OrderEvent,
    OrderPlaced,
    OrderStatus,
    PaymentReceived,
    ReviewRequired,
    ReviewResolved,
    Unregistered,
)
from domain.payment import Payment, PaymentNotice, PaymentStatus
from domain.registration import Refused
from tests.domain.harness import ACCEPTED, REJECTED, Happens, fold, happen, placement
from tests.notices import notice

S = PaymentStatus
AMOUNT = Decimal("902.10")
HALF = Decimal("451.05")
MONEY_WENT_BACK = {S.REFUNDED, S.PARTIALLY_REFUNDED, S.DISPUTED}


class Life(NamedTuple):
    """An order, everything that happened to it, and the last delivery about it."""

    order: Order = Order("default/1")
    events: tuple[OrderEvent, ...] = ()
    last: PaymentNotice | None = None


Step = Callable[[Life], Happens | None]  # None: it cannot happen now


def told(**fields: Any) -> Step:
    """News under a key of its own."""
    first = notice(**fields)

    def step(life: Life) -> Happens:
        key = f"{life.order.version:064x}"
        return replace(first, delivery_key=key, body_hash=key)

    return step


def part(ref: str) -> Step:
    payment = Payment(ref=ref, status=S.PAID, amount=HALF)
    return told(status=S.PARTIALLY_PAID, payment=payment, amount=None)


def duplicate(life: Life) -> Happens | None:
    return life.last


def conflict(life: Life) -> Happens | None:
    if life.last is None:
        return None
    other = f"f{life.order.version:063x}"
    return replace(life.last, body_hash=other, status=S.FAILED, amount=Decimal(1))


REGISTERED = placement(str(AMOUNT))
STEPS: Mapping[str, Step] = {
    **{status.value: told(status=status) for status in S},
    "PAID too little": told(amount=AMOUNT - 1),
    "PAID in another currency": told(currency="UGX"),
    "PAID of another provider": told(provider="stripe"),
    "one half": part("tx-1"),
    "the other half": part("tx-2"),
    "placed": lambda _: REGISTERED,
    "duplicate": duplicate,
    "conflict": conflict,
    "accepted": lambda _: ACCEPTED,
    "rejected": lambda _: REJECTED,
}


def live(life: Life, name: str, unregistered: Unregistered = Unregistered.TAKE) -> Life:
    """The life after one more step; the same where the step cannot be, or is refused."""
    happens = STEPS[name](life)
    if happens is None:
        return life
    try:
        events = happen(life.order, happens, unregistered).events
    except Refused:
        return life
    is_news = name not in ("placed", "accepted", "rejected", "conflict")
    last = happens if is_news and isinstance(happens, PaymentNotice) else life.last
    return Life(fold(life.order, events), (*life.events, *events), last)


# ---------------------------------------------------------------------------------- invariants


def check(before: Life, name: str, after: Life) -> None:
    """What has to be true of every life, before and after every step."""
    deliveries = [event for event in after.events if isinstance(event, Delivered)]
    reviews = [event for event in after.events if isinstance(event, ReviewRequired)]
    assert len(deliveries) <= 1, "at most one Delivered"
    is_delivered = after.order.status is OrderStatus.DELIVERED
    assert is_delivered == bool(deliveries), "the status says so, and stays so"
    for delivered in deliveries:
        check_delivered(after.events, delivered)
    if name == "duplicate":
        assert after == before, "a duplicate appends nothing"
    if name == "conflict":
        assert after.order.status is before.order.status
        assert after.order.payment_status is before.order.payment_status
    if name == "rejected":
        assert after.order.status is before.order.status, "who rejects delivers nothing"
    versions = [event.originator_version for event in after.events]
    assert versions == list(range(1, after.order.version + 1))
    if after.order.review is not None:
        assert after.order.review is reviews[-1].reason, "the newest review is the open one"
    check_review(after)
    assert after.order.due is None, "no PAID that counts is left without a Delivered"


def check_delivered(events: Sequence[OrderEvent], delivered: Delivered) -> None:
    """It names a PAID; of a registered order its money is right, or a person accepted it."""
    paid = events[delivered.caused_by - 1]
    assert isinstance(paid, PaymentReceived)
    assert paid.status is S.PAID
    earlier = events[: delivered.originator_version - 1]
    placed = [event for event in earlier if isinstance(event, OrderPlaced)]
    accepted = None if delivered.decision is None else events[delivered.decision - 1]
    if isinstance(accepted, ReviewResolved):
        assert accepted.verdict is Verdict.ACCEPTED
        assert paid.disposition is Disposition.HELD
        return
    assert accepted is None or accepted is placed[-1]
    went_back = {
        event.status
        for event in earlier
        if isinstance(event, PaymentReceived) and event.provider == paid.provider
    }
    assert not went_back & MONEY_WENT_BACK, "money that went back is no payment"
    if placed:
        assert money(earlier, paid) == (placed[-1].amount, {placed[-1].currency})


def money(events: Sequence[OrderEvent], paid: PaymentReceived) -> tuple[Any, set[Any]]:
    """The amount and the currencies that a PAID stands for, added up from all that was told."""
    news = [event for event in events if isinstance(event, PaymentReceived)]
    parts = {(n.provider, n.payment.ref): (n.payment.amount, n.currency) for n in news if n.payment}
    if paid.payment is None or not parts:
        return paid.amount, {paid.currency}
    return sum(amount or 0 for amount, _ in parts.values()), {c for _, c in parts.values()}


def check_review(life: Life) -> None:
    """Where money is held, a person sees it, unless it was let go or delivered since."""
    held = None
    for event in life.events:
        match event:
            case PaymentReceived(status=S.PAID, disposition=Disposition.HELD):
                held = event
            case ReviewResolved(verdict=Verdict.REJECTED) | Delivered():
                held = None
    if held is not None and life.order.status is not OrderStatus.DELIVERED:
        assert life.order.review is not None, "money waits unseen"


def without_versions(order: Order) -> tuple[Any, ...]:
    """What decides about an order's future: all but numbers, keys and what is only remembered."""
    waiting, counted = order.waiting, order.counted
    return (
        order.status,
        order.payment_status,
        order.review,
        order.provider,
        order.placed is not None,
        order.paid,
        order.refunded,
        frozenset(order.movements.items()),
        waiting and (waiting.review, _meaning(waiting.news)),
        counted and _meaning(counted),
        tuple(map(_meaning, order.parked)),
        bool(order.deliveries),
        _last_part(order),
    )


def _meaning(news: PaymentReceived) -> tuple[Any, ...]:
    return news.provider, news.status, news.amount, news.currency, news.payment


def _last_part(order: Order) -> object:
    told = [k.news for every in order.deliveries.values() for k in every]
    parts = [n for n in told if n.payment is not None and isinstance(n, PaymentReceived)]
    return _meaning(parts[-1]) if parts else None
