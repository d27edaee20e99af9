"""The Order aggregate, read top to bottom: events, state, transition table, evolve, decide.

Only a PAID produces `Delivered`, and only once. Everything else is recorded, and the table below
says what it does. Time and identity come in with the arguments; nothing here touches the world.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple, assert_never

from domain.log import stream_of
from domain.payment import Origin, Outcome, Payment, PaymentNotice, PaymentStatus

# ---------------------------------------------------------------------------------------- events


class Disposition(StrEnum):
    """What a piece of news did to its order."""

    APPLIED = "applied"  # it is the order's payment status now
    NOTED = "noted"  # it changes nothing
    STALE = "stale"  # not applied, since a PAID is known
    HELD = "held"  # not applied; the review decides


class ReviewReason(StrEnum):
    """Why a person has to look at an order. A review never changes the order's status."""

    UNRECOGNIZED_STATUS = "unrecognized_status"
    OTHER_PROVIDER = "other_provider"
    DELIVERY_CONFLICT = "delivery_conflict"
    REFUNDED = "refunded"
    PARTIALLY_REFUNDED = "partially_refunded"
    DISPUTED = "disputed"
    PAID_AFTER_REFUND = "paid_after_refund"
    FAILED_AFTER_PAID = "failed_after_paid"
    CANCELLED_AFTER_PAID = "cancelled_after_paid"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEvent:
    """An event of one order: `originator_id` is its stream, versions count from 1."""

    originator_id: str
    originator_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class News(OrderEvent):
    """The facts of a delivery, as told by the provider (see `domain.payment.PaymentNotice`)."""

    provider: str
    delivery_key: str
    status: PaymentStatus
    raw_status: str
    received_at: datetime
    body_sha256: str
    references: tuple[str, ...] = ()
    amount: Decimal | None = None
    currency: str | None = None
    payment: Payment | None = None
    occurred_at: datetime | None = None
    key_id: str | None = None
    origin: Origin = Origin.WEBHOOK


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentReceived(News):
    """A delivery, whatever its status, and what it did."""

    disposition: Disposition


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryConflicted(News):
    """A delivery under a known key that says something else: kept, never applied."""

    original_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequence(OrderEvent):
    """What follows from a piece of news, which it names by its version."""

    caused_by: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered(Consequence):
    """The order may be handed over: its payment is confirmed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentFailed(Consequence):
    """The order's payment failed, was cancelled or expired; a later PAID still delivers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRequired(Consequence):
    """A person has to look at the order."""

    reason: ReviewReason


EVENT_TYPES: tuple[type[OrderEvent], ...] = (
    PaymentReceived, DeliveryConflicted, Delivered, PaymentFailed, ReviewRequired,
)  # fmt: skip

# ----------------------------------------------------------------------------------------- state


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


@dataclass(frozen=True, slots=True)
class Known:
    """A recorded piece of news and the version of the last event that it caused."""

    news: News
    last_version: int


DeliveryKey = tuple[str, str]  # (provider, delivery key)
Deliveries = dict[DeliveryKey, tuple[Known, ...]]


class Order(NamedTuple):
    """An order as its events tell it. `id` is its stream; version 0 means: nothing recorded yet."""

    id: str
    version: int = 0
    status: OrderStatus = OrderStatus.AWAITING_PAYMENT
    payment_status: PaymentStatus | None = None
    review: ReviewReason | None = None
    provider: str | None = None  # the provider that first named the order
    paid: Confirmed | None = None
    refunded: bool = False  # a refund or a dispute was told of
    last_news: News | None = None
    deliveries: Mapping[DeliveryKey, tuple[Known, ...]] = {}


# ------------------------------------------------------------------------------ transition table


