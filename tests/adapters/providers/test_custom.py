"""A provider that the configuration alone describes."""

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from adapters.providers import Refused, Request, kind_of
from adapters.providers.base import Reason
from domain.payment import Payment, PaymentStatus
from tests.adapters.providers.tables import (
    NOON,
    TILL,
    configured,
    ignored,
    key_id,
    lower,
    notice,
    sample,
    sent,
    unreadable,
)

S = PaymentStatus
TILL_PROVIDER = configured("custom")
NEWS: dict[str, Any] = {
    "id": "n-1",
    "data": {
        "order": "1001",
        "payment": "p-7",
        "state": "settled",
        "total": 90210,
        "currency": "KES",
        "at": "2026-01-05T14:59:58+03:00",
    },
}


def news(**changes: Any) -> bytes:
    return json.dumps(NEWS | {"data": NEWS["data"] | changes}).encode()


def test_the_body_is_read_by_its_paths() -> None:
    told = notice(TILL_PROVIDER, news())
    assert (told.order_id, told.status, told.raw_status) == ("1001", S.PAID, "settled")
    assert (str(told.amount), told.currency, told.delivery_key) == ("902.10", "KES", "n-1")
    assert str(told.occurred_at) == "2026-01-05 11:59:58+00:00"
    assert told.payment == Payment(ref="p-7", status=S.PAID, amount=Decimal("902.10"))


def test_what_is_left_out_is_left_out() -> None:
    bare = {"delivery_id": None, "payment_ref": None, "amount": None, "currency": None}
    told = notice(configured("custom", **bare, occurred_at=None), news())
    assert told.delivery_key == told.body_hash
    assert (told.amount, told.currency, told.payment, told.occurred_at) == (None, None, None, None)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("open", S.PENDING),
        ("refused", S.FAILED),
        ("Settled", S.UNRECOGNIZED),
        (" settled", S.UNRECOGNIZED),
        (17, S.UNRECOGNIZED),
        (True, S.UNRECOGNIZED),
    ],
)
def test_words_mean_what_the_map_says_and_nothing_else(word: Any, status: PaymentStatus) -> None:
    assert notice(TILL_PROVIDER, news(state=word)).status is status


def test_numbers_and_booleans_can_be_words() -> None:
    numbers = configured("custom", statuses={"PAID": ["0"], "FAILED": ["true"]})
    assert notice(numbers, news(state=0)).status is S.PAID
    assert notice(numbers, news(state=True)).status is S.FAILED


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"state": None}, "data.state"),
        ({"state": []}, "data.state"),
        ({"order": None}, "data.order"),
        ({"order": ""}, "data.order"),
        ({"order": 1.5}, "order"),
        ({"total": "902.10"}, "total"),
        ({"currency": "shillings"}, "currency"),
        ({"at": "yesterday"}, "at"),
        ({"at": "2026-13-01T00:00:00Z"}, "at"),
    ],
    ids=range(9),
)
def test_what_cannot_be_read_is_unreadable_and_named(changes: Any, named: str) -> None:
    assert named in unreadable(TILL_PROVIDER, news(**changes))


def test_a_delivery_that_lacks_its_own_name_is_unreadable() -> None:
    assert "id" in unreadable(TILL_PROVIDER, json.dumps(NEWS | {"id": None}).encode())


@pytest.mark.parametrize(
    ("unit", "currency", "told", "amount"),
    [
        ("major", "KES", 902.1, "902.10"),
        ("major", "KES", "902.10", "902.10"),
        ("major", "JPY", "500", "500"),
        ("minor", "JPY", 500, "500"),
        ("minor", "UGX", 500, "500"),
        ("minor", "KWD", 5120, "5.120"),
        ("minor", "kes", 1, "0.01"),
    ],
)
def test_amounts_are_in_the_unit_that_is_configured(
    unit: str, currency: str, told: Any, amount: str
) -> None:
    provider = configured("custom", amount_unit=unit)
    assert str(notice(provider, news(total=told, currency=currency)).amount) == amount


def test_one_currency_can_stand_for_all() -> None:
    told = notice(configured("custom", currency="UGX"), news(total=5000))
    assert (told.currency, str(told.amount)) == ("UGX", "5000")


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (1767614398, "2026-01-05 11:59:58+00:00"),
        ("1767614398", "2026-01-05 11:59:58+00:00"),
        (1767614398250, "2026-01-05 11:59:58.250000+00:00"),
        ("2026-01-05T11:59:58Z", "2026-01-05 11:59:58+00:00"),
        ("2026-01-05 11:59:58", "2026-01-05 11:59:58+00:00"),
        ("2026-01-05T11:59:58.123456789Z", "2026-01-05 11:59:58.123456+00:00"),
        ("2026-01-05T11:59:58.1+0000", "2026-01-05 11:59:58.100000+00:00"),
    ],
    ids=range(7),
)
def test_a_time_is_iso_8601_or_counts_since_1970(at: Any, expected: str) -> None:
    assert str(notice(TILL_PROVIDER, news(at=at)).occurred_at) == expected


def test_a_path_may_count_into_a_list() -> None:
    provider = configured("custom", order_id="data.lines.1.order")
    body = news(lines=[{"order": "a"}, {"order": "b"}])
    assert notice(provider, body).order_id == "b"
    assert "lines" in unreadable(provider, news(lines=[]))


def test_events_that_are_not_named_are_ignored() -> None:
    picky = configured("custom", event="kind", events=["payment"])
    assert notice(picky, json.dumps(NEWS | {"kind": "payment"}).encode()).order_id == "1001"
    assert ignored(picky, json.dumps(NEWS | {"kind": "stock"}).encode())
    assert "kind" in unreadable(picky, news())


