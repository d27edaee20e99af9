"""The Order aggregate: evolve, which folds its events, and decide, which answers news with them.

Its events are in `domain/events.py`, its state in `domain/state.py`, what a status does in
`domain/transitions.py`, what a shop and an operator decide in `domain/registration.py`. Only a PAID
produces `Delivered`, and only once. Everything else is recorded. Time and identity come in with the
arguments; nothing here touches the world.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeGuard, assert_never

from domain.events import (
    EVENT_TYPES,
    Consequence,
    Delivered,
    DeliveryConflicted,
    Disposition,
    News,
    OrderEvent,
    OrderPlaced,
    ParkedNewsMoved,
    PaymentFailed,
    PaymentReceived,
    PersonalDataErased,
    ReviewReason,
    ReviewRequired,
    ReviewResolved,
    Verdict,
)
from domain.gate import completes, mismatch, with_movement
from domain.log import stream_of
from domain.payment import Outcome, PaymentNotice, PaymentStatus
from domain.state import Cause, Confirmed, Deliveries, Known, Order, OrderStatus, Waiting
from domain.transitions import (
    HARMLESS_FROM_ANOTHER,
    MONEY_WENT_BACK,
    REVIEW_REASONS,
    STALE,
    TRANSITIONS,
    UNAPPLIED,
    Then,
)

__all__ = [
    "EVENT_TYPES", "TRANSITIONS", "Consequence", "Decision", "Delivered", "Deliveries",
    "DeliveryConflicted", "Disposition", "ImpossibleHistory", "News", "Order", "OrderEvent",
    "OrderPlaced", "OrderStatus", "ParkedNewsMoved", "PaymentFailed", "PaymentReceived",
    "PersonalDataErased", "ReviewReason", "ReviewRequired", "ReviewResolved", "Then",
    "Unregistered", "Verdict", "advance", "decide", "evolve", "project", "receive", "repeats",
    "told_status",
]  # fmt: skip

S = PaymentStatus

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
    if isinstance(event, Consequence):
        return _follow(order, event, deliveries)
    _require(order.due is None, event, "the PAID before it delivered nothing")
    match event:
        case PaymentReceived() | DeliveryConflicted():
            return _take_in(order, event, deliveries)
        case OrderPlaced():
            return _place(order, event)
        case ReviewResolved():
            return _resolve(order, event)
        case ParkedNewsMoved():
            _require(bool(order.parked) and not order.placed, event, "nothing is parked here")
            return order._replace(version=event.originator_version, parked=())
        case PersonalDataErased():
            _require(order.version > 0 and not order.erased, event, "there is nothing to erase")
            # Nothing follows from it, nor from what was told before it.
            return order._replace(version=event.originator_version, erased=True, last_cause=None)
    raise ImpossibleHistory(f"{_name(event)}: it is no event of an order")


def _take_in(
    order: Order, news: PaymentReceived | DeliveryConflicted, deliveries: Deliveries
) -> Order:
    key = (news.provider, news.delivery_key)
    known = deliveries.get(key, ())
    changes: dict[str, Any] = {}
    if isinstance(news, DeliveryConflicted):
        original = known[0].news.originator_version if known else None
        _require(news.original_version == original, news, "no original delivery has this key")
    else:
        for k in known:
            retold = isinstance(k.news, DeliveryConflicted) or _retells(news, k.news)
            _require(retold, news, "recorded before")
        changes = _receive(order, news)
    deliveries[key] = (*known, Known(news, news.originator_version))
    changes.setdefault("provider", order.provider or news.provider)
    changes["version"] = news.originator_version
    changes["last_cause"] = news
    changes["deliveries"] = deliveries
    return order._replace(**changes)


def _retells(news: PaymentReceived, earlier: News) -> bool:
    """Whether this records a delivery anew: its word was not known and is by now, it was parked and
    its order is registered by now, or it turned out to complete the registered amount."""
    if not isinstance(earlier, PaymentReceived) or news.bytes_hash != earlier.bytes_hash:
        return False
    return (
        (earlier.status is S.UNRECOGNIZED is not news.status)
        or (earlier.disposition is Disposition.PARKED is not news.disposition)
        or (news.told_status is not None and earlier.status is news.told_status)
    )


def _receive(order: Order, news: PaymentReceived) -> dict[str, Any]:
    """What news changes about its order, by the name of the field."""
    if news.disposition is Disposition.PARKED:
        _require(order.placed is None, news, "news of a registered order was parked")
        return {"provider": order.provider, "parked": (*order.parked, news)}
    changes: dict[str, Any] = {}
    if news.payment is not None:
        changes["movements"] = with_movement(order.movements, news)
        if order.placed is not None:
            order = order._replace(movements=changes["movements"])
    if news.told_status is not None:
        part = news.status is S.PAID and news.told_status is S.PARTIALLY_PAID
        enough = order.placed is not None and completes(order.placed, order.movements, news)
        _require(part and enough, news, "it completes no registered amount")
    if order.placed is not None or order.provider in (None, news.provider):
        changes |= _learn(order, news)
    else:
        applied = news.disposition is Disposition.APPLIED
        _require(not applied, news, "another provider's news was applied")
    held = news.status is S.PAID and news.disposition is Disposition.HELD
    if held and order.status is not OrderStatus.DELIVERED:
        changes["waiting"] = Waiting(news, order.review)
    return changes


def _learn(order: Order, news: PaymentReceived) -> dict[str, Any]:
    """What news that counts changes about its order; the order has its movement already."""
    changes: dict[str, Any] = {}
    if news.disposition is Disposition.APPLIED:
        then, _ = _rule(order, news.status, news)
        _require(then not in UNAPPLIED, news, "this news could not be applied")
        changes["payment_status"] = news.status
        if then is Then.AWAIT:
            changes["status"] = OrderStatus.AWAITING_PAYMENT
        elif then is Then.DELIVER:
            changes["due"] = news.originator_version
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


def _place(order: Order, placed: OrderPlaced) -> Order:
    again = order.placed is not None
    _require(not (again and order.deliveries), placed, "news of a payment came before it")
    version = placed.originator_version
    order = order._replace(version=version, last_cause=placed, placed=placed, parked=())
    if order.waiting is not None and not order.refunded:
        news = order.waiting.news
        if mismatch(placed, order.movements, news) is None:
            return order._replace(due=news.originator_version)
    return order


def _resolve(order: Order, resolved: ReviewResolved) -> Order:
    _require(order.review is resolved.review, resolved, "this review is not open")
    order = order._replace(version=resolved.originator_version, last_cause=resolved, review=None)
    if order.waiting is None or order.waiting.review is not resolved.review:
        return order
    if resolved.verdict is Verdict.ACCEPTED:
        return order._replace(due=order.waiting.news.originator_version)
    return order._replace(waiting=None)


def _follow(order: Order, event: Consequence, deliveries: Deliveries) -> Order:
    cause = order.last_cause
    decision = event.decision if isinstance(event, Delivered) else None
    named = event.caused_by if decision is None else decision
    if cause is None or cause.originator_version != named:
        raise ImpossibleHistory(f"{_name(event)}: it does not follow the event that it names")
    changes = _changes(order, event, cause)
    if isinstance(cause, News):
        key = (cause.provider, cause.delivery_key)
        known = deliveries[key]
        deliveries[key] = (*known[:-1], Known(known[-1].news, event.originator_version))
        changes["deliveries"] = deliveries
    changes["version"] = event.originator_version
    return order._replace(**changes)


def _changes(order: Order, event: Consequence, cause: Cause) -> dict[str, Any]:
    """What follows from a cause, by the name of the field."""
    match event:
        case Delivered():
            return _deliver(order, event, cause)
        case PaymentFailed():
            failed = _is_applied(cause) and TRANSITIONS[cause.status].before_paid is Then.FAIL
            _require(failed, event, "no failure caused it")
            awaits = order.status is OrderStatus.AWAITING_PAYMENT
            _require(awaits, event, "it changes nothing")
            return {"status": OrderStatus.PAYMENT_FAILED}
        case ReviewRequired():
            waiting = order.waiting
            if waiting is not None and (cause is waiting.news or not isinstance(cause, News)):
                waiting = Waiting(waiting.news, event.reason)
            return {"review": event.reason, "waiting": waiting}
    raise ImpossibleHistory(f"{_name(event)}: it is no consequence that is known")


def _is_applied(cause: Cause | None) -> TypeGuard[PaymentReceived]:
    """Whether this is news that was applied."""
    return isinstance(cause, PaymentReceived) and cause.disposition is Disposition.APPLIED


def _deliver(order: Order, event: Delivered, cause: Cause) -> dict[str, Any]:
    if event.decision is None:
        news = cause if _is_applied(cause) else None
    else:
        news = order.waiting.news if order.waiting is not None else None
    if news is None or news.status is not S.PAID:
        raise ImpossibleHistory(f"{_name(event)}: no PAID caused it")
    _require(order.status is not OrderStatus.DELIVERED, event, "delivered twice")
    _require(order.due == event.caused_by, event, "the PAID that it names does not count")
    return {
        "status": OrderStatus.DELIVERED,
        "payment_status": S.PAID,
        "paid": order.paid or _confirm(None, news),
        "counted": news,
        "waiting": None,
        "due": None,
    }


def _require(condition: bool, event: OrderEvent, problem: str) -> None:
    if not condition:
        raise ImpossibleHistory(f"{_name(event)}: {problem}")


def _name(event: OrderEvent) -> str:
    return f"{type(event).__name__} at version {event.originator_version}"


# ---------------------------------------------------------------------------------------- decide


class Unregistered(StrEnum):
    """What becomes of news about an order that nobody registered."""

    TAKE = "take"  # it is taken as it is told
    PARK = "park"  # it waits until the order is registered
    HOLD = "hold"  # several registered orders could be meant: a person has to look


@dataclass(frozen=True, slots=True)
class Decision:
    """What a notice does: the events to append, and for a duplicate the original's last version."""

    outcome: Outcome
    events: tuple[OrderEvent, ...] = ()
    original_version: int | None = None


