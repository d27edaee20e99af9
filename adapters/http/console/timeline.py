"""An order's history as steps that a person understands: what came, and what it did or why not."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from adapters.deliveries.views import DeliveryView
from adapters.queries.effect_views import EffectView
from adapters.queries.queries import EventView, HistoryView
from domain.gate import MISMATCHES
from domain.log import Position
from domain.order import (
    Delivered,
    DeliveryConflicted,
    Disposition,
    OrderPlaced,
    ParkedNewsMoved,
    PaymentFailed,
    PersonalDataErased,
    ReviewRequired,
    ReviewResolved,
)
from domain.payment import Outcome, PaymentStatus

CONSEQUENCES = (Delivered.__name__, PaymentFailed.__name__, ReviewRequired.__name__)
# What news did, the colour of that, and why.
MEANINGS: Mapping[str, tuple[str, str]] = {
    Disposition.APPLIED: ("good", "Applied: it is the order's payment status from here on."),
    Disposition.NOTED: ("plain", "Noted: it changes nothing."),
    Disposition.STALE: ("odd", "Stale: it came after a PAID, so it is kept and not applied."),
    Disposition.HELD: ("odd", "Held: it is not applied until a person decides."),
    Disposition.PARKED: ("odd", "Parked: it waits until the order is registered."),
}
# The colours of what providers say.
KINDS: Mapping[str, str] = {
    PaymentStatus.PAID: "good",
    PaymentStatus.PENDING: "wait",
    PaymentStatus.PARTIALLY_PAID: "wait",
    PaymentStatus.FAILED: "bad",
    PaymentStatus.CANCELLED: "bad",
    PaymentStatus.EXPIRED: "bad",
}
CONFLICT = "It contradicts {}: the same delivery id with other content. Kept, never applied."
DUPLICATE = "Duplicate: the same delivery as {} came again. Nothing was appended."
REASONS: Mapping[str, str] = {
    "unrecognized_status": "the provider used a word that nobody knows",
    "other_provider": "another provider than the order's own told of it",
    "delivery_conflict": "a delivery came again with other content",
    "refunded": "the money went back",
    "partially_refunded": "a part of the money went back",
    "disputed": "the payment is disputed",
    "paid_after_refund": "a PAID came after the money went back",
    "failed_after_paid": "a failure came after the PAID",
    "cancelled_after_paid": "a cancellation came after the PAID",
    "ambiguous_reference": "several registered orders could be meant",
    **{reason.value: text for reason, text in MISMATCHES.items()},
}


@dataclass(frozen=True)
class Consequence:
    """What followed from a step, within the ledger."""

    event: EventView
    kind: str
    says: str


@dataclass
class Step:
    """Something that happened to the order. A duplicate has a delivery and no event."""

    at: datetime
    word: str
    kind: str
    meaning: str
    event: EventView | None = None
    delivery: DeliveryView | None = None
    consequences: list[Consequence] = field(default_factory=list)
    effects: list[EffectView] = field(default_factory=list)


def steps_of(history: HistoryView, deliveries: Sequence[DeliveryView]) -> list[Step]:
    """The steps of an order's life, oldest first. What followed from one stands within it, and so
    does what was sent because of it."""
    positions = {event.version: event.position for event in history.events}
    steps: dict[int, Step] = {}
    for event in history.events:
        if event.type not in CONSEQUENCES:
            steps[event.version] = _step(event, positions, _delivery_of(event, deliveries))
    owners = dict(steps)
    for event in history.events:
        if event.type in CONSEQUENCES:
            # What a decision brought about happened with the decision.
            cause = event.decision or event.caused_by or 0
            step = owners.get(cause) or next(iter(steps.values()))
            step.consequences.append(_consequence(event, positions))
            owners[event.version] = step
    for effect in history.effects:
        if effect.version in owners:
            owners[effect.version].effects.append(effect)
    told = {
        step.delivery.position: step.event.position
        for step in steps.values()
        if step.delivery is not None and step.event is not None
    }
    return sorted([*steps.values(), *_duplicates(deliveries, told)], key=lambda step: step.at)


def _step(event: EventView, positions: Mapping[int, str], delivery: DeliveryView | None) -> Step:
    word, kind, meaning = _did(event, positions)
    return Step(event.recorded_at, word, kind, meaning, event, delivery)


def _did(event: EventView, positions: Mapping[int, str]) -> tuple[str, str, str]:
    """What an event did in a word, the colour of that, and a sentence."""
    match event.type:
        case DeliveryConflicted.__name__:
            told = CONFLICT.format(positions.get(event.caused_by or 0, "an earlier one"))
            return "conflict", "bad", told
        case OrderPlaced.__name__:
            return "registered", "wait", "From here on only the right money delivers."
        case ReviewResolved.__name__:
            is_accepted = event.verdict == "accepted"
            return f"review {event.verdict}", "good" if is_accepted else "bad", event.reason or ""
        case PersonalDataErased.__name__:
            return "erased", "bad", event.reason or ""
        case ParkedNewsMoved.__name__:
            return "moved", "plain", f"What waited here was taken in by order {event.moved_to}."
    if event.disposition is None:
        return event.type, "plain", event.reason or ""
    kind, meaning = MEANINGS[event.disposition]
    if event.disposition == Disposition.APPLIED:
        kind = KINDS.get(event.payment_status or "", "odd")
    return event.disposition, kind, meaning


def _consequence(event: EventView, positions: Mapping[int, str]) -> Consequence:
    match event.type:
        case Delivered.__name__:
            paid = positions.get(event.caused_by or 0, "an event that is not shown")
            return Consequence(event, "good", f"Delivered, because of the PAID at {paid}")
        case PaymentFailed.__name__:
            return Consequence(event, "bad", "The payment failed; a later PAID still delivers")
    reason = event.reason or ""
    return Consequence(event, "odd", f"A review is wanted: {REASONS.get(reason, reason)}")


def _delivery_of(event: EventView, deliveries: Iterable[DeliveryView]) -> DeliveryView | None:
    """The delivery that an event's news came with: of those that were recorded with it, the first
    whose last event is not before it. What was parked elsewhere was moved here without one."""
    if event.provider is None:
        return None
    index = Position.parse(event.position).index
    behind = [
        (last, each)
        for each in deliveries
        if each.outcome is not Outcome.DUPLICATE
        and each.recorded_at == event.recorded_at
        and each.position is not None
        and (last := Position.parse(each.position).index) >= index
    ]
    return min(behind, key=lambda one: one[0])[1] if behind else None


def _duplicates(deliveries: Iterable[DeliveryView], told: Mapping[str | None, str]) -> list[Step]:
    """The deliveries that came again; `told` has where the news of each delivery stands."""
    return [
        Step(
            each.recorded_at,
            "duplicate",
            "plain",
            DUPLICATE.format(told.get(each.position, each.position or "an earlier one")),
            delivery=each,
        )
        for each in deliveries
        if each.outcome is Outcome.DUPLICATE
    ]
