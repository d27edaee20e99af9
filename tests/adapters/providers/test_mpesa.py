"""M-Pesa's callbacks: an STK push names no order, a C2B confirmation names whatever was typed."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from adapters.providers import Refused, Request, Verified
from adapters.providers.base import Reason
from domain.payment import Payment, PaymentStatus
from tests.adapters.providers.tables import (
    NOON,
    configured,
    ignored,
    key_id,
    notice,
    sample,
    unreadable,
)

S = PaymentStatus
MPESA = configured("mpesa")
ITEMS: list[dict[str, Any]] = [
    {"Name": "Amount", "Value": 902.1},
    {"Name": "MpesaReceiptNumber", "Value": "SAF7Q2L9XX"},
    {"Name": "Balance"},
    {"Name": "TransactionDate", "Value": 20260105145958},
    {"Name": "PhoneNumber", "Value": 254700000111},
]


def stk(code: Any = 0, query: bytes = b"order_id=1001", items: Any = ITEMS) -> Request:
    callback: dict[str, Any] = {
        "MerchantRequestID": "29115-1",
        "CheckoutRequestID": "ws_CO_050126",
        "ResultCode": code,
        "ResultDesc": "as it went",
    }
    if items is not None:
        callback["CallbackMetadata"] = {"Item": items}
    body = json.dumps({"Body": {"stkCallback": callback}}).encode()
    return Request([], body, NOON, query=query)


def c2b(**changes: Any) -> bytes:
    told = {
        "TransactionType": "Pay Bill",
        "TransID": "SAF7Q2L9YY",
        "TransTime": "20260105145958",
        "TransAmount": "902.10",
        "BusinessShortCode": "600000",
        "BillRefNumber": "1001",
        "OrgAccountBalance": "49197.00",
        "MSISDN": "2547*****111",
        "FirstName": "Wanjiru",
    }
    return json.dumps(told | changes).encode()


def test_a_paid_push_pays_the_order_that_the_url_names() -> None:
    told = notice(MPESA, stk())
    assert (told.order_id, told.status, told.raw_status) == ("1001", S.PAID, "0")
    assert (str(told.amount), told.currency) == ("902.10", "KES")
    assert told.references == ("ws_CO_050126",)
    assert told.payment == Payment(ref="SAF7Q2L9XX", status=S.PAID, amount=Decimal("902.10"))
    assert str(told.occurred_at) == "2026-01-05 11:59:58+00:00", "East Africa is three hours ahead"
    assert told.delivery_key == told.body_hash


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (1, S.FAILED),
        ("1", S.FAILED),
        (1032, S.CANCELLED),
        ("1032", S.CANCELLED),
        (1037, S.FAILED),
        (2001, S.FAILED),
        (1019, S.EXPIRED),
        (4242, S.UNRECOGNIZED),
        ("00", S.UNRECOGNIZED),
        (False, S.UNRECOGNIZED),
    ],
    ids=repr,
)
def test_a_result_code_is_a_number_or_its_text(code: Any, status: PaymentStatus) -> None:
    told = notice(MPESA, stk(code, items=None))
    assert told.status is status
    assert (told.amount, told.payment, told.occurred_at) == (None, None, None)


@pytest.mark.parametrize(
    "query",
    [
        b"",
        b"order=1001",
        b"order_id=",
        b"order_id=1&order_id=1",
        b"order_id=1&order_id=2",
        b"order_id=%ff",
        b"order_id=%00",
        b"order_id=\xff",
        b"order_id=" + b"x" * 256,
        b"&" * 3000,
        b"a=1&" * 30 + b"order_id=1",
    ],
)
def test_a_push_whose_url_names_no_one_order_is_unreadable(query: bytes) -> None:
    assert "order_id" in unreadable(MPESA, stk(query=query))


def test_the_order_in_the_url_may_be_any_text() -> None:
    assert notice(MPESA, stk(query=b"x=1&order_id=A%2F1+%C3%A9")).order_id == "A/1 \u00e9"


@pytest.mark.parametrize(
    "items",
    [{}, "Amount", [1], [{"Value": 1}], [{"Name": 1}], [ITEMS[0], ITEMS[0]], [[]]],
)
def test_metadata_of_another_shape_is_unreadable(items: Any) -> None:
    assert "CallbackMetadata" in unreadable(MPESA, stk(items=items))


def test_a_confirmation_is_a_part_until_somebody_knows_the_whole() -> None:
    told = notice(MPESA, c2b())
    assert (told.status, told.raw_status) == (S.PARTIALLY_PAID, "Pay Bill")
    assert told.order_id == "", "what a payer typed is no order's id"
    assert told.personal is not None
    assert told.personal.references == ("1001",)
    assert (told.amount, told.currency) == (None, "KES")
    assert told.payment == Payment(ref="SAF7Q2L9YY", status=S.PAID, amount=Decimal("902.10"))
    assert str(told.occurred_at) == "2026-01-05 11:59:58+00:00"


@pytest.mark.parametrize("amount", [902.1, "902.1", "902.10"], ids=repr)
def test_the_sum_is_a_number_or_its_text(amount: Any) -> None:
    payment = notice(MPESA, c2b(TransAmount=amount)).payment
    assert payment is not None
    assert str(payment.amount) == "902.10"


@pytest.mark.parametrize("reference", ["", None])
def test_a_confirmation_for_nobody_is_unreadable(reference: Any) -> None:
    assert "BillRefNumber" in unreadable(MPESA, c2b(BillRefNumber=reference))


def test_other_results_are_ignored_and_other_bodies_unreadable() -> None:
    assert ignored(MPESA, b'{"Result":{"ResultCode":0}}')
    assert unreadable(MPESA, b"{}")
    assert unreadable(MPESA, b'{"Body":{}}')
    assert unreadable(MPESA, b'{"Body":{"stkCallback":{"ResultCode":null}}}')


# ------------------------------------------------------------------------------------- the URL


def test_the_url_ends_in_a_live_secret() -> None:
    request = sample("mpesa", MPESA)
    assert request.path == "invented-secret-new"
    assert request.query == b"order_id=1001"
    assert key_id(MPESA, request) == "first"
    assert key_id(MPESA, replace(request, path="invented-secret-old")) == "second"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", Reason.NO_SIGNATURE),
        ("invented-secret-ne", Reason.WRONG_TOKEN),
        ("invented-secret-new/x", Reason.WRONG_TOKEN),
        ("INVENTED-SECRET-NEW", Reason.WRONG_TOKEN),
        ("\ud800", Reason.WRONG_TOKEN),
    ],
)
def test_any_other_end_is_refused_and_never_repeated(path: str, reason: Reason) -> None:
    verdict = MPESA.verify(replace(sample("mpesa", MPESA), path=path))
    assert not isinstance(verdict, Verified)
    assert isinstance(verdict, Refused)
    assert verdict.reason is reason
    assert "invented" not in verdict.detail.lower()


def test_the_secret_is_not_shown_by_the_request() -> None:
    assert "invented" not in repr(sample("mpesa", MPESA))


def test_it_is_answered_as_it_wants_to_be() -> None:
    assert MPESA.own_answer is not None
    assert json.loads(MPESA.own_answer.body) == {"ResultCode": 0, "ResultDesc": "Accepted"}
