"""What the query API says of one order: as it is, as it was known to be, and how it is found."""

import asyncio
import hashlib
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

import pytest

from adapters.http import api
from tests.adapters.http.local import LocalService, ids, problem
from tests.adapters.providers.sevi_bodies import ORDER_ID, bare, order_webhook


def path_of(order_id: str) -> str:
    return f"/orders/{quote(order_id, safe='')}"


# ------------------------------------------------------------------------------------- one order


def test_an_order_has_the_fields_that_were_promised(local: LocalService) -> None:
    position = local.deliver(order_webhook()).json()["position"]
    order = local.json(path_of(ORDER_ID), min_position=position)
    (paid, delivered) = local.json(f"{path_of(ORDER_ID)}/history")["events"]
    assert order == {
        "order_id": ORDER_ID,
        "store": "default",
        "status": "DELIVERED",
        "payment_status": "PAID",
        "review": None,
        "amount": "902.10",
        "currency": "KES",
        "references": ["ORD-700431", "SHOP-5512", "woo-91"],
        "provider": "sevi",
        "delivered_at": delivered["recorded_at"],
        "paid_amount": "902.10",
        "updated_at": delivered["recorded_at"],
        "version": 2,
        "position": position,
        "registered": False,
        "parked_since": None,
        "erased": False,
    }
    assert paid["recorded_at"].endswith("Z"), "times are UTC and say so"


def test_a_history_has_every_event_with_what_an_auditor_asks_for(local: LocalService) -> None:
    first = local.deliver(order_webhook(paymentStatus="PENDING"))
    last = local.deliver(order_webhook())
    history = local.json(f"{path_of(ORDER_ID)}/history", min_position=last.json()["position"])
    assert (history["order_id"], history["store"]) == (ORDER_ID, "default")
    pending, paid, delivered = history["events"]
    assert [e["type"] for e in history["events"]] == [
        "PaymentReceived",
        "PaymentReceived",
        "Delivered",
    ]
    assert [e["position"] for e in history["events"]] == ["0-1", "0-2", "0-3"]
    assert (pending["raw_status"], pending["amount"], pending["currency"]) == (
        "PENDING",
        "902.10",
        "KES",
    )
    assert pending["position"] == first.json()["position"]
    assert paid["delivery_key"] == local.deliveries[1].body_hash
    body = local.kept_body(local.deliveries[1])
    assert paid["body_sha256"] == hashlib.sha256(body or b"").hexdigest()
    assert (paid["stale"], paid["occurred_at"], paid["provider"]) == (False, None, "sevi")
    assert paid["received_at"] <= paid["recorded_at"]
    assert delivered["caused_by"] == paid["version"] == 2


def test_stale_news_is_marked_in_the_history(local: LocalService) -> None:
    local.tell("1", "PAID")
    local.tell("1", "PENDING")
    local.settle()
    events = local.json("/orders/1/history")["events"]
    assert [event["stale"] for event in events] == [False, False, True]


@pytest.mark.parametrize("path", ["/orders/nobody", "/orders/nobody/history", "/orders/"])
def test_an_order_that_nobody_told_of_is_404(shared: LocalService, path: str) -> None:
    problem(shared.get(path), 404)


@pytest.mark.parametrize(
    "order_id",
    [
        "a/b",
        "/",
        "//a//",
        "a?b=c&d#e",
        "100%",
        "a%2Fb",
        "a+b c",
        " ",
        "'; DROP TABLE order_status; --",
        '"quoted"',
        "\\",
        "malipo-\u00e9",
        "malipo-e\u0301",
        "\U0001f96d" * 255,
        "\u202egnirts",
        "\uffff",
        "x" * 255,
        "history",
        "-",
    ],
)
def test_an_order_of_any_id_is_found_by_it(shared: LocalService, order_id: str) -> None:
    position = shared.tell(order_id, "PAID")["position"]
    assert shared.tell(order_id, "PAID")["outcome"] == "duplicate"
    assert shared.json(path_of(order_id), min_position=position)["order_id"] == order_id
    events = shared.json(f"{path_of(order_id)}/history", min_position=position)["events"]
    assert [event["order_id"] for event in events] == [order_id, order_id]
    assert ids(shared.json("/orders", reference=order_id)) == [order_id]
    assert len(shared.json("/payments", order_id=order_id)["items"]) == 1


