"""Mollie's next-gen events, and what each says of its order."""

import json
from decimal import Decimal
from typing import Any

import pytest

from adapters.providers import Refused, Verified
from domain.payment import Payment, PaymentStatus
from tests.adapters.providers.tables import (
    configured,
    ignored,
    key_id,
    notice,
    sample,
    secret_of,
    unreadable,
    with_headers,
)

S = PaymentStatus
MOLLIE = configured("mollie")
PAYMENT = {
    "resource": "payment",
    "id": "tr_8xKq",
    "status": "paid",
    "amount": {"currency": "EUR", "value": "902.10"},
    "metadata": {"order_id": "1001"},
}
LINK = {
    "resource": "payment-link",
    "id": "pl_4Yq",
    "amount": {"currency": "EUR", "value": "902.10"},
    "paidAt": "2026-01-05T11:59:57+00:00",
}


def event(kind: str, entity: dict[str, Any], **changes: Any) -> bytes:
    told = {
        "resource": "event",
        "id": "event_G7",
        "type": kind,
        "entityId": entity["id"],
        "createdAt": "2026-01-05T11:59:58+00:00",
        "_embedded": {"entity": entity | changes},
    }
    return json.dumps(told).encode()


def payment(**changes: Any) -> bytes:
    return event("payment.paid", PAYMENT, **changes)


def test_a_paid_payment_pays_its_order() -> None:
    told = notice(MOLLIE, payment())
    assert (told.order_id, told.references, told.status) == ("1001", ("tr_8xKq",), S.PAID)
    assert (str(told.amount), told.currency, told.delivery_key) == ("902.10", "EUR", "event_G7")
    assert str(told.occurred_at) == "2026-01-05 11:59:58+00:00"
    assert told.payment == Payment(ref="tr_8xKq", status=S.PAID, amount=Decimal("902.10"))


def money(value: str) -> dict[str, str]:
    return {"currency": "EUR", "value": value}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (payment(status="open"), S.PENDING),
        (payment(status="pending"), S.PENDING),
        (payment(status="authorized"), S.PENDING),
        (payment(status="failed"), S.FAILED),
        (payment(status="canceled"), S.CANCELLED),
        (payment(status="expired"), S.EXPIRED),
        (payment(status="Paid"), S.UNRECOGNIZED),
        (payment(amountRefunded=money("0.00")), S.PAID),
        (payment(amountRefunded=money("1.00")), S.PARTIALLY_REFUNDED),
        (payment(amountRefunded=money("902.10")), S.REFUNDED),
        (payment(amountChargedBack=money("1.00")), S.DISPUTED),
        (event("payment-link.paid", LINK), S.PAID),
        (event("payment-link.paid", LINK, paidAt=None), S.PENDING),
    ],
    ids=range(13),
)
def test_status_and_amounts_say_together_what_happened(body: bytes, status: PaymentStatus) -> None:
    assert notice(MOLLIE, body).status is status


@pytest.mark.parametrize(
    ("metadata", "order_id"),
    [
        ('{"order_id": 12345}', "12345"),
        ({"order_id": 9007199254740993}, "9007199254740993"),
        ("not json", "tr_8xKq"),
        ('{"order_id": 1, "order_id": 2}', "tr_8xKq"),
        ('{"a": "\ud800"}', "tr_8xKq"),
        (None, "tr_8xKq"),
        ([], "tr_8xKq"),
    ],
    ids=range(7),
)
def test_the_order_is_in_the_metadata_or_the_payment_is_its_own(
    metadata: Any, order_id: str
) -> None:
    assert notice(MOLLIE, payment(metadata=metadata)).order_id == order_id


def test_a_payment_link_is_its_own_order() -> None:
    told = notice(MOLLIE, event("payment-link.paid", LINK))
    assert (told.order_id, told.references) == ("pl_4Yq", ())
    assert (told.amount, told.payment) == (Decimal("902.10"), None), "its payment is news itself"


@pytest.mark.parametrize("kind", ["sales-invoice.paid", "hook.ping", "profile.blocked"])
def test_an_event_of_no_orders_payment_is_ignored(kind: str) -> None:
    assert ignored(MOLLIE, event(kind, PAYMENT))


def test_a_payload_that_names_only_the_entity_is_unreadable_and_says_what_to_change() -> None:
    simple = b'{"id":"event_G7","type":"payment-link.paid","entityId":"pl_4Yq"}'
    assert "full payload" in unreadable(MOLLIE, simple)


# ------------------------------------------------------------------------------------- signatures


def test_two_signatures_during_a_rotation_hide_nothing() -> None:
    request = sample("mollie", MOLLIE)
    stranger = sample("mollie", configured("mollie", secret_of("mollie", "stranger")))
    (host, good), (_, bad) = request.headers, stranger.headers
    joined = (good[0], bad[1] + b", " + good[1])
    for headers in ([host, bad, good], [host, good, bad], [host, joined]):
        assert key_id(MOLLIE, with_headers(request, headers)) == "first"
    for headers in ([host, bad, bad], [host], [host, (good[0], good[1][7:])]):
        assert isinstance(MOLLIE.verify(with_headers(request, headers)), Refused)
    many = [(good[0], b"sha256=00,") for _ in range(500)]
    assert not isinstance(MOLLIE.verify(with_headers(request, [*many, good])), Verified), "bounded"
