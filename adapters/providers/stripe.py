"""Stripe: payment intents, Checkout sessions, charges and disputes.

Source: docs.stripe.com, "Webhooks" (signatures, event object), "Currencies" (minor units) and
"Payment Links" (URL parameters). The shop puts its order's id into the metadata (`order_id`).
Checkout's `client_reference_id` is no proof of an order by itself: of a Payment Link a customer
writes it into the URL.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from pydantic import Field

from adapters.providers.base import JSON, Ignored, Request, Secret, Told, Unreadable
from adapters.providers.configuration import ProviderSettings
from adapters.providers.fields import (
    MinorUnits,
    child,
    customer_at,
    maybe,
    references_of,
    required_id,
    text_at,
    unix_at,
    upper_currency,
)
from adapters.providers.reading import word_at
from adapters.providers.signed import Declared, Kind, Read
from adapters.providers.verifying import TimedHeader
from domain.payment import Payment, PaymentStatus

S = PaymentStatus
HEADER = "Stripe-Signature"
# Stripe writes ISK and UGX with two digits for the sake of old integrations, MGA with none.
UNITS = MinorUnits({"ISK": 2, "UGX": 2, "MGA": 0})
INTENT_WORDS: Mapping[str, PaymentStatus] = {
    "succeeded": S.PAID,
    "processing": S.PENDING,
    "requires_action": S.PENDING,
    "requires_confirmation": S.PENDING,
    "requires_capture": S.PENDING,
    "requires_payment_method": S.PENDING,  # FAILED where the event says that a try failed
    "canceled": S.CANCELLED,
}
INTENT_EVENTS = frozenset(
    "created processing requires_action amount_capturable_updated partially_funded succeeded "
    "payment_failed canceled".split()
)
CHECKOUT_WORDS: Mapping[str, PaymentStatus] = {
    "paid": S.PAID,
    "unpaid": S.PENDING,
    "no_payment_required": S.PENDING,  # put off to a later date, or only a card to keep
}
CHECKOUT_EVENTS = frozenset(
    "completed async_payment_succeeded async_payment_failed expired".split()
)
CHARGE_WORDS: Mapping[str, PaymentStatus] = {
    "succeeded": S.PAID,
    "pending": S.PENDING,
    "failed": S.FAILED,
}
CHARGE_EVENTS = frozenset("succeeded pending failed captured expired refunded".split())
DISPUTE_EVENTS = frozenset("created updated closed funds_withdrawn funds_reinstated".split())


def reader(order_from_client_reference: bool) -> Read:
    """The reader of events, which may take `client_reference_id` for an order's id, or not."""

    def read(data: JSON, request: Request) -> Told | Ignored:
        event = word_at(data, "type")
        told_by = _reader_of(event)
        if told_by is None:
            return Ignored("an event that tells of no order's payment")
        thing = child(data, "data", "object")
        if not order_from_client_reference:
            thing = thing | {"client_reference_id": None}  # no reference either: that finds orders
        return told_by(event.rpartition(".")[2], thing, data)

    return read


def _reader_of(event: str) -> Callable[[str, JSON, JSON], Told] | None:
    family, _, what = event.rpartition(".")
    for name, events, reader in (
        ("payment_intent", INTENT_EVENTS, _intent),
        ("checkout.session", CHECKOUT_EVENTS, _checkout),
        ("charge", CHARGE_EVENTS, _charge),
        ("charge.dispute", DISPUTE_EVENTS, _dispute),
    ):
        if family == name and what in events:
            return reader
    return None


def _intent(event: str, intent: JSON, data: JSON) -> Told:
    word = word_at(intent, "status")
    status = INTENT_WORDS.get(word, S.UNRECOGNIZED)
    if event == "payment_failed" and word == "requires_payment_method":
        status = S.FAILED
    amount, received = _amount(intent, "amount"), _amount(intent, "amount_received")
    if status is S.PAID and received is not None and amount is not None and received < amount:
        status = S.PARTIALLY_PAID
    moved = received if status in (S.PAID, S.PARTIALLY_PAID) and received is not None else amount
    ref = required_id(intent, "id")
    return _told(data, intent, status, word, amount, Payment(ref=ref, status=status, amount=moved))


def _checkout(event: str, session: JSON, data: JSON) -> Told:
    word = word_at(session, "payment_status")
    status = CHECKOUT_WORDS.get(word, S.UNRECOGNIZED)
    if status is S.PENDING and event == "async_payment_failed":
        status = S.FAILED
    elif status is S.PENDING and session.get("status") == "expired":
        status = S.EXPIRED
    amount = _amount(session, "amount_total")
    ref = _ref(session, "payment_intent")
    payment = Payment(ref=ref, status=status, amount=amount) if ref else None
    return _told(data, session, status, word, amount, payment)


