"""WooCommerce's order webhooks, and what each says of its order."""

import json
from decimal import Decimal
from typing import Any

import pytest

from adapters.providers import Ping, Refused, Request
from domain.payment import Payment, PaymentStatus
from tests.adapters.providers.tables import NOON, configured, ignored, notice, unreadable

S = PaymentStatus
WOO = configured("woocommerce")
ORDER = {
    "id": 727,
    "number": "W-727",
    "order_key": "wc_order_58d2d042d1d",
    "status": "processing",
    "currency": "KES",
    "total": "902.10",
    "payment_method": "mpesa",
    "transaction_id": "SAF7",
    "date_paid": "2026-01-05T14:59:58",
    "date_paid_gmt": "2026-01-05T11:59:58",
    "date_modified_gmt": "2026-01-05T11:59:59",
    "billing": {"email": "wanjiru@shop.example"},
    "line_items": [{"id": 1}],
    "refunds": [],
}


def order(**changes: Any) -> bytes:
    return json.dumps(ORDER | changes).encode()


def test_an_order_in_process_that_was_paid_is_paid() -> None:
    told = notice(WOO, order())
    assert (told.order_id, told.status, told.raw_status) == ("727", S.PAID, "processing")
    assert told.references == ("W-727", "wc_order_58d2d042d1d")
    assert (str(told.amount), told.currency) == ("902.10", "KES")
    assert str(told.occurred_at) == "2026-01-05 11:59:59+00:00"
    assert told.payment == Payment(ref="SAF7", status=S.PAID, amount=Decimal("902.10"))
    assert told.delivery_key == told.body_hash


UNDATED = {"date_paid": None, "date_paid_gmt": None}


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"status": "pending"}, S.PENDING),
        ({"status": "on-hold"}, S.PENDING),
        ({"status": "checkout-draft"}, S.PENDING),
        ({"status": "completed"}, S.PAID),
        ({"status": "processing", **UNDATED}, S.PENDING),
        ({"status": "completed", **UNDATED}, S.PENDING),
        ({"payment_method": "cod"}, S.PENDING),
        ({"payment_method": "cod", "status": "completed"}, S.PAID),
        ({"status": "failed"}, S.FAILED),
        ({"status": "cancelled"}, S.CANCELLED),
        ({"status": "trash"}, S.CANCELLED),
        ({"status": "refunded"}, S.REFUNDED),
        ({"refunds": [{"id": 9, "total": "-1.00"}]}, S.PARTIALLY_REFUNDED),
        ({"status": "wc-shipped"}, S.UNRECOGNIZED),
        ({"status": "Completed"}, S.UNRECOGNIZED),
    ],
)
def test_status_and_the_date_of_payment_say_together_what_happened(
    changes: dict[str, Any], status: PaymentStatus
) -> None:
    assert notice(WOO, order(**changes)).status is status


@pytest.mark.parametrize(
    "body",
    [b'{"id":727}', b'{"id":5,"email":"x@y.example"}', b'{"id":5,"status":"publish","price":"1"}'],
)
def test_a_webhook_of_no_orders_payment_is_ignored(body: bytes) -> None:
    assert ignored(WOO, body)


def test_what_is_an_order_and_says_no_status_is_unreadable() -> None:
    assert "status" in unreadable(WOO, order(status=None))
    assert "id" in unreadable(WOO, order(id=None))
    assert "total" in unreadable(WOO, order(total="about 900"))


def test_an_order_without_a_transaction_tells_of_no_payment() -> None:
    assert notice(WOO, order(transaction_id="")).payment is None


def test_the_greeting_of_a_saved_webhook_is_answered_and_nothing_more() -> None:
    assert WOO.verify(Request([], b"webhook_id=17", NOON)) == Ping()
    for body in (b"webhook_id=", b"webhook_id=17&status=completed", b"webhook_id=x", b""):
        assert isinstance(WOO.verify(Request([], body, NOON)), Refused)
