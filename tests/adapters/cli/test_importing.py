"""Bringing in what webhooks lost, from a provider's export."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.cli.shops import CommandLine, Shop
from tests.adapters.providers.sevi_bodies import bare

IMPORT = ("import", "--provider", "sevi")


@pytest.fixture
def run(order_ledger: CommandLine, shop: Shop, tmp_path: Path) -> CommandLine:
    """The command, in a shop that heard of order 1, with a file that tells of it and of others."""
    shop.hears(bare("1", "PAID"))
    lines = [bare("1", "PAID"), bare("2", "PAID"), bare("3", "PENDING")]
    (tmp_path / "export.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    return order_ledger


def logged(run: CommandLine) -> list[Any]:
    return [
        (one["action"], one["object"], one["reason"], one["outcome"])
        for one in json.loads(run("operators", "log", "--json").out)["items"]
    ][::-1]


def test_an_import_counts_what_became_of_each_body(run: CommandLine) -> None:
    ran = run(*IMPORT, "export.jsonl")
    assert (ran.code, ran.stderr) == (0, b"")
    assert ran.lines == ["3 bodies of sevi", "duplicate  1", "recorded   2"]
    assert run(*IMPORT, "export.jsonl").lines[1:] == ["duplicate  3"]
    assert "DELIVERED" in run("orders", "show", "2").out


def test_a_history_shows_that_the_news_was_reconciled(run: CommandLine) -> None:
    run(*IMPORT, "export.jsonl")
    known = json.loads(run("orders", "history", "1", "--json").out)["events"][0]
    lost = json.loads(run("orders", "history", "2", "--json").out)["events"][0]
    assert (known["origin"], known["reconciled"]) == ("webhook", False)
    assert (lost["origin"], lost["reconciled"]) == ("import", True)
    assert "(import)" in run("orders", "history", "2").out
    assert "(" not in run("orders", "history", "1").out


def test_a_dry_run_changes_nothing_and_is_not_logged(run: CommandLine) -> None:
    ran = run(*IMPORT, "export.jsonl", "--dry-run")
    assert (ran.code, ran.lines[0]) == (0, "3 bodies of sevi, nothing changed")
    assert ran.lines[1:] == ["duplicate  1", "recorded   2"]
    assert run("orders", "show", "2").code == 1
    assert logged(run) == []


def test_who_imported_what_and_why_is_in_the_operators_log(run: CommandLine) -> None:
    run(*IMPORT, "export.jsonl", "--reason", "down on Sunday")
    assert logged(run) == [
        ("import", "sevi from export.jsonl", "down on Sunday", "begun"),
        ("import", "sevi from export.jsonl", "down on Sunday", "done: 1 duplicate, 2 recorded"),
    ]


def test_lines_that_cannot_be_read_are_listed_and_quarantined(
    run: CommandLine, tmp_path: Path
) -> None:
    (tmp_path / "export.jsonl").write_bytes(bare("4", "PAID") + b"\n\n{\n" + bare("5") + b"\n[]")
    ran = run(*IMPORT, "export.jsonl")
    assert ran.code == 1
    assert ran.lines[:3] == ["4 bodies of sevi", "quarantined  2", "recorded     2"]
    assert [line.split()[0] for line in ran.lines[3:]] == ["Line", "3", "5"]
    aside = json.loads(run("quarantine", "list", "--json").out)["items"]
    assert len(aside) == 2
    told = json.loads(run(*IMPORT, "export.jsonl", "--json").out)
    assert told["outcomes"] == {"duplicate": 4}, "they are set aside already, and open"
    assert told["unread"] == []
    run("quarantine", "discard", str(aside[0]["id"]), "--reason", "a test call")
    told = json.loads(run(*IMPORT, "export.jsonl", "--json").out)
    assert told["outcomes"] == {"duplicate": 3, "quarantined": 1}
    assert [one["line"] for one in told["unread"]] == [5]


def test_a_pipe_says_its_format(run: CommandLine) -> None:
    csv = b"orderId,orderPayment\n7,PAID\n8,PENDING\n"
    assert "--format" in run(*IMPORT, "-", stdin=csv).complaint
    ran = run(*IMPORT, "-", "--format", "csv", stdin=csv)
    assert ran.lines == ["2 bodies of sevi", "recorded  2"]
    assert logged(run)[0][1] == "sevi from standard input"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("import", "--provider", "nobody", "export.jsonl"), 2, "configured are: sevi"),
        ((*IMPORT, "missing.jsonl"), 2, "missing.jsonl"),
        ((*IMPORT, "empty.csv"), 1, "first line"),
    ],
)
def test_what_cannot_be_imported_says_what_helps(
    run: CommandLine, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    (tmp_path / "empty.csv").touch()
    ran = run(*arguments)
    assert (ran.code, said in ran.complaint) == (code, True)


def test_one_that_breaks_off_says_so_in_the_log_and_how_to_go_on(
    run: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from adapters.storage.log import StorageUnavailable

    def fails(*_: Any) -> Any:
        raise StorageUnavailable("the disk is full")

    monkeypatch.setattr("adapters.imports.importing.record_patiently", fails)
    ran = run(*IMPORT, "export.jsonl")
    assert ran.code == 1
    first, second = ran.stderr.decode().splitlines()
    assert "run it again" in first
    assert "the disk is full" in second
    assert logged(run)[-1][-1] == "broken off: nothing"
