"""Stripe's events, and what each says of its order."""

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from adapters.providers import Refused, Verified
from adapters.providers.base import Reason
from domain.payment import Payment, PaymentStatus, Personal
from tests.adapters.providers.tables import (
    NOON,
    configured,
    ignored,
    lower,
    notice,
    sample,
    sent,
    unreadable,
    with_headers,
)

S = PaymentStatus
STRIPE = configured("stripe")
SENT = datetime(2026, 1, 5, 11, 59, 58, tzinfo=UTC)
INTENT = {
    "id": "pi_9Qw",
    "object": "payment_intent",
    "amount": 90210,
    "amount_received": 90210,
    "currency": "kes",
    "metadata": {"order_id": "1001"},
    "status": "succeeded",
}
SESSION = {
    "id": "cs_live_77",
    "object": "checkout.session",
    "amount_total": 90210,
    "currency": "kes",
    "client_reference_id": None,
    "metadata": {"order_id": "1001"},
    "payment_intent": "pi_9Qw",
    "payment_status": "paid",
    "status": "complete",
}
CHARGE = {
    "id": "ch_3K",
    "object": "charge",
    "amount": 90210,
    "amount_captured": 90210,
    "amount_refunded": 0,
    "captured": True,
    "currency": "kes",
    "metadata": {"order_id": "1001"},
    "payment_intent": "pi_9Qw",
    "refunded": False,
    "status": "succeeded",
}
DISPUTE = {
    "id": "du_1",
    "object": "dispute",
    "amount": 90210,
    "charge": "ch_3K",
    "currency": "kes",
    "metadata": {"order_id": "1001"},
    "payment_intent": "pi_9Qw",
    "status": "needs_response",
}


def event(kind: str, thing: dict[str, Any], **changes: Any) -> bytes:
    told = {
        "id": "evt_1Abc",
        "object": "event",
        "api_version": "2026-01-01",
        "created": int(SENT.timestamp()),
        "livemode": True,
        "type": kind,
        "data": {"object": thing | changes},
    }
    return json.dumps(told).encode()


def intent(kind: str, **changes: Any) -> bytes:
    return event(f"payment_intent.{kind}", INTENT, **changes)


def session(kind: str, **changes: Any) -> bytes:
    return event(f"checkout.session.{kind}", SESSION, **changes)


def charge(kind: str, **changes: Any) -> bytes:
    return event(f"charge.{kind}", CHARGE, **changes)


def test_a_succeeded_intent_pays_its_order() -> None:
    told = notice(STRIPE, intent("succeeded"))
    assert (told.order_id, told.status, told.raw_status) == ("1001", S.PAID, "succeeded")
    assert (str(told.amount), told.currency, told.references) == ("902.10", "KES", ())
    assert told.delivery_key == "evt_1Abc"
    assert told.occurred_at == SENT
    assert told.payment == Payment(ref="pi_9Qw", status=S.PAID, amount=Decimal("902.10"))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (intent("created", status="requires_payment_method", amount_received=0), S.PENDING),
        (intent("processing", status="processing", amount_received=0), S.PENDING),
        (intent("requires_action", status="requires_action", amount_received=0), S.PENDING),
        (intent("amount_capturable_updated", status="requires_capture"), S.PENDING),
        (intent("payment_failed", status="requires_payment_method"), S.FAILED),
        (intent("canceled", status="canceled"), S.CANCELLED),
        (intent("succeeded", amount_received=90209), S.PARTIALLY_PAID),
        (intent("succeeded", status="processing"), S.PENDING),
        (intent("succeeded", status="SUCCEEDED"), S.UNRECOGNIZED),
        (intent("payment_failed", status="brand_new"), S.UNRECOGNIZED),
        (session("completed"), S.PAID),
        (session("completed", payment_status="unpaid"), S.PENDING),
        (session("completed", payment_status="no_payment_required"), S.PENDING),
        (session("async_payment_succeeded"), S.PAID),
        (session("async_payment_failed", payment_status="unpaid"), S.FAILED),
        (session("expired", payment_status="unpaid", status="expired"), S.EXPIRED),
        (session("completed", payment_status="half"), S.UNRECOGNIZED),
        (charge("succeeded"), S.PAID),
        (charge("succeeded", captured=False, amount_captured=0), S.PENDING),
        (charge("captured", amount_captured=50000), S.PARTIALLY_PAID),
        (charge("failed", status="failed", captured=False), S.FAILED),
        (charge("pending", status="pending"), S.PENDING),
        (charge("expired", captured=False, amount_captured=0), S.EXPIRED),
        (charge("refunded", amount_refunded=90210, refunded=True), S.REFUNDED),
        (charge("refunded", amount_refunded=1), S.PARTIALLY_REFUNDED),
        (event("charge.dispute.created", DISPUTE), S.DISPUTED),
        (event("charge.dispute.closed", DISPUTE, status="won"), S.DISPUTED),
    ],
)
def test_event_status_and_amounts_say_together_what_happened(
    body: bytes, status: PaymentStatus
) -> None:
    told = notice(STRIPE, body)
    assert (told.order_id, told.status) == ("1001", status)
    assert told.payment is not None
    assert (told.payment.ref, told.payment.status) == ("pi_9Qw", status)


