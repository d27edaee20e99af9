"""The fields that count in a Sevi body: words, ids, references and amounts, taken as they come."""

import hashlib
import json
from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.providers import Ignored, Unreadable
from adapters.providers.sevi import ORDER_WORDS
from domain.payment import PaymentStatus
from tests.adapters.providers.sevi_bodies import (
    ORDER_ID,
    TRANSACTION,
    bare,
    encode,
    lone_transaction,
    order_webhook,
    order_webhook_with_users,
    raw,
)
from tests.adapters.providers.translating import noticed, text_of, translate, unreadable

S = PaymentStatus

# ----------------------------------------------------------------------------------------- words


@pytest.mark.parametrize("status", [s for s in S if s is not S.UNRECOGNIZED])
def test_our_own_words_are_known_spelled_exactly(status: PaymentStatus) -> None:
    told = noticed(bare(status=status.value))
    assert (told.status, told.raw_status) == (status, status.value)


@pytest.mark.parametrize(
    "word",
    [
        "paid",
        "Paid",
        " PAID",
        "PAID ",
        "PAID\u200b",
        "\uff30\uff21\uff29\uff24",
        "PA\u0399D",
        "COMPLETED",
        "AWAITING_SHIPMENT",
        "DELIVERED",
        "UNRECOGNIZED",
        "unpaid",
        "null",
        "true",
        "1",
        "\u652f\u6255\u3044\u6e08\u307f",
        "x" * 255,
    ],
)
def test_any_other_word_is_unrecognized_and_kept_as_it_came(word: str) -> None:
    told = noticed(bare(status=word))
    assert (told.status, told.raw_status) == (S.UNRECOGNIZED, word)


def test_no_word_but_paid_means_paid() -> None:
    assert [word for word, status in ORDER_WORDS.items() if status is S.PAID] == ["PAID"]


NO_WORDS = ["null", "true", "1", "0", "1.5", "[]", '["PAID"]', "{}", '{"value":"PAID"}']


@pytest.mark.parametrize("text", [*NO_WORDS, '""', f'"{"x" * 256}"', '"PA\\u0000ID"', '"\\ud800"'])
@pytest.mark.parametrize("field", ["paymentStatus", "orderPayment"])
def test_a_status_that_is_no_word_is_unreadable(field: str, text: str) -> None:
    unreadable(encode({"order": {"id": "1", field: raw(text)}}))
    unreadable(encode({"orderId": "1", field: raw(text)}))


@pytest.mark.parametrize("text", NO_WORDS)
def test_a_status_within_the_payment_that_is_no_word_is_unreadable(text: str) -> None:
    unreadable(bare(status={"status": raw(text)}))


@pytest.mark.parametrize("text", [*NO_WORDS, '""'])
def test_a_transactions_status_that_is_no_word_is_unreadable(text: str) -> None:
    unreadable(lone_transaction(status=raw(text)))


@pytest.mark.parametrize("text", ["[]", '["ORDER"]', "{}", '{"type":"ORDER"}', "17", "true"])
@pytest.mark.parametrize("field", ["paymentType", "transactionType"])
@pytest.mark.parametrize("order_id", [ORDER_ID, None])
def test_a_kind_of_transaction_that_is_no_word_pays_nothing(
    order_id: str | None, field: str, text: str
) -> None:
    body = lone_transaction(orderId=order_id, **{field: raw(text)})
    try:
        told = translate(body)
    except Unreadable:
        return
    assert isinstance(told, Ignored) or told[0].payment is None


# ------------------------------------------------------------------------------ ids and references


@pytest.mark.parametrize(
    ("text", "order_id"),
    [
        ("17", "17"),
        ("0", "0"),
        ("9007199254740993", "9007199254740993"),
        ("18446744073709551617", "18446744073709551617"),
        ("9" * 255, "9" * 255),
        ('"007"', "007"),
        ('"a/b?c#d%2F"', "a/b?c#d%2F"),
        ('" kept as it is "', " kept as it is "),
        ('"malipo-\\u00e9-\\ud83e\\udd6d"', "malipo-\u00e9-\U0001f96d"),
        (f'"{"x" * 255}"', "x" * 255),
        (f'"{chr(0x1F96D) * 255}"', "\U0001f96d" * 255),
    ],
)
def test_an_id_is_kept_to_the_last_character(text: str, order_id: str) -> None:
    assert noticed(bare(raw(text))).order_id == order_id
    assert noticed(order_webhook(id=raw(text))).order_id == order_id
    assert noticed(lone_transaction(orderId=raw(text))).order_id == order_id