def test_an_order_whose_id_ends_like_a_path_of_ours_is_found_in_the_list(
    local: LocalService,
) -> None:
    local.tell("a/history", "PAID")
    local.settle()
    assert ids(local.json("/orders", reference="a/history")) == ["a/history"]


@pytest.mark.parametrize("after", ["%00", "%00junk", "%0A", "%20", "/", "%F0%9F%A5%AD", "%FF"])
def test_an_id_with_something_behind_it_is_another_id(shared: LocalService, after: str) -> None:
    shared.tell("one", "PAID")
    shared.settle()
    for path in (f"/orders/one{after}", f"/orders/one{after}/history"):
        assert shared.get(path).status_code in {404, 422}, path


# ------------------------------------------------------------------------------ min_position, as_of


def test_a_reader_sees_its_own_write(local: LocalService) -> None:
    for n in range(20):
        position = local.tell(f"order-{n}", "PAID")["position"]
        assert local.json(f"/orders/order-{n}", min_position=position)["status"] == "DELIVERED"


@pytest.mark.parametrize("path", ["/orders/1", "/orders/1/history"])
def test_a_reader_waits_for_a_position_that_comes_in_time(local: LocalService, path: str) -> None:
    local.tell("1", "PENDING")

    async def wait_and_deliver() -> Any:
        waiting = asyncio.create_task(local.ask(path, min_position="0-3"))
        await asyncio.sleep(0)
        await local.post(bare("1"))
        return await waiting

    response = local.run(wait_and_deliver())
    assert response.status_code == 200
    assert "Delivered" in response.text or response.json()["status"] == "DELIVERED"


@pytest.mark.parametrize("path", ["/orders/1", "/orders/1/history"])
def test_a_reader_who_waits_in_vain_is_told_to_come_again(
    local: LocalService, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "MIN_POSITION_WAIT_SECONDS", 0.05)
    local.tell("1", "PENDING")
    for position in ("0-2", "0-999999999999999999"):
        response = local.get(path, min_position=position)
        assert position in problem(response, 503)
        assert int(response.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    "position", ["", "1", "0", "0-", "-1", "0-1 ", "a-b", "0-01", "0--1", "0-1.5", "0-" + "9" * 30]
)
def test_what_is_no_position_is_422(shared: LocalService, position: str) -> None:
    shared.tell("one", "PAID")
    assert "min_position" in problem(shared.get("/orders/one", min_position=position), 422)


def test_as_of_shows_what_was_known_then(local: LocalService) -> None:
    for status in ("PENDING", "FAILED", "PAID"):
        local.tell("1", status)
    local.settle()
    events = local.json("/orders/1/history")["events"]
    times = [event["recorded_at"] for event in events]
    before = datetime.fromisoformat(times[0]) - timedelta(microseconds=1)
    problem(local.get("/orders/1", as_of=before.isoformat()), 404)
    known = [local.json("/orders/1", as_of=time) for time in times]
    assert [order["status"] for order in known] == [
        "AWAITING_PAYMENT",
        "PAYMENT_FAILED",
        "PAYMENT_FAILED",
        "DELIVERED",
        "DELIVERED",
    ]
    assert (
        known[-1] == local.json("/orders/1") == local.json("/orders/1", as_of="9999-12-31T00:00Z")
    )


def test_as_of_is_an_instant_whatever_its_zone(local: LocalService) -> None:
    local.tell("1", "PENDING")
    local.settle()
    first = datetime.fromisoformat(local.json("/orders/1")["updated_at"])
    local.tell("1", "PAID")
    nairobi = first.astimezone(timezone(timedelta(hours=3))).isoformat()
    for spelled in (nairobi, nairobi.replace("+", " ")):  # an unescaped + arrives as a space
        assert local.json("/orders/1", as_of=spelled)["status"] == "AWAITING_PAYMENT"


