"""Razorpay: payments, orders, payment links, refunds and disputes.

Source: razorpay.com/docs, "Webhooks" and its sample payloads. One order is told of by events of
several kinds, so the order's id is always Razorpay's (`order_...`), which nearly all of them carry;
the shop's own `receipt`, a link's `reference_id` and `notes.order_id` are references.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from adapters.providers.base import JSON, Ignored, Request, Told, Unreadable
from adapters.providers.configuration import ProviderSettings
from adapters.providers.fields import (
    ISO_4217,
    child,
    customer_at,
    maybe,
    references_of,
    text_at,
    unix_at,
)
from adapters.providers.reading import currency_at, word_at
from adapters.providers.signed import hmac_kind
from adapters.providers.verifying import HmacScheme
from domain.payment import Payment, PaymentStatus

S = PaymentStatus
SCHEME = HmacScheme(headers=("X-Razorpay-Signature",))
PAYMENT_WORDS: Mapping[str, PaymentStatus] = {
    "created": S.PENDING,
    "authorized": S.PENDING,
    "captured": S.PAID,
    "refunded": S.REFUNDED,
    "failed": S.FAILED,
}
ORDER_WORDS: Mapping[str, PaymentStatus] = {
    "created": S.PENDING,
    "attempted": S.PENDING,
    "paid": S.PAID,
}
LINK_WORDS: Mapping[str, PaymentStatus] = {
    "created": S.PENDING,
    "partially_paid": S.PARTIALLY_PAID,
    "paid": S.PAID,
    "expired": S.EXPIRED,
    "cancelled": S.CANCELLED,
}
REFUND_WORDS = frozenset({"created", "pending", "failed"})
PAYMENT_EVENTS = frozenset({"payment.authorized", "payment.captured", "payment.failed"})
LINK_EVENTS = frozenset(
    f"payment_link.{what}" for what in ("paid", "partially_paid", "expired", "cancelled")
)
REFUND_EVENTS = frozenset(f"refund.{what}" for what in ("created", "processed", "failed"))


def read(data: JSON, request: Request) -> Told | Ignored:
    """What an event tells of an order."""
    event = word_at(data, "event")
    payload = child(data, "payload") if "payload" in data else {}
    if event in PAYMENT_EVENTS:
        return _payment(data, payload)
    if event == "order.paid":
        return _whole(data, payload, "order", ORDER_WORDS)
    if event in LINK_EVENTS:
        return _whole(data, payload, "payment_link", LINK_WORDS)
    if event in REFUND_EVENTS:
        return _refund(data, payload)
    if event.startswith("payment.dispute."):
        return _dispute(data, payload)
    return Ignored("an event that tells of no order's payment")


def _payment(data: JSON, payload: JSON) -> Told:
    payment = child(payload, "payment", "entity")
    word = word_at(payment, "status")
    status = PAYMENT_WORDS.get(word, S.UNRECOGNIZED)
    amount, refunded = _amount(payment, "amount"), _amount(payment, "amount_refunded")
    moved = amount
    if status in (S.PAID, S.REFUNDED) and refunded:
        status, moved = _refunded(amount, refunded), refunded
    return _told(data, payload, status, word, amount, payment, moved)


def _whole(data: JSON, payload: JSON, name: str, words: Mapping[str, PaymentStatus]) -> Told:
    """An order or a payment link, which knows how much of it is paid."""
    thing = child(payload, name, "entity")
    word = word_at(thing, "status")
    status = words.get(word, S.UNRECOGNIZED)
    amount, paid = _amount(thing, "amount"), _amount(thing, "amount_paid")
    if status is S.PAID and paid is not None and amount is not None and paid < amount:
        status = S.PARTIALLY_PAID
    payment = maybe(maybe(payload, "payment"), "entity")
    currency = currency_at(thing, "currency")
    return _told(data, payload, status, word, amount, payment, _amount(payment, "amount"), currency)


def _refund(data: JSON, payload: JSON) -> Told | Ignored:
    refund, payment = child(payload, "refund", "entity"), child(payload, "payment", "entity")
    word = word_at(refund, "status")
    if word in REFUND_WORDS:
        return Ignored("a refund that moved no money")
    amount = _amount(payment, "amount")
    refunded = _amount(payment, "amount_refunded") or _amount(refund, "amount")
    status = _refunded(amount, refunded) if word == "processed" else S.UNRECOGNIZED
    return _told(data, payload, status, word, None, payment, refunded)


def _dispute(data: JSON, payload: JSON) -> Told:
    dispute, payment = child(payload, "dispute", "entity"), child(payload, "payment", "entity")
    word = word_at(dispute, "status")
    return _told(data, payload, S.DISPUTED, word, None, payment, _amount(dispute, "amount"))


def _refunded(amount: Decimal | None, refunded: Decimal | None) -> PaymentStatus:
    whole = amount is None or refunded is None or refunded >= amount
    return S.REFUNDED if whole else S.PARTIALLY_REFUNDED


def _told(
    data: JSON,
    payload: JSON,
    status: PaymentStatus,
    word: str,
    amount: Decimal | None,
    payment: JSON,
    moved: Decimal | None,
    currency: str | None = None,
) -> Told:
    order = maybe(maybe(payload, "order"), "entity")
    link = maybe(maybe(payload, "payment_link"), "entity")
    noted = text_at(maybe(payment, "notes"), "order_id")
    names = (
        text_at(payment, "order_id"),
        text_at(order, "id"),
        text_at(link, "order_id"),
        noted,
        text_at(link, "id"),
    )
    order_id = next((name for name in names if name is not None), None)
    if order_id is None:
        raise Unreadable("payload.payment.entity.order_id: it names no order")
    others = (text_at(order, "receipt"), text_at(link, "reference_id"), noted)
    ref = text_at(payment, "id")
    # The money of a payment counts as its own status, not as the whole order's.
    own = S.PAID if payment.get("status") == "captured" and status is S.PARTIALLY_PAID else status
    return Told(
        order_id=order_id,
        references=references_of(*(name for name in others if name != order_id)),
        status=status,
        raw_status=word,
        amount=amount,
        currency=currency or currency_at(payment, "currency"),
        payment=Payment(ref=ref, status=own, amount=moved) if ref else None,
        occurred_at=unix_at(data, "created_at"),
        customer=customer_at(payment, "customer_id"),
    )


def _amount(thing: JSON, key: str) -> Decimal | None:
    return ISO_4217.amount(thing, key, currency_at(thing, "currency"))


SAMPLES: Mapping[str, tuple[str, str]] = {
    S.PAID: ("captured", "captured"),
    S.PENDING: ("authorized", "authorized"),
    S.FAILED: ("failed", "failed"),
}


def sample(order_id: str, status: str, at: datetime) -> bytes:
    """An event about an invented payment."""
    event, word = SAMPLES.get(status, ("authorized", status))
    number = hashlib.sha256(order_id.encode()).hexdigest()[:14]
    payment = {"id": f"pay_{number}", "order_id": order_id, "status": word, "amount": 90210}
    told = {"entity": "event", "event": f"payment.{event}", "created_at": int(at.timestamp())}
    payload = {"payment": {"entity": payment | {"currency": "KES", "amount_refunded": 0}}}
    return json.dumps(told | {"payload": payload}, indent=2).encode()


class RazorpaySettings(ProviderSettings):
    """The shop invents the secret and enters it at Razorpay."""

    makes_secret = True

    def signature_headers(self) -> tuple[str, ...]:
        """The headers that hold the signature."""
        return SCHEME.headers


RAZORPAY = hmac_kind(RazorpaySettings, SCHEME, read, sample)