NO_IDS = [
    '""',
    f'"{"x" * 256}"',
    f'"{"x" * 10_000}"',
    "9" * 256,
    "9" * 10_000,
    "-1",
    "1.0",
    "1e3",
    "true",
    "false",
    "[]",
    '["1"]',
    "{}",
    '"a\\u0000b"',
    '"a\\nb"',
    '"a\\tb"',
    '"a\\u001fb"',
    '"a\\u007fb"',
    '"a\\u0085b"',
    '"a\\u2028b"',
    '"\\ud800"',
    '"\\udc00\\ud800"',
]


@pytest.mark.parametrize("text", NO_IDS)
def test_what_cannot_be_an_id_is_unreadable(text: str) -> None:
    unreadable(bare(raw(text)))
    unreadable(order_webhook(id=raw(text)))
    unreadable(lone_transaction(orderId=raw(text)))
    unreadable(lone_transaction(id=raw(text)))


@pytest.mark.parametrize("text", NO_IDS[1:])  # an empty one is none
def test_what_cannot_be_a_reference_is_unreadable(text: str) -> None:
    for field in ("referenceNumber", "platformReference", "platformId"):
        unreadable(order_webhook(**{field: raw(text)}))


def test_each_reference_is_named_once_in_the_order_of_the_documentation() -> None:
    told = noticed(order_webhook(referenceNumber="b", platformReference="a", platformId="b"))
    assert told.references == ("b", "a")


@pytest.mark.parametrize("field", ["referenceNumber", "platformReference", "platformId"])
def test_a_reference_that_is_null_or_empty_is_none(field: str) -> None:
    for nothing in (None, ""):
        told = noticed(order_webhook(**{field: nothing}))
        assert len(told.references) == 2


def test_a_reference_may_be_a_number() -> None:
    told = noticed(order_webhook(platformId=raw("9007199254740993")))
    assert told.references[-1] == "9007199254740993"


def test_a_reference_of_255_characters_is_kept() -> None:
    assert noticed(order_webhook(platformId="x" * 255)).references[-1] == "x" * 255


# --------------------------------------------------------------------------------------- amounts


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("902.1", "902.10"),
        ("902.10", "902.10"),
        ("902.100", "902.10"),
        ("5000.00", "5000.00"),
        ("5000", "5000.00"),
        ("0", "0.00"),
        ("0.00", "0.00"),
        ("-0", "0.00"),
        ("-0.0", "0.00"),
        ("1e3", "1000.00"),
        ("1E+3", "1000.00"),
        ("12e-1", "1.20"),
        ("0.1", "0.10"),
        ("0.12345678901234567891", "0.12345678901234567891"),
        ("9007199254740993.01", "9007199254740993.01"),
        ("99999999999999999999.99", "99999999999999999999.99"),
        ('"902.1"', "902.10"),
        ('"5000.00"', "5000.00"),
        ('"1e3"', "1000.00"),
        ("null", None),
    ],
)
def test_an_amount_is_exact_whatever_its_spelling(text: str, amount: str | None) -> None:
    with localcontext(prec=3):  # so that any arithmetic on the way would show
        assert text_of(noticed(order_webhook(amount=raw(text))).amount) == amount
        payment = noticed(lone_transaction(amount=raw(text))).payment
    assert payment is not None
    assert text_of(payment.amount) == amount


@pytest.mark.parametrize(
    "text",
    [
        "-1",
        "-0.01",
        "-902.10",
        "100000000000000000000",
        "1e20",
        "1e9999",
        "1e-9999",
        "1e99999",
        "0.123456789012345678901",
        "9" * 10_000,
        "0." + "1" * 10_000,
        "true",
        "[]",
        "[902.1]",
        "{}",
        '{"value":902.1}',
        '""',
        '"abc"',
        '" 902.1"',
        '"902.1\\n"',
        '"1,000.00"',
        '"902,10"',
        '"1_000"',
        '"0x10"',
        '"+1"',
        '".5"',
        '"5."',
        '"-1"',
        '"NaN"',
        '"Infinity"',
        '"-Infinity"',
        '"KES 902.10"',
        '"\\uff19\\uff10\\uff12"',
        '"\\u0669"',
        '"\\ud800"',
        "NaN",
        "Infinity",
        "-Infinity",
    ],
)
def test_what_is_no_amount_is_unreadable(text: str) -> None:
    unreadable(order_webhook(amount=raw(text)))
    unreadable(lone_transaction(amount=raw(text)))


