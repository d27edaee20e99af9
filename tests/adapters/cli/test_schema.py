"""`order-ledger db init` and `db check` of an SQLite ledger."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.adapters.cli.shops import CommandLine

LEDGER = Path("ledger.db")


@pytest.fixture(autouse=True)
def _here(order_ledger: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDER_LEDGER_DATABASE_URL", f"sqlite:///{LEDGER}")


def changed(*statements: str) -> None:
    with closing(sqlite3.connect(LEDGER)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def test_a_ledger_is_made_once_and_is_then_as_it_should_be(order_ledger: CommandLine) -> None:
    looked = order_ledger("db", "check").stderr
    assert looked.endswith(b"ledger.db is missing: run order-ledger db init\n")
    assert not LEDGER.exists(), "who only looks makes none"
    made = order_ledger("db", "init")
    assert (made.code, made.stdout) == (0, b"applied schema 4\nthe schema is up to date\n")
    assert order_ledger("db", "init").stdout == b"nothing was missing\n"
    checked = order_ledger("db", "check")
    assert (checked.code, checked.stdout) == (0, b"the schema is this release's own\n")


def test_what_differs_is_named_and_what_is_missing_made_again(order_ledger: CommandLine) -> None:
    order_ledger("db", "init")
    changed(
        "DROP TRIGGER stored_events_no_update",
        "DROP TRIGGER stored_events_no_delete",
        "CREATE TRIGGER stored_events_no_delete BEFORE DELETE ON stored_events BEGIN SELECT 1; END",
        "CREATE TABLE notes (note TEXT)",
    )
    checked = order_ledger("db", "check")
    assert checked.code == 1
    for told in (
        b"trigger stored_events_no_update is missing",
        b"trigger stored_events_no_delete has another form",
        b"table notes is not ours",
    ):
        assert told in checked.stderr
    assert order_ledger("db", "init").stdout.startswith(
        b"applied trigger stored_events_no_update\n"
    )


def test_a_file_of_another_schema_is_told_from_a_damaged_one(order_ledger: CommandLine) -> None:
    order_ledger("db", "init")
    changed("PRAGMA user_version = 3")
    told = order_ledger("db", "check").stderr
    assert told.endswith(b"the file has schema 3, and this release's is 4\n"), "init mends nothing"
    LEDGER.write_bytes(b"no database at all, and long enough to be seen as such" * 100)
    checked = order_ledger("db", "check")
    assert checked.code != 0
    assert b"file is not a database" in checked.stderr
