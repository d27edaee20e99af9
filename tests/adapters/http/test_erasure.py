"""An operator erases an order over HTTP."""

import json
from typing import Any

import httpx
import pytest

from adapters.access.roles import Role
from tests.adapters.http.local import API_TOKEN, LocalService, problem
from tests.adapters.http.test_commands import say, token

WHY = {"reason": "request 7"}


def erase(local: LocalService, order_id: str = "100017", **more: str) -> httpx.Response:
    return say(local, "POST", f"/orders/{order_id}/erase", WHY, **more)


@pytest.fixture
def told(local: LocalService) -> LocalService:
    """A service that heard of an order in two stores."""
    for provider in ("sevi", "sevi-uganda"):
        local.tell("100017", "PAID", provider, customer={"name": "Wanjiru", "reference": "CUS-1"})
    local.deliver(b'{"orderId": "100017", "name": "Wanjiru"')
    local.settle()
    return local


def read(local: LocalService, number: int) -> Any:
    return local.json(f"/deliveries/{number}", body="true")["body"]


def test_an_operator_erases_an_order_and_its_facts_stay(told: LocalService) -> None:
    assert "Wanjiru" in read(told, 1)
    answer = erase(told)
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "orders": [{"order_id": "100017", "store": "default", "outcome": "erased"}],
            "deliveries": [3],
            "refused_deliveries": 0,
            "look_at": [],
            "look_at_refused": [],
            "left_to_do": None,
        },
    )
    told.settle()
    assert [read(told, number) is None for number in (1, 2, 3)] == [True, False, True]
    order = told.json("/orders/100017")
    assert (order["status"], order["erased"]) == ("DELIVERED", True)
    assert not told.json("/orders/100017", store="uganda")["erased"]
    history = told.json("/orders/100017/history")["events"]
    assert (history[-1]["type"], history[-1]["by"]) == ("PersonalDataErased", "configured token")
    assert "Wanjiru" not in json.dumps(told.json("/orders/100017/bundle"))
    (row, *_) = [r for r in told.json("/operator-log")["items"] if r["action"] == "erase"]
    assert (row["object"], row["reason"]) == ("default/100017", "request 7")
    again = erase(told)
    assert (again.status_code, again.json()["orders"][0]["outcome"]) == (200, "unchanged")


def test_an_operator_looks_before_what_would_go(told: LocalService) -> None:
    told.deliver(b'{"note": "about order 100017"}')
    told.settle()
    seen = say(told, "POST", "/orders/100017/erase?dry_run=true", WHY).json()
    assert seen["orders"][0]["outcome"] == "planned"
    assert (seen["deliveries"], seen["look_at"]) == ([3], [4])
    assert all(read(told, number) for number in (1, 2, 3, 4))
    assert told.json("/orders/100017")["erased"] is False
    done = erase(told).json()
    assert (done["deliveries"], done["look_at"]) == ([3], [4])
    assert [read(told, number) is None for number in (3, 4)] == [True, False]


def test_news_that_comes_after_the_erasure_keeps_its_facts_only(told: LocalService) -> None:
    erase(told)
    told.tell("100017", "PENDING", customer={"name": "Wanjiru"})
    told.settle()
    assert read(told, 4) is None
    news = told.json("/orders/100017/history")["events"][-1]
    assert (news["raw_status"], news["body_sha256"]) == ("PENDING", None)


def test_who_may_erase(told: LocalService) -> None:
    held = {role: token(told, role) for role in Role}
    for role, status in ((Role.AUDITOR, 403), (Role.STORE, 403), (Role.OPERATOR, 200)):
        assert erase(told, token=held[role]).status_code == status, role
    problem(erase(told, token=API_TOKEN + "x"), 401)


def test_an_operator_of_one_store_erases_in_that_store_alone(told: LocalService) -> None:
    mine = token(told, Role.OPERATOR, "uganda")
    assert erase(told, token=mine).json()["orders"][0]["store"] == "uganda"
    problem(erase(told, token=mine, store="default"), 404)
    assert read(told, 1) is not None


@pytest.mark.parametrize(
    ("path", "content", "status"),
    [
        ("/orders/nobody/erase", WHY, 404),
        ("/orders/100017/erase", {}, 422),
        ("/orders/100017/erase", {"reason": ""}, 422),
        ("/orders/100017/erase", {"reason": "x", "more": 1}, 422),
        (f"/orders/{'x' * 256}/erase", WHY, 422),
    ],
    ids=str,
)
def test_what_cannot_be_erased_is_a_problem(
    told: LocalService, path: str, content: Any, status: int
) -> None:
    problem(say(told, "POST", path, content), status)
    assert read(told, 1) is not None
