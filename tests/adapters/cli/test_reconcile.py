"""`order-ledger reconcile`: Sevi's list, or a file, held against the ledger."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.queries.queries import HistoryView
from domain.order import News
from domain.payment import Origin, Outcome
from tests.adapters.cli.shops import CommandLine, Ran, Shop
from tests.web import FakeServer, FakeSevi, Reply

SINCE = ("--since", "2026-01-01T00:00:00Z")


def transaction(
    ref: str,
    order_id: str | None,
    status: str = "PAID",
    amount: str = "902.10",
    **more: object,
) -> str:
    """A transaction as Sevi lists it; the amount stays as it is written."""
    order = {"id": order_id, "paymentStatus": status, "currency": "KES", "amount": 0}
    told = {
        "id": ref,
        "currency": "KES",
        "paymentType": "ORDER",
        "transactionType": "CREDIT",
        "createdAt": "2026-01-05T07:30:00.000Z",
        "orderId": order_id,
        "status": "COMPLETED",
        "order": order,
        "amount": 0,
    } | more
    if order_id is None:
        told |= {"order": None, "paymentType": "SETTLEMENT"}
    return json.dumps(told).replace('"amount": 0', f'"amount": {amount}')


@pytest.fixture
def sevi(tmp_path: Path) -> Iterator[FakeSevi]:
    """Sevi, which the shop is configured to ask."""
    with FakeSevi() as server:
        (tmp_path / "order-ledger.toml").write_text(
            f'[providers.sevi]\napi_token = "{server.token}"\napi_endpoint = "{server.url}"\n'
        )
        yield server


def found(ran: Ran) -> list[tuple[str, str | None, str | None]]:
    view = json.loads(ran.stdout)
    return [(f["sort"], f["order_id"], f["payment_ref"]) for f in view["findings"]]


def origins(shop: Shop, order_id: str) -> list[Origin]:
    with shop.service() as service:
        history = service.ledger.history(f"default/{order_id}")
        return [r.event.origin for r in history if isinstance(r.event, News)]


def history(shop: Shop, order_id: str) -> HistoryView:
    with shop.service() as service:
        service.runner.catch_up()
        view = service.queries.history("default", order_id)
    assert view is not None
    return view


def test_where_all_agrees_it_says_so_and_exits_with_0(
    shop: Shop, order_ledger: CommandLine, sevi: FakeSevi
) -> None:
    shop.hears(transaction("t-1", "a", fee=0))  # as a webhook: other bytes, the same news
    sevi.transactions = [transaction("t-1", "a"), transaction("t-2", None)]
    ran = order_ledger("reconcile", "sevi", *SINCE)
    assert (ran.code, ran.lines) == (0, ["sevi: 1 agrees, 1 ignored."])


def test_what_never_came_and_what_disagrees_is_told_and_nothing_is_changed(
    shop: Shop, order_ledger: CommandLine, sevi: FakeSevi
) -> None:
    shop.hears(
        transaction("t-1", "a", "PENDING"),
        transaction("t-2", "b"),
        transaction("t-3", "c"),
        transaction("t-9", "e", status="FAILED"),
    )
    sevi.transactions = [
        transaction("t-1", "a"),
        transaction("t-2", "b", amount="902.11"),
        transaction("t-4", "c"),
        transaction("t-5", "d"),
        transaction("t-9", "e", status="FAILED", currency="UGX"),
    ]
    ran = order_ledger("reconcile", "sevi", *SINCE, "--json")
    assert ran.code == 3
    assert found(ran) == [
        ("differs", "a", "t-1"),
        ("differs", "b", "t-2"),
        ("missing", "c", "t-4"),
        ("missing", "d", "t-5"),
    ]
    view = json.loads(ran.stdout)
    assert [f["differences"] for f in view["findings"]] == [
        [{"what": "status", "theirs": "PAID", "ours": "PENDING"}],
        [
            {"what": "payment amount", "theirs": "902.11", "ours": "902.10"},
            {"what": "amount", "theirs": "902.11", "ours": "902.10"},
        ],
        [],
        [],
    ]
    assert (view["applied"], view["unsettled"], view["entries"]["agrees"]) == (False, 4, 1)
    out = order_ledger("reconcile", "sevi", *SINCE).out
    assert "differs: status is PAID there, PENDING here" in out
    assert "missing: nothing was told of this payment" in out
    assert "missing: nothing was told of this order" in out
    assert "Nothing was changed" in out
    assert order_ledger("operators", "log").lines == ["No operations."]
    with shop.service() as service:
        assert service.ledger.history("default/d") == []


def test_applied_it_is_brought_in_like_a_webhook_and_marked(
    shop: Shop, order_ledger: CommandLine, sevi: FakeSevi
) -> None:
    shop.hears(transaction("t-1", "a", "PENDING"))
    sevi.transactions = [transaction("t-1", "a"), transaction("t-5", "d")]
    ran = order_ledger("reconcile", "sevi", *SINCE, "--apply", "--reason", "down", "--json")
    assert ran.code == 0
    view = json.loads(ran.stdout)
    assert [(f["outcome"], f["order_status"], f["settled"]) for f in view["findings"]] == [
        ("recorded", "DELIVERED", True),
        ("recorded", "DELIVERED", True),
    ]
    assert [e.type for e in history(shop, "d").events] == ["PaymentReceived", "Delivered"]
    assert origins(shop, "d") == [Origin.RECONCILE]
    assert origins(shop, "a") == [Origin.WEBHOOK, Origin.RECONCILE]
    again = order_ledger("reconcile", "sevi", *SINCE, "--apply")
    assert (again.code, again.lines) == (0, ["sevi: 2 agrees."])
    with shop.service() as service:
        logged = [(o.object, o.reason, o.outcome) for o in service.operators.page(None, 10)]
    assert logged == [
        ("sevi", None, "done: 0 did not agree"),
        ("sevi", None, "begun"),
        ("sevi", "down", "done: 2 did not agree"),
        ("sevi", "down", "begun"),
    ]


def test_a_webhook_that_comes_after_all_changes_nothing(
    shop: Shop, order_ledger: CommandLine, sevi: FakeSevi
) -> None:
    sevi.transactions = [transaction("t-5", "d")]
    order_ledger("reconcile", "sevi", *SINCE, "--apply")
    shop.hears(transaction("t-5", "d", fee=0))
    assert [e.type for e in history(shop, "d").events].count("Delivered") == 1


def test_a_paid_that_the_rules_hold_back_is_not_settled(
    shop: Shop, order_ledger: CommandLine, sevi: FakeSevi
) -> None:
    shop.hears(("a", "REFUNDED"))
    sevi.transactions = [transaction("t-1", "a")]
    ran = order_ledger("reconcile", "sevi", *SINCE, "--apply")
    assert ran.code == 3
    assert "AWAITING_PAYMENT, not as stated" in ran.out


def test_only_what_was_made_since_is_looked_at_and_every_page_is_read(
    shop: Shop, order_ledger: CommandLine, sevi: FakeSevi
) -> None:
    shop.hears(("a", "PENDING"))
    old = [
        transaction(f"t-{n}", f"o-{n}", createdAt="2025-12-31T23:59:59.999Z") for n in range(250)
    ]
    sevi.transactions = [*old, transaction("t-new", "new"), transaction("t-x", "x", createdAt="?")]
    ran = order_ledger("reconcile", "sevi", *SINCE, "--json")
    assert found(ran) == [("missing", "new", "t-new"), ("missing", "x", "t-x")]
    offsets = [asked["input"]["offset"] for _, asked in sevi.asked]
    assert offsets == [0, 100, 200]


def test_what_cannot_be_read_is_told_and_not_taken_in(
    shop: Shop, order_ledger: CommandLine, sevi: FakeSevi
) -> None:
    shop.hears(("a", "PENDING"))
    sevi.transactions = [transaction("t-1", "b", paymentType=7), transaction("t-2", "c")]
    ran = order_ledger("reconcile", "sevi", *SINCE, "--apply", "--json")
    assert ran.code == 3
    assert found(ran) == [("unreadable", None, None), ("missing", "c", "t-2")]
    with shop.service() as service:
        assert service.ledger.event_log.deliveries([Outcome.QUARANTINED], None, 10) == []


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(200, b'{"errors": [{"message": "no field offset"}]}'), "no field offset"),
        (Reply(500, b"oh"), "HTTP 500"),
        (Reply(200, b'{"data": {"transactionSearch": {"hits": 5}}}'), "not the documented form"),
        (Reply(200, b"<html>"), "not the documented form"),
    ],
)
def test_a_list_that_cannot_be_read_is_an_error(
    shop: Shop, order_ledger: CommandLine, tmp_path: Path, reply: Reply, said: str
) -> None:
    shop.hears(("a", "PENDING"))
    with FakeServer() as server:
        server.otherwise = reply
        (tmp_path / "order-ledger.toml").write_text(
            f'[providers.sevi]\napi_token = "t"\napi_endpoint = "{server.url}"\n'
        )
        ran = order_ledger("reconcile", "sevi", *SINCE)
    assert ran.code == 1
    assert ran.complaint.startswith("order-ledger: Sevi's list cannot be read: ")
    assert said in ran.complaint


def test_a_list_that_never_ends_is_not_read_for_ever(
    shop: Shop, order_ledger: CommandLine, tmp_path: Path
) -> None:
    shop.hears(("a", "PENDING"))
    page = f'{{"hits": [{transaction("t-1", "b")}], "total": 1000000}}'
    with FakeServer() as server:
        server.otherwise = Reply(200, f'{{"data": {{"transactionSearch": {page}}}}}'.encode())
        (tmp_path / "order-ledger.toml").write_text(
            f'[providers.sevi]\napi_token = "t"\napi_endpoint = "{server.url}"\n'
        )
        ran = order_ledger("reconcile", "sevi", *SINCE)
        assert len(server.came) == 2
    assert "Sevi sends the same page again" in ran.complaint


def test_what_is_missing_to_ask_is_told_with_the_fix(
    shop: Shop, order_ledger: CommandLine, tmp_path: Path, sevi: FakeSevi
) -> None:
    shop.hears(("a", "PENDING"))
    assert "say from when on" in order_ledger("reconcile", "sevi").complaint
    assert "a file wants --provider" in order_ledger("reconcile", "x.csv").complaint
    ran = order_ledger("reconcile", "x.pdf", "--provider", "sevi")
    assert (ran.code, "has to end in one of .csv, .jsonl, .ndjson" in ran.complaint) == (2, True)
    ran = order_ledger("reconcile", "x.csv", "--provider", "sevi")
    assert (ran.code, ran.complaint) == (1, "order-ledger: x.csv: No such file or directory")
    (tmp_path / "order-ledger.toml").unlink()
    ran = order_ledger("reconcile", "sevi", *SINCE)
    assert "set providers.sevi.api_token" in ran.complaint


# ---------------------------------------------------------------------------------------- a file


def test_a_file_of_bodies_is_held_against_the_ledger(
    shop: Shop, order_ledger: CommandLine, tmp_path: Path
) -> None:
    shop.hears(("a", "PAID"), ("b", "PAID"))
    lines = [
        {"orderId": "a", "orderPayment": "PAID"},
        {"orderId": "b", "orderPayment": "PENDING"},
        {"orderId": "c", "orderPayment": "PAID", "amount": 5, "currency": "KES"},
    ]
    (tmp_path / "list.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\nnot JSON\n")
    ran = order_ledger("reconcile", "list.jsonl", "--provider", "sevi", "--json")
    assert ran.code == 3
    assert found(ran) == [
        ("differs", "b", None),
        ("missing", "c", None),
        ("unreadable", None, None),
    ]
    ran = order_ledger("reconcile", "list.jsonl", "--provider", "sevi", "--apply", "--json")
    outcomes = [f["outcome"] for f in json.loads(ran.stdout)["findings"]]
    assert outcomes == ["stale", "recorded", None]
    assert origins(shop, "c") == [Origin.RECONCILE]


def test_a_csv_of_any_provider_is_read_by_its_headings(
    shop: Shop, order_ledger: CommandLine, tmp_path: Path
) -> None:
    shop.hears(("a", "PENDING"))
    (tmp_path / "list.csv").write_text(
        "order.id,order.paymentStatus,order.amount,order.currency\na,PAID,,\nd,PAID,,KES\ne,PAID\n"
    )
    ran = order_ledger("reconcile", "list.csv", "--provider", "sevi", "--apply")
    assert ran.code == 3, "the last row is none"
    assert [e.type for e in history(shop, "a").events][-1] == "Delivered"
    assert [e.type for e in history(shop, "d").events][-1] == "Delivered"
    (tmp_path / "list.csv").write_text("")
    ran = order_ledger("reconcile", "list.csv", "--provider", "sevi")
    assert (ran.code, "the file is empty" in ran.complaint) == (1, True)