def decide(
    order: Order, notice: PaymentNotice, unregistered: Unregistered = Unregistered.TAKE
) -> Decision:
    """Decide what a notice means to its order. Pure: the same arguments, the same answer."""
    assert order.id == stream_of(notice.store, notice.order_id), "the notice is another order's"
    known = _known(order, notice)
    if known:
        original = _original_of(known, notice)
        if original is not None:
            return Decision(Outcome.DUPLICATE, original_version=original.last_version)
        if known[0].news.bytes_hash != notice.body_hash:
            return _conflict(order, notice, known[0])
    return receive(order, notice, unregistered)


def repeats(order: Order, notice: PaymentNotice) -> bool:
    """Whether a notice is a duplicate, of which `decide` appends nothing."""
    return _original_of(_known(order, notice), notice) is not None


def _known(order: Order, notice: PaymentNotice) -> tuple[Known, ...]:
    return order.deliveries.get((notice.provider, notice.delivery_key), ())


def receive(
    order: Order, notice: PaymentNotice, unregistered: Unregistered = Unregistered.TAKE
) -> Decision:
    """Decide about news that is neither a duplicate nor a conflict."""
    facts = _facts(order, notice)
    if order.placed is None and unregistered is Unregistered.PARK:
        parked = PaymentReceived(**facts, disposition=Disposition.PARKED)
        return Decision(Outcome.RECORDED, (parked,))
    if notice.payment is not None and order.placed is not None:
        order = order._replace(movements=with_movement(order.movements, notice))
        if _completes(order, notice):
            facts |= {"status": S.PAID, "told_status": notice.status}
    then, disposition, reason = _judge(order, facts["status"], notice)
    if order.placed is None and unregistered is Unregistered.HOLD:
        then, disposition, reason = None, Disposition.HELD, ReviewReason.AMBIGUOUS_REFERENCE
    facts["disposition"] = disposition
    news = PaymentReceived(**facts)
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
        if k.news.bytes_hash == notice.body_hash:
            retold = k.news.status is S.UNRECOGNIZED is not notice.status
            return None if retold and isinstance(k.news, PaymentReceived) else k
    for k in known:
        if isinstance(k.news, PaymentReceived) and _meaning(k.news) == _meaning(notice):
            return k
    return None


