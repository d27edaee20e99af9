"""Lists of orders: what can be asked for, and cursors that lead through all of them."""

import base64
import json
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


# ------------------------------------------------------------------------ the last changed first


@pytest.fixture(scope="module")
def till(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    """Four orders of two providers, told one after the other, the first once more."""
    with LocalService(tmp_path_factory.mktemp("till")) as local:
        for n, (provider, amount) in enumerate(
            [("sevi", 902.1), ("second", 5), ("sevi", 902.10), ("sevi", 902.11)]
        ):
            order = {"id": f"o-{n}", "paymentStatus": "PENDING", "amount": amount}
            body = {"order": order | {"totalAmount": amount, "currency": "KES"}}
            assert local.deliver(json.dumps(body).encode(), provider).status_code == 200
        local.tell("o-0", "PAID")
        local.settle()
        yield local


def test_the_last_changed_come_first(till: LocalService) -> None:
    assert ids(till.json("/orders", sort="newest")) == ["o-0", "o-3", "o-2", "o-1"]
    assert ids({"items": pages(till, "/orders", sort="newest", limit=1)}) == [
        "o-0", "o-3", "o-2", "o-1",
    ]  # fmt: skip


def test_a_provider_is_who_first_named_the_order(till: LocalService) -> None:
    assert ids(till.json("/orders", provider="second")) == ["o-1"]
    assert ids(till.json("/orders", provider="sevi", sort="newest")) == ["o-0", "o-3", "o-2"]


@pytest.mark.parametrize("spelled", ["902.1", "902.10", "902.1000", "0902.10"])
def test_an_amount_is_found_however_it_is_spelled(till: LocalService, spelled: str) -> None:
    known = {order["order_id"]: order["amount"] for order in till.json("/orders")["items"]}
    wanted = [name for name, amount in known.items() if amount == "902.10"]
    assert len(wanted) == 2
    assert ids(till.json("/orders", amount=spelled)) == wanted
    assert ids(till.json("/orders", amount=spelled, currency="KES")) == wanted
    assert ids(till.json("/orders", amount=spelled, currency="UGX")) == []


@pytest.mark.parametrize("amount", ["", "x", "1e400", "-1", "NaN", "9" * 61, "\uff11"])
def test_what_is_no_amount_is_422(till: LocalService, amount: str) -> None:
    assert "amount" in problem(till.get("/orders", amount=amount), 422)


def test_a_time_bounds_the_last_change(till: LocalService) -> None:
    times = {o["order_id"]: o["updated_at"] for o in till.json("/orders")["items"]}
    assert ids(till.json("/orders", from_=times["o-2"], to=times["o-0"])) == ["o-3", "o-2"]
    assert ids(till.json("/orders", to=times["o-2"])) == ["o-1"]


def test_a_cursor_belongs_to_one_order_of_the_list(till: LocalService) -> None:
    by_id = till.json("/orders", limit=1)["next"]
    newest = till.json("/orders", limit=1, sort="newest")["next"]
    assert "after" in problem(till.get("/orders", after=newest), 422)
    assert "after" in problem(till.get("/orders", after=by_id, sort="newest"), 422)


@pytest.mark.parametrize("at", [b"1e3", b"true", b"null", b"99999999999999999999"])
def test_a_cursor_with_a_time_that_is_none_is_422(till: LocalService, at: bytes) -> None:
    after = cursor(b"[" + at + b',"default","1"]')
    assert "after" in problem(till.get("/orders", after=after, sort="newest"), 422)
