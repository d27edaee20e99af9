"""Shopify's order webhooks, and what each says of its order."""

import json
from typing import Any

import pytest

from adapters.providers import Verified
from domain.payment import PaymentStatus
from tests.adapters.providers.tables import (
    configured,
    ignored,
    notice,
    sample,
    unreadable,
    with_headers,
)

S = PaymentStatus
SHOPIFY = configured("shopify")
ORDER = {
    "id": 9007199254740993,
    "name": "#1001",
    "order_number": 1001,
    "financial_status": "paid",
    "total_price": "902.10",
    "currency": "KES",
    "presentment_currency": "EUR",
    "cancelled_at": None,
    "updated_at": "2026-01-05T14:59:58+03:00",
    "customer": {"email": "wanjiru@shop.example"},
}


def order(**changes: Any) -> bytes:
    return json.dumps(ORDER | changes).encode()


def test_a_paid_order_is_paid_and_its_id_exact() -> None:
    told = notice(SHOPIFY, order())
    assert told.order_id == "9007199254740993", "2^53 + 1 is no number of JavaScript's"
    assert (told.status, told.raw_status, told.references) == (S.PAID, "paid", ("#1001", "1001"))
    assert (str(told.amount), told.currency) == ("902.10", "KES")
    assert str(told.occurred_at) == "2026-01-05 11:59:58+00:00"
    assert (told.payment, told.delivery_key) == (None, told.body_hash)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"financial_status": "pending"}, S.PENDING),
        ({"financial_status": "authorized"}, S.PENDING),
        ({"financial_status": "partially_paid"}, S.PARTIALLY_PAID),
        ({"financial_status": "partially_refunded"}, S.PARTIALLY_REFUNDED),
        ({"financial_status": "refunded"}, S.REFUNDED),
        ({"financial_status": "voided"}, S.CANCELLED),
        ({"financial_status": "expired"}, S.EXPIRED),
        ({"financial_status": "PAID"}, S.UNRECOGNIZED),
        ({"financial_status": "paid", "cancelled_at": ORDER["updated_at"]}, S.CANCELLED),
        ({"financial_status": "pending", "cancelled_at": ORDER["updated_at"]}, S.CANCELLED),
        ({"financial_status": "refunded", "cancelled_at": ORDER["updated_at"]}, S.REFUNDED),
    ],
)
def test_the_financial_status_says_what_happened(
    changes: dict[str, Any], status: PaymentStatus
) -> None:
    assert notice(SHOPIFY, order(**changes)).status is status


@pytest.mark.parametrize("body", [b'{"id":1}', b'{"id":1,"order_id":2,"transactions":[]}'])
def test_a_webhook_of_no_orders_payment_is_ignored(body: bytes) -> None:
    assert ignored(SHOPIFY, body)


def test_what_is_no_word_or_names_no_order_is_unreadable() -> None:
    assert "financial_status" in unreadable(SHOPIFY, order(financial_status=None))
    assert "id" in unreadable(SHOPIFY, order(id=None))


@pytest.mark.parametrize("name", [b"x-shopify-hmac-sha256", b"shopify-hmac-sha256"])
def test_the_header_has_an_old_and_a_new_name(name: bytes) -> None:
    request = sample("shopify", SHOPIFY)
    (_, (_, signature)) = request.headers
    assert isinstance(SHOPIFY.verify(with_headers(request, [(name, signature)])), Verified)
