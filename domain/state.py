"""What is known of an order: the state that its events are folded into."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from domain.events import News, OrderPlaced, PaymentReceived, ReviewReason, ReviewResolved
from domain.gate import Movement, PaymentRef
from domain.payment import PaymentStatus


class OrderStatus(StrEnum):
    """Where an order stands. DELIVERED is final; the other two change with the news."""

    AWAITING_PAYMENT = "AWAITING_PAYMENT"
    PAYMENT_FAILED = "PAYMENT_FAILED"
    DELIVERED = "DELIVERED"


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What the PAIDs of an order told: their payments, and the latest time they named."""

    payment_refs: frozenset[str]
    occurred_at: datetime | None


class Waiting(NamedTuple):
    """A PAID that is held, and the review that holds it."""

    news: PaymentReceived
    review: ReviewReason | None


@dataclass(frozen=True, slots=True)
class Known:
    """A recorded piece of news and the version of the last event that it caused."""

    news: News
    last_version: int


DeliveryKey = tuple[str, str]  # (provider, delivery key)
Deliveries = dict[DeliveryKey, tuple[Known, ...]]
Cause = News | OrderPlaced | ReviewResolved  # what other events follow from


class Order(NamedTuple):
    """An order as its events tell it. `id` is its stream; version 0 means: nothing recorded yet."""

    id: str
    version: int = 0
    status: OrderStatus = OrderStatus.AWAITING_PAYMENT
    payment_status: PaymentStatus | None = None
    review: ReviewReason | None = None
    provider: str | None = None  # the provider that first named the order
    placed: OrderPlaced | None = None  # what the shop registered
    paid: Confirmed | None = None
    refunded: bool = False  # a refund or a dispute was told of
    erased: bool = False  # its key was destroyed: no body, no private field can be read
    movements: Mapping[PaymentRef, Movement] = {}
    waiting: Waiting | None = None
    counted: PaymentReceived | None = None  # the PAID that delivered
    parked: tuple[PaymentReceived, ...] = ()  # waits for the order to be registered
    last_cause: Cause | None = None
    due: int | None = None  # the version of the PAID that has to deliver next
    deliveries: Mapping[DeliveryKey, tuple[Known, ...]] = {}
