"""What can happen to an order: its events, as they are stored for ever."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from domain.payment import Origin, Payment, PaymentStatus


class Disposition(StrEnum):
    """What a piece of news did to its order."""

    APPLIED = "applied"  # it is the order's payment status now
    NOTED = "noted"  # it changes nothing
    STALE = "stale"  # not applied, since a PAID is known
    HELD = "held"  # not applied; the review decides
    PARKED = "parked"  # not applied until somebody registers the order


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
    # Of a registered order: what came is not what was to be paid.
    AMOUNT_MISSING = "amount_missing"
    CURRENCY_MISSING = "currency_missing"
    WRONG_CURRENCY = "wrong_currency"
    UNDERPAID = "underpaid"
    OVERPAID = "overpaid"
    AMBIGUOUS_REFERENCE = "ambiguous_reference"  # several registered orders go by its names


class Verdict(StrEnum):
    """What a person decided about a review."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEvent:
    """An event of one order: `originator_id` is its stream, versions count from 1."""

    originator_id: str
    originator_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class News(OrderEvent):
    """The facts of a delivery, as told by the provider (see `domain.payment.PaymentNotice`).

    What could give a person back is not among them in clear. `body_hash` is a keyed hash of the
    body's bytes, None where the delivery key is that hash; `body_digest` is a salted one, whose
    salt dies with the order's key; `hidden_references` and `customer` are keyed hashes; `private`
    is what they stand for, sealed under the order's key. The domain compares and hands on.
    `provider_order_id` is how the provider itself calls the order, where it tells of orders of its
    own: the order of these events may be a registered one, which goes by the shop's id.
    """

    provider: str
    delivery_key: str
    status: PaymentStatus
    raw_status: str
    received_at: datetime
    body_hash: str | None = None
    body_digest: str | None = None
    references: tuple[str, ...] = ()
    amount: Decimal | None = None
    currency: str | None = None
    payment: Payment | None = None
    occurred_at: datetime | None = None
    key_id: str | None = None
    origin: Origin = Origin.WEBHOOK
    hidden_references: tuple[str, ...] = ()
    customer: str | None = None
    private: str | None = None
    provider_order_id: str | None = None

    @property
    def bytes_hash(self) -> str:
        """The keyed hash of the body's bytes."""
        return self.body_hash or self.delivery_key


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentReceived(News):
    """A delivery, whatever its status, and what it did.

    `told_status` is what the provider's word means where another status was recorded: a
    PARTIALLY_PAID that completes a registered order's amount is recorded as PAID.
    """

    disposition: Disposition
    told_status: PaymentStatus | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryConflicted(News):
    """A delivery under a known key that says something else: kept, never applied."""

    original_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPlaced(OrderEvent):
    """The shop registered the order: what is to be paid, and the names that it goes by besides its
    id. `tolerance` is by how much the money may differ, `by` says who registered it. A later one,
    before any news of a payment, takes the place of an earlier one."""

    amount: Decimal
    currency: str
    references: tuple[str, ...] = ()
    tolerance: Decimal = Decimal(0)
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewResolved(OrderEvent):
    """A person (`by`) decided about the open review, and why."""

    review: ReviewReason
    verdict: Verdict
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedNewsMoved(OrderEvent):
    """All that was parked here was taken in by a registered order, `to` being its id."""

    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalDataErased(OrderEvent):
    """The order's key was destroyed, so that nobody can read its bodies and private fields again.

    `by` says who did it, and `reason` why. Later deliveries keep their facts only.
    """

    reason: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequence(OrderEvent):
    """What follows from an earlier event, which it names by its version."""

    caused_by: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered(Consequence):
    """The order may be handed over: its payment is confirmed by the PAID that caused it.

    Where that PAID waited, `decision` is the version of what made it count: the registration whose
    amount it matches, or a person's verdict.
    """

    decision: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentFailed(Consequence):
    """The order's payment failed, was cancelled or expired; a later PAID still delivers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRequired(Consequence):
    """A person has to look at the order."""

    reason: ReviewReason


EVENT_TYPES: tuple[type[OrderEvent], ...] = (
    PaymentReceived, DeliveryConflicted, OrderPlaced, ReviewResolved, ParkedNewsMoved,
    PersonalDataErased, Delivered, PaymentFailed, ReviewRequired,
)  # fmt: skip
