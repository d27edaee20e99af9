"""Shopify: its order webhooks (orders/create, updated, paid, cancelled and so on).

Source: shopify.dev, "Verify deliveries", "Order". The topic is in a header that nobody signs, so
the body alone says what it is. Ids are larger than 2^53 and stay exact.
"""

import json
from collections.abc import Mapping
from datetime import datetime

from adapters.providers.base import JSON, Ignored, Request, Told
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
from adapters.providers.signed import hmac_kind
from adapters.providers.verifying import HmacScheme
from domain.payment import PaymentStatus

S = PaymentStatus
SCHEME = HmacScheme(headers=("X-Shopify-Hmac-Sha256", "Shopify-Hmac-Sha256"), encoding="base64")
WORDS: Mapping[str, PaymentStatus] = {
    "pending": S.PENDING,
    "unpaid": S.PENDING,
    "authorized": S.PENDING,
    "partially_paid": S.PARTIALLY_PAID,
    "paid": S.PAID,
    "partially_refunded": S.PARTIALLY_REFUNDED,
    "refunded": S.REFUNDED,
    "voided": S.CANCELLED,
    "expired": S.EXPIRED,
}
OVERRULED_BY_A_CANCELLATION = frozenset({S.PENDING, S.PARTIALLY_PAID, S.PAID})


def read(data: JSON, request: Request) -> Told | Ignored:
    """What an order webhook tells of its order."""
    if "financial_status" not in data:
        return Ignored("a webhook that tells of no order's payment")
    word = word_at(data, "financial_status")
    status = WORDS.get(word, S.UNRECOGNIZED)
    if status in OVERRULED_BY_A_CANCELLATION and iso_at(data, "cancelled_at") is not None:
        status = S.CANCELLED
    currency = currency_at(data, "currency")
    return Told(
        order_id=required_id(data, "id"),
        references=references_of(text_at(data, "name"), text_at(data, "order_number")),
        status=status,
        raw_status=word,
        amount=major(data, "total_price", currency),
        currency=currency,
        occurred_at=iso_at(data, "updated_at"),
        customer=customer_at(data, "customer", "id"),
    )


def sample(order_id: str, status: str, at: datetime) -> bytes:
    """An order webhook about an invented order."""
    word = {ours.value: word for word, ours in WORDS.items() if word != "unpaid"}.get(status)
    number = int(order_id) if order_id.isascii() and order_id.isdigit() else order_id
    told: JSON = {"id": number, "name": f"#{order_id}"[:255], "financial_status": word or status}
    told |= {"total_price": "902.10", "currency": "KES", "cancelled_at": None}
    return json.dumps(told | {"updated_at": at.isoformat()}, indent=2).encode()


class ShopifySettings(ProviderSettings):
    """Shopify signs with the app's client secret."""

    found_in = "Shopify: the app's Client secret, or Settings, Notifications, Webhooks"

    def signature_headers(self) -> tuple[str, ...]:
        """The headers that hold the signature."""
        return SCHEME.headers


SHOPIFY = hmac_kind(ShopifySettings, SCHEME, read, sample)