def test_references_are_other_names_of_the_order() -> None:
    provider = configured("custom", references=["data.number", "data.absent", "data.payment"])
    assert notice(provider, news(number=9007199254740993)).references == ("9007199254740993", "p-7")


# ------------------------------------------------------------------------------------ verifying


def signed_by_hand(secret: bytes, body: bytes) -> Request:
    signature = hmac.new(secret, body, hashlib.sha256).hexdigest()
    return Request(lower({"X-Till-Signature": f"sha256={signature}"}), body, NOON)


def test_the_example_of_the_documentation_verifies() -> None:
    assert key_id(TILL_PROVIDER, signed_by_hand(b"invented-secret-old", news())) == "second"


VERIFIERS: list[dict[str, Any]] = [
    {"scheme": "token", "header": "X-Token"},
    {"scheme": "timed", "header": "X-Signature"},
    {"scheme": "secret-path"},
    {"scheme": "hmac", "header": "X-S", "algorithm": "sha512", "encoding": "base64"},
    {"scheme": "hmac", "header": "X-S", "algorithm": "sha1", "prefix": "v0="},
    {"scheme": "hmac", "header": "X-S", "message": "{url}|{body}", "url": "https://a.example/"},
    {
        "scheme": "hmac",
        "header": "X-S",
        "message": "v0:{timestamp}:{id}:{body}",
        "timestamp_header": "X-Time",
        "id_header": "X-Id",
    },
]


@pytest.mark.parametrize("verify", VERIFIERS, ids=range(len(VERIFIERS)))
def test_each_scheme_lets_in_what_it_signs_and_nobody_else(verify: dict[str, Any]) -> None:
    provider = configured("custom", verify=verify)
    request = sample("custom", provider)
    assert key_id(provider, request) == "first"
    stranger = configured("custom", "stranger-secret", verify=verify)
    assert key_id(provider, sample("custom", stranger)) is None
    assert provider.takes_path is (verify["scheme"] == "secret-path")


def test_a_signed_time_is_tolerated_within_its_bounds() -> None:
    provider = configured("custom", verify=VERIFIERS[-1] | {"tolerance_seconds": 60})
    request = sent(provider, news())
    assert key_id(provider, replace(request, received_at=NOON + timedelta(seconds=60)))
    verdict = provider.verify(replace(request, received_at=NOON + timedelta(seconds=61)))
    assert isinstance(verdict, Refused)
    assert verdict.reason is Reason.TOO_OLD
    without = [h for h in request.headers if h[0] != b"x-time"]
    verdict = provider.verify(replace(request, headers=without))
    assert isinstance(verdict, Refused)
    assert verdict.reason is Reason.NO_SIGNATURE
    wrong = [(b"x-time", b"soon") if h[0] == b"x-time" else h for h in request.headers]
    verdict = provider.verify(replace(request, headers=wrong))
    assert isinstance(verdict, Refused)
    assert verdict.reason is Reason.MALFORMED


@pytest.mark.parametrize(("written", "secret"), [("hex", "00ff10"), ("base64", "AP8Q")])
def test_a_key_may_be_written_in_hex_or_base64(written: str, secret: str) -> None:
    verify = TILL["verify"] | {"key": written}
    provider = configured("custom", secret, verify=verify)
    assert key_id(provider, signed_by_hand(b"\x00\xff\x10", news())) == "first"


# ------------------------------------------------------------------------------- wrong tables


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"verify": {"scheme": "hmac"}}, "header"),
        ({"verify": {"scheme": "magic", "header": "X"}}, "scheme"),
        ({"verify": TILL["verify"] | {"algorithm": "md5"}}, "algorithm"),
        ({"verify": TILL["verify"] | {"encoding": "hex64"}}, "encoding"),
        ({"verify": TILL["verify"] | {"header": "X Y"}}, "header"),
        ({"verify": TILL["verify"] | {"message": "{timestamp}"}}, "{body}"),
        ({"verify": TILL["verify"] | {"message": "{body}{nonce}"}}, "{timestamp}"),
        ({"verify": TILL["verify"] | {"message": "{timestamp}{body}"}}, "timestamp_header"),
        ({"verify": TILL["verify"] | {"message": "{url}{body}"}}, "url"),
        ({"verify": TILL["verify"] | {"id_header": "X-Id"}}, "id_header"),
        ({"verify": TILL["verify"] | {"key": "hex"}}, "hex"),
        ({"verify": {"scheme": "standard-webhooks"}}, "whsec_"),
        ({"verify": {"scheme": "secret-path"}, "secrets": ["a/b"]}, "1 to 128"),
        ({"verify": None}, "verify"),
        ({"order_id": ""}, "order_id"),
        ({"order_id": "a..b"}, "order_id"),
        ({"statuses": {}}, "statuses"),
        ({"statuses": {"PAYED": ["x"]}}, "statuses"),
        ({"statuses": {"PAID": ["x"], "FAILED": ["x"]}}, "one status"),
        ({"statuses": {"UNRECOGNIZED": ["x"]}}, "UNRECOGNIZED"),
        ({"amount_unit": "cents"}, "amount_unit"),
        ({"currency": None}, "currency"),
        ({"event": "kind"}, "events"),
        ({"orderid": "x"}, "orderid"),
        ({"secrets": []}, "secrets"),
    ],
    ids=range(25),
)
def test_a_wrong_table_is_refused_and_the_key_named(changes: dict[str, Any], named: str) -> None:
    table = {**TILL, "secrets": ["a-secret"], **changes}
    with pytest.raises(ValidationError) as caught:
        kind_of("custom").settings.model_validate(table)
    assert named in str(caught.value)
    assert "a-secret" not in str(caught.value)
