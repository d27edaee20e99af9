"""Lists of orders: what can be asked for, and cursors that lead through all of them."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from tests.adapters.http.local import LocalService, ids, pages, problem


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    """Nine orders, three of each status, the first three under review. Nobody adds to them."""
    with LocalService(tmp_path_factory.mktemp("shelf")) as local:
        put_on_shelf(local)
        yield local


def put_on_shelf(local: LocalService) -> None:
    for n, status in enumerate(["PAID", "PENDING", "FAILED"] * 3):
        local.tell(f"order-{n}", status)
        if n < 3:
            local.tell(f"order-{n}", "DISPUTED")
    local.settle()


@pytest.mark.parametrize(
    ("params", "wanted"),
    [
        ({}, range(9)),
        ({"status": "DELIVERED"}, [0, 3, 6]),
        ({"status": "AWAITING_PAYMENT"}, [1, 4, 7]),
        ({"status": "PAYMENT_FAILED"}, [2, 5, 8]),
        ({"review": "open"}, [0, 1, 2]),
        ({"review": "open", "status": "DELIVERED"}, [0]),
        ({"reference": "order-4"}, [4]),
        ({"reference": "order-4", "status": "DELIVERED"}, []),
        ({"store": "default"}, range(9)),
        ({"store": "elsewhere"}, []),
        ({"reference": "' OR 1=1 --"}, []),
        ({"limit": 1000}, range(9)),
    ],
    ids=str,
)
def test_orders_are_listed_by_what_is_asked_for(
    shelf: LocalService, params: dict[str, Any], wanted: list[int]
) -> None:
    page = shelf.json("/orders", **params)
    assert ids(page) == [f"order-{n}" for n in wanted]
    assert page["next"] is None


@pytest.mark.parametrize(
    "params",
    [
        {"status": "PAID"},
        {"status": "delivered"},
        {"status": ""},
        {"review": "closed"},
        {"review": ""},
        {"reference": ""},
        {"reference": "x" * 256},
        {"store": ""},
        *({"limit": limit} for limit in ("0", "-1", "1001", "1e9", "ten", "", "9" * 50)),
    ],
    ids=str,
)
def test_what_cannot_be_asked_for_is_422_and_names_the_parameter(
    shelf: LocalService, params: dict[str, Any]
) -> None:
    (name,) = params
    assert name in problem(shelf.get("/orders", **params), 422)


@pytest.mark.parametrize("limit", [1, 2, 3, 8, 9, 10])
def test_pages_of_any_size_together_hold_each_order_once(shelf: LocalService, limit: int) -> None:
    assert pages(shelf, "/orders", limit=limit) == shelf.json("/orders")["items"]
    delivered = pages(shelf, "/orders", limit=limit, status="DELIVERED")
    assert delivered == shelf.json("/orders", status="DELIVERED")["items"]


def test_pages_stay_stable_while_new_orders_arrive(local: LocalService) -> None:
    put_on_shelf(local)
    before = ids(local.json("/orders"))
    seen: list[str] = []
    page = local.json("/orders", limit=2)
    for n in range(20):
        seen += ids(page)
        if page["next"] is None:
            break
        local.tell(f"a-{n}", "PAID")
        local.tell(f"order-{n}-new", "PAID")
        local.settle()
        page = local.json("/orders", limit=2, after=page["next"])
    assert len(seen) == len(set(seen)), "no order twice"
    assert [order_id for order_id in seen if order_id in before] == before, "none left out"


@pytest.mark.parametrize("order_id", ["{}" + "x" * 250, "{}" + "\U0001f96d" * 250, '{}"\\' * 60])
def test_pages_go_on_after_an_order_of_a_long_id(local: LocalService, order_id: str) -> None:
    wanted = sorted(order_id.replace("{}", letter) for letter in "abc")
    for name in wanted:
        local.tell(name, "PAID")
    local.settle()
    assert [order["order_id"] for order in pages(local, "/orders", limit=1)] == wanted


def cursor(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


@pytest.mark.parametrize(
    "after",
    [
        "x",
        "....",
        "0-42",
        "\u00e9",
        "\x00",
        "%",
        cursor(b""),
        cursor(b"null"),
        cursor(b"1"),
        cursor(b"true"),
        cursor(b"[]"),
        cursor(b'["default"]'),
        cursor(b'["default","1","2"]'),
        cursor(b'["default",1]'),
        cursor(b'["default",null]'),
        cursor(b'["\\ud800","1"]'),
        cursor(b'["default","\\udfff"]'),
        cursor(b"[" * 150),
        cursor(b"\xff\xfe"),
    ],
)
def test_a_cursor_that_we_did_not_make_is_422(shelf: LocalService, after: str) -> None:
    assert "after" in problem(shelf.get("/orders", after=after), 422)