class Then(StrEnum):
    """What a status does to an order; the words are the ones of the README's diagram."""

    DELIVER = "Delivered"
    AWAIT = "AWAITING_PAYMENT"
    FAIL = "PAYMENT_FAILED"
    NOTE = "recorded, nothing more"
    STALE = "stale"
    STALE_REVIEW = "stale, review"
    STALE_REVIEW_IF_NEWER = "stale, review if it tells of the paid payment or is later"
    REVIEW = "recorded, review"
    HOLD = "recorded, not applied, review"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a status does before a PAID is known, and after."""

    before_paid: Then
    after_paid: Then


S = PaymentStatus
TRANSITIONS: Mapping[PaymentStatus, Rule] = MappingProxyType(
    {
        S.PAID: Rule(Then.DELIVER, Then.NOTE),
        S.PENDING: Rule(Then.AWAIT, Then.STALE),
        S.PARTIALLY_PAID: Rule(Then.AWAIT, Then.STALE),
        S.FAILED: Rule(Then.FAIL, Then.STALE_REVIEW_IF_NEWER),
        S.CANCELLED: Rule(Then.FAIL, Then.STALE_REVIEW),
        S.EXPIRED: Rule(Then.FAIL, Then.STALE),
        S.REFUNDED: Rule(Then.REVIEW, Then.REVIEW),
        S.PARTIALLY_REFUNDED: Rule(Then.REVIEW, Then.REVIEW),
        S.DISPUTED: Rule(Then.REVIEW, Then.REVIEW),
        S.UNRECOGNIZED: Rule(Then.HOLD, Then.HOLD),
    }
)
REVIEW_REASONS: Mapping[PaymentStatus, ReviewReason] = MappingProxyType(
    {
        S.REFUNDED: ReviewReason.REFUNDED,
        S.PARTIALLY_REFUNDED: ReviewReason.PARTIALLY_REFUNDED,
        S.DISPUTED: ReviewReason.DISPUTED,
        S.UNRECOGNIZED: ReviewReason.UNRECOGNIZED_STATUS,
        S.FAILED: ReviewReason.FAILED_AFTER_PAID,
        S.CANCELLED: ReviewReason.CANCELLED_AFTER_PAID,
        S.PAID: ReviewReason.PAID_AFTER_REFUND,
    }
)
MONEY_WENT_BACK = frozenset({S.REFUNDED, S.PARTIALLY_REFUNDED, S.DISPUTED})
# Another provider's word that no money moved is no reason to call a person.
HARMLESS_FROM_ANOTHER = frozenset({S.PENDING, S.FAILED, S.CANCELLED, S.EXPIRED})
STALE = frozenset({Then.STALE, Then.STALE_REVIEW, Then.STALE_REVIEW_IF_NEWER})
UNAPPLIED = STALE | {Then.HOLD, Then.NOTE}

# ---------------------------------------------------------------------------------------- evolve


class ImpossibleHistory(Exception):
    """The stored events of an order contradict each other: the log was damaged or tampered with."""


def evolve(order: Order, event: OrderEvent) -> Order:
    """The order after one more event. Raises `ImpossibleHistory` where the rules forbid it."""
    return advance(order, event, dict(order.deliveries))


def project(order: Order | None, events: Iterable[OrderEvent]) -> Order | None:
    """Fold events onto an order, None standing for one that has none yet."""
    deliveries = dict(order.deliveries) if order else {}
    for event in events:
        order = advance(order or Order(event.originator_id), event, deliveries)
    return order


def advance(order: Order, event: OrderEvent, deliveries: Deliveries) -> Order:
    """`evolve`, noting the deliveries in a mapping that the caller owns and passes on from event to
    event: so a fold stays linear. An order that it returned earlier is no more to be used."""
    _require(event.originator_id == order.id, event, "the event belongs to another order")
    _require(event.originator_version == order.version + 1, event, "a version is missing or double")
    match event:
        case PaymentReceived() | DeliveryConflicted():
            return _take_in(order, event, deliveries)
        case Consequence():
            return _follow(order, event, deliveries)
    raise ImpossibleHistory(f"{_name(event)}: it is no event of an order")


def _take_in(
    order: Order, news: PaymentReceived | DeliveryConflicted, deliveries: Deliveries
) -> Order:
    _require(not _owes_delivered(order), news, "the PAID before it delivered nothing")
    key = (news.provider, news.delivery_key)
    known = deliveries.get(key, ())
    deliveries[key] = (*known, Known(news, news.originator_version))
    changes: dict[str, Any] = {}
    if isinstance(news, DeliveryConflicted):
        original = known[0].news.originator_version if known else None
        _require(news.original_version == original, news, "no original delivery has this key")
    else:
        before = [k.news for k in known if isinstance(k.news, PaymentReceived)]
        _require(all(_retells(news, n) for n in before), news, "recorded before")
        if order.provider in (None, news.provider):
            changes = _learn(order, news)
        else:
            applied = news.disposition is Disposition.APPLIED
            _require(not applied, news, "another provider's news was applied")
    return order._replace(
        version=news.originator_version,
        provider=order.provider or news.provider,
        last_news=news,
        deliveries=deliveries,
        **changes,
    )


def _owes_delivered(order: Order) -> bool:
    """Whether the last news is an applied PAID that nothing followed from."""
    last = order.last_news
    applied = isinstance(last, PaymentReceived) and last.disposition is Disposition.APPLIED
    paid = last is not None and last.status is S.PAID
    return applied and paid and order.status is not OrderStatus.DELIVERED


def _retells(news: News, earlier: News) -> bool:
    """Whether this is the replay of a delivery whose word was not known, and is by now."""
    same_bytes = news.body_sha256 == earlier.body_sha256
    return same_bytes and earlier.status is S.UNRECOGNIZED is not news.status


def _learn(order: Order, news: PaymentReceived) -> dict[str, Any]:
    """What news of the order's own provider changes about it, by the name of the field."""
    changes: dict[str, Any] = {}
    if news.disposition is Disposition.APPLIED:
        then = _rule(order, news.status)
        _require(then not in UNAPPLIED, news, "this news could not be applied")
        changes["payment_status"] = news.status
        if then is Then.AWAIT:
            changes["status"] = OrderStatus.AWAITING_PAYMENT
    if news.status is S.PAID:
        decided = news.disposition in (Disposition.APPLIED, Disposition.HELD)
        _require(decided or order.paid is not None, news, "the first PAID was passed over")
        changes["paid"] = _confirm(order.paid, news)
    elif news.status in MONEY_WENT_BACK:
        changes["refunded"] = True
    return changes


