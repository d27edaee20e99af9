"""WooCommerce: its order webhooks (created, updated, restored, deleted).

Source: the WooCommerce REST API's documentation, "Webhooks" and "Orders". The topic and the
delivery id are in headers that nobody signs, so the body alone says what it is.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from adapters.providers.base import JSON, Ignored, Request, Secret, Told, Unreadable
from adapters.providers.configuration import ProviderSettings
from adapters.providers.fields import (
    customer_at,
    iso_at,
    major,
    references_of,
    required_id,
    text_at,
)
from adapters.providers.reading import currency_at, word_at
from adapters.providers.signed import Declared, Kind
from adapters.providers.verifying import HmacHeader, HmacScheme
from domain.payment import Payment, PaymentStatus

S = PaymentStatus
SCHEME = HmacScheme(headers=("X-WC-Webhook-Signature",), encoding="base64")
WORDS: Mapping[str, PaymentStatus] = {
    "auto-draft": S.PENDING,
    "checkout-draft": S.PENDING,
    "pending": S.PENDING,
    "on-hold": S.PENDING,
    "processing": S.PAID,
    "completed": S.PAID,
    "failed": S.FAILED,
    "cancelled": S.CANCELLED,
    "trash": S.CANCELLED,
    "refunded": S.REFUNDED,
}
CASH_ON_DELIVERY = "cod"
_PING = re.compile(rb"webhook_id=\d{1,20}")


def read(data: JSON, request: Request) -> Told | Ignored:
    """What an order webhook tells of its order."""
    if data.keys() == {"id"}:
        return Ignored("an order was deleted; nothing is told of its payment")
    if not {"line_items", "order_key"} & data.keys() and not {"status", "total"} <= data.keys():
        return Ignored("a webhook of no order")
    word = word_at(data, "status")
    currency = currency_at(data, "currency")
    amount = major(data, "total", currency)
    status = _status(word, data)
    transaction = text_at(data, "transaction_id")
    order_id = required_id(data, "id")
    number, key = text_at(data, "number"), text_at(data, "order_key")
    return Told(
        order_id=order_id,
        references=references_of(number if number != order_id else None, key),
        status=status,
        raw_status=word,
        amount=amount,
        currency=currency,
        payment=Payment(ref=transaction, status=status, amount=amount) if transaction else None,
        occurred_at=iso_at(data, "date_modified_gmt"),
        customer=customer_at(data, "customer_id"),
    )


def _status(word: str, data: JSON) -> PaymentStatus:
    """What the order's status says of its payment.

    `processing` and `completed` are paid only where a date says so; cash on delivery is dated when
    it starts to be processed, and paid when it is completed.
    """
    status = WORDS.get(word, S.UNRECOGNIZED)
    if status is not S.PAID:
        return status
    is_dated = text_at(data, "date_paid") or text_at(data, "date_paid_gmt")
    in_cash = data.get("payment_method") == CASH_ON_DELIVERY
    if not is_dated or (in_cash and word == "processing"):
        return S.PENDING
    refunds = data.get("refunds")
    if refunds is not None and not isinstance(refunds, list):
        raise Unreadable("refunds: not a list")
    return S.PARTIALLY_REFUNDED if refunds else S.PAID


def is_ping(request: Request) -> bool:
    """Whether it is what WooCommerce sends, unsigned, when a webhook is saved; it wants a 200."""
    return _PING.fullmatch(request.body) is not None


SAMPLES: Mapping[str, str] = {
    S.PAID: "processing",
    S.PENDING: "pending",
    S.FAILED: "failed",
    S.CANCELLED: "cancelled",
    S.REFUNDED: "refunded",
}


def sample(order_id: str, status: str, at: datetime) -> bytes:
    """An order webhook about an invented order."""
    word = SAMPLES.get(status, status)
    paid = at.isoformat(timespec="seconds").partition("+")[0]
    number = int(order_id) if order_id.isascii() and order_id.isdigit() else order_id
    told: JSON = {"id": number, "number": order_id, "status": word, "currency": "KES"}
    told |= {"total": "902.10", "date_modified_gmt": paid, "transaction_id": ""}
    told |= {"date_paid": paid if word == "processing" else None, "line_items": [], "refunds": []}
    return json.dumps(told, indent=2).encode()


class WooCommerceSettings(ProviderSettings):
    """The shop invents the secret and enters it in WooCommerce."""

    makes_secret = True

    def signature_headers(self) -> tuple[str, ...]:
        """The headers that hold the signature."""
        return SCHEME.headers


def make_woocommerce(
    name: str, settings: WooCommerceSettings, secrets: Sequence[Secret]
) -> Declared:
    """The provider that a table configures."""
    return Declared(
        name=name,
        store=settings.store,
        verifier=HmacHeader(secrets, SCHEME),
        read=read,
        sample=sample,
        is_ping=is_ping,
        addresses=settings.addresses,
    )


WOOCOMMERCE = Kind(make_woocommerce, WooCommerceSettings)
