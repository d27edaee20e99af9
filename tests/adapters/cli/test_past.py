"""People ask what was known at an instant, and what changed between two."""

import json
from typing import Any

import pytest

from adapters.queries.past import EVENTS_AT_ONCE, STEPS_MAX
from tests.adapters.cli.shops import CommandLine, Shop

LATER = "2999-01-01T00:00:00Z"
EARLIER = "2000-01-01T00:00:00Z"


def recorded(order_ledger: CommandLine, order_id: str, version: int) -> str:
    """When an event was recorded."""
    events = json.loads(order_ledger("orders", "history", order_id, "--json").out)["events"]
    time: str = events[version - 1]["recorded_at"]
    return time


def items(text: str) -> list[Any]:
    found: list[Any] = json.loads(text)["items"]
    return found


def test_orders_are_listed_as_they_were(shop: Shop, order_ledger: CommandLine) -> None:
    shop.hears(("b", "PENDING"), ("a", "PENDING"), ("b", "PAID"))
    then = recorded(order_ledger, "a", 1)
    ran = order_ledger("orders", "list", "--as-of", then, "--json")
    assert [(o["order_id"], o["status"]) for o in items(ran.out)] == [
        ("b", "AWAITING_PAYMENT"),
        ("a", "AWAITING_PAYMENT"),
    ]
    now = order_ledger("orders", "list", "--as-of", LATER, "--status", "delivered")
    assert [line.split()[0] for line in now.lines] == ["Order", "b"]
    assert items(order_ledger("orders", "list", "--as-of", EARLIER, "--json").out) == []
    first = order_ledger("orders", "list", "--as-of", then, "--limit", "1")
    rest = order_ledger(
        "orders", "list", "--as-of", then, *first.lines[-1].split("add ")[1].split(), "--json"
    )
    assert [o["order_id"] for o in items(rest.out)] == ["a"]


def test_only_what_had_happened_before_counts(shop: Shop, order_ledger: CommandLine) -> None:
    shop.hears(("a", "PENDING"), ("a", "PAID"))
    ran = order_ledger("orders", "show", "a", "--occurred-before", EARLIER)
    assert ran.code == 1
    assert "nothing was known of order a, or had happened to it, then" in ran.complaint
    ran = order_ledger("orders", "show", "a", "--occurred-before", LATER, "--json")
    now = json.loads(order_ledger("orders", "show", "a", "--json").out)
    assert json.loads(ran.out) == now | {"paid_amount": None}, "what was paid by then is not told"
    assert items(order_ledger("orders", "list", "--occurred-before", EARLIER, "--json").out) == []
    for bound in ("--as-of", "--occurred-before"):
        assert len(order_ledger("payments", "export", bound, EARLIER).lines) == 1
        assert len(order_ledger("payments", "export", bound, LATER).lines) == 3


def test_a_person_sees_what_changed_and_why(
    shop: Shop, order_ledger: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    shop.hears(("a", "PENDING"), ("b", "PENDING"), ("a", "PAID"), ("c", "PAID"), ("c", "DISPUTED"))
    since = recorded(order_ledger, "b", 1)
    ran = order_ledger("diff", "--from", since, "--to", LATER)
    assert (ran.code, ran.stderr) == (0, b"")
    shown = [" ".join(line.split()) for line in ran.lines]
    assert shown == [
        "Order Before After Because",
        "a AWAITING_PAYMENT DELIVERED 0-3 PaymentReceived (sevi: PAID, 902.10 KES); 0-4 Delivered",
        (
            "c unknown DELIVERED, review: disputed "
            "0-5 PaymentReceived (sevi: PAID, 902.10 KES); 0-6 Delivered; "
            "0-7 PaymentReceived (sevi: DISPUTED, 902.10 KES); 0-8 ReviewRequired (disputed)"
        ),
    ]
    ran = order_ledger("diff", "--from", since, "--to", LATER, "--json", "--limit", "1")
    assert [change["order_id"] for change in items(ran.out)] == ["a"]
    shorter = order_ledger("diff", "--from", since, "--to", LATER, "--limit", "1")
    more = shorter.lines[-1].split("add ")[1].split()
    rest = order_ledger("diff", "--from", since, "--to", LATER, *more, "--json")
    assert [change["order_id"] for change in items(rest.out)] == ["c"]
    ran = order_ledger("diff", "--from", LATER, "--to", LATER)
    assert ran.lines == ["No order changed."]


def test_changes_of_one_store(shop: Shop, order_ledger: CommandLine) -> None:
    shop.hears(("a", "PAID"))
    shop.store = "other"
    shop.hears(("b", "PAID"))
    both = order_ledger("diff", "--from", EARLIER, "--to", LATER).lines
    assert [line.split()[:2] for line in both] == [
        ["Store", "Order"],
        ["default", "a"],
        ["other", "b"],
    ]
    mine = order_ledger("diff", "--from", EARLIER, "--to", LATER, "--store", "other", "--json")
    assert [change["order_id"] for change in items(mine.out)] == ["b"]


def test_a_command_goes_on_where_a_page_of_the_http_api_would_end(
    shop: Shop, order_ledger: CommandLine
) -> None:
    many = EVENTS_AT_ONCE * STEPS_MAX + 10
    body = '{"orderId": "1", "orderPayment": "PENDING", "n": %d}'
    for start in range(0, many, 2000):
        shop.hears_at_once([body % n for n in range(start, start + 2000)])
    since = recorded(order_ledger, "1", 1)
    shop.hears(("2", "PAID"))
    ran = order_ledger("diff", "--from", since, "--to", LATER, "--json")
    assert [change["order_id"] for change in items(ran.out)] == ["2"]


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (["diff"], "--from"),
        (["diff", "--from", EARLIER], "--to"),
        (["diff", "--from", LATER, "--to", EARLIER], "--to"),
        (["diff", "--from", EARLIER, "--to", "noon"], "--to"),
        (["diff", "--from", EARLIER, "--to", LATER, "--after", "x"], "--after"),
        (["orders", "list", "--as-of", LATER, "--after", "x"], "--after"),
        (["orders", "list", "--occurred-before", "noon"], "--occurred-before"),
        (["payments", "export", "--as-of", "2026-01-05"], "--as-of"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_wrong_usage(
    shop: Shop, order_ledger: CommandLine, args: list[str], named: str
) -> None:
    shop.hears(("1", "PAID"))
    ran = order_ledger(*args)
    assert (ran.code, ran.out) == (2, "")
    assert named in ran.complaint