def test_a_refund_tells_what_went_back() -> None:
    told = notice(STRIPE, charge("refunded", amount_refunded=10))
    assert told.payment is not None
    assert (str(told.payment.amount), str(told.amount)) == ("0.10", "902.10")


def test_an_order_is_named_by_metadata() -> None:
    assert notice(STRIPE, session("completed", metadata={"order_id": "7"})).order_id == "7"
    assert "order_id" in unreadable(STRIPE, session("completed", metadata={}))
    assert "order_id" in unreadable(STRIPE, intent("succeeded", metadata=None))


def test_what_a_customer_wrote_into_a_payment_links_url_names_no_order() -> None:
    chosen = session("completed", client_reference_id="victim", metadata={})
    said = unreadable(STRIPE, chosen)
    assert "metadata.order_id" in said
    assert "order_from_client_reference" in said
    beside = notice(STRIPE, session("completed", client_reference_id="victim"))
    assert (beside.order_id, beside.references) == ("1001", ())


def test_client_reference_names_an_order_where_the_table_says_so() -> None:
    stripe = configured("stripe", order_from_client_reference=True)
    alone = notice(stripe, session("completed", client_reference_id="7", metadata={}))
    assert (alone.order_id, alone.references) == ("7", ())
    beside = notice(stripe, session("completed", client_reference_id="7"))
    assert (beside.order_id, beside.references) == ("1001", ())
    assert beside.personal == Personal(references=("7",)), "which may be a customer's"
    both = notice(stripe, session("completed", client_reference_id="1001"))
    assert (both.order_id, both.references) == ("1001", ())
    assert "order_id" in unreadable(stripe, session("completed", metadata={}))


def test_an_expanded_payment_intent_is_the_same_one() -> None:
    told = notice(STRIPE, session("completed", payment_intent={"id": "pi_9Qw", "amount": 1}))
    assert told.payment is not None
    assert told.payment.ref == "pi_9Qw"


@pytest.mark.parametrize(
    "kind", ["customer.created", "invoice.paid", "charge.updated", "payment_intent", "payout.paid"]
)
def test_an_event_of_no_order_is_ignored(kind: str) -> None:
    assert ignored(STRIPE, event(kind, INTENT))


@pytest.mark.parametrize(
    ("currency", "minor", "major"),
    [
        ("usd", 1999, "19.99"),
        ("jpy", 500, "500"),
        ("ugx", 500000, "5000.00"),
        ("isk", 500, "5.00"),
        ("kwd", 5120, "5.120"),
        ("mga", 7, "7.00"),
        ("xof", 500, "500"),
        ("kes", 0, "0.00"),
    ],
)
def test_minor_units_are_stripes_own(currency: str, minor: int, major: str) -> None:
    told = notice(
        STRIPE, intent("succeeded", currency=currency, amount=minor, amount_received=minor)
    )
    assert told.amount == Decimal(major)
    assert told.currency == currency.upper()