@pytest.mark.parametrize(
    ("currency", "text", "amount"),
    [("UGX", "5000.00", "5000"), ("USD", "7", "7.00"), ("KWD", "7.1", "7.100"), (None, "7", "7")],
)
def test_an_amount_has_at_least_its_currencys_minor_digits(
    currency: str | None, text: str, amount: str
) -> None:
    told = noticed(order_webhook(currency=currency, amount=raw(text)))
    assert (told.currency, text_of(told.amount)) == (currency, amount)


@pytest.mark.parametrize("text", ['"kes"', '"KE"', '"KES "', '""', '"KSh"', "404", "[]", "true"])
def test_a_currency_that_is_no_code_is_unreadable(text: str) -> None:
    unreadable(order_webhook(currency=raw(text)))


# ---------------------------------------------------------------------------------- whole bodies


@pytest.mark.parametrize("body", [bare(), order_webhook(), lone_transaction()])
def test_a_delivery_is_known_by_the_digest_of_its_body(body: bytes) -> None:
    told = noticed(body)
    assert told.delivery_key == told.body_hash == hashlib.sha256(body).hexdigest()
    assert told.body == body


def test_one_space_more_is_another_delivery_of_the_same_news() -> None:
    first, second = noticed(bare()), noticed(bare() + b" ")
    assert first.delivery_key != second.delivery_key
    assert (first.order_id, first.status) == (second.order_id, second.status)


STRANGE = ['"\\ud800"', '"\\u0000"', "1e999999", "9" * 5000, "[[[]]]", '{"paymentStatus":"FAILED"}']


@pytest.mark.parametrize("text", STRANGE)
def test_unknown_fields_are_welcome_whatever_they_hold(text: str) -> None:
    plain = noticed(order_webhook_with_users())
    told = noticed(order_webhook_with_users(loyalty=raw(text), shipping=raw(text)))
    assert told.order_id == plain.order_id
    assert (told.status, told.amount, told.references) == (S.PAID, plain.amount, plain.references)
    assert noticed(bare(event=raw(text), customer=raw(text))).status is S.PAID


SECRET = "Wanjiru-0700000111"


@pytest.mark.parametrize(
    "body",
    [
        bare(f"{SECRET}\n"),
        bare(SECRET * 30),
        bare(status=[SECRET]),
        bare(status=f"{SECRET}\x00"),
        order_webhook(amount=SECRET),
        order_webhook(currency=SECRET),
        order_webhook(platformId=[SECRET]),
        encode({"order": SECRET}),
        encode({SECRET: 1, "customer": SECRET}),
        f'{{"{SECRET}":1,"{SECRET}":2}}'.encode(),
        f'{{"orderId":"{SECRET}",'.encode(),
        f'{{"orderId":{SECRET}}}'.encode(),
        f'["{SECRET}"]'.encode(),
        encode({"order": {"id": SECRET, "paymentStatus": "PAID"}, "orderId": f"{SECRET}2"}),
        encode({"order": {"id": "1", "paymentStatus": SECRET}, "paymentStatus": f"{SECRET}2"}),
    ],
)
def test_the_reason_why_a_body_is_unreadable_repeats_nothing_of_it(body: bytes) -> None:
    assert SECRET not in unreadable(body)


KEYS = st.sampled_from(
    "id order orderId orderPayment paymentStatus status amount currency referenceNumber "
    "platformReference platformId customer paymentType transactionType users".split()
)
WORDS = st.sampled_from(["PAID", "PENDING", "FAILED", "COMPLETED", "CREDIT", "ORDER", ORDER_ID])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=15,
)


@given(st.dictionaries(KEYS | st.text(max_size=3), VALUES, max_size=8), st.booleans())
def test_whatever_the_body_says_the_answer_is_a_notice_ignored_or_unreadable(
    data: dict[str, Any], is_transaction: bool
) -> None:
    body = json.dumps((TRANSACTION_WITHOUT_AMOUNTS if is_transaction else {}) | data).encode()
    try:
        told = translate(body)
    except Unreadable:
        return
    if not isinstance(told, Ignored):
        (notice,) = told
        assert 1 <= len(notice.order_id) <= 255
        assert notice.amount is None or notice.amount >= Decimal(0)


TRANSACTION_WITHOUT_AMOUNTS = {
    key: value for key, value in TRANSACTION.items() if not isinstance(value, Decimal)
}