def _confirm(paid: Confirmed | None, news: News) -> Confirmed:
    refs = frozenset({news.payment.ref} if news.payment else ())
    if paid is None:
        return Confirmed(refs, news.occurred_at)
    times = [time for time in (paid.occurred_at, news.occurred_at) if time is not None]
    return Confirmed(paid.payment_refs | refs, max(times, default=None))


def _follow(order: Order, event: Consequence, deliveries: Deliveries) -> Order:
    cause = order.last_news
    if cause is None or cause.originator_version != event.caused_by:
        raise ImpossibleHistory(f"{_name(event)}: it does not follow the news that it names")
    key = (cause.provider, cause.delivery_key)
    *earlier, last = deliveries[key]
    deliveries[key] = (*earlier, Known(last.news, event.originator_version))
    applied = isinstance(cause, PaymentReceived) and cause.disposition is Disposition.APPLIED
    status, review = order.status, order.review
    match event:
        case Delivered():
            _require(applied and cause.status is S.PAID, event, "no PAID caused it")
            _require(status is not OrderStatus.DELIVERED, event, "delivered twice")
            status = OrderStatus.DELIVERED
        case PaymentFailed():
            failed = TRANSITIONS[cause.status].before_paid is Then.FAIL
            _require(applied and failed, event, "no failure caused it")
            _require(status is OrderStatus.AWAITING_PAYMENT, event, "it changes nothing")
            status = OrderStatus.PAYMENT_FAILED
        case ReviewRequired():
            review = event.reason
        case _:
            raise ImpossibleHistory(f"{_name(event)}: it is no consequence that is known")
    version = event.originator_version
    return order._replace(version=version, status=status, review=review, deliveries=deliveries)


def _require(condition: bool, event: OrderEvent, problem: str) -> None:
    if not condition:
        raise ImpossibleHistory(f"{_name(event)}: {problem}")


def _name(event: OrderEvent) -> str:
    return f"{type(event).__name__} at version {event.originator_version}"


# ---------------------------------------------------------------------------------------- decide


@dataclass(frozen=True, slots=True)
class Decision:
    """What a notice does: the events to append, and for a duplicate the original's last version."""

    outcome: Outcome
    events: tuple[OrderEvent, ...] = ()
    original_version: int | None = None


def decide(order: Order, notice: PaymentNotice) -> Decision:
    """Decide what a notice means to its order. Pure: the same order and notice, the same answer."""
    assert order.id == stream_of(notice.store, notice.order_id), "the notice is another order's"
    known = order.deliveries.get((notice.provider, notice.delivery_key), ())
    if known:
        original = _original_of(known, notice)
        if original is not None:
            return Decision(Outcome.DUPLICATE, original_version=original.last_version)
        if known[0].news.body_sha256 != notice.body_sha256:
            return _conflict(order, notice, known[0])
    then, disposition, reason = _judge(order, notice)
    news = PaymentReceived(**_facts(order, notice), disposition=disposition)
    events: list[OrderEvent] = [news]
    if then is Then.DELIVER:
        events.append(Delivered(**_after(news)))
    elif then is Then.FAIL and order.status is OrderStatus.AWAITING_PAYMENT:
        events.append(PaymentFailed(**_after(news)))
    elif reason is not None and reason is not order.review:
        events.append(ReviewRequired(**_after(news), reason=reason))
    outcome = Outcome.STALE if disposition is Disposition.STALE else Outcome.RECORDED
    return Decision(outcome, tuple(events))