def _charge(event: str, charge: JSON, data: JSON) -> Told:
    word = word_at(charge, "status")
    status = CHARGE_WORDS.get(word, S.UNRECOGNIZED)
    amount, moved = _amount(charge, "amount"), _amount(charge, "amount")
    captured = _amount(charge, "amount_captured")
    refunded = _amount(charge, "amount_refunded")
    if status is S.PAID and refunded:
        whole = amount is not None and refunded >= amount
        status, moved = (S.REFUNDED if whole else S.PARTIALLY_REFUNDED), refunded
    elif status is S.PAID and charge.get("captured") is False:
        status = S.EXPIRED if event == "expired" else S.PENDING
    elif status is S.PAID and captured is not None and amount is not None and captured < amount:
        status, moved = S.PARTIALLY_PAID, captured
    ref = _ref(charge, "payment_intent") or required_id(charge, "id")
    return _told(data, charge, status, word, amount, Payment(ref=ref, status=status, amount=moved))


def _dispute(event: str, dispute: JSON, data: JSON) -> Told:
    word = word_at(dispute, "status")
    ref = _ref(dispute, "payment_intent") or _ref(dispute, "charge")
    disputed = _amount(dispute, "amount")
    payment = Payment(ref=ref, status=S.DISPUTED, amount=disputed) if ref else None
    return _told(data, dispute, S.DISPUTED, word, None, payment)


def _told(
    data: JSON,
    thing: JSON,
    status: PaymentStatus,
    word: str,
    amount: Decimal | None,
    payment: Payment | None,
) -> Told:
    in_metadata = text_at(maybe(thing, "metadata"), "order_id")
    in_checkout = text_at(thing, "client_reference_id")
    order_id = in_metadata or in_checkout
    if order_id is None:
        raise Unreadable(
            "metadata.order_id: it names no order; set it with each payment, or, where no customer "
            "can set client_reference_id (in a Payment Link's URL), order_from_client_reference"
        )
    return Told(
        order_id=order_id,
        typed=references_of(in_checkout if in_checkout != order_id else None),
        customer=customer_at(thing, "customer") or customer_at(thing, "customer", "id"),
        status=status,
        raw_status=word,
        amount=amount,
        currency=upper_currency(thing, "currency"),
        payment=payment,
        occurred_at=unix_at(data, "created"),
        delivery_id=required_id(data, "id"),
    )


def _amount(thing: JSON, key: str) -> Decimal | None:
    return UNITS.amount(thing, key, upper_currency(thing, "currency"))


def _ref(thing: JSON, key: str) -> str | None:
    """An id, or the id of the object that stands there where the shop had it expanded."""
    inner = thing.get(key)
    return text_at(inner, "id") if isinstance(inner, dict) else text_at(thing, key)


SAMPLES: Mapping[str, tuple[str, str]] = {
    S.PAID: ("succeeded", "succeeded"),
    S.PENDING: ("processing", "processing"),
    S.FAILED: ("payment_failed", "requires_payment_method"),
    S.CANCELLED: ("canceled", "canceled"),
}


def sample(order_id: str, status: str, at: datetime) -> bytes:
    """An event about an invented payment intent."""
    event, word = SAMPLES.get(status, ("processing", status))
    number = hashlib.sha256(order_id.encode()).hexdigest()[:16]
    intent = {
        "id": f"pi_{number}",
        "object": "payment_intent",
        "amount": 90210,
        "amount_received": 90210 if word == "succeeded" else 0,
        "currency": "kes",
        "metadata": {"order_id": order_id},
        "status": word,
    }
    told = {
        "id": f"evt_{number}{event}",
        "object": "event",
        "created": int(at.timestamp()),
        "livemode": False,
        "type": f"payment_intent.{event}",
        "data": {"object": intent},
    }
    return json.dumps(told, indent=2).encode()


class StripeSettings(ProviderSettings):
    """Stripe shows an endpoint's signing secret (`whsec_...`), which is used whole."""

    found_in = "Stripe's dashboard: Developers, Webhooks, the endpoint, Signing secret"

    order_from_client_reference: bool = Field(
        False,
        description="Checkout's client_reference_id may name the order; never with Payment Links, "
        "where a customer writes it into the URL",
    )

    def signature_headers(self) -> tuple[str, ...]:
        """The headers that hold the signature."""
        return (HEADER,)


def make_stripe(name: str, settings: StripeSettings, secrets: Sequence[Secret]) -> Declared:
    """The provider that a table configures."""
    return Declared(
        name=name,
        store=settings.store,
        verifier=TimedHeader(secrets, HEADER),
        read=reader(settings.order_from_client_reference),
        sample=sample,
        addresses=settings.addresses,
    )


STRIPE = Kind(make_stripe, StripeSettings)
