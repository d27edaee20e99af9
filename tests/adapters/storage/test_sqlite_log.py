"""What is particular to a ledger in an SQLite file: its triggers, its pragmas, its schema."""

import sqlite3
from pathlib import Path

import pytest
from eventsourcing.sqlite import SQLiteCursor

from adapters.storage.log import StorageUnavailable
from adapters.storage.sqlite import PARAMETERS_MAX, ROWS_STEP, Datastore, insert_many
from adapters.storage.sqlite_log import SQLiteLog
from tests.contract.logs import FakeClock, entry, event, sqlite_log

TAMPERING = {
    "update an event": "UPDATE stored_events SET state = x'00'",
    "delete an event": "DELETE FROM stored_events",
    "replace an event by its index": (
        "INSERT OR REPLACE INTO stored_events VALUES (1, 's/z', 1, 't', x'00', 0, NULL)"
    ),
    "replace an event by its version": (
        "REPLACE INTO stored_events VALUES (9, 's/a', 1, 't', x'00', 0, NULL)"
    ),
    "upsert an event": (
        "INSERT INTO stored_events VALUES (1, 's/a', 1, 't', x'00', 0, NULL) "
        "ON CONFLICT DO UPDATE SET topic = 'x'"
    ),
    "update a delivery": "UPDATE deliveries SET outcome = 'x'",
    "delete a delivery": "DELETE FROM deliveries",
    "replace a delivery": (
        "REPLACE INTO deliveries (id, received_at, recorded_at, provider, outcome, body_hash) "
        "VALUES (1, 0, 0, 'p', 'o', 'x')"
    ),
    "update a body": "UPDATE bodies SET body = x'00'",
    "delete a body": "DELETE FROM bodies",
    "replace a body": "REPLACE INTO bodies VALUES (1, x'00')",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with sqlite_log(tmp_path, FakeClock()) as log:
        log.append([entry(event("s/a", 1))])
    return tmp_path / "ledger.db"


@pytest.mark.parametrize("statement", TAMPERING.values(), ids=TAMPERING)
def test_what_was_written_stays(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    before = list(connection.iterdump())
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute(statement)
    assert list(connection.iterdump()) == before
    connection.close()


def test_a_commit_is_on_disk_when_it_returns(tmp_path: Path) -> None:
    datastore = Datastore(str(tmp_path / "ledger.db"), "FULL")
    with datastore.transaction(commit=False) as c:
        c.execute("PRAGMA synchronous")
        synchronous = c.fetchone()[0]
        c.execute("PRAGMA journal_mode")
        assert (synchronous, c.fetchone()[0]) == (2, "wal")
    datastore.close()


def test_a_file_of_another_schema_is_refused_with_the_fix(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    log = SQLiteLog(Datastore(str(path), "FULL"))
    with pytest.raises(StorageUnavailable, match=r"schema 99.*the release that wrote it"):
        log.create_table()
    log.close()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"this is not a database, it only has its name" * 100)
    log = SQLiteLog(Datastore(str(path), "FULL"))
    with pytest.raises(StorageUnavailable):
        log.create_table()
    log.close()


@pytest.mark.parametrize("schema", [1, 3])
def test_a_file_from_before_the_format_was_settled_is_refused(tmp_path: Path, schema: int) -> None:
    connection = sqlite3.connect(tmp_path / "ledger.db")
    connection.execute("CREATE TABLE deliveries (id INTEGER PRIMARY KEY)")
    connection.execute(f"PRAGMA user_version = {schema}")
    connection.close()
    with (
        pytest.raises(StorageUnavailable, match="read it with the release that wrote it"),
        sqlite_log(tmp_path, FakeClock()),
    ):
        pass


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 70, 72, 143, 512])
@pytest.mark.parametrize("width", [1, 2, 14])
def test_many_rows_take_few_statements(count: int, width: int) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute(f"CREATE TABLE t ({', '.join(f'c{n}' for n in range(width))})")
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    rows = [tuple(range(n, n + width)) for n in range(count)]
    insert_many(SQLiteCursor(connection.cursor()), "t", rows)
    connection.set_trace_callback(None)
    assert connection.execute("SELECT * FROM t").fetchall() == rows
    inserts = [statement for statement in statements if statement.startswith("INSERT")]
    assert len(inserts) <= count * width / (PARAMETERS_MAX - ROWS_STEP * width) + 2