def test_ids_and_amounts_of_any_length_stay_exact() -> None:
    body = intent("succeeded", metadata={"order_id": 9007199254740993})
    assert notice(STRIPE, body).order_id == "9007199254740993"
    body = intent("succeeded", amount=9007199254740993, amount_received=9007199254740993)
    assert str(notice(STRIPE, body).amount) == "90071992547409.93"


# ------------------------------------------------------------------------------------- signatures


def header(request: Any, change: Any) -> Any:
    (_, (name, value)) = request.headers
    return with_headers(request, [(name, change(value))])


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value + b",v0=6ffbb59b2300aae63f272406069a9788",
        lambda value: value.replace(b",v1=", b",v1=00,v1="),
        lambda value: value + b",v1=" + b"\xff\xfe",
        lambda value: value + b",,=,nothing",
        lambda value: b",".join(reversed(value.split(b","))),
    ],
    ids=range(5),
)
def test_what_stands_beside_a_good_signature_does_not_hide_it(change: Any) -> None:
    request = sample("stripe", STRIPE)
    assert isinstance(STRIPE.verify(header(request, change)), Verified)


@pytest.mark.parametrize(
    "change",
    [
        lambda value: b"",
        lambda value: value.replace(b"t=", b"T="),
        lambda value: value.replace(b"v1=", b"v2="),
        lambda value: value.replace(b"v1=", b"v0="),
        lambda value: value.replace(b"t=", b"t=+"),
        lambda value: value.replace(b"t=", b"t=0"),
        lambda value: value.replace(b"t=", b"t=-"),
        lambda value: value.replace(b"t=", b"t=1,t="),
        lambda value: value.replace(b"t=", b"t=\xb2"),
        lambda value: value[: value.index(b",")],
        lambda value: b"x" * 9000 + value,
    ],
    ids=range(11),
)
def test_a_header_of_another_shape_is_malformed(change: Any) -> None:
    verdict = STRIPE.verify(header(sample("stripe", STRIPE), change))
    assert isinstance(verdict, Refused)
    assert verdict.reason is Reason.MALFORMED


def test_the_time_is_signed_too() -> None:
    later = header(
        sample("stripe", STRIPE), lambda value: value.replace(b"t=17676144", b"t=17676145")
    )
    verdict = STRIPE.verify(later)
    assert isinstance(verdict, Refused)
    assert verdict.reason is Reason.WRONG_SIGNATURE


@pytest.mark.parametrize("seconds", [300, -300, 0])
def test_five_minutes_either_way_are_tolerated(seconds: int) -> None:
    request = sample("stripe", STRIPE)
    received = replace(request, received_at=NOON + timedelta(seconds=seconds))
    assert isinstance(STRIPE.verify(received), Verified)


@pytest.mark.parametrize(
    ("seconds", "reason", "said"),
    [(301, Reason.TOO_OLD, "301 seconds old"), (-86400, Reason.TOO_EARLY, "86400 seconds ahead")],
)
def test_older_or_newer_is_refused_and_it_is_said_by_how_much(
    seconds: int, reason: Reason, said: str
) -> None:
    request = sample("stripe", STRIPE)
    received = replace(request, received_at=NOON + timedelta(seconds=seconds))
    verdict = STRIPE.verify(received)
    assert isinstance(verdict, Refused)
    assert verdict.reason is reason
    assert said in verdict.detail
    assert "right" in STRIPE.explain(received, verdict).detail


def test_a_secret_is_used_whole() -> None:
    provider = configured("stripe", "whsec_aW52ZW50ZWQ")
    body = intent("succeeded")
    at = int(NOON.timestamp())
    signature = hmac.new(b"whsec_aW52ZW50ZWQ", b"%d." % at + body, hashlib.sha256).hexdigest()
    made = lower({"Stripe-Signature": f"t={at},v1={signature}"})
    assert isinstance(provider.verify(with_headers(sent(provider, body), made)), Verified)
