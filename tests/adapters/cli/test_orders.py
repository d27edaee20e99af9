"""People and programs ask where an order stands, and why."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from domain.order import OrderStatus
from domain.payment import PaymentStatus
from tests.adapters.cli.shops import CommandLine, Shop
from tests.notices import delivery, notice

ONE = '{"orderId": "%s", "orderPayment": "%s", "amount": 902.1, "currency": "KES"}'


def paid(order_id: str, reference: str) -> str:
    return json.dumps({"orderId": order_id, "orderPayment": "PAID", "referenceNumber": reference})


def listed(text: str) -> Any:
    return [order["order_id"] for order in json.loads(text)["items"]]


# ------------------------------------------------------------------------------------------ show


def test_an_order_is_shown_as_it_stands_this_moment(shop: Shop, order_ledger: CommandLine) -> None:
    shop.hears(ONE % ("42", "PENDING"))
    assert "AWAITING_PAYMENT" in order_ledger("orders", "show", "42").out
    shop.hears(ONE % ("42", "PAID"))
    ran = order_ledger("orders", "show", "42")
    facts = dict(line.split(maxsplit=1) for line in ran.lines)
    assert ran.code == 0
    assert facts["Order"] == "42"
    assert facts["Status"] == "DELIVERED"
    assert facts["Payment"] == "PAID"
    assert facts["Amount"] == "902.10 KES"
    assert facts["Review"] == "-"
    assert (facts["Position"], facts["Version"]) == ("0-3", "3")


def test_an_order_is_found_by_its_reference(shop: Shop, order_ledger: CommandLine) -> None:
    shop.hears(paid("42", "ORD-1"))
    assert json.loads(order_ledger("orders", "show", "ORD-1", "--json").out)["order_id"] == "42"


def test_a_reference_of_several_orders_is_no_guess(shop: Shop, order_ledger: CommandLine) -> None:
    shop.hears(paid("1", "TWIN"), paid("2", "TWIN"))
    ran = order_ledger("orders", "show", "TWIN")
    assert (ran.code, ran.out) == (1, "")
    advice = ran.complaint.partition("order-ledger orders ")[2].split()
    assert listed(order_ledger("orders", *advice, "--json").out) == ["1", "2"]


@pytest.mark.parametrize("command", ["show", "history"])
def test_an_unknown_order_is_a_failure_in_one_line(
    shop: Shop, order_ledger: CommandLine, command: str
) -> None:
    shop.hears(("42", "PAID"))
    ran = order_ledger("orders", command, "43")
    assert (ran.code, ran.out) == (1, "")
    assert "43" in ran.complaint
    assert order_ledger("orders", command, "42", "--store", "other").code == 1


def test_an_order_as_it_was_known_then(shop: Shop, order_ledger: CommandLine) -> None:
    before = datetime.now(UTC).isoformat()
    shop.hears(("42", "PENDING"), ("42", "PAID"))
    history = json.loads(order_ledger("orders", "history", "42", "--json").out)
    first = history["events"][0]["recorded_at"]
    known = json.loads(order_ledger("orders", "show", "42", "--as-of", first, "--json").out)
    assert (known["status"], known["position"]) == ("AWAITING_PAYMENT", "0-1")
    ran = order_ledger("orders", "show", "42", "--as-of", before)
    assert ran.code == 1
    assert "nothing was known of order 42, or had happened to it, then" in ran.complaint


def test_the_time_that_is_shown_can_be_asked_for(shop: Shop, order_ledger: CommandLine) -> None:
    shop.hears(("42", "PAID"))
    (line,) = [x for x in order_ledger("orders", "show", "42").lines if x.startswith("Delivered")]
    ran = order_ledger("orders", "show", "42", "--as-of", line.split()[1], "--json")
    assert json.loads(ran.out)["status"] == "DELIVERED"


@pytest.mark.parametrize("time", ["2026-01-05", "2026-01-05T07:30:00", "yesterday", ""])
def test_a_time_without_its_zone_is_not_guessed(
    shop: Shop, order_ledger: CommandLine, time: str
) -> None:
    shop.hears(("42", "PAID"))
    ran = order_ledger("orders", "show", "42", "--as-of", time)
    assert ran.code == 2
    assert "2026-01-05T07:30:00Z" in ran.complaint


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
def test_a_time_that_the_calendar_lacks_in_utc_is_said_in_one_line(
    shop: Shop, order_ledger: CommandLine, time: str
) -> None:
    shop.hears(("42", "PAID"))
    for args in (["orders", "show", "42", "--as-of", time], ["diff", "--from", time, "--to", time]):
        ran = order_ledger(*args)
        assert (ran.code, ran.out) == (2, "")
        assert "between the years 1 and 9999" in ran.complaint


# ------------------------------------------------------------------------------------------ list


def test_orders_are_listed_by_status_review_reference_and_store(
    shop: Shop, order_ledger: CommandLine
) -> None:
    shop.hears(paid("1", "R-1"), ("2", "PENDING"), ("3", "REFUNDED"))
    shop.store = "second"
    shop.hears(("4", "FAILED"))
    questions = {
        (): ["1", "2", "3", "4"],
        ("--status", "DELIVERED"): ["1"],
        ("--status", "payment_failed"): ["4"],
        ("--review", "open"): ["3"],
        ("--reference", "R-1"): ["1"],
        ("--store", "second"): ["4"],
        ("--status", "DELIVERED", "--review", "open"): [],
    }
    for question, answer in questions.items():
        assert listed(order_ledger("orders", "list", *question, "--json").out) == answer, question


def test_the_list_is_a_table_with_a_store_only_where_there_are_several(
    shop: Shop, order_ledger: CommandLine
) -> None:
    assert shop.hears(ONE % ("42", "PAID"))
    heading, row = order_ledger("orders", "list").lines
    assert heading.split() == ["Order", "Status", "Payment", "Review", "Amount", "Updated"]
    assert row.split()[:5] == ["42", "DELIVERED", "PAID", "902.10", "KES"]
    shop.store = "second"
    shop.hears(ONE % ("42", "PAID"))
    heading, *rows = order_ledger("orders", "list").lines
    assert heading.split()[0] == "Store"
    assert [row.split()[:2] for row in rows] == [["default", "42"], ["second", "42"]]


def test_a_list_goes_on_where_it_ended(shop: Shop, order_ledger: CommandLine) -> None:
    shop.hears(*((str(n), "PAID") for n in range(1, 6)))
    seen, cursor = [], list[str]()
    for _ in range(3):
        page = order_ledger("orders", "list", "--limit", "2", "--json", *cursor).out
        seen += listed(page)
        cursor = ["--after", json.loads(page)["next"] or ""]
    assert seen == ["1", "2", "3", "4", "5"]
    assert cursor == ["--after", ""]
    hint = order_ledger("orders", "list", "--limit", "4").lines[-1]
    rest = order_ledger("orders", "list", "--json", *hint.partition("add ")[2].split())
    assert listed(rest.out) == ["5"]


def test_no_orders_is_said(shop: Shop, order_ledger: CommandLine) -> None:
    shop.hears('{"customer": {}}')
    assert order_ledger("orders", "list").lines == ["No orders."]


@pytest.mark.parametrize(
    "wrong",
    [
        ["--after", "???"],
        ["--limit", "0"],
        ["--limit", "1001"],
        ["--status", "SENT"],
        ["--review", "closed"],
        ["--reference", ""],
        ["--reference", "x" * 256],
        ["--reference", "\udcff"],
    ],
)
def test_a_wrong_option_is_named_in_one_line(
    shop: Shop, order_ledger: CommandLine, wrong: list[str]
) -> None:
    shop.hears(("42", "PAID"))
    ran = order_ledger("orders", "list", *wrong)
    assert (ran.code, ran.out) == (2, "")
    assert wrong[0] in ran.complaint
    assert "order-ledger orders list --help" in ran.complaint


def test_what_comes_from_outside_is_shown_and_never_obeyed(
    shop: Shop, order_ledger: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    evil = "[red]x[/red] :boom: \u202e[/] [link=http://e]"
    shop.hears(json.dumps({"orderId": evil, "orderPayment": "[bold]Paid\\"}))
    shown = evil.replace("\u202e", r"\u202e")
    for command in (["show", evil], ["list"], ["history", evil]):
        ran = order_ledger("orders", *command)
        assert ran.code == 0
        assert shown in ran.out
        assert "\u202e" not in ran.out
    assert '("[bold]Paid\\")' in order_ledger("orders", "history", evil).out
    assert json.loads(order_ledger("orders", "show", evil, "--json").out)["order_id"] == evil
    missing = order_ledger("orders", "show", "\x1b[31m\n[red]")
    assert r"\x1b[31m\n[red]" in missing.complaint


def test_in_a_narrow_terminal_an_id_stays_whole_as_long_as_it_can(
    shop: Shop, order_ledger: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [f"65f1c0ffee65f1c0ffee000{n}" for n in range(3)]
    shop.hears(*(ONE % (order_id, "REFUNDED") for order_id in ids))
    shop.hears(*(ONE % (order_id, "PAID") for order_id in ids))
    monkeypatch.setenv("COLUMNS", "80")
    heading, *rows = order_ledger("orders", "list").lines
    assert "Updated" not in heading
    assert [row.split()[0] for row in rows if row.split()[0] in ids] == ids
    monkeypatch.setenv("COLUMNS", "30")
    narrow = order_ledger("orders", "list").lines
    assert max(map(len, narrow)) <= 30
    pieces = "".join(line.split()[0] for line in narrow if line[0] != " ")
    assert all(order_id in pieces for order_id in ids)


def test_a_long_name_is_folded_and_not_cut(shop: Shop, order_ledger: CommandLine) -> None:
    shop.hears(("x" * 255, "PAID"))
    for command in (["show", "x" * 255], ["list"], ["history", "x" * 255]):
        ran = order_ledger("orders", *command)
        assert max(map(len, ran.lines)) <= 120
        assert ran.out.count("x") == 255
        assert "…" not in ran.out


def test_in_a_pipe_a_row_is_a_line(
    shop: Shop, order_ledger: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS")
    shop.hears(("x" * 255, "PAID"))
    row = order_ledger("orders", "list").lines[1]
    assert "x" * 255 in row


# --------------------------------------------------------------------------------------- history


def test_the_timeline_says_what_was_told_and_what_it_did(
    shop: Shop, order_ledger: CommandLine
) -> None:
    failed = {
        "id": "tx-9",
        "orderId": "42",
        "paymentType": "ORDER",
        "transactionType": "CREDIT",
        "status": "FAILED",
        "amount": 10,
        "currency": "KES",
    }
    shop.hears(
        ONE % ("42", "PENDING"),
        ONE % ("42", "PAID"),
        ONE % ("42", "PAID") + " ",
        json.dumps(failed),
        ONE % ("42", "Paid"),
    )
    ran = order_ledger("orders", "history", "42")
    title, _, heading, day, *rows, _, stale, noted, held = ran.lines
    assert title == "Order 42 of store default is DELIVERED, under review (unrecognized status)."
    assert heading.split() == ["At", "Recorded", "Event", "Told", "Effect"]
    assert day.strip() == f"{datetime.now(UTC):%Y-%m-%d}"
    events = [(row.split()[0], " ".join(row.split()[2:])) for row in rows]
    assert events == [
        ("0-1", "PaymentReceived sevi: PENDING, 902.10 KES applied"),
        ("0-2", "PaymentReceived sevi: PAID, 902.10 KES applied"),
        ("0-3", "Delivered because of 0-2"),
        ("0-4", "PaymentReceived sevi: PAID, 902.10 KES noted"),
        ("0-5", "PaymentReceived sevi: FAILED; payment tx-9 FAILED, 10.00 KES stale"),
        ("0-6", 'PaymentReceived sevi: UNRECOGNIZED ("Paid"), 902.10 KES held'),
        ("0-7", "ReviewRequired because of 0-6: unrecognized status"),
    ]
    assert stale == "stale: kept, but not applied, since a PAID is known"
    assert noted == "noted: kept; it changes nothing"
    assert held == "held: kept, but not applied; the review decides"


def test_the_timeline_says_what_contradicts_what(shop: Shop, order_ledger: CommandLine) -> None:
    news = [
        notice("42", PaymentStatus.PENDING, delivery_key="evt_1"),
        notice("42", PaymentStatus.PAID, delivery_key="evt_1"),
    ]
    with shop.service() as service:
        service.ledger.record([delivery(told) for told in news])
    rows = order_ledger("orders", "history", "42").lines[4:]
    assert [" ".join(row.split()[2:]) for row in rows] == [
        "PaymentReceived sevi: PENDING, 902.10 KES applied",
        "DeliveryConflicted sevi: PAID, 902.10 KES not applied: contradicts 0-1",
        "ReviewRequired because of 0-2: delivery conflict",
    ]


def test_a_timeline_fits_a_narrow_terminal(
    shop: Shop, order_ledger: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shop.hears(ONE % ("42", "PENDING"), ONE % ("42", "PAID"), ONE % ("42", "EXPIRED"))
    lines = order_ledger("orders", "history", "42").lines
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines[4:8]] == ["0-1", "0-2", "0-3", "0-4"]


# ---------------------------------------------------------------------------- the ledger beneath


READING = [
    ["orders", "show", "42"],
    ["orders", "list"],
    ["orders", "history", "42"],
    ["payments", "export"],
    ["deliveries", "list"],
    ["deliveries", "show", "1"],
    ["quarantine", "list"],
    ["quarantine", "show", "1"],
]


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_ledger_that_is_not_there_is_not_made(
    order_ledger: CommandLine, tmp_path: Path, command: list[str]
) -> None:
    ran = order_ledger(*command)
    assert (ran.code, ran.out) == (2, "")
    assert "ORDER_LEDGER_DATABASE_URL" in ran.complaint
    assert str(tmp_path / "var" / "ledger.db") in ran.complaint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_file_that_is_no_ledger_is_said_in_one_line(
    order_ledger: CommandLine, tmp_path: Path, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes.txt").write_text("no database" * 100)
    monkeypatch.setenv("ORDER_LEDGER_DATABASE_URL", "sqlite:///notes.txt")
    ran = order_ledger(*command)
    assert (ran.code, ran.out) == (1, "")
    assert "not a database" in ran.complaint


def test_each_problem_of_the_configuration_is_a_line(
    order_ledger: CommandLine, tmp_path: Path
) -> None:
    (tmp_path / "order-ledger.toml").write_text('port = "x"\nbody_bytes_max = 1\n')
    ran = order_ledger("orders", "list")
    assert ran.code == 2
    first, second = ran.stderr.decode().splitlines()
    assert first.startswith("order-ledger: configuration: port ")
    assert second.startswith("order-ledger: configuration: body_bytes_max ")


def test_a_variable_that_is_no_setting_is_pointed_out(
    shop: Shop, order_ledger: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.hears(("42", "PAID"))
    monkeypatch.setenv("ORDER_LEDGER_DATABSE_URL", "sqlite:///other.db")
    ran = order_ledger("orders", "list", "--json")
    assert ran.code == 0
    assert listed(ran.out) == ["42"]
    assert "did you mean ORDER_LEDGER_DATABASE_URL?" in ran.complaint


def test_a_read_model_that_stands_still_is_no_silent_gap(
    shop: Shop, order_ledger: CommandLine
) -> None:
    shop.hears(("42", "PAID"))
    with shop.service() as service:
        stored = service.ledger.event_log.load(["default/42"])["default/42"][0].event
        service.ledger.event_log.recorder.insert_events(
            [type(stored)("default/43", 1, "FromTheFuture", b"{}")]
        )
    shop.hears(("44", "PAID"))
    ran = order_ledger("orders", "list", "--json")
    assert listed(ran.out) == ["42"]
    assert ran.code == 1
    assert "order_status stands still before FromTheFuture" in ran.complaint
    assert "0-3" in ran.complaint


def test_a_word_that_is_no_status_is_told_with_those_that_are(order_ledger: CommandLine) -> None:
    ran = order_ledger("orders", "list", "--status", "PAID")
    assert ran.code == 2
    assert f"PAID is none of {', '.join(OrderStatus)}" in ran.complaint
    ran = order_ledger("orders", "register", "1", "--amount", "1", "--currency", "kes")
    assert "three capital letters are wanted, such as KES" in ran.complaint


def test_a_reference_where_an_id_is_wanted_is_told_whose_it_is(
    shop: Shop, order_ledger: CommandLine
) -> None:
    shop.hears(("7", "PENDING"))
    terms = ("--amount", "1", "--currency", "KES", "--reference", "INV-9")
    assert order_ledger("orders", "register", "9", *terms).code == 0
    for question in (
        ("review", "accept", "INV-9", "--version", "1", "--reason", "a discount"),
        ("deliveries", "list", "--order-id", "INV-9"),
        ("payments", "export", "--order-id", "INV-9"),
        ("effects", "list", "--order-id", "INV-9"),
    ):
        ran = order_ledger(*question)
        assert (ran.code, ran.out) == (1, ""), question
        assert ran.complaint.endswith("INV-9 is a reference of the order 9: name 9")
    assert order_ledger("deliveries", "list", "--order-id", "9").out == "No deliveries.\n"
    unknown = order_ledger("review", "accept", "8", "--version", "1", "--reason", "x")
    assert "nothing is known" in unknown.complaint


def test_orders_are_found_by_what_the_http_api_finds_them_by(
    shop: Shop, order_ledger: CommandLine
) -> None:
    shop.hears(("1", "PENDING"), ("2", "PENDING"), ("1", "FAILED"))
    for question, found in {
        ("--amount", "902.1"): ["1", "2"],
        ("--amount", "902.1", "--currency", "UGX"): [],
        ("--provider", "sevi", "--sort", "newest"): ["1", "2"],
        ("--sort", "newest", "--limit", "1"): ["1"],
        ("--from", "2999-01-01T00:00:00Z"): [],
        ("--to", "2999-01-01T00:00:00Z"): ["1", "2"],
    }.items():
        assert listed(order_ledger("orders", "list", "--json", *question).out) == found, question
    for wrong in (
        ("--amount", "much"),
        ("--currency", "kes"),
        ("--sort", "newest", "--as-of", "2999-01-01T00:00:00Z"),
    ):
        assert order_ledger("orders", "list", *wrong).code == 2


def test_a_history_is_told_as_it_was(shop: Shop, order_ledger: CommandLine) -> None:
    shop.hears(("42", "PENDING"))
    whole = json.loads(order_ledger("orders", "history", "42", "--json").out)
    then = whole["events"][-1]["recorded_at"]
    shop.hears(("42", "PAID"))
    was = order_ledger("orders", "history", "42", "--as-of", then, "--json")
    assert json.loads(was.out) == whole
    shown = order_ledger("orders", "history", "42", "--as-of", then).out
    assert "AWAITING_PAYMENT" in shown
    assert "Delivered" not in shown
    ran = order_ledger("orders", "history", "42", "--as-of", "2000-01-01T00:00:00Z")
    assert (ran.code, "nothing was known of order 42 then" in ran.complaint) == (1, True)


def test_terms_that_nobody_can_pay_are_wrong_usage(shop: Shop, order_ledger: CommandLine) -> None:
    ran = order_ledger("orders", "register", "U2", "--amount", "15000.50", "--currency", "UGX")
    assert ran.code == 2
    assert "UGX has no digits after the point" in " ".join(ran.stderr.decode().split())