@pytest.mark.parametrize(
    "as_of",
    [
        "",
        "yesterday",
        "2026-01-05",
        "2026-01-05T07:30:00",
        "2026-13-01T00:00:00Z",
        "NaN",
        "1700000000",
        "9999-12-31T23:59:59-14:00",
        "0001-01-01T00:00:00+14:00",
    ],
)
def test_what_is_no_instant_with_a_zone_is_422(shared: LocalService, as_of: str) -> None:
    shared.tell("one", "PAID")
    assert "as_of" in problem(shared.get("/orders/one", as_of=as_of), 422)


# ------------------------------------------------------------------------------------ references


def test_an_order_is_found_by_each_of_its_references(local: LocalService) -> None:
    local.tell("1", "PAID", referenceNumber="ORD/1", platformReference="caf\u00e9")
    local.tell("2", "PAID", referenceNumber="ORD/2")
    local.settle()
    for reference in ("ORD/1", "caf\u00e9"):
        assert local.json(path_of(reference))["order_id"] == "1"
        assert local.json(f"{path_of(reference)}/history")["order_id"] == "1"
        assert ids(local.json("/orders", reference=reference)) == ["1"]


def test_a_reference_that_several_orders_share_is_409_and_can_be_listed(
    local: LocalService,
) -> None:
    for order_id in "12":
        local.tell(order_id, "PAID", platformReference="shared")
    local.settle()
    for path in ("/orders/shared", "/orders/shared/history"):
        assert "/orders?reference=" in problem(local.get(path), 409)
    assert ids(local.json("/orders", reference="shared")) == ["1", "2"]


def test_an_id_comes_before_another_orders_reference(local: LocalService) -> None:
    local.tell("1", "PAID", platformReference="2")
    local.tell("2", "PENDING")
    local.settle()
    assert local.json("/orders/2")["order_id"] == "2"
    assert ids(local.json("/orders", reference="2")) == ["1", "2"]


def test_two_stores_never_see_each_others_orders(local: LocalService) -> None:
    local.tell("1", "PAID", platformReference="shared")
    local.tell("1", "FAILED", "sevi-uganda", platformReference="shared")
    local.tell("2", "PENDING", "sevi-uganda")
    local.settle()
    assert local.json("/orders/1")["status"] == "DELIVERED"
    assert local.json("/orders/1", store="default")["status"] == "DELIVERED"
    assert local.json("/orders/1", store="uganda")["status"] == "PAYMENT_FAILED"
    assert local.json("/orders/shared", store="uganda")["store"] == "uganda"
    assert len(local.json("/orders/1/history", store="uganda")["events"]) == 2
    problem(local.get("/orders/2"), 404)
    problem(local.get("/orders/2", store="nowhere"), 404)
    assert ids(local.json("/orders", store="uganda")) == ["1", "2"]
    stores = [(order["store"], order["order_id"]) for order in local.json("/orders")["items"]]
    assert stores == [("default", "1"), ("uganda", "1"), ("uganda", "2")]
    assert len(local.json("/payments", store="default")["items"]) == 1


def test_another_providers_payment_is_shown_under_review_and_not_applied(
    local: LocalService,
) -> None:
    local.tell("1", "PENDING")
    local.tell("1", "PAID", "second")
    local.settle()
    order = local.json("/orders/1")
    assert (order["status"], order["review"], order["provider"]) == (
        "AWAITING_PAYMENT",
        "other_provider",
        "sevi",
    )


@pytest.mark.parametrize(
    "path", ["/orders?reference=%00", "/orders?store=%0A", "/orders/1?min_position=1-0"]
)
def test_what_no_order_can_have_is_422(local: LocalService, path: str) -> None:
    problem(local.get(path), 422)
