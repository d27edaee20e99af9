"""The transition table: what a payment's status does to its order, as data that people read."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from domain.events import ReviewReason
from domain.payment import PaymentStatus

ACCEPTED = "a held PAID that is accepted"  # by a person, or by the order's registration


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


class Edge(NamedTuple):
    """A way from one status of an order to another, and whatever makes it go there."""

    start: str
    end: str
    words: tuple[str, ...]


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


def edges() -> list[Edge]:
    """The state machine of an order, as its diagrams draw it."""
    paying = _statuses(Then.AWAIT)
    failing = _statuses(Then.FAIL)
    delivering = (*_statuses(Then.DELIVER), ACCEPTED)
    awaiting, failed, delivered = "AWAITING_PAYMENT", "PAYMENT_FAILED", "DELIVERED"
    return [
        Edge(awaiting, failed, failing),
        Edge(failed, awaiting, paying),
        Edge(awaiting, delivered, delivering),
        Edge(failed, delivered, delivering),
    ]


def _statuses(then: Then) -> tuple[str, ...]:
    return tuple(s.value for s, rule in TRANSITIONS.items() if rule.before_paid is then)
