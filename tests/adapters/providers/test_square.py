"""Square's events, and what each says of its order; the URL is signed with the body."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from adapters.providers import Refused, Verified
from adapters.providers.base import Reason
from domain.payment import Payment, PaymentStatus
from tests.adapters.providers.tables import (
    URL,
    configured,
    ignored,
    notice,
    sample,
    sent,
    unreadable,
    with_headers,
)

S = PaymentStatus
SQUARE = configured("square")
MONEY = {"amount": 90210, "currency": "KES"}
PAYMENT = {
    "id": "hYy9pRFVxpDsO1FB",
    "order_id": "ord-1001",
    "reference_id": "shop-7",
    "status": "COMPLETED",
    "amount_money": MONEY,
    "total_money": MONEY,
    "updated_at": "2026-01-05T11:59:58.250Z",
}
REFUND = {"id": "r1", "payment_id": PAYMENT["id"], "order_id": "ord-1001", "status": "COMPLETED"}
DISPUTE = {"id": "d1", "state": "EVIDENCE_REQUIRED", "amount_money": MONEY, "order_id": "ord-1001"}


def event(kind: str, name: str, thing: dict[str, Any], **changes: Any) -> bytes:
    told = {"merchant_id": "M1", "type": kind, "event_id": "e-77"}
    told |= {"created_at": "2026-01-05T12:00:00Z"}
    thing = thing | changes
    return json.dumps(told | {"data": {"type": name, "object": {name: thing}}}).encode()


def payment(**changes: Any) -> bytes:
    return event("payment.updated", "payment", PAYMENT, **changes)


def test_a_completed_payment_pays_its_order() -> None:
    told = notice(SQUARE, payment())
    assert (told.order_id, told.references, told.status) == ("ord-1001", ("shop-7",), S.PAID)
    assert (str(told.amount), told.currency, told.delivery_key) == ("902.10", "KES", "e-77")
    assert str(told.occurred_at) == "2026-01-05 11:59:58.250000+00:00"
    assert told.payment == Payment(ref="hYy9pRFVxpDsO1FB", status=S.PAID, amount=Decimal("902.10"))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (event("payment.created", "payment", PAYMENT, status="APPROVED"), S.PENDING),
        (payment(status="PENDING"), S.PENDING),
        (payment(status="CANCELED"), S.CANCELLED),
        (payment(status="FAILED"), S.FAILED),
        (payment(status="Completed"), S.UNRECOGNIZED),
        (payment(refunded_money=MONEY), S.REFUNDED),
        (payment(refunded_money=MONEY | {"amount": 1}), S.PARTIALLY_REFUNDED),
        (payment(refunded_money=MONEY | {"amount": 0}), S.PAID),
        (event("refund.updated", "refund", REFUND, amount_money=MONEY), S.REFUNDED),
        (event("refund.updated", "refund", REFUND, status="odd"), S.UNRECOGNIZED),
        (event("dispute.created", "dispute", DISPUTE), S.DISPUTED),
        (event("dispute.state.updated", "dispute", DISPUTE, state="WON"), S.DISPUTED),
    ],
    ids=range(12),
)
def test_event_status_and_amounts_say_together_what_happened(
    body: bytes, status: PaymentStatus
) -> None:
    told = notice(SQUARE, body)
    assert (told.order_id, told.status) == ("ord-1001", status)


@pytest.mark.parametrize("word", ["PENDING", "REJECTED", "FAILED"])
def test_a_refund_that_moved_no_money_is_ignored(word: str) -> None:
    assert ignored(SQUARE, event("refund.updated", "refund", REFUND, status=word))


@pytest.mark.parametrize("kind", ["order.updated", "payment.deleted", "customer.created"])
def test_an_event_of_no_orders_payment_is_ignored(kind: str) -> None:
    assert ignored(SQUARE, event(kind, "payment", PAYMENT))


def test_what_names_no_order_is_unreadable() -> None:
    assert "order_id" in unreadable(SQUARE, payment(order_id=None))
    assert "data" in unreadable(SQUARE, b'{"type":"payment.updated","event_id":"e"}')


def test_yen_have_no_minor_unit() -> None:
    assert notice(SQUARE, payment(amount_money={"amount": 500, "currency": "JPY"})).amount == 500


# ------------------------------------------------------------------------------------- the URL


@pytest.mark.parametrize(
    "other",
    [f"{URL}/", URL.replace("https", "http"), "https://ledger.example:8443/webhooks/square"],
)
def test_a_url_that_is_not_the_one_entered_there_is_recognised(other: str) -> None:
    elsewhere = configured("square", notification_url=other)
    request = sample("square", elsewhere)
    host = other.split("/")[2].encode()
    request = with_headers(request, [(b"host", host), *request.headers[1:]])
    verdict = SQUARE.verify(request)
    assert isinstance(verdict, Refused)
    assert verdict.reason is Reason.WRONG_SIGNATURE
    explained = SQUARE.explain(request, verdict)
    assert explained.reason is Reason.WRONG_URL
    assert "notification_url" in explained.detail
    assert other in explained.detail


def test_no_url_is_tried_for_a_body_larger_than_the_closer_look_takes() -> None:
    elsewhere = configured("square", notification_url=f"{URL}/")
    for size, reason in ((16 * 1024, Reason.WRONG_URL), (16 * 1024 + 1, Reason.WRONG_SIGNATURE)):
        request = sent(elsewhere, b"x" * size)
        verdict = SQUARE.verify(request)
        assert isinstance(verdict, Refused)
        assert SQUARE.explain(request, verdict).reason is reason


@pytest.mark.parametrize("host", [b"evil.example", b"shop.example", b"\xff", b"a b", b""])
def test_the_host_that_was_called_is_never_believed(host: bytes) -> None:
    request = sample("square", SQUARE)
    called = with_headers(request, [(b"host", host), *request.headers[1:]])
    assert isinstance(SQUARE.verify(called), Verified)
    elsewhere = sample("square", configured("square", notification_url="https://evil.example/"))
    called = with_headers(elsewhere, [(b"host", host), *elsewhere.headers[1:]])
    assert isinstance(SQUARE.verify(called), Refused)


def test_the_bytes_of_url_and_body_cannot_be_shared_out_anew() -> None:
    request = sample("square", SQUARE)
    shorter = configured("square", notification_url=URL[:-1])
    body = URL[-1].encode() + request.body
    assert isinstance(shorter.verify(replace(request, body=body)), Verified), "the scheme's own"
    assert unreadable(shorter, body), "and so what is no JSON object pays nothing"
