"""The payment history as auditors ask for it: filters, pages, and streams of CSV and JSON lines."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from adapters.queries import queries
from tests.adapters.http.local import LocalService, pages, problem
from tests.adapters.providers.sevi_bodies import linked_transaction, lone_transaction

TOLD = [
    ("1", "PENDING", "sevi"),
    ("1", "PAID", "sevi"),
    ("2", "FAILED", "sevi"),
    ("2", "paid", "sevi"),
    ("1", "PAID", "sevi-uganda"),
    ("1", "PENDING", "sevi"),
    ("1", "PAID", "second"),
    ("3", "REFUNDED", "second"),
    ("3", "PAID", "second"),
]
STATUSES = [status if status.isupper() else "UNRECOGNIZED" for _, status, _ in TOLD]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    """A service that took the news above, each with a number of its own. Nobody adds to it."""
    with LocalService(tmp_path_factory.mktemp("payments")) as local:
        for n, (order_id, status, provider) in enumerate(TOLD):
            local.tell(order_id, status, provider, amount=f"{n}.5", currency="KES", n=n)
        local.settle()
        yield local


def numbers(items: list[Any]) -> list[int]:
    """Which of the news above these are: their amounts say so."""
    return [int(item["amount"].partition(".")[0]) for item in items]


def where(*, order_id: str = "", status: str = "", provider: str = "") -> list[int]:
    return [
        n
        for n, (order, _, sender) in enumerate(TOLD)
        if order_id in ("", order) and status in ("", STATUSES[n]) and provider in ("", sender)
    ]


def test_payments_are_all_news_in_the_order_of_the_log(told: LocalService) -> None:
    page = told.json("/payments")
    assert numbers(page["items"]) == list(range(len(TOLD)))
    assert page["next"] is None
    positions = [int(item["position"].partition("-")[2]) for item in page["items"]]
    assert positions == sorted(positions)
    assert {item["type"] for item in page["items"]} == {"PaymentReceived"}
    assert [item["payment_status"] for item in page["items"]] == STATUSES
    assert [item["raw_status"] for item in page["items"]] == [status for _, status, _ in TOLD]


@pytest.mark.parametrize(
    "params",
    [
        {"order_id": "1"},
        {"order_id": "nobody"},
        {"status": "PAID"},
        {"status": "UNRECOGNIZED"},
        {"status": "CANCELLED"},
        {"provider": "sevi"},
        {"provider": "second"},
        {"provider": "nobody"},
        {"order_id": "1", "status": "PAID"},
        {"order_id": "3", "status": "PAID", "provider": "second"},
        {"order_id": "' OR '1'='1"},
    ],
    ids=str,
)
def test_payments_are_filtered_the_same_in_every_format(
    told: LocalService, params: dict[str, str]
) -> None:
    wanted = where(**params)
    assert numbers(told.json("/payments", **params)["items"]) == wanted
    assert numbers(as_jsonl(told, **params)) == wanted
    assert numbers(as_csv(told, **params)) == wanted


def test_a_store_has_its_own_payments(told: LocalService) -> None:
    assert numbers(told.json("/payments", store="uganda")["items"]) == [4]
    assert 4 not in numbers(told.json("/payments", store="default")["items"])


def test_from_is_included_and_to_is_not(told: LocalService) -> None:
    times = [item["recorded_at"] for item in told.json("/payments")["items"]]
    part = told.json("/payments", from_=times[2], to=times[5])["items"]
    assert numbers(part) == [2, 3, 4]
    assert numbers(told.json("/payments", from_=times[8])["items"]) == [8]
    assert numbers(told.json("/payments", to=times[0])["items"]) == []
    assert numbers(told.json("/payments", from_=times[5], to=times[2])["items"]) == []
    just_before = datetime.fromisoformat(times[2]) - timedelta(microseconds=1)
    assert numbers(told.json("/payments", from_=just_before, to=times[3])["items"]) == [2]


def test_what_was_recorded_between_is_told_in_every_format(told: LocalService) -> None:
    times = [item["recorded_at"] for item in told.json("/payments")["items"]]
    between = {"from_": times[3], "to": times[7]}
    assert numbers(as_csv(told, **between)) == numbers(as_jsonl(told, **between)) == [3, 4, 5, 6]


@pytest.mark.parametrize(
    "params",
    [
        {"from": "yesterday"},
        {"from": "2026-01-05T07:30:00"},
        {"to": "2026-01-05"},
        {"to": "1700000000"},
        {"to": ""},
        {"status": "paid"},
        {"status": ""},
        {"provider": ""},
        {"order_id": ""},
        {"order_id": "x" * 256},
        {"after": "x"},
        {"after": "0-99999999999999999999"},
        {"after": "\u0661-1"},
        {"limit": "0"},
        {"limit": "1001"},
        {"limit": "1e3"},
        {"format": "xml"},
        {"format": "CSV"},
    ],
    ids=str,
)
@pytest.mark.parametrize("format_", [None, "csv", "jsonl"])
def test_what_cannot_be_asked_for_is_422_in_every_format(
    told: LocalService, params: dict[str, str], format_: str | None
) -> None:
    (name,) = params
    chosen = {"format": format_} if format_ else {}
    assert name in problem(told.get("/payments", **chosen | params), 422)


# ------------------------------------------------------------------------------- pages and streams


def as_jsonl(local: LocalService, **params: Any) -> list[Any]:
    response = local.get("/payments", format="jsonl", **params)
    assert response.headers["content-type"] == "application/jsonl"
    assert response.text == "" or response.text.endswith("\n")
    return [json.loads(line) for line in response.text.split("\n")[:-1]]


def as_csv(local: LocalService, **params: Any) -> list[Any]:
    response = local.get("/payments", format="csv", **params)
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(response.text, newline="")))


@pytest.mark.parametrize("limit", [1, 2, 5, 8, 9, 10])
def test_pages_of_any_size_together_hold_what_a_stream_does(
    told: LocalService, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "STREAM_PAGE_SIZE", 4)
    everything = pages(told, "/payments", limit=limit)
    assert everything == as_jsonl(told)
    assert [item["position"] for item in everything] == [i["position"] for i in as_csv(told)]


@pytest.mark.parametrize("limit", [1, 3, 4, 5, 8, 100])
def test_a_stream_stops_at_its_limit_and_starts_after_its_cursor(
    told: LocalService, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "STREAM_PAGE_SIZE", 4)
    everything = told.json("/payments")["items"]
    assert as_jsonl(told, limit=limit) == everything[:limit]
    after = everything[2]["position"]
    assert as_jsonl(told, limit=limit, after=after) == everything[3:][:limit]


def test_pages_stay_stable_while_news_arrives(local: LocalService) -> None:
    for n in range(4):
        local.tell("1", "PENDING", n=n, amount=n)
    local.settle()
    first = local.json("/payments", limit=3)
    local.tell("1", "PAID", amount=4)
    local.settle()
    second = local.json("/payments", limit=3, after=first["next"])
    assert numbers(first["items"] + second["items"]) == [0, 1, 2, 3, 4]
    assert second["next"] is None


def test_an_empty_history_is_an_empty_page_a_header_and_no_line(local: LocalService) -> None:
    assert local.json("/payments") == {"items": [], "next": None}
    assert local.get("/payments", format="jsonl").text == ""
    (header,) = local.get("/payments", format="csv").text.splitlines()
    assert header.startswith("position,order_id,store,")


def test_csv_and_json_have_the_same_fields(told: LocalService) -> None:
    items = told.json("/payments")["items"]
    assert list(as_csv(told)[0]) == list(items[0])


HARMFUL = ["=cmd|' /C calc'!A0", "+1", "-1+1", "@SUM(A1)", "=1", '="x"', "=\u00e9"]


@pytest.mark.parametrize("text", HARMFUL)
def test_a_text_that_a_spreadsheet_would_run_is_only_a_text_in_csv(
    local: LocalService, text: str
) -> None:
    local.tell(text, text, referenceNumber=text)
    local.settle()
    (row,) = as_csv(local)
    for cell in (row["order_id"], row["raw_status"], row["references"]):
        assert cell == f"'{text}"
    (item,) = local.json("/payments")["items"]
    assert (item["order_id"], item["raw_status"]) == (text, text), "JSON tells it as it is"


@pytest.mark.parametrize("text", ["a,b", 'a "quoted" b', ";", "'", " =1", "caf\u00e9 \U0001f96d"])
def test_a_text_that_csv_has_to_quote_comes_back_as_it_was(local: LocalService, text: str) -> None:
    local.tell(text, text)
    local.settle()
    (row,) = as_csv(local)
    assert (row["order_id"], row["raw_status"]) == (text, text)


def test_a_transactions_payment_is_told_beside_the_orders_status(local: LocalService) -> None:
    local.deliver(linked_transaction())
    local.deliver(lone_transaction(status="FAILED"))
    local.settle()
    linked, lone = local.json("/payments")["items"]
    assert (linked["payment_status"], linked["amount"]) == ("PAID", "902.10")
    assert (linked["payment_state"], linked["payment_amount"]) == ("PAID", "450.05")
    assert linked["payment_ref"] == lone["payment_ref"]
    assert (lone["payment_status"], lone["amount"]) == ("FAILED", None)
    assert (lone["payment_state"], lone["payment_amount"]) == ("FAILED", "450.05")
