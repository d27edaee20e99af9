"""The two clocks over HTTP: what was known at one instant, of what had happened before another."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from adapters.access.roles import Role
from tests.adapters.http.local import LocalService, ids, pages, problem
from tests.adapters.http.test_access import Holder

DAY = "2026-01-05T%02d:00:00Z"
MAPPED: dict[str, Any] = {
    "kind": "custom",
    "secrets": ["a-secret-of-the-till"],
    "verify": {"scheme": "token", "header": "X-Token"},
    "order_id": "id",
    "status": "status",
    "statuses": {"PAID": ["PAID"], "PENDING": ["PENDING"], "FAILED": ["FAILED"]},
    "occurred_at": "at",
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    """A service of a provider that says when its news happened: a PAID of ten o'clock came before a
    PENDING of nine, then news of another order that names no time. Nobody adds to it."""
    folder = tmp_path_factory.mktemp("past")
    with LocalService(folder, providers={"till": MAPPED}) as local:
        for body in (
            f'{{"id": "1", "status": "PAID", "at": "{DAY % 10}"}}',
            f'{{"id": "1", "status": "PENDING", "at": "{DAY % 9}"}}',
            '{"id": "2", "status": "FAILED"}',
        ):
            headers = {"X-Token": "a-secret-of-the-till"}
            answer = local.run(local.post(body.encode(), "till", headers))
            assert answer.json()["order_status"] is not None, answer.text
        local.settle()
        yield local


def recorded(local: LocalService) -> list[str]:
    """When each event was recorded."""
    events = [e for n in "12" for e in local.json(f"/orders/{n}/history")["events"]]
    return [event["recorded_at"] for event in sorted(events, key=lambda e: e["recorded_at"])]


def standing(order: Any) -> tuple[str, str | None]:
    return order["status"], order["payment_status"]


def test_an_order_is_shown_as_it_was_by_both_clocks(told: LocalService) -> None:
    first = recorded(told)[0]
    problem(told.get("/orders/1", occurred_before=DAY % 9), 404)
    order = told.json("/orders/1", occurred_before=DAY % 10)
    assert standing(order) == ("AWAITING_PAYMENT", "PENDING")
    problem(told.get("/orders/1", occurred_before=DAY % 10, as_of=first), 404)
    order = told.json("/orders/1", occurred_before=DAY % 11, as_of=first)
    assert standing(order) == ("DELIVERED", "PAID")
    assert order["version"] == 2
    assert told.json("/orders/1", occurred_before=DAY % 11) == told.json("/orders/1")


def test_orders_are_listed_as_they_were(told: LocalService) -> None:
    first = recorded(told)[0]
    assert ids(told.json("/orders", as_of=first)) == ["1"]
    assert ids(told.json("/orders", occurred_before=DAY % 11)) == ["1"]
    assert ids(told.json("/orders", as_of=recorded(told)[-1])) == ["1", "2"]
    assert ids(told.json("/orders", as_of=first, status="DELIVERED")) == ["1"]
    waiting = told.json("/orders", occurred_before=DAY % 10, status="AWAITING_PAYMENT")
    assert [standing(order) for order in waiting["items"]] == [("AWAITING_PAYMENT", "PENDING")]
    assert (
        pages(told, "/orders", as_of=recorded(told)[-1], limit=1) == (told.json("/orders")["items"])
    )


def test_payments_are_known_and_happened_by_then(told: LocalService) -> None:
    first = recorded(told)[0]

    def said(**params: str) -> list[str]:
        return [item["payment_status"] for item in told.json("/payments", **params)["items"]]

    assert said() == ["PAID", "PENDING", "FAILED"]
    assert said(as_of=first) == ["PAID"]
    assert said(occurred_before=DAY % 10) == ["PENDING"]
    assert said(occurred_before=DAY % 11) == ["PAID", "PENDING"], "who says no time came in today"
    assert said(occurred_before=DAY % 10, as_of=first) == []
    lines = told.get("/payments", format="jsonl", occurred_before=DAY % 10).text.splitlines()
    assert len(lines) == 1


def test_the_difference_between_two_instants_names_orders_and_events(told: LocalService) -> None:
    times = recorded(told)
    before = (datetime.fromisoformat(times[0]) - timedelta(seconds=1)).isoformat()
    page = told.json("/diff", from_=before, to=times[-1])
    assert page["next"] is None
    first, second = page["items"]
    assert (first["order_id"], first["store"], first["before"]) == ("1", "default", None)
    assert first["after"] == {"status": "DELIVERED", "review": None}
    assert [(e["position"], e["type"], e["raw_status"]) for e in first["because"]] == [
        ("0-1", "PaymentReceived", "PAID"),
        ("0-2", "Delivered", None),
    ]
    assert second["after"]["status"] == "PAYMENT_FAILED"
    assert pages(told, "/diff", from_=before, to=times[-1], limit=1) == page["items"]
    assert [c["order_id"] for c in told.json("/diff", from_=times[0], to=times[-1])["items"]] == [
        "2"
    ]
    assert told.json("/diff", from_=times[-1], to=times[-1])["items"] == []


def test_a_token_of_one_store_sees_no_other_stores_past(told: LocalService) -> None:
    holder = Holder(told, "past", Role.AUDITOR, store="elsewhere")
    times = recorded(told)
    for path in (f"/orders?as_of={times[-1]}", f"/diff?from={DAY % 1}&to={times[-1]}"):
        assert holder.json(path)["items"] == []
    path = f"/orders/1?occurred_before={times[-1]}"
    assert holder.get(path).status_code == 404


@pytest.mark.parametrize(
    ("path", "params", "named"),
    [
        ("/orders", {"as_of": "yesterday"}, "as_of"),
        ("/orders", {"occurred_before": "2026-01-05"}, "occurred_before"),
        ("/orders", {"as_of": DAY % 9, "after": "WyJhIiwiYiJd"}, "position"),
        ("/orders", {"as_of": DAY % 9, "sort": "newest"}, "sort"),
        ("/orders", {"as_of": DAY % 9, "reference": "x", "after": "0-1"}, "cursor"),
        ("/orders/1", {"occurred_before": "noon"}, "occurred_before"),
        ("/payments", {"as_of": "noon"}, "as_of"),
        ("/diff", {}, "from"),
        ("/diff", {"from_": DAY % 9}, "to"),
        ("/diff", {"from_": DAY % 9, "to": DAY % 8}, "to"),
        ("/diff", {"from_": DAY % 9, "to": DAY % 10, "after": "x"}, "after"),
        ("/diff", {"from_": DAY % 9, "to": DAY % 10, "limit": "0"}, "limit"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_of_the_past_is_422(
    told: LocalService, path: str, params: dict[str, str], named: str
) -> None:
    assert named in problem(told.get(path, **params), 422)
