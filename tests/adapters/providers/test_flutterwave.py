"""Flutterwave's events of both versions, and what each says of its order."""

import json
from decimal import Decimal
from typing import Any

import pytest

from domain.payment import Payment, PaymentStatus
from tests.adapters.providers.tables import configured, ignored, notice, unreadable

S = PaymentStatus
V3, V4 = configured("flutterwave-v3"), configured("flutterwave-v4")
CHARGE_V3 = {
    "id": 285959875,
    "tx_ref": "ord-1001",
    "flw_ref": "FLW-9",
    "amount": 902.1,
    "charged_amount": 902.1,
    "currency": "KES",
    "status": "successful",
    "customer": {"email": "wanjiru@shop.example"},
}
CHARGE_V4 = {
    "id": "chg_Zx81",
    "reference": "ord-1001",
    "amount": 902.1,
    "currency": "KES",
    "status": "succeeded",
    "meta": {"order_id": "shop-7"},
}


def v3(kind: str = "charge.completed", **changes: Any) -> bytes:
    return json.dumps({"event": kind, "data": CHARGE_V3 | changes}).encode()


def v4(kind: str = "charge.completed", **changes: Any) -> bytes:
    told = {"webhook_id": "wbk_7", "timestamp": 1767614398250, "type": kind}
    return json.dumps(told | {"data": CHARGE_V4 | changes}).encode()


def test_a_completed_charge_of_v3_pays_its_order() -> None:
    told = notice(V3, v3())
    assert (told.order_id, told.status, told.raw_status) == ("ord-1001", S.PAID, "successful")
    assert (str(told.amount), told.currency) == ("902.10", "KES")
    assert told.payment == Payment(ref="285959875", status=S.PAID, amount=Decimal("902.10"))
    assert told.delivery_key == told.body_hash


def test_a_completed_charge_of_v4_pays_its_order() -> None:
    told = notice(V4, v4())
    assert (told.order_id, told.references, told.status) == ("ord-1001", ("shop-7",), S.PAID)
    assert (str(told.amount), told.delivery_key) == ("902.10", "wbk_7")
    assert str(told.occurred_at) == "2026-01-05 11:59:58.250000+00:00"
    assert told.payment == Payment(ref="chg_Zx81", status=S.PAID, amount=Decimal("902.10"))


@pytest.mark.parametrize(
    ("word", "status"),
    [("failed", S.FAILED), ("pending", S.PENDING), ("SUCCESSFUL", S.UNRECOGNIZED)],
)
def test_a_charge_of_v3_keeps_its_events_name_when_it_fails(
    word: str, status: PaymentStatus
) -> None:
    assert notice(V3, v3(status=word)).status is status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (v4(status="failed"), S.FAILED),
        (v4(status="pending"), S.PENDING),
        (v4(status="voided"), S.CANCELLED),
        (v4(status="successful"), S.UNRECOGNIZED),
        (v4("refund.completed", status="succeeded", charge_id="chg_Zx81"), S.REFUNDED),
        (v4("refund.completed", status="odd", charge_id="chg_Zx81"), S.UNRECOGNIZED),
        (v4("chargeback.created", status="initiated", charge_id="chg_Zx81"), S.DISPUTED),
    ],
)
def test_event_and_status_of_v4_say_together_what_happened(
    body: bytes, status: PaymentStatus
) -> None:
    assert notice(V4, body).status is status


def test_a_refund_under_way_is_ignored_and_one_of_nobody_is_unreadable() -> None:
    assert ignored(V4, v4("refund.completed", status="pending"))
    assert "reference" in unreadable(V4, v4("refund.completed", reference=None))
    assert "tx_ref" in unreadable(V3, v3("refund.completed", tx_ref=None))
    assert notice(V3, v3("refund.completed", status="completed", tx_id=7)).status is S.REFUNDED


@pytest.mark.parametrize("kind", ["transfer.completed", "subscription.cancelled"])
def test_an_event_of_no_order_is_ignored(kind: str) -> None:
    assert ignored(V3, v3(kind))
    assert ignored(V4, v4(kind))


def test_what_names_no_order_is_unreadable() -> None:
    assert "tx_ref" in unreadable(V3, v3(tx_ref=""))
    assert "reference" in unreadable(V4, v4(reference=None))
    assert "webhook_id" in unreadable(V4, b'{"type":"charge.completed"}')


def test_an_amount_is_in_major_units_and_exact() -> None:
    body = v3().replace(b"902.1,", b"1234567890123.45,")
    assert str(notice(V3, body).amount) == "1234567890123.45"
    assert str(notice(V3, v3(currency="UGX", amount=5000)).amount) == "5000"
