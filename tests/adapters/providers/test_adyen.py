"""Adyen's batches: every item proves itself, and says together with `capture` what happened."""

import base64
import hashlib
import hmac
import json
from decimal import Decimal
from typing import Any

import pytest

from adapters.providers import Refused, Request, Verified, adyen
from adapters.providers.base import Reason
from adapters.providers.reading import read_object
from domain.payment import Payment, PaymentStatus
from tests.adapters.providers.tables import (
    NOON,
    configured,
    ignored,
    key_id,
    notice,
    notices,
    secret_of,
    unreadable,
)

S = PaymentStatus
ADYEN = configured("adyen")
MANUAL = configured("adyen", capture="manual")
NEW, OLD = secret_of("adyen", "new"), secret_of("adyen", "old")


def item(**changes: Any) -> dict[str, Any]:
    return {
        "pspReference": "QFQTPCQ8HXSKGK82",
        "merchantAccountCode": "FruitShop",
        "merchantReference": "1001",
        "amount": {"value": 90210, "currency": "KES"},
        "eventCode": "AUTHORISATION",
        "eventDate": "2026-01-05T14:59:58+03:00",
        "success": "true",
        "paymentMethod": "visa",
        **changes,
    }


def signed(one: dict[str, Any], key: str = NEW) -> dict[str, Any]:
    """The item with its signature, made here as the documentation says."""
    fields = (
        one.get("pspReference", ""),
        one.get("originalReference", ""),
        one["merchantAccountCode"],
        one["merchantReference"],
        one["amount"]["value"],
        one["amount"]["currency"],
        one["eventCode"],
        "true" if one["success"] is True else one["success"],
    )
    message = ":".join(str(field) for field in fields).encode()
    signature = hmac.new(bytes.fromhex(key), message, hashlib.sha256).digest()
    more = one.get("additionalData", {})
    return one | {"additionalData": more | {"hmacSignature": base64.b64encode(signature).decode()}}


def batch(*items: dict[str, Any]) -> Request:
    wrapped = [{"NotificationRequestItem": one} for one in items]
    body = json.dumps({"live": "true", "notificationItems": wrapped}).encode()
    return Request([], body, NOON)


def of(event: str, success: Any = "true", **changes: Any) -> Request:
    return batch(signed(item(eventCode=event, success=success, **changes)))


def test_an_authorisation_pays_where_capture_is_automatic() -> None:
    told = notice(ADYEN, of("AUTHORISATION"))
    assert (told.order_id, told.status, told.raw_status) == ("1001", S.PAID, "AUTHORISATION true")
    assert (str(told.amount), told.currency) == ("902.10", "KES")
    assert told.delivery_key == "QFQTPCQ8HXSKGK82:AUTHORISATION:true"
    assert str(told.occurred_at) == "2026-01-05 11:59:58+00:00"
    assert told.payment == Payment(ref="QFQTPCQ8HXSKGK82", status=S.PAID, amount=Decimal("902.10"))


PARTIAL = {"additionalData": {"merchantOrderReference": "1001"}}
CANCELLED = {"additionalData": {"modification.action": "cancel"}}


