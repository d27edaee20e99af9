"""What was set aside is forgotten where it speaks of an erased order or person, and only there."""

import json
from typing import Any

import pytest

from adapters.mentions import Mentions

LONG, SHORT, PERSON = "ORD-204518", "42", "CUS-17/\u00e9"


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"order": {"id": LONG}}),
        json.dumps({"text": f"paid for {LONG}, thank you"}),
        json.dumps({LONG: 1}),
        json.dumps([[[{"x": [LONG]}]]]),
        json.dumps({"order": SHORT}),
        json.dumps({"order": f" {SHORT} "}),
        json.dumps({"customer": PERSON}),
        json.dumps({"customer": PERSON}).replace("/", "\\/"),
        json.dumps({"customer": PERSON}, ensure_ascii=False),
        "{" + json.dumps(PERSON),
        "{" + json.dumps(PERSON).replace("/", "\\/"),
        f"order={SHORT}&amount=5",
        f"amount=5&order={SHORT}",
        "customer=CUS-17%2F%C3%A9&x=1",
        f"<order>{SHORT}</order>",
        f'{{"order": "{SHORT}", ',
        "[" * 100_000 + f'"{LONG}"',
        "20451",
    ],
    ids=lambda body: body[:40],
)
def test_a_body_that_names_it_is_found(body: str) -> None:
    assert Mentions([LONG, SHORT, PERSON, "20451"]).in_body(body.encode())


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"order": LONG + "9"}),
        json.dumps({"order": "X" + LONG}),
        json.dumps({"amount": 42, "at": 1767600000, "of": True, "none": None}),
        json.dumps({"text": f"{SHORT} apples"}),
        json.dumps({"order": "142"}),
        json.dumps({"amount": 42.0}),
        "order=142&amount=421",
        "4242",
        "",
        "null",
    ],
    ids=lambda body: body[:40],
)
def test_a_body_that_names_another_is_left_alone(body: str) -> None:
    assert not Mentions([LONG, SHORT, PERSON]).in_body(body.encode())


def test_what_came_with_a_body_counts_too() -> None:
    assert Mentions([LONG]).in_body(b"{}", json.dumps({"query": f"order_id={LONG}"}))
    assert not Mentions([LONG]).in_body(b"{}", None)


@pytest.mark.parametrize("body", [b"\xff\xfe", b"\x00", b'"\\ud800"', b"[" * 1000])
def test_no_body_breaks_the_search(body: bytes) -> None:
    assert not Mentions([LONG, SHORT]).in_body(body)


def test_nothing_is_found_where_nothing_is_looked_for() -> None:
    nothing: Any = Mentions([""])
    assert not nothing
    assert not nothing.in_body(b'{"": ""}')
