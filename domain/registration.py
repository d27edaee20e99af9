"""What a shop and an operator decide about an order: to register it, to resolve its review.

Pure, like `domain.order.decide`: a command gives the events to append, or raises `Refused`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from domain.events import (
    Delivered,
    Disposition,
    OrderEvent,
    OrderPlaced,
    ParkedNewsMoved,
    PaymentReceived,
    ReviewReason,
    ReviewRequired,
    ReviewResolved,
    Verdict,
)
from domain.gate import completes, mismatch
from domain.log import split_stream, stream_of
from domain.order import advance, decide, receive, told_status
from domain.payment import Origin, PaymentNotice, PaymentStatus
from domain.state import Deliveries, Order, OrderStatus
from domain.transitions import MONEY_WENT_BACK


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The wish to register an order (see `domain.events.OrderPlaced`)."""

    store: str
    order_id: str
    amount: Decimal
    currency: str
    references: tuple[str, ...] = ()
    tolerance: Decimal = Decimal(0)
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What a person decided about an order's open review, and why."""

    store: str
    order_id: str
    verdict: Verdict
    by: str
    reason: str


class Refused(Exception):
    """The order does not allow it; the message says why, and what to do."""


class Unknown(Refused):
    """Nothing is known of the order."""


def place(
    order: Order, placement: Placement, elsewhere: Iterable[PaymentReceived] = ()
) -> tuple[OrderEvent, ...]:
    """Register an order, or register it anew before any news of a payment.

    A PAID that waits, or news that was parked, on this order or `elsewhere`, is decided at once.
    Nothing follows where it is registered so already. Raises `Refused` where news of a payment came
    and this differs from what is registered.
    """
    assert order.id == stream_of(placement.store, placement.order_id), "another order's"
    if order.placed is not None:
        if _terms(order.placed) == _terms(placement):
            return ()
        if order.deliveries:
            raise Refused(
                "it is registered with another amount, currency or references, and news of its "
                "payment came: register what differs as an order of its own"
            )
    story = _Story(order)
    placed = OrderPlaced(
        originator_id=order.id,
        originator_version=order.version + 1,
        amount=placement.amount,
        currency=placement.currency,
        references=placement.references,
        tolerance=placement.tolerance,
        by=placement.by,
    )
    story.add(placed)
    _settle(story, placed)
    # That money went back is known by now, however late it was told.
    for news in sorted(order.parked, key=_says_paid):
        story.add(*receive(story.order, _again(story.order, news)).events)
    for news in sorted(elsewhere, key=_says_paid):
        story.add(*decide(story.order, _again(story.order, news)).events)
    return tuple(story.events)


def _says_paid(news: PaymentReceived) -> bool:
    return news.status not in MONEY_WENT_BACK


def move(parked: Order, to: str) -> tuple[OrderEvent, ...]:
    """Note on an order whose parked news a registered one took in where that went."""
    version = parked.version + 1
    return (ParkedNewsMoved(originator_id=parked.id, originator_version=version, to=to),)


def resolve(order: Order, resolution: Resolution) -> tuple[OrderEvent, ...]:
    """Close the open review. Accepting one that holds a PAID delivers; rejecting it lets that PAID
    go. Where another review had come before it, the PAID's own is open again.

    Raises `Refused` where no review is open, `Unknown` where there is no such order.
    """
    assert order.id == stream_of(resolution.store, resolution.order_id), "another order's"
    if order.version == 0:
        raise Unknown(f"nothing is known of the order {resolution.order_id}")
    if order.review is None:
        raise Refused("no review of this order is open")
    story = _Story(order)
    version = order.version + 1
    story.add(
        ReviewResolved(
            originator_id=order.id,
            originator_version=version,
            review=order.review,
            verdict=resolution.verdict,
            by=resolution.by,
            reason=resolution.reason,
        )
    )
    waiting = story.order.waiting
    if story.order.due is not None:
        story.deliver(story.order.due, version)
    elif waiting is not None and waiting.review is not None:
        story.review(waiting.review, version)
    return tuple(story.events)


class _Story:
    """An order, and the events that happen to it one after the other."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.events: list[OrderEvent] = []
        self._deliveries: Deliveries = dict(order.deliveries)

    def add(self, *events: OrderEvent) -> None:
        for event in events:
            self.order = advance(self.order, event, self._deliveries)
            self.events.append(event)

    def deliver(self, paid_version: int, decision: int) -> None:
        self.add(Delivered(**self._next(), caused_by=paid_version, decision=decision))

    def review(self, reason: ReviewReason | None, cause: int) -> None:
        if reason is not None and reason is not self.order.review:
            self.add(ReviewRequired(**self._next(), caused_by=cause, reason=reason))

    def _next(self) -> dict[str, Any]:
        return {"originator_id": self.order.id, "originator_version": self.order.version + 1}


def _terms(told: OrderPlaced | Placement) -> tuple[object, ...]:
    return told.amount, told.currency, sorted(told.references)


def _settle(story: _Story, placed: OrderPlaced) -> None:
    """Decide about what was told before the order was registered."""
    order, version = story.order, placed.originator_version
    if order.due is not None:
        story.deliver(order.due, version)
    elif order.counted is not None:
        story.review(mismatch(placed, order.movements, order.counted), version)
    elif order.refunded or order.status is OrderStatus.DELIVERED:
        return
    elif order.waiting is not None:
        story.review(mismatch(placed, order.movements, order.waiting.news), version)
    else:
        part = _last_part(order)
        if part is not None and completes(placed, order.movements, part):
            story.add(*receive(order, _again(order, part)).events)


def _last_part(order: Order) -> PaymentReceived | None:
    """The part payment that was told last, of those that count already."""
    told: Sequence[PaymentReceived] = [
        known.news
        for every in order.deliveries.values()
        for known in every
        if isinstance(known.news, PaymentReceived)
        and known.news.status is PaymentStatus.PARTIALLY_PAID
        and known.news.payment is not None
        and known.news.disposition is not Disposition.PARKED
    ]
    return max(told, key=lambda news: news.originator_version, default=None)


def _again(order: Order, news: PaymentReceived) -> PaymentNotice:
    """The notice that recorded news was, told to this order once more; its body lies with it."""
    store, order_id = split_stream(order.id)
    return PaymentNotice(
        store=store,
        provider=news.provider,
        delivery_key=news.delivery_key,
        order_id=order_id,
        status=told_status(news),
        raw_status=news.raw_status,
        received_at=news.received_at,
        body_hash=news.bytes_hash,
        body=b"",
        references=news.references,
        amount=news.amount,
        currency=news.currency,
        payment=news.payment,
        occurred_at=news.occurred_at,
        key_id=news.key_id,
        origin=Origin.REPLAY,
        hidden_references=news.hidden_references,
        customer=news.customer,
        private=news.private,
        provider_order_id=news.provider_order_id,
    )
