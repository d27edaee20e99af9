"""What a provider tells us about an order's payment, in our own vocabulary."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class PaymentStatus(StrEnum):
    """What a provider's word means to us. Whatever is not PAID confirms nothing."""

    PAID = "PAID"
    PENDING = "PENDING"
    PARTIALLY_PAID = "PARTIALLY_PAID"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    REFUNDED = "REFUNDED"
    PARTIALLY_REFUNDED = "PARTIALLY_REFUNDED"
    DISPUTED = "DISPUTED"
    UNRECOGNIZED = "UNRECOGNIZED"  # a word that the provider's adapter does not know


class Outcome(StrEnum):
    """What became of an authentic delivery: the word in the answer and in the delivery log."""

    RECORDED = "recorded"  # new, appended and committed
    DUPLICATE = "duplicate"  # seen before; nothing appended
    STALE = "stale"  # appended, but not applied, since a PAID is known
    CONFLICT = "conflict"  # a known delivery key that says something else; kept, under review
    IGNORED = "ignored"  # readable, and none of an order's business; kept
    QUARANTINED = "quarantined"  # cannot be read or attributed; kept whole for a replay
    DISCARDED = "discarded"  # set aside before, and a person decided that it says nothing


class Origin(StrEnum):
    """The way on which news came in."""

    WEBHOOK = "webhook"  # the provider called
    REPLAY = "replay"  # a delivery that came before, taken in once more
    IMPORT = "import"  # a file of the provider's history
    RECONCILE = "reconcile"  # the provider's own list, which told of what webhooks lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """One movement of money, by the provider's own name for it (`ref`).

    Whoever adds money up counts each (provider, ref) once, with its latest status and amount.
    """

    ref: str
    status: PaymentStatus
    amount: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Personal:
    """What of a delivery's facts may name a person, in clear: names of the order that somebody
    typed, and who buys. It is never stored so: only sealed, and as keyed hashes to be found by."""

    references: tuple[str, ...] = ()
    customer: str | None = None


@dataclass(slots=True, kw_only=True)
class PaymentNotice:
    """One authentic delivery, translated: the input of `domain.order.decide`.

    `amount` and `currency` are the order's; `payment` is the money movement that the notice tells
    of, if it tells of one. `occurred_at` is the provider's time of this news, if it sends one.
    `key_id` names the secret that proved who sent it. Times are aware UTC. `delivery_key`
    identifies the delivery within (store, provider, order), `body_hash` is the keyed hash of its
    bytes. What else is opaque here says `domain.events.News`.

    `is_typed` says that nobody but a payer named the order: what was typed stands in `personal`,
    and the id is made from it.
    """

    store: str
    provider: str
    delivery_key: str
    order_id: str
    status: PaymentStatus
    raw_status: str
    received_at: datetime
    body_hash: str
    body: bytes = field(repr=False)
    references: tuple[str, ...] = ()
    amount: Decimal | None = None
    currency: str | None = None
    payment: Payment | None = None
    occurred_at: datetime | None = None
    key_id: str | None = None
    origin: Origin = Origin.WEBHOOK
    body_digest: str | None = None
    hidden_references: tuple[str, ...] = ()
    customer: str | None = None
    private: str | None = None
    provider_order_id: str | None = None
    personal: Personal | None = field(default=None, repr=False)
    is_typed: bool = False
