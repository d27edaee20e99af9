"""Razorpay's events: several tell of one order, always under Razorpay's own id of it."""

import json
from decimal import Decimal
from typing import Any

import pytest

from domain.payment import Payment, PaymentStatus
from tests.adapters.providers.tables import configured, ignored, notice, unreadable

S = PaymentStatus
RAZORPAY = configured("razorpay")
PAYMENT = {
    "id": "pay_Kq1",
    "order_id": "order_Kp9",
    "amount": 90210,
    "currency": "INR",
    "status": "captured",
    "amount_refunded": 0,
    "refund_status": None,
    "notes": {"order_id": "shop-7"},
    "email": "wanjiru@shop.example",
}
ORDER = {
    "id": "order_Kp9",
    "receipt": "1001",
    "amount": 90210,
    "amount_paid": 90210,
    "amount_due": 0,
    "currency": "INR",
    "status": "paid",
}
LINK = {
    "id": "plink_X1",
    "reference_id": "1001",
    "amount": 90210,
    "amount_paid": 90210,
    "currency": "INR",
    "status": "paid",
}
REFUND = {"id": "rfnd_1", "payment_id": "pay_Kq1", "amount": 90210, "currency": "INR"}


def event(kind: str, **entities: dict[str, Any]) -> bytes:
    payload = {name: {"entity": entity} for name, entity in entities.items()}
    told = {"entity": "event", "event": kind, "created_at": 1767614398, "payload": payload}
    return json.dumps(told).encode()


def payment(kind: str = "captured", **changes: Any) -> bytes:
    return event(f"payment.{kind}", payment=PAYMENT | changes)


def link(kind: str, **changes: Any) -> bytes:
    return event(f"payment_link.{kind}", payment_link=LINK | changes, order=ORDER, payment=PAYMENT)


def refund(kind: str, word: str, **changes: Any) -> bytes:
    return event(f"refund.{kind}", refund=REFUND | {"status": word}, payment=PAYMENT | changes)


def test_a_captured_payment_pays_its_order() -> None:
    told = notice(RAZORPAY, payment())
    assert (told.order_id, told.references, told.status) == ("order_Kp9", ("shop-7",), S.PAID)
    assert (str(told.amount), told.currency, told.raw_status) == ("902.10", "INR", "captured")
    assert str(told.occurred_at) == "2026-01-05 11:59:58+00:00"
    assert told.payment == Payment(ref="pay_Kq1", status=S.PAID, amount=Decimal("902.10"))
    assert told.delivery_key == told.body_hash, "the event's id is in an unsigned header"


def test_all_events_of_one_order_name_one_order() -> None:
    bodies = [
        payment(),
        event("order.paid", order=ORDER, payment=PAYMENT),
        link("paid"),
        refund("processed", "processed"),
    ]
    told = [notice(RAZORPAY, body) for body in bodies]
    assert {one.order_id for one in told} == {"order_Kp9"}
    assert told[1].references == ("1001", "shop-7")
    assert told[2].references == ("1001", "shop-7")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (payment("authorized", status="authorized"), S.PENDING),
        (payment("failed", status="failed"), S.FAILED),
        (payment("captured", status="authorized"), S.PENDING),
        (payment(status="teleported"), S.UNRECOGNIZED),
        (payment(amount_refunded=1), S.PARTIALLY_REFUNDED),
        (payment(status="refunded", amount_refunded=90210), S.REFUNDED),
        (event("order.paid", order=ORDER, payment=PAYMENT), S.PAID),
        (event("order.paid", order=ORDER | {"amount_paid": 1}), S.PARTIALLY_PAID),
        (event("order.paid", order=ORDER | {"status": "attempted"}), S.PENDING),
        (link("paid"), S.PAID),
        (link("partially_paid", status="partially_paid", amount_paid=1), S.PARTIALLY_PAID),
        (link("expired", status="expired"), S.EXPIRED),
        (link("cancelled", status="cancelled"), S.CANCELLED),
        (refund("processed", "processed", amount_refunded=90210), S.REFUNDED),
        (refund("processed", "processed", amount_refunded=5), S.PARTIALLY_REFUNDED),
        (refund("processed", "odd"), S.UNRECOGNIZED),
        (
            event("payment.dispute.lost", payment=PAYMENT, dispute={"status": "lost"}),
            S.DISPUTED,
        ),
    ],
    ids=range(17),
)
def test_event_status_and_amounts_say_together_what_happened(
    body: bytes, status: PaymentStatus
) -> None:
    assert notice(RAZORPAY, body).status is status


def test_a_part_of_a_link_is_a_payment_that_was_made() -> None:
    part = LINK | {"status": "partially_paid", "amount_paid": 1000}
    body = event(
        "payment_link.partially_paid", payment_link=part, payment=PAYMENT | {"amount": 1000}
    )
    told = notice(RAZORPAY, body)
    assert (told.status, str(told.amount)) == (S.PARTIALLY_PAID, "902.10")
    assert told.payment == Payment(ref="pay_Kq1", status=S.PAID, amount=Decimal("10.00"))


def test_a_link_that_nobody_paid_is_its_own_order() -> None:
    told = notice(
        RAZORPAY, event("payment_link.expired", payment_link=LINK | {"status": "expired"})
    )
    assert (told.order_id, told.references, told.payment) == ("plink_X1", ("1001",), None)


@pytest.mark.parametrize("kind", ["refund.created", "refund.failed"])
@pytest.mark.parametrize("word", ["pending", "failed", "created"])
def test_a_refund_that_moved_no_money_is_ignored(kind: str, word: str) -> None:
    assert ignored(RAZORPAY, refund(kind.partition(".")[2], word))


@pytest.mark.parametrize("kind", ["subscription.charged", "settlement.processed", "payment.paused"])
def test_an_event_of_no_orders_payment_is_ignored(kind: str) -> None:
    assert ignored(RAZORPAY, event(kind, payment=PAYMENT))


def test_what_names_no_order_is_unreadable() -> None:
    assert "order_id" in unreadable(RAZORPAY, payment(order_id=None, notes=[]))
    assert notice(RAZORPAY, payment(order_id=None)).order_id == "shop-7"
    assert "payload" in unreadable(RAZORPAY, b'{"event":"order.paid","payload":[]}')


@pytest.mark.parametrize(
    ("currency", "minor", "major"), [("JPY", 500, "500"), ("KWD", 295990, "295.990")]
)
def test_minor_units_follow_iso_4217(currency: str, minor: int, major: str) -> None:
    assert str(notice(RAZORPAY, payment(currency=currency, amount=minor)).amount) == major