def _original_of(known: tuple[Known, ...], notice: PaymentNotice) -> Known | None:
    """The recorded delivery that this one repeats, if it does.

    The same bytes repeat, unless they were UNRECOGNIZED and the word is known by now. Other bytes
    repeat where status, amount, currency and payment are equal.
    """
    for k in reversed(known):
        if k.news.body_sha256 == notice.body_sha256:
            retold = k.news.status is S.UNRECOGNIZED is not notice.status
            return None if retold and isinstance(k.news, PaymentReceived) else k
    for k in known:
        if isinstance(k.news, PaymentReceived) and _meaning(k.news) == _meaning(notice):
            return k
    return None


def _meaning(told: News | PaymentNotice) -> tuple[object, ...]:
    word = told.raw_status if told.status is S.UNRECOGNIZED else None
    return told.status, word, told.amount, told.currency, told.payment


def _judge(
    order: Order, notice: PaymentNotice
) -> tuple[Then | None, Disposition, ReviewReason | None]:
    """What the table says: what follows, what the news did, and why a person has to look."""
    then = _rule(order, notice.status)
    if order.provider not in (None, notice.provider):
        harmless = notice.status in HARMLESS_FROM_ANOTHER
        unapplied = Disposition.NOTED if harmless else Disposition.HELD
        return (
            None,
            Disposition.STALE if then in STALE else unapplied,
            None if harmless else ReviewReason.OTHER_PROVIDER,
        )
    reason = REVIEW_REASONS.get(notice.status)
    match then:
        case Then.DELIVER | Then.AWAIT | Then.FAIL:
            return then, Disposition.APPLIED, None
        case Then.NOTE:
            return then, Disposition.NOTED, None
        case Then.STALE:
            return then, Disposition.STALE, None
        case Then.STALE_REVIEW:
            return then, Disposition.STALE, reason
        case Then.STALE_REVIEW_IF_NEWER:
            contradicts = order.paid is not None and _contradicts(order.paid, notice)
            return then, Disposition.STALE, reason if contradicts else None
        case Then.REVIEW:
            return then, Disposition.APPLIED, reason
        case Then.HOLD:
            return then, Disposition.HELD, reason
    assert_never(then)


def _rule(order: Order, status: PaymentStatus) -> Then:
    if order.paid is not None:
        return TRANSITIONS[status].after_paid
    if status is S.PAID and order.refunded:
        return Then.HOLD
    return TRANSITIONS[status].before_paid


def _contradicts(paid: Confirmed, notice: PaymentNotice) -> bool:
    """Whether a failure speaks of a payment that a PAID told of, or is later news than it."""
    if notice.payment is not None and notice.payment.ref in paid.payment_refs:
        return True
    if notice.occurred_at is None or paid.occurred_at is None:
        return False
    return notice.occurred_at > paid.occurred_at


def _conflict(order: Order, notice: PaymentNotice, original: Known) -> Decision:
    news = DeliveryConflicted(
        **_facts(order, notice), original_version=original.news.originator_version
    )
    events: list[OrderEvent] = [news]
    if order.review is not ReviewReason.DELIVERY_CONFLICT:
        reason = ReviewReason.DELIVERY_CONFLICT
        events.append(ReviewRequired(**_after(news), reason=reason))
    return Decision(Outcome.CONFLICT, tuple(events))


def _facts(order: Order, notice: PaymentNotice) -> dict[str, Any]:
    """The fields that every `News` takes over from its notice."""
    return {
        "originator_id": order.id,
        "originator_version": order.version + 1,
        "provider": notice.provider,
        "delivery_key": notice.delivery_key,
        "status": notice.status,
        "raw_status": notice.raw_status,
        "received_at": notice.received_at,
        "body_sha256": notice.body_sha256,
        "references": notice.references,
        "amount": notice.amount,
        "currency": notice.currency,
        "payment": notice.payment,
        "occurred_at": notice.occurred_at,
        "key_id": notice.key_id,
        "origin": notice.origin,
    }


def _after(news: News) -> dict[str, Any]:
    """The fields of the event that follows from a piece of news."""
    return {
        "originator_id": news.originator_id,
        "originator_version": news.originator_version + 1,
        "caused_by": news.originator_version,
    }
