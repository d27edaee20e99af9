"""Making, listing and closing tokens, and the log that remembers who did."""

import json
import os
import pwd
import re
from pathlib import Path
from typing import Any

import pytest

from adapters.access import roles
from tests.adapters.cli.shops import CommandLine, Shop

BOOKS = ("tokens", "create", "--name", "books", "--role", "auditor")


@pytest.fixture
def run(order_ledger: CommandLine, shop: Shop) -> CommandLine:
    """The command, in the folder of a shop that heard of an order."""
    shop.hears(("1", "PAID"))
    return order_ledger


def listed(run: CommandLine) -> Any:
    return json.loads(run("tokens", "list", "--json").out)["items"]


def logged(run: CommandLine) -> Any:
    return json.loads(run("operators", "log", "--json").out)["items"]


def test_a_token_is_printed_alone_so_that_it_can_be_piped(run: CommandLine) -> None:
    ran = run(*BOOKS)
    assert ran.code == 0
    assert re.fullmatch(r"olt_[\w-]{43}\n", ran.out)
    assert "not shown again" in ran.complaint


def test_nothing_keeps_the_token_itself(run: CommandLine, shop: Shop, tmp_path: Path) -> None:
    token = run(*BOOKS).out.strip()
    shown = run("tokens", "list").out + run("tokens", "list", "--json").out
    shown += run("operators", "log", "--json").out
    assert token not in shown
    for file in (tmp_path / "var").iterdir():
        assert token.encode() not in file.read_bytes(), file


def test_programs_get_the_token_with_what_it_may_do(run: CommandLine) -> None:
    made = json.loads(run(*BOOKS, "--store", "default", "--json").out)
    assert made.pop("token").startswith("olt_")
    assert listed(run) == [made]
    assert (made["roles"], made["store"], made["state"]) == (["auditor"], "default", "live")


def test_a_list_shows_everything_but_the_token(run: CommandLine) -> None:
    assert run("tokens", "list").lines == ["No tokens."]
    run(*BOOKS, "--role", "store", "--store", "default", "--expires", "2999-01-01T00:00:00Z")
    run("tokens", "create", "--name", "ops", "--role", "operator")
    run("tokens", "revoke", "ops")
    head, books, ops = run("tokens", "list").lines
    assert head.split() == "Name Roles Store State Created Expires Last used".split()
    assert re.split("  +", books)[:4] == ["books", "auditor, store", "default", "live"]
    assert books.endswith("2999-01-01 00:00Z")
    assert re.split("  +", ops)[:4] == ["ops", "operator", "(all)", "revoked"]


def test_a_revoked_token_stays_revoked(run: CommandLine) -> None:
    run(*BOOKS)
    assert run("tokens", "revoke", "books").out == "books is revoked\n"
    again = run("tokens", "revoke", "books")
    assert (again.code, again.out) == (1, "")
    assert "no live token books" in again.complaint
    assert run("tokens", "revoke", "nobody").code == 1
    assert [token["state"] for token in listed(run)] == ["revoked"]


def test_a_name_is_used_once(run: CommandLine) -> None:
    run(*BOOKS)
    run("tokens", "revoke", "books")
    again = run(*BOOKS)
    assert (again.code, again.out) == (1, "")
    assert "choose another name" in again.complaint


def test_a_store_that_no_provider_speaks_of_is_most_likely_a_typing_error(
    run: CommandLine,
) -> None:
    ran = run(*BOOKS, "--store", "defualt")
    assert ran.code == 0
    assert b"the store defualt, only of default" in ran.stderr


@pytest.mark.parametrize(
    "args",
    [
        ["--name", "Books", "--role", "auditor"],
        ["--name", "", "--role", "auditor"],
        ["--name", "a" * 64, "--role", "auditor"],
        ["--name", "-", "--role", "auditor"],
        ["--name", "books"],
        ["--role", "auditor"],
        ["--name", "books", "--role", "emperor"],
        ["--name", "books", "--role", "auditor", "--expires", "2020-01-01T00:00:00Z"],
        ["--name", "books", "--role", "auditor", "--expires", "tomorrow"],
        ["--name", "books", "--role", "auditor", "--store", ""],
    ],
)
def test_what_makes_no_token_is_told_and_makes_none(run: CommandLine, args: list[str]) -> None:
    ran = run("tokens", "create", *args)
    assert (ran.code, ran.out) == (2, "")
    assert ran.complaint
    assert listed(run) == logged(run) == []


def test_the_log_says_which_user_did_what_and_why(
    run: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USER", "somebody-else")
    monkeypatch.setenv("LOGNAME", "somebody-else")
    run(*BOOKS, "--reason", "the auditors come")
    run("tokens", "revoke", "books", "--reason", "they are gone")
    newest, oldest = logged(run)
    user = f"user {pwd.getpwuid(os.getuid()).pw_name}"
    for operation, action, reason in (
        (oldest, "tokens create", "the auditors come"),
        (newest, "tokens revoke", "they are gone"),
    ):
        told = (operation["who"], operation["origin"], operation["action"], operation["reason"])
        assert told == (user, "command line", action, reason)
        assert (operation["object"], operation["outcome"]) == ("books", "done")


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 7)
    assert roles.user_of_this_process().who == f"user {2**31 - 7}"


def test_the_log_is_a_table_for_people_page_by_page(run: CommandLine) -> None:
    assert run("operators", "log").lines == ["No operations."]
    for token in ("one", "two", "three"):
        run("tokens", "create", "--name", token, "--role", "auditor")
    head, *rows, more = run("operators", "log", "--limit", "2").lines
    assert head.split() == "ID At Who From Action Object Outcome Reason".split()
    assert [re.split("  +", row)[0] for row in rows] == ["3", "2"]
    assert more == "There are more: add --after 2"
    head, *rows = run("operators", "log", "--after", "2").lines
    assert [re.split("  +", row)[5] for row in rows] == ["one"]


def test_without_a_ledger_nothing_is_made(order_ledger: CommandLine, tmp_path: Path) -> None:
    for args in (BOOKS, ("tokens", "list"), ("tokens", "revoke", "a"), ("operators", "log")):
        assert order_ledger(*args).code == 2
    assert list(tmp_path.iterdir()) == []