@pytest.mark.parametrize(
    ("request_", "automatic", "manual"),
    [
        (of("AUTHORISATION"), S.PAID, S.PENDING),
        (of("AUTHORISATION", "false"), S.FAILED, S.FAILED),
        (of("AUTHORISATION", True), S.PAID, S.PENDING),
        (of("AUTHORISATION", "TRUE"), S.UNRECOGNIZED, S.UNRECOGNIZED),
        (of("AUTHORISATION", **PARTIAL), S.PARTIALLY_PAID, S.PENDING),
        (of("ORDER_CLOSED"), S.PAID, S.PENDING),
        (of("ORDER_CLOSED", "false"), S.CANCELLED, S.CANCELLED),
        (of("CAPTURE", originalReference="P1"), S.PAID, S.PAID),
        (of("CAPTURE", "false", originalReference="P1"), S.FAILED, S.FAILED),
        (of("CAPTURE_FAILED", originalReference="P1"), S.FAILED, S.FAILED),
        (of("PENDING"), S.PENDING, S.PENDING),
        (of("CANCELLATION", originalReference="P1"), S.CANCELLED, S.CANCELLED),
        (of("CANCEL_OR_REFUND", originalReference="P1"), S.REFUNDED, S.REFUNDED),
        (of("CANCEL_OR_REFUND", **CANCELLED), S.CANCELLED, S.CANCELLED),
        (of("EXPIRE"), S.EXPIRED, S.EXPIRED),
        (of("OFFER_CLOSED"), S.EXPIRED, S.EXPIRED),
        (of("REFUND", originalReference="P1"), S.REFUNDED, S.REFUNDED),
        (of("CHARGEBACK", originalReference="P1"), S.DISPUTED, S.DISPUTED),
        (of("NOTIFICATION_OF_CHARGEBACK"), S.DISPUTED, S.DISPUTED),
        (of("CHARGEBACK_REVERSED"), S.DISPUTED, S.DISPUTED),
    ],
    ids=range(20),
)
def test_event_success_and_capture_say_together_what_happened(
    request_: Request, automatic: PaymentStatus, manual: PaymentStatus
) -> None:
    assert isinstance(ADYEN.verify(request_), Verified)
    assert (notice(ADYEN, request_).status, notice(MANUAL, request_).status) == (automatic, manual)


def test_what_follows_a_payment_names_it() -> None:
    told = notice(
        ADYEN, of("REFUND", originalReference="P1", amount={"value": 10, "currency": "KES"})
    )
    assert told.payment == Payment(ref="P1", status=S.REFUNDED, amount=Decimal("0.10"))
    assert told.amount is None, "a refund's amount is not the order's"


@pytest.mark.parametrize(
    ("event", "success"),
    [("REPORT_AVAILABLE", "true"), ("REFUND", "false"), ("CANCELLATION", "false"), ("X", "true")],
)
def test_what_is_no_news_of_a_payment_is_ignored(event: str, success: str) -> None:
    assert ignored(ADYEN, of(event, success))


@pytest.mark.parametrize(
    ("currency", "value", "amount"),
    [
        ("JPY", 500, "500"),
        ("KWD", 5120, "5.120"),
        ("ISK", 500, "5"),
        ("CLP", 500, "5"),
        ("IDR", 500, "500"),
        ("CVE", 500, "500"),
        ("EUR", 1, "0.01"),
        ("UGX", 500, "500"),
    ],
)
def test_minor_units_are_adyens_own(currency: str, value: int, amount: str) -> None:
    told = notice(ADYEN, of("AUTHORISATION", amount={"value": value, "currency": currency}))
    assert told.amount == Decimal(amount)


# ------------------------------------------------------------------------------------- batches


def test_a_batch_tells_of_several_orders_and_leaves_out_what_is_no_news() -> None:
    request = batch(
        signed(item()),
        signed(item(eventCode="REPORT_AVAILABLE")),
        signed(item(merchantReference="1002", success="false")),
    )
    assert isinstance(ADYEN.verify(request), Verified)
    told = [(one.order_id, one.status) for one in notices(ADYEN, request)]
    assert told == [("1001", S.PAID), ("1002", S.FAILED)]


def test_one_item_that_nobody_can_attribute_makes_the_whole_batch_unreadable() -> None:
    request = batch(signed(item()), signed(item(merchantReference="")))
    assert "merchantReference" in unreadable(ADYEN, request)


@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize("forged", ["unsigned", "by another key", "changed"])
def test_one_forged_item_refuses_the_whole_batch(position: int, forged: str) -> None:
    items = [signed(item(merchantReference=str(number))) for number in range(3)]
    if forged == "unsigned":
        items[position] = item()
    elif forged == "by another key":
        items[position] = signed(item(), secret_of("adyen", "stranger"))
    else:
        items[position]["amount"] = {"value": 1, "currency": "KES"}
    verdict = ADYEN.verify(batch(*items))
    assert isinstance(verdict, Refused)
    assert verdict.reason in (Reason.NO_SIGNATURE, Reason.WRONG_SIGNATURE)