def _meaning(told: News | PaymentNotice) -> tuple[object, ...]:
    word = told.raw_status if told.status is S.UNRECOGNIZED else None
    return told_status(told), word, told.amount, told.currency, told.payment


def told_status(told: News | PaymentNotice) -> PaymentStatus:
    """What the provider's word means, whatever was recorded."""
    recorded_as = told.told_status if isinstance(told, PaymentReceived) else None
    return recorded_as or told.status


def _completes(order: Order, notice: PaymentNotice) -> bool:
    """Whether a part payment, counted already, is the one by which the order is paid."""
    return (
        notice.status is S.PARTIALLY_PAID
        and order.placed is not None
        and order.status is not OrderStatus.DELIVERED
        and not order.refunded
        and completes(order.placed, order.movements, notice)
    )


def _judge(
    order: Order, status: PaymentStatus, notice: PaymentNotice
) -> tuple[Then | None, Disposition, ReviewReason | None]:
    """What the table says: what follows, what the news did, and why a person has to look."""
    then, reason = _rule(order, status, notice)
    if order.placed is None and order.provider not in (None, notice.provider):
        harmless = status in HARMLESS_FROM_ANOTHER
        unapplied = Disposition.NOTED if harmless else Disposition.HELD
        return (
            None,
            Disposition.STALE if then in STALE else unapplied,
            None if harmless else ReviewReason.OTHER_PROVIDER,
        )
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


def _rule(
    order: Order, status: PaymentStatus, told: News | PaymentNotice
) -> tuple[Then, ReviewReason | None]:
    """What a status does to an order that has its movement of money already, and why a person
    would have to look."""
    reason = REVIEW_REASONS.get(status)
    undelivered = order.status is not OrderStatus.DELIVERED
    if status is S.PAID and undelivered and (order.placed is not None or order.paid is None):
        if order.refunded:
            return Then.HOLD, reason
        if order.placed is not None:
            wrong = mismatch(order.placed, order.movements, told)
            return (Then.DELIVER if wrong is None else Then.HOLD), wrong
    rule = TRANSITIONS[status]
    return (rule.before_paid if order.paid is None else rule.after_paid), reason


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
        "body_hash": None if notice.body_hash == notice.delivery_key else notice.body_hash,
        "body_digest": notice.body_digest,
        "references": notice.references,
        "amount": notice.amount,
        "currency": notice.currency,
        "payment": notice.payment,
        "occurred_at": notice.occurred_at,
        "key_id": notice.key_id,
        "origin": notice.origin,
        "hidden_references": notice.hidden_references,
        "customer": notice.customer,
        "private": notice.private,
        "provider_order_id": notice.provider_order_id,
    }


def _after(news: News) -> dict[str, Any]:
    """The fields of the event that follows from a piece of news."""
    return {
        "originator_id": news.originator_id,
        "originator_version": news.originator_version + 1,
        "caused_by": news.originator_version,
    }
