"""What came in, and what was set aside, can be looked at as it came."""

import base64
import json

import pytest

from domain.payment import Outcome
from tests.adapters.cli.shops import CommandLine, Shop

TOP_UP = '{"transactionType": "CREDIT", "paymentType": "TOP_UP", "status": "COMPLETED"}'
BROKEN = b'{"orderId": \xff\xfe\x00\x1b[31m}'


@pytest.fixture
def full(shop: Shop) -> Shop:
    """A shop that heard a PAID, the same again, a late PENDING, a top-up and something broken."""
    shop.hears(("42", "PAID"), ("42", "PAID"), ("42", "PENDING"), TOP_UP, BROKEN)
    return shop


def ids(text: str) -> list[int]:
    return [row["id"] for row in json.loads(text)["items"]]


def test_every_delivery_is_listed_newest_first(full: Shop, order_ledger: CommandLine) -> None:
    ran = order_ledger("deliveries", "list")
    heading, *rows = (line.split() for line in ran.lines)
    assert heading[:5] == ["ID", "Received", "Provider", "Outcome", "At"]
    assert [(row[0], row[4]) for row in rows] == [
        ("5", "quarantined"),
        ("4", "ignored"),
        ("3", "stale"),
        ("2", "duplicate"),
        ("1", "recorded"),
    ]
    assert rows[2][5:] == ["0-3", "42"]
    assert rows[0][5:] == "the body is not UTF-8".split()


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ([], [5, 4, 3, 2, 1]),
        (["--outcome", "stale"], [3]),
        (["--outcome", "stale", "--outcome", "recorded"], [3, 1]),
        (["--after", "3"], [2, 1]),
        (["--outcome", "conflict"], []),
    ],
)
def test_deliveries_are_listed_by_outcome_and_from_an_id_on(
    full: Shop, order_ledger: CommandLine, question: list[str], answer: list[int]
) -> None:
    assert ids(order_ledger("deliveries", "list", "--json", *question).out) == answer


@pytest.mark.parametrize("group", ["deliveries", "quarantine"])
def test_a_list_goes_on_where_it_ended(full: Shop, order_ledger: CommandLine, group: str) -> None:
    seen, before = list[int](), list[str]()
    for _ in range(5):
        page = json.loads(order_ledger(group, "list", "--limit", "1", "--json", *before).out)
        seen += [row["id"] for row in page["items"]]
        if page["next"] is None:
            break
        hint = order_ledger(group, "list", "--limit", "1", *before).lines[-1]
        before = hint.partition("add ")[2].split()
        assert before == ["--after", str(page["next"])]
    assert seen == {"deliveries": [5, 4, 3, 2, 1], "quarantine": [5, 4]}[group]


def test_the_quarantine_is_what_was_set_aside_and_why(
    full: Shop, order_ledger: CommandLine
) -> None:
    heading, *rows = order_ledger("quarantine", "list").lines
    assert heading.split() == [
        "ID",
        "Received",
        "Provider",
        "Outcome",
        "Order,",
        "or",
        "why",
        "none",
    ]
    assert [row.split()[0] for row in rows] == ["5", "4"]
    assert "the body is not UTF-8" in rows[0]
    assert "a transaction without an order" in rows[1]
    ran = order_ledger("quarantine", "show", "3")
    assert (ran.code, ran.out) == (1, "")
    assert "order-ledger deliveries show 3" in ran.complaint


def test_nothing_set_aside_is_said(shop: Shop, order_ledger: CommandLine) -> None:
    shop.hears(("42", "PAID"))
    assert order_ledger("quarantine", "list").lines == ["No deliveries."]


def test_a_delivery_is_shown_with_its_body(full: Shop, order_ledger: CommandLine) -> None:
    facts, _, body = order_ledger("quarantine", "show", "4").out.partition("\n\n")
    assert "ignored" in facts
    assert "a transaction without an order" in facts
    assert body == f"{TOP_UP}\n"
    whole = json.loads(order_ledger("deliveries", "show", "4", "--json").out)
    assert (whole["body_encoding"], whole["body"]) == ("utf-8", TOP_UP)
    assert (whole["order_id"], whole["store"], whole["position"]) == (None, None, None)


def test_an_order_of_a_delivery_is_named(full: Shop, order_ledger: CommandLine) -> None:
    whole = json.loads(order_ledger("deliveries", "show", "3", "--json").out)
    assert (whole["order_id"], whole["store"], whole["position"]) == ("42", "default", "0-3")
    assert whole["outcome"] == Outcome.STALE


def test_bytes_that_are_no_text_come_out_unchanged(full: Shop, order_ledger: CommandLine) -> None:
    assert order_ledger("quarantine", "show", "5", "--raw").stdout == BROKEN
    whole = json.loads(order_ledger("quarantine", "show", "5", "--json").out)
    assert whole["body_encoding"] == "base64"
    assert base64.b64decode(whole["body"]) == BROKEN
    shown = order_ledger("quarantine", "show", "5").out
    assert base64.b64encode(BROKEN).decode() in shown
    assert "--raw" in shown


def test_a_body_does_not_reach_the_terminal_s_controls(
    shop: Shop, order_ledger: CommandLine
) -> None:
    body = '{"a": "\x1b[2J\u202e",\n"b": 1'
    shop.hears(body)
    shown = order_ledger("quarantine", "show", "1").out
    assert shown.endswith('\n\n{"a": "\\x1b[2J\\u202e",\n"b": 1\n')
    assert order_ledger("quarantine", "show", "1", "--raw").stdout == body.encode()


def test_a_duplicate_says_where_its_bytes_are(full: Shop, order_ledger: CommandLine) -> None:
    whole = json.loads(order_ledger("deliveries", "show", "2", "--json").out)
    original = json.loads(order_ledger("deliveries", "show", "1", "--json").out)
    assert (whole["has_body"], whole["body"], whole["body_encoding"]) == (False, None, None)
    assert whole["body_sha256"] == original["body_sha256"]
    assert "an earlier delivery" in order_ledger("deliveries", "show", "2").out
    ran = order_ledger("deliveries", "show", "2", "--raw")
    assert (ran.code, ran.out) == (1, "")
    assert original["body_sha256"] in ran.complaint


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["deliveries", "show", "6"], 1),
        (["deliveries", "show", str(2**63 - 1)], 1),
        (["deliveries", "show", str(2**63)], 2),
        (["deliveries", "show", "0"], 2),
        (["deliveries", "show", "x"], 2),
        (["deliveries", "show", "1", "--raw", "--json"], 2),
        (["deliveries", "list", "--outcome", "lost"], 2),
        (["deliveries", "list", "--after", "0"], 2),
        (["deliveries", "list", "--limit", "1001"], 2),
    ],
)
def test_what_cannot_be_shown_is_said_in_one_line(
    full: Shop, order_ledger: CommandLine, args: list[str], code: int
) -> None:
    ran = order_ledger(*args)
    assert (ran.code, ran.out) == (code, "")
    assert ran.complaint.startswith("order-ledger: ")