def test_items_may_be_signed_with_different_live_keys() -> None:
    assert key_id(ADYEN, batch(signed(item(), OLD), signed(item(), NEW))) == "second"


@pytest.mark.parametrize(
    "field",
    "pspReference originalReference merchantReference eventCode success".split(),
)
def test_each_signed_field_is_signed(field: str) -> None:
    one = signed(item(originalReference="P1"))
    assert isinstance(ADYEN.verify(batch(one)), Verified)
    assert isinstance(ADYEN.verify(batch(one | {field: "other"})), Refused)
    assert isinstance(ADYEN.verify(batch({k: v for k, v in one.items() if k != field})), Refused)


def test_a_colon_cannot_move_a_part_of_one_field_into_another() -> None:
    genuine = signed(item(merchantReference="1001:7"))
    assert isinstance(ADYEN.verify(batch(genuine)), Verified)
    moved = genuine | {"merchantAccountCode": "FruitShop:1001", "merchantReference": "7"}
    verdict = ADYEN.verify(batch(moved))
    assert isinstance(verdict, Refused)
    assert verdict.reason is Reason.MALFORMED


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"{}",
        b'{"notificationItems":[]}',
        b'{"notificationItems":{}}',
        b'{"notificationItems":[1]}',
        b'{"notificationItems":[{}]}',
        b'{"notificationItems":[{"NotificationRequestItem":{"success":{}}}]}',
        b'{"notificationItems":[{"NotificationRequestItem":{"amount":{"value":[]}}}]}',
        b'{"notificationItems":[' + b'{"NotificationRequestItem":{}},' * 1000 + b"{}]}",
        batch(item(additionalData={"hmacSignature": "\ud800"})).body,
    ],
    ids=range(11),
)
def test_a_body_without_proper_items_is_refused(body: bytes) -> None:
    assert isinstance(ADYEN.verify(Request([], body, NOON)), Refused)


def test_a_body_that_no_batch_is_as_large_as_is_refused_before_it_is_parsed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parsed = []

    def reads(body: bytes) -> dict[str, Any]:
        parsed.append(body)
        return read_object(body)

    monkeypatch.setattr(adyen, "read_object", reads)
    body = of("AUTHORISATION").body
    fits = body + b" " * (32 * 1024 - len(body))
    assert isinstance(ADYEN.verify(Request([], fits, NOON)), Verified)
    verdict = ADYEN.verify(Request([], fits + b" ", NOON))
    assert isinstance(verdict, Refused)
    assert "32768 bytes" in verdict.detail
    assert parsed == [fits]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"a":[' + b"1," * 4000 + b"1]}", Reason.NO_SIGNATURE),
        (b'{"hmacSignature":[' + b"1," * 4000 + b"1]}", Reason.MALFORMED),
        (b'{"hmacSignature":' + b"[" * 4000, Reason.MALFORMED),
        (b'{"hmacSignature":[' + b"{}," * 4000, Reason.MALFORMED),
    ],
)
def test_a_body_of_thousands_of_values_is_refused_before_it_is_parsed(
    monkeypatch: pytest.MonkeyPatch, body: bytes, reason: Reason
) -> None:
    monkeypatch.setattr(adyen, "read_object", lambda _: pytest.fail("it was parsed"))
    verdict = ADYEN.verify(Request([], body, NOON))
    assert isinstance(verdict, Refused)
    assert verdict.reason is reason


def test_writing_the_json_anew_does_no_harm() -> None:
    data = json.loads(of("AUTHORISATION").body)
    body = json.dumps(data, indent=4, sort_keys=True).encode()
    assert isinstance(ADYEN.verify(Request([], body, NOON)), Verified)


def test_it_is_answered_as_it_wants_to_be() -> None:
    assert ADYEN.own_answer is not None
    assert ADYEN.own_answer.body == b"[accepted]"
