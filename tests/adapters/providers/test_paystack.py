"""Paystack's events, and what each says of its order."""

import json
from decimal import Decimal
from typing import Any

import pytest

from domain.payment import Payment, PaymentStatus
from tests.adapters.providers.tables import configured, ignored, notice, unreadable

S = PaymentStatus
PAYSTACK = configured("paystack")
CHARGE = {
    "id": 9007199254740993,
    "domain": "live",
    "status": "success",
    "reference": "ord-1001",
    "amount": 90210,
    "requested_amount": 90210,
    "currency": "KES",
    "paid_at": "2026-01-05T11:59:58.000Z",
    "metadata": {"order_id": "shop-7", "cart": 3},
    "customer": {"email": "wanjiru@shop.example"},
}
REFUND = {
    "status": "processed",
    "transaction_reference": "ord-1001",
    "refund_reference": "TRF_1",
    "amount": "90210",
    "currency": "KES",
}
DISPUTE = {
    "id": 5,
    "status": "awaiting-merchant-feedback",
    "refund_amount": 90210,
    "transaction": {"id": 1, "reference": "ord-1001", "amount": 90210, "currency": "KES"},
}


def event(kind: str, data: dict[str, Any], **changes: Any) -> bytes:
    return json.dumps({"event": kind, "data": data | changes}).encode()


def test_a_successful_charge_pays_its_order() -> None:
    told = notice(PAYSTACK, event("charge.success", CHARGE))
    assert (told.order_id, told.references, told.status) == ("ord-1001", ("shop-7",), S.PAID)
    assert (str(told.amount), told.currency, told.raw_status) == ("902.10", "KES", "success")
    assert told.payment == Payment(ref="ord-1001", status=S.PAID, amount=Decimal("902.10"))
    assert str(told.occurred_at) == "2026-01-05 11:59:58+00:00"
    assert told.delivery_key == told.body_hash, "nothing in the body names the delivery"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (event("charge.success", CHARGE, status="failed"), S.FAILED),
        (event("charge.success", CHARGE, status="pending"), S.PENDING),
        (event("charge.success", CHARGE, status="ongoing"), S.PENDING),
        (event("charge.success", CHARGE, status="Success"), S.UNRECOGNIZED),
        (event("charge.success", CHARGE, amount=90209), S.PARTIALLY_PAID),
        (event("charge.success", CHARGE, amount=90300), S.PAID),
        (event("charge.success", CHARGE, requested_amount=None), S.PAID),
        (event("refund.processed", REFUND), S.REFUNDED),
        (event("refund.processed", REFUND, amount=10), S.REFUNDED),
        (event("refund.processed", REFUND, status="reversed"), S.UNRECOGNIZED),
        (event("charge.dispute.create", DISPUTE), S.DISPUTED),
        (event("charge.dispute.remind", DISPUTE), S.DISPUTED),
        (event("charge.dispute.resolve", DISPUTE, status="resolved"), S.DISPUTED),
    ],
)
def test_event_status_and_amounts_say_together_what_happened(
    body: bytes, status: PaymentStatus
) -> None:
    told = notice(PAYSTACK, body)
    assert (told.order_id, told.status) == ("ord-1001", status)
    assert told.payment is not None
    assert told.payment.ref == "ord-1001"


@pytest.mark.parametrize("metadata", [0, "", "a text", None, [], {"order_id": ""}, {}])
def test_metadata_of_any_shape_is_no_obstacle(metadata: Any) -> None:
    assert notice(PAYSTACK, event("charge.success", CHARGE, metadata=metadata)).references == ()


@pytest.mark.parametrize("word", ["pending", "processing", "failed", "needs-attention"])
def test_a_refund_that_moved_no_money_is_ignored(word: str) -> None:
    assert ignored(PAYSTACK, event(f"refund.{word}", REFUND, status=word))


@pytest.mark.parametrize("kind", ["transfer.success", "subscription.create", "invoice.update"])
def test_an_event_of_no_order_is_ignored(kind: str) -> None:
    assert ignored(PAYSTACK, event(kind, CHARGE))


def test_what_names_no_order_is_unreadable() -> None:
    assert "reference" in unreadable(PAYSTACK, event("charge.success", CHARGE, reference=None))
    nameless = event("refund.processed", REFUND, transaction_reference=None)
    assert "transaction_reference" in unreadable(PAYSTACK, nameless)
    assert "event" in unreadable(PAYSTACK, b"{}")


@pytest.mark.parametrize(
    ("currency", "minor", "major"),
    [("NGN", 1, "0.01"), ("XOF", 50000, "500"), ("USD", "1999", "19.99"), ("ZAR", 0, "0.00")],
)
def test_every_currency_is_written_times_a_hundred(
    currency: str, minor: int | str, major: str
) -> None:
    body = event("charge.success", CHARGE, currency=currency, amount=minor, requested_amount=None)
    assert notice(PAYSTACK, body).amount == Decimal(major)


@pytest.mark.parametrize("amount", ["1.5", 1.5, "1e3", -1, "", True, [1], "9" * 30], ids=repr)
def test_what_is_no_whole_number_of_minor_units_is_unreadable(amount: Any) -> None:
    assert "amount" in unreadable(PAYSTACK, event("charge.success", CHARGE, amount=amount))
