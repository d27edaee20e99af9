"""What shops and operators tell the ledger over HTTP, and what it answers."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.access.roles import Caller, Role
from adapters.secrets import new_api_token, token_sha256
from adapters.storage.access import Operation, TokenRow
from adapters.storage.log import utc_now
from tests.adapters.http.local import API_TOKEN, LocalService, problem

TERMS: dict[str, Any] = {"amount": "902.10", "currency": "KES"}
ACCEPT = {"decision": "accept", "reason": "a discount of the shop"}


def say(
    local: LocalService, method: str, path: str, content: Any, token: str = API_TOKEN, **params: str
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    answer = local.http.request(method, path, json=content, headers=headers, params=params or None)
    return local.run(answer)


def register(local: LocalService, order_id: str = "1", **terms: Any) -> httpx.Response:
    return say(local, "PUT", f"/orders/{order_id}", TERMS | terms)


def resolve(local: LocalService, order_id: str = "1", **decision: Any) -> httpx.Response:
    return say(local, "POST", f"/orders/{order_id}/review", ACCEPT | {"version": 3} | decision)


def token(local: LocalService, role: Role, store: str | None = None) -> str:
    made = new_api_token()
    row = TokenRow(role.value, frozenset({role}), store, token_sha256(made.encode()), utc_now())
    maker = Caller.with_every_role("a test")
    local.service.tokens.create(row, Operation.by(maker, "tokens create", row.name))
    return made


def tell(local: LocalService, order_id: str) -> Any:
    """A PAID in the bare form, which tells no amount."""
    return local.tell(order_id, "PAID")


def history(local: LocalService, order_id: str = "1") -> list[dict[str, Any]]:
    local.settle()
    events: list[dict[str, Any]] = local.json(f"/orders/{order_id}/history")["events"]
    return events


def test_an_order_is_registered_once_and_the_same_again_is_no_news(local: LocalService) -> None:
    first = register(local, references=["REF-1"])
    assert (first.status_code, first.json()) == (
        201,
        {
            "outcome": "recorded",
            "order_id": "1",
            "store": "default",
            "order_status": "AWAITING_PAYMENT",
            "review": None,
            "position": "0-1",
        },
    )
    again = register(local, references=["REF-1"], amount="902.1")
    assert (again.status_code, again.json()) == (200, first.json() | {"outcome": "unchanged"})
    other = register(local, amount="5")
    assert (other.status_code, other.json()["position"]) == (200, "0-2")
    local.settle()
    order = local.json("/orders/1")
    assert (order["registered"], order["amount"], order["currency"]) == (True, "5.00", "KES")
    assert local.json("/orders/REF-1")["order_id"] == "1"
    (placed, _) = history(local)
    assert (placed["type"], placed["amount"], placed["by"], placed["references"]) == (
        "OrderPlaced",
        "902.10",
        "configured token",
        ["REF-1"],
    )


def test_after_news_of_a_payment_other_terms_are_a_conflict(local: LocalService) -> None:
    register(local)
    assert tell(local, "1")["order_status"] == "AWAITING_PAYMENT", "the bare form has no amount"
    assert "news of its payment came" in problem(register(local, amount="5"), 409)
    assert register(local).status_code == 200


def test_a_name_of_another_order_is_a_conflict(local: LocalService) -> None:
    register(local, references=["REF-1"])
    assert "order 1 goes by the name REF-1" in problem(register(local, "REF-1"), 409)


@pytest.mark.parametrize(
    ("terms", "named"),
    [
        ({"amount": 902.1}, "amount"),
        ({"amount": "0.00"}, "amount"),
        ({"amount": "-1"}, "amount"),
        ({"amount": "NaN"}, "amount"),
        ({"amount": "1_0"}, "amount"),
        ({"amount": " 1 "}, "amount"),
        ({"amount": "1\n"}, "amount"),
        ({"amount": "1e400"}, "amount"),
        ({"amount": "1" * 600}, "amount"),
        ({"amount": ""}, "amount"),
        ({"currency": "kes"}, "currency"),
        ({"currency": None}, "currency"),
        ({"currency": "XYZ"}, "currency"),
        ({"amount": "902.105"}, "currency"),
        ({"amount": "15000.50", "currency": "UGX"}, "currency"),
        ({"references": ["x" * 256]}, "0"),
        ({"references": ["a\nb"]}, "0"),
        ({"references": [str(n) for n in range(21)]}, "references"),
        ({"tolerance": "1000"}, "tolerance"),
    ],
)
def test_terms_that_cannot_be_are_named(
    local: LocalService, terms: dict[str, Any], named: str
) -> None:
    assert problem(register(local, **terms), 422).startswith(f"{named}: ")
    assert local.service.ledger.event_log.head() is None


def test_an_id_that_no_provider_could_name_is_refused(local: LocalService) -> None:
    assert "1 to 255" in problem(register(local, "x" * 256), 422)


def test_a_held_payment_is_accepted_with_a_name_and_a_reason(local: LocalService) -> None:
    register(local)
    tell(local, "1")
    answer = resolve(local)
    assert (answer.status_code, answer.json()["order_status"]) == (200, "DELIVERED")
    _, paid, review, resolved, delivered = history(local)
    assert (paid["disposition"], review["reason"]) == ("held", "amount_missing")
    assert (resolved["verdict"], resolved["by"], resolved["reason"]) == (
        "accepted",
        "configured token",
        ACCEPT["reason"],
    )
    assert (delivered["caused_by"], delivered["decision"]) == (2, 4)
    local.settle()
    order = local.json("/orders/1")
    assert (order["status"], order["payment_status"], order["review"]) == (
        "DELIVERED",
        "PAID",
        None,
    )
    (operation, *_) = local.json("/operator-log")["items"]
    assert (operation["action"], operation["object"], operation["reason"]) == (
        "review accept",
        "default/1",
        ACCEPT["reason"],
    )


def test_a_rejected_one_is_not_delivered(local: LocalService) -> None:
    register(local)
    tell(local, "1")
    answer = resolve(local, decision="reject")
    assert (answer.json()["order_status"], answer.json()["review"]) == ("AWAITING_PAYMENT", None)
    assert "no review" in problem(resolve(local), 409)


def test_a_decision_about_an_order_that_moved_on_is_a_conflict(local: LocalService) -> None:
    register(local)
    local.tell("1", "ODD")
    local.settle()
    seen = local.json("/orders/1")["version"]
    tell(local, "1")
    assert "look at it again" in problem(resolve(local, version=seen), 409)
    local.settle()
    assert local.json("/orders/1")["status"] == "AWAITING_PAYMENT"
    assert local.json("/operator-log")["items"] == []
    assert resolve(local, version=local.json("/orders/1")["version"]).status_code == 200


def test_a_review_of_nothing_is_not_found_and_leaves_no_line(local: LocalService) -> None:
    assert "no order" in problem(resolve(local, "nobody"), 404)
    assert "reason" in problem(resolve(local, reason=""), 422)
    assert "decision" in problem(resolve(local, decision="deliver"), 422)
    unseen = say(local, "POST", "/orders/1/review", ACCEPT)
    assert "version is wanted, the order's as GET /orders told it" in problem(unseen, 422)
    assert "version" in problem(resolve(local, version=0), 422)
    assert local.json("/operator-log")["items"] == []


def test_each_command_wants_its_role_and_its_store(local: LocalService) -> None:
    shop, operator = token(local, Role.STORE, "uganda"), token(local, Role.OPERATOR)
    auditor = token(local, Role.AUDITOR)
    for stranger in (operator, auditor):
        assert say(local, "PUT", "/orders/1", TERMS, stranger).status_code == 403
    for stranger in (shop, auditor):
        assert say(local, "POST", "/orders/1/review", ACCEPT, stranger).status_code == 403
    assert say(local, "PUT", "/orders/1", TERMS, "nobody").status_code == 401
    assert say(local, "PUT", "/orders/1", TERMS, shop, store="default").status_code == 404
    placed = say(local, "PUT", "/orders/1", TERMS, shop)
    assert (placed.status_code, placed.json()["store"]) == (201, "uganda")


def test_what_waits_is_listed_told_by_health_and_taken_in(tmp_path: Path) -> None:
    with LocalService(tmp_path, require_registered_orders=True) as local:
        parked = tell(local, "1")
        assert (parked["outcome"], parked["order_status"]) == ("recorded", "AWAITING_PAYMENT")
        local.settle()
        (waiting,) = local.json("/orders", parked="true")["items"]
        assert waiting["order_id"] == "1"
        (news,) = history(local)
        assert waiting["parked_since"] == news["received_at"]
        told = local.json("/health/ready")["details"]["parked_news"]
        assert told == {
            "orders": 1,
            "oldest_since": waiting["parked_since"],
            "overdue": False,
        }
        assert register(local).json()["review"] == "amount_missing"
        local.settle()
        assert local.json("/orders", parked="true")["items"] == []
        assert local.json("/health/ready")["details"]["parked_news"]["orders"] == 0


def test_the_tolerance_is_what_is_configured(tmp_path: Path) -> None:
    with LocalService(tmp_path, amount_tolerance="0.05") as local:
        register(local)
        (placed,) = local.service.ledger.history("default/1")
        assert str(getattr(placed.event, "tolerance", None)) == "0.05"


@pytest.mark.parametrize(
    ("body", "amount", "paid"),
    [
        ({"amount": 850, "currency": "KES"}, "902.10", "850.00"),
        ({"amount": 850, "currency": "UGX"}, "902.10", None),
        ({}, "902.10", None),
    ],
)
def test_what_was_paid_is_told_beside_what_was_to_be_paid(
    local: LocalService, body: dict[str, Any], amount: str, paid: str | None
) -> None:
    register(local)
    assert local.json("/orders/1")["paid_amount"] is None
    local.deliver(json.dumps({"orderId": "1", "orderPayment": "PAID"} | body).encode())
    local.settle()
    for _ in ("held", "accepted"):
        order = local.json("/orders/1")
        assert (order["amount"], order["paid_amount"]) == (amount, paid)
        resolve(local)
        local.settle()
    assert local.json("/orders/1")["status"] == "DELIVERED"


def test_news_that_was_taken_in_leads_to_the_order_that_took_it(tmp_path: Path) -> None:
    with LocalService(tmp_path, require_registered_orders=True) as local:
        news = {"orderId": "Z1", "orderPayment": "PAID", "amount": 902.1, "currency": "KES"}
        local.deliver(json.dumps(news).encode())
        before = utc_now().isoformat()
        register(local, "Z9", references=["Z1"])
        local.settle()
        assert local.json("/orders/Z1")["order_id"] == "Z9"
        assert local.json("/orders/Z1/history")["order_id"] == "Z9"
        assert local.json("/orders", status="AWAITING_PAYMENT")["items"] == []
        now = utc_now().isoformat()
        assert local.json("/orders", status="AWAITING_PAYMENT", as_of=now)["items"] == []
        (then,) = local.json("/orders", status="AWAITING_PAYMENT", as_of=before)["items"]
        assert local.json("/orders/Z1", as_of=before)["order_id"] == then["order_id"] == "Z1"


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", ""])
def test_a_body_that_is_not_sent_as_json_is_told_which_header_to_send(
    local: LocalService, kind: str
) -> None:
    headers = {"Authorization": f"Bearer {API_TOKEN}", "Content-Type": kind}
    body = b'{"amount": "902.10", "currency": "KES"}'
    answer = local.run(local.http.put("/orders/1", content=body, headers=headers))
    assert "send Content-Type: application/json" in problem(answer, 422)


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ({"currency": "kes"}, "currency: three capital letters are wanted, such as KES"),
        ({"amount": 902.10}, 'amount: write the amount as a text, such as "902.10"'),
    ],
)
def test_terms_that_are_refused_are_told_in_plain_words(
    local: LocalService, terms: dict[str, Any], told: str
) -> None:
    assert problem(register(local, **terms), 422) == told
    assert problem(say(local, "PUT", "/orders/1", ["KES"]), 422) == "body: a JSON object is wanted"


def test_what_is_not_there_says_where_to_look(local: LocalService) -> None:
    assert "/openapi.json" in problem(say(local, "GET", "/nowhere", None), 404)
    assert "Allow" in problem(say(local, "DELETE", "/totals", None), 405)


def test_a_reference_where_an_id_is_wanted_is_told_whose_it_is(local: LocalService) -> None:
    register(local, "9", references=["INV-9"])
    local.settle()
    whose = "INV-9 is a reference of the order 9: name 9"
    assert problem(resolve(local, "INV-9"), 404) == whose
    for path in ("/deliveries", "/payments"):
        assert problem(local.get(path, order_id="INV-9"), 422) == f"order_id: {whose}"
        assert local.json(path, order_id="9")["items"] == []
