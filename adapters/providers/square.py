"""Square: payments, refunds and disputes.

Source: developer.squareup.com, "Validate and process event notifications", the objects Payment,
PaymentRefund and Dispute. The URL that was entered at Square is part of what is signed.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import Field

from adapters.providers.base import JSON, Ignored, Request, Secret, Told, Unreadable
from adapters.providers.configuration import ProviderSettings
from adapters.providers.fields import (
    ISO_4217,
    child,
    customer_at,
    iso_at,
    maybe,
    references_of,
    required_id,
    text_at,
)
from adapters.providers.reading import currency_at, word_at
from adapters.providers.signed import Declared, Kind
from adapters.providers.verifying import HmacHeader, HmacScheme
from domain.payment import Payment, PaymentStatus

S = PaymentStatus
HEADERS = ("X-Square-HmacSha256-Signature",)
PAYMENT_WORDS: Mapping[str, PaymentStatus] = {
    "APPROVED": S.PENDING,
    "PENDING": S.PENDING,
    "COMPLETED": S.PAID,
    "CANCELED": S.CANCELLED,
    "FAILED": S.FAILED,
}
REFUND_WORDS: Mapping[str, PaymentStatus | None] = {
    "COMPLETED": S.REFUNDED,
    "PENDING": None,
    "APPROVED": None,
    "REJECTED": None,
    "FAILED": None,
}


def read(data: JSON, request: Request) -> Told | Ignored:
    """What an event tells of an order."""
    family, _, what = word_at(data, "type").partition(".")
    if family == "payment" and what in ("created", "updated"):
        return _payment(data, child(data, "data", "object", "payment"))
    if family == "refund" and what in ("created", "updated"):
        return _refund(data, child(data, "data", "object", "refund"))
    if family == "dispute":
        return _dispute(data, child(data, "data", "object", "dispute"))
    return Ignored("an event that tells of no order's payment")


def _payment(data: JSON, payment: JSON) -> Told:
    word = word_at(payment, "status")
    status = PAYMENT_WORDS.get(word, S.UNRECOGNIZED)
    money = maybe(payment, "amount_money")
    currency = currency_at(money, "currency")
    amount = moved = ISO_4217.amount(money, "amount", currency)
    refunded = ISO_4217.amount(maybe(payment, "refunded_money"), "amount", currency)
    total = ISO_4217.amount(maybe(payment, "total_money"), "amount", currency) or amount
    if status is S.PAID and refunded:
        whole = total is not None and refunded >= total
        status, moved = (S.REFUNDED if whole else S.PARTIALLY_REFUNDED), refunded
    return Told(
        order_id=_order_of(payment),
        references=references_of(text_at(payment, "reference_id")),
        status=status,
        raw_status=word,
        amount=amount,
        currency=currency,
        payment=Payment(ref=required_id(payment, "id"), status=status, amount=moved),
        customer=customer_at(payment, "customer_id"),
        occurred_at=iso_at(payment, "updated_at") or iso_at(data, "created_at"),
        delivery_id=required_id(data, "event_id"),
    )


def _refund(data: JSON, refund: JSON) -> Told | Ignored:
    word = word_at(refund, "status")
    status = REFUND_WORDS.get(word, S.UNRECOGNIZED)
    if status is None:
        return Ignored("a refund that moved no money")
    money = maybe(refund, "amount_money")
    currency = currency_at(money, "currency")
    amount = ISO_4217.amount(money, "amount", currency)
    return Told(
        order_id=_order_of(refund),
        status=status,
        raw_status=word,
        currency=currency,
        payment=Payment(ref=required_id(refund, "payment_id"), status=status, amount=amount),
        occurred_at=iso_at(refund, "updated_at") or iso_at(data, "created_at"),
        delivery_id=required_id(data, "event_id"),
    )


def _dispute(data: JSON, dispute: JSON) -> Told:
    money = maybe(dispute, "amount_money")
    currency = currency_at(money, "currency")
    ref = text_at(maybe(dispute, "disputed_payment"), "payment_id")
    amount = ISO_4217.amount(money, "amount", currency)
    return Told(
        order_id=_order_of(dispute),
        status=S.DISPUTED,
        raw_status=word_at(dispute, "state"),
        currency=currency,
        payment=Payment(ref=ref, status=S.DISPUTED, amount=amount) if ref else None,
        occurred_at=iso_at(data, "created_at"),
        delivery_id=required_id(data, "event_id"),
    )


def _order_of(thing: JSON) -> str:
    order_id = text_at(thing, "order_id")
    if order_id is None:
        raise Unreadable("data.object: order_id: it names no order")
    return order_id


def sample(order_id: str, status: str, at: datetime) -> bytes:
    """An event about an invented payment."""
    words = {ours.value: word for word, ours in PAYMENT_WORDS.items() if word != "APPROVED"}
    word = words.get(status, status)
    number = hashlib.sha256(f"{order_id} {word}".encode()).hexdigest()[:24]
    payment = {"id": f"pay{number[:20]}", "order_id": order_id, "status": word}
    money = {"amount": 90210, "currency": "KES"}
    told = {"merchant_id": "MLSAMPLE", "type": "payment.updated", "event_id": number}
    told |= {"created_at": at.isoformat(timespec="seconds").replace("+00:00", "Z")}
    return json.dumps(
        told | {"data": {"object": {"payment": payment | {"amount_money": money}}}}, indent=2
    ).encode()


class SquareSettings(ProviderSettings):
    """Square shows a subscription's signature key."""

    found_in = "Square's Developer Console: Webhooks, Subscriptions, Signature key"

    notification_url: str = Field(
        pattern=r"^https?://[!-~]+$",
        description="the webhook URL exactly as it is entered at Square: it is part of the "
        "signature",
    )

    def signature_headers(self) -> tuple[str, ...]:
        """The headers that hold the signature."""
        return HEADERS


def make_square(name: str, settings: SquareSettings, secrets: Sequence[Secret]) -> Declared:
    """The provider that a table configures."""
    scheme = HmacScheme(
        headers=HEADERS,
        encoding="base64",
        message="{url}{body}",
        url=settings.notification_url,
        url_key="notification_url",
    )
    return Declared(
        name=name,
        store=settings.store,
        verifier=HmacHeader(secrets, scheme),
        read=read,
        sample=sample,
        addresses=settings.addresses,
    )


SQUARE = Kind(make_square, SquareSettings)
