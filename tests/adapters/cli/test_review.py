"""To register orders and to decide reviews at the command line."""

import io
import json
import re
from typing import Any

import pytest

from tests.adapters.cli.shops import CommandLine, Shop

CHEAPER = ("orders", "register", "1", "--amount", "900", "--currency", "KES")
AWAITING = "AWAITING_PAYMENT"
SEEN = ("--version", "3")
REGISTER = ("orders", "register", "1", "--amount", "902.1", "--currency", "KES")


class Terminal(io.TextIOWrapper):
    """A standard input at which a person sits."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def run(order_ledger: CommandLine, shop: Shop) -> CommandLine:
    """The command, in the folder of a shop that heard of another order."""
    shop.hears(("2", "PAID"))
    return order_ledger


def shown(run: CommandLine, order_id: str = "1") -> Any:
    return json.loads(run("orders", "show", order_id, "--json").out)


def test_an_order_is_registered_and_the_same_again_is_no_news(run: CommandLine) -> None:
    ran = run(*REGISTER, "--reference", "REF-1", "--reference", "REF-2")
    assert (ran.code, ran.out) == (
        0,
        "recorded at 0-3; order 1 of store default is AWAITING_PAYMENT\n",
    )
    again = run(*REGISTER, "--reference", "REF-2", "--reference", "REF-1", "--json")
    assert json.loads(again.out)["outcome"] == "unchanged"
    order = shown(run)
    assert (order["amount"], order["references"]) == ("902.10", ["REF-1", "REF-2"])
    assert order["registered"] is True


@pytest.mark.parametrize(
    ("amount", "currency", "named"),
    [("0", "KES", "--amount"), ("1,5", "KES", "--amount"), ("5", "shillings", "--currency")],
)
def test_terms_that_cannot_be_are_named(
    run: CommandLine, amount: str, currency: str, named: str
) -> None:
    ran = run("orders", "register", "1", "--amount", amount, "--currency", currency)
    assert ran.code == 2
    assert named in ran.complaint


def test_what_the_order_does_not_allow_fails_with_the_fix(run: CommandLine, shop: Shop) -> None:
    run(*REGISTER)
    shop.hears(("1", "PENDING"))
    ran = run("orders", "register", "1", "--amount", "5", "--currency", "KES")
    assert ran.code == 1
    assert "an order of its own" in ran.complaint


def test_a_review_is_listed_accepted_and_logged(run: CommandLine, shop: Shop) -> None:
    assert run("review", "list").out == "No orders.\n"
    run(*CHEAPER)
    shop.hears(("1", "PAID"))
    heading, listed, *_ = run("review", "list").lines
    assert "Version" in heading
    assert "overpaid" in listed
    seen = str(shown(run)["version"])
    assert seen in listed.split()
    ran = run("review", "accept", "1", "--version", seen, "--reason", "seen at the bank")
    assert (ran.code, ran.out) == (0, "recorded at 0-7; order 1 of store default is DELIVERED\n")
    history = run("orders", "history", "1").out
    assert "accepted" in history
    assert "because of 0-4, by 0-6" in history
    (line, *_) = json.loads(run("operators", "log", "--json").out)["items"]
    assert (line["action"], line["object"], line["reason"]) == (
        "review accept",
        "default/1",
        "seen at the bank",
    )


def test_a_rejected_review_is_closed_and_a_second_verdict_has_nothing_to_decide(
    run: CommandLine, shop: Shop
) -> None:
    run(*CHEAPER)
    shop.hears(("1", "PAID"))
    assert run("review", "reject", "1", *SEEN, "--reason", "paid again").code == 0
    order = shown(run)
    assert (order["status"], order["review"]) == ("AWAITING_PAYMENT", None)
    ran = run("review", "accept", "1", *SEEN, "--reason", "seen")
    assert (ran.code, "no review" in ran.complaint) == (1, True)
    assert run("review", "accept", "9", *SEEN, "--reason", "seen").code == 1
    assert run("review", "accept", "1", *SEEN).code == 2, "without a reason nothing is decided"


def test_a_review_of_an_order_that_moved_on_stays_open(run: CommandLine, shop: Shop) -> None:
    run(*CHEAPER)
    shop.hears(("1", "PAID"), ("1", "FAILED"))
    ran = run("review", "accept", "1", *SEEN, "--reason", "seen")
    assert (ran.code, "look at it again" in ran.complaint) == (1, True)
    assert shown(run)["review"] == "overpaid"


def test_where_nobody_can_be_asked_the_version_is_wanted(run: CommandLine, shop: Shop) -> None:
    run(*CHEAPER)
    shop.hears(("1", "PAID"))
    ran = run("review", "accept", "1", "--reason", "seen", stdin=b"y\n")
    assert (ran.code, "--version" in ran.complaint) == (2, True)
    assert shown(run)["review"] == "overpaid"


@pytest.mark.parametrize(("answer", "code", "status"), [("y", 0, "DELIVERED"), ("n", 1, AWAITING)])
def test_who_names_no_version_is_shown_the_order_and_asked(
    run: CommandLine,
    shop: Shop,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    code: int,
    status: str,
) -> None:
    run(*CHEAPER)
    shop.hears(("1", "PAID"))
    monkeypatch.setattr(io, "TextIOWrapper", Terminal)
    ran = run("review", "accept", "1", "--reason", "seen", stdin=f"{answer}\n".encode())
    assert ran.code == code
    facts = dict(re.split(r"  +", line, maxsplit=1) for line in ran.lines[:7])
    assert (facts["Version"], facts["Review"]) == ("3", "overpaid")
    assert (facts["To be paid"], facts["Held PAID"]) == ("900.00 KES", "902.10 KES, from sevi")
    assert shown(run)["status"] == status


def test_orders_whose_news_waits_are_listed(run: CommandLine) -> None:
    assert run("orders", "list", "--parked").out == "No orders.\n"
