"""What was set aside is forgotten where it speaks of an erased order or person; where it only may,
a person has to look at it, and a stranger's is left alone."""

import json
from typing import Any

import pytest

from adapters.erasure.mentions import Mention, Mentions, Names

LONG, SHORT, NUMBER, PERSON = "ORD-204518", "42", "1500", "CUS-17/\u00e9"
REF, BUYER, TYPED = "7001", "C-9", "Pay Bill"
MENTIONS = Mentions(
    Names(
        orders=frozenset([LONG, SHORT, NUMBER]),
        payments=frozenset([REF]),
        customers=frozenset([PERSON, BUYER]),
        typed=frozenset([TYPED, "ORD-777777"]),
    )
)


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"order": {"id": LONG}}),
        json.dumps({"whatever": LONG}),
        json.dumps([[[{"x": [LONG]}]]]),
        json.dumps({"order": {"id": 42}}),
        json.dumps({"orderId": f" {SHORT} "}),
        json.dumps({"order_number": 1500}),
        json.dumps({"BillRefNumber": NUMBER}),
        json.dumps({"order": {"name": "x", "payment": {"id": 5}, "referenceNumber": NUMBER}}),
        json.dumps({"transactionId": 7001}),
        json.dumps({"customer": {"id": 1, "reference": BUYER}}),
        json.dumps({"customer": PERSON}),
        json.dumps({"customer": PERSON}).replace("/", "\\/"),
        json.dumps({"customer": PERSON}, ensure_ascii=False),
        "{" + json.dumps(PERSON),
        "{" + json.dumps(PERSON).replace("/", "\\/"),
        f"orderId={SHORT}&amount=5",
        "customer=CUS-17%2F%C3%A9&x=1",
        f'{{"orderId": "{SHORT}", ',
        f'{{"order": {{"items": [{{"id": 3}}], "id": "{SHORT}", "name": "Wanj',
        '{"orderId": "1", "orderId": "42"}',
        "[" * 100_000 + f'"{LONG}"',
    ],
    ids=lambda body: body[:40],
)
def test_a_body_that_surely_names_it_is_found(body: str) -> None:
    assert MENTIONS.in_body(body.encode()) is Mention.SURELY


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"text": f"paid for {LONG}, thank you"}),
        json.dumps({"id": 42}),
        json.dumps({"event": {"id": NUMBER}}),
        json.dumps({"order": {"items": [{"id": 42}]}}),
        json.dumps({"order": {"customer": {"id": 42}}}),
        json.dumps({"customer_id": 1500}),
        json.dumps({"amount": NUMBER}),
        json.dumps({"quantity": SHORT}),
        json.dumps({"order": {"reference": TYPED}}),
        json.dumps({"note": "ORD-777777"}),
        f"<order>{SHORT}</order>",
        f"paid for {LONG}",
    ],
    ids=lambda body: body[:40],
)
def test_a_body_that_may_name_it_is_for_a_person_to_look_at(body: str) -> None:
    assert MENTIONS.in_body(body.encode()) is Mention.PERHAPS


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"order": LONG + "9"}),
        json.dumps({"order": "X" + LONG}),
        json.dumps({LONG: 1, SHORT: 2, TYPED: 3}),
        json.dumps({"amount": 1500, "at": 1767600000, "of": True, "none": None}),
        json.dumps({"order": {"amount": 42, "position": 1500}}),
        json.dumps({"text": f"{SHORT} apples"}),
        json.dumps({"order": "142"}),
        json.dumps({"orderId": 42.0}),
        "order=142&amount=421",
        "4242",
        "",
        "null",
    ],
    ids=lambda body: body[:40],
)
def test_a_body_that_names_another_is_left_alone(body: str) -> None:
    assert MENTIONS.in_body(body.encode()) is Mention.NOT


def test_what_came_with_a_body_counts_too() -> None:
    query = json.dumps({"query": f"order_id={SHORT}"})
    assert MENTIONS.in_body(b"{}", query) is Mention.SURELY
    assert MENTIONS.in_body(b"{}", None) is Mention.NOT


def test_what_a_payer_typed_counts_where_the_customer_is_named_too() -> None:
    told = {"BillRefNumber": TYPED, "customer": {"reference": BUYER}}
    assert MENTIONS.in_body(json.dumps(told).encode()) is Mention.SURELY


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xfe",
        b"\x00",
        b'"\\ud800"',
        b"[" * 1000,
        b"a=" * 100_000,
        b'{"a": "' + b"b=" * 100_000,
        b'"',
        b'{"a\\',
    ],
)
def test_no_body_breaks_the_search(body: bytes) -> None:
    assert MENTIONS.in_body(body) is Mention.NOT


def test_nothing_is_found_where_nothing_is_looked_for() -> None:
    nothing: Any = Mentions(Names(orders=frozenset([""])))
    assert not nothing
    assert nothing.in_body(b'{"": ""}') is Mention.NOT
