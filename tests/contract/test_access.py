"""The contract of the tokens and of the operators' log, on both databases."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Thread

import psycopg
import pytest

from adapters.access.roles import Caller, Role
from adapters.storage import access, postgres_schema
from adapters.storage.access import (
    AccessTables,
    Operation,
    OperatorLog,
    TokenExists,
    TokenRow,
    TokenStore,
    TooManyTokens,
)
from adapters.storage.opening import open_storage
from adapters.storage.postgres import Database, become_service, connect
from adapters.storage.postgres_access import PostgresAccess
from adapters.storage.sqlite import Datastore
from adapters.storage.sqlite_access import SQLiteAccess
from tests.contract.logs import DATABASES, START, FakeClock

ALICE = Caller.with_every_role("user alice", "command line")
MADE = Operation.by(ALICE, "tokens create", "books", "the auditors come")
REVOKED = Operation.by(ALICE, "tokens revoke", "books")
BOOKS = TokenRow("books", frozenset({Role.AUDITOR}), None, "aa" * 32, START)
TILL = TokenRow(
    "till",
    frozenset({Role.STORE, Role.AUDITOR}),
    "uganda",
    "bb" * 32,
    START,
    START + timedelta(days=1),
)


@pytest.fixture(params=DATABASES)
def tables(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AccessTables]:
    if request.param == "sqlite":
        datastore = Datastore(str(tmp_path / "ledger.db"), "FULL")
        file = SQLiteAccess(datastore)
        file.create()
        yield file
        datastore.close()
    else:
        url = request.getfixturevalue("postgres_url")
        postgres_schema.init(url)
        database = Database(url)
        yield PostgresAccess(database)
        database.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def operators(tables: AccessTables, clock: FakeClock) -> OperatorLog:
    return OperatorLog(tables, clock)


@pytest.fixture
def tokens(tables: AccessTables, operators: OperatorLog, clock: FakeClock) -> TokenStore:
    return TokenStore(tables, operators, clock)


def test_a_token_is_found_as_it_was_made(tokens: TokenStore) -> None:
    tokens.create(TILL, MADE)
    tokens.create(BOOKS, MADE)
    assert tokens.all() == tokens.live() == [BOOKS, TILL]


def test_a_revoked_token_opens_nothing_and_stays_known(
    tokens: TokenStore, clock: FakeClock
) -> None:
    tokens.create(BOOKS, MADE)
    clock.advance(hours=1)
    assert tokens.revoke("books", REVOKED)
    assert tokens.live() == []
    assert tokens.all() == [replace(BOOKS, revoked_at=START + timedelta(hours=1))]


def test_an_expired_token_opens_nothing(tokens: TokenStore, clock: FakeClock) -> None:
    tokens.create(TILL, MADE)
    clock.advance(hours=24)
    assert tokens.live() == []
    assert tokens.all() == [TILL]


@pytest.mark.parametrize("name", ["nobody", "books"])
def test_only_a_live_token_can_be_revoked(tokens: TokenStore, clock: FakeClock, name: str) -> None:
    tokens.create(BOOKS, MADE)
    tokens.revoke("books", REVOKED)
    clock.advance(hours=1)
    before = tokens.all()
    assert not tokens.revoke(name, REVOKED)
    assert tokens.all() == before


@pytest.mark.parametrize("again", [BOOKS, replace(BOOKS, sha256="cc" * 32)])
def test_a_name_is_never_used_again_since_the_log_speaks_of_it(
    tokens: TokenStore, operators: OperatorLog, again: TokenRow
) -> None:
    tokens.create(BOOKS, MADE)
    tokens.revoke("books", REVOKED)
    with pytest.raises(TokenExists):
        tokens.create(again, MADE)
    assert len(operators.page(None, 10)) == 2, "what did not happen is not logged"


def test_there_are_only_so_many_live_tokens(
    tokens: TokenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "LIVE_TOKENS_MAX", 1)
    tokens.create(BOOKS, MADE)
    with pytest.raises(TooManyTokens):
        tokens.create(TILL, MADE)
    tokens.revoke("books", REVOKED)
    tokens.create(TILL, MADE)


def test_a_use_is_noted_once_a_minute(tokens: TokenStore, clock: FakeClock) -> None:
    tokens.create(BOOKS, MADE)
    seen = []
    for seconds in (0, 59, 1, 30, 30):
        clock.advance(seconds=seconds)
        tokens.note_use("books")
        used = tokens.all()[0].last_used_at
        assert used is not None
        seen.append((used - START).total_seconds())
    assert seen == [0, 0, 60, 60, 120]


def test_a_role_that_this_release_does_not_know_opens_nothing(
    tables: AccessTables, tokens: TokenStore
) -> None:
    with tables.transaction(commit=True) as c:
        c.execute(
            f"INSERT INTO {tables.tokens} (name, roles, sha256, created_at) VALUES (?, ?, ?, ?)",
            ("later", "emperor,auditor", "dd" * 32, tables.to_time(START)),
        )
    assert tokens.live()[0].roles == {Role.AUDITOR}


# ---------------------------------------------------------------------------- the operators' log


def test_who_made_and_who_revoked_is_logged(
    tokens: TokenStore, operators: OperatorLog, clock: FakeClock
) -> None:
    tokens.create(BOOKS, MADE)
    clock.advance(hours=1)
    tokens.revoke("books", REVOKED)
    newest, oldest = operators.page(None, 10)
    assert oldest == (
        1, START, "user alice", "command line", "tokens create", "books", "the auditors come",
        "done",
    )  # fmt: skip
    assert (newest.id, newest.at) == (2, START + timedelta(hours=1))
    assert (newest.action, newest.reason) == ("tokens revoke", None)


def test_the_log_is_read_page_by_page(operators: OperatorLog) -> None:
    for number in range(5):
        operators.append(Operation.by(ALICE, "replay", str(number)))
    assert [o.object for o in operators.page(None, 2)] == ["4", "3"]
    assert [o.object for o in operators.page(4, 2)] == ["2", "1"]
    assert [o.object for o in operators.page(2, 2)] == ["0"]
    assert operators.page(1, 2) == []


def test_an_operation_is_logged_with_what_it_does_or_neither_is(
    tables: AccessTables, operators: OperatorLog
) -> None:
    def rebuild_in_vain() -> None:
        with tables.transaction(commit=True) as c:
            operators.append_in(c, MADE)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        rebuild_in_vain()
    assert operators.page(None, 10) == []


def test_several_at_once_are_numbered_without_a_gap(operators: OperatorLog) -> None:
    def work() -> None:
        for _ in range(10):
            operators.append(MADE)

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [o.id for o in operators.page(None, 100)] == list(range(40, 0, -1))


TAMPERING = {
    "log: change": "UPDATE {log} SET who = 'user bob'",
    "log: delete": "DELETE FROM {log}",
    "token: delete": "DELETE FROM {tokens}",
    "token: more roles": "UPDATE {tokens} SET roles = 'operator' WHERE name = 'books'",
    "token: another store": "UPDATE {tokens} SET store = 'x' WHERE name = 'books'",
    "token: every store": "UPDATE {tokens} SET store = NULL WHERE name = 'till'",
    "token: another secret": "UPDATE {tokens} SET sha256 = 'x' WHERE name = 'books'",
    "token: for ever": "UPDATE {tokens} SET expires_at = NULL WHERE name = 'till'",
    "token: open again": "UPDATE {tokens} SET revoked_at = NULL WHERE name = 'books'",
}
SQLITE_TAMPERING = {
    "log: replace": "REPLACE INTO operator_log VALUES (1, 0, 'a', 'b', 'c', 'd', NULL, 'e')",
    "token: replace": (
        "REPLACE INTO api_tokens VALUES ('books', 'operator', NULL, 'x', 0, NULL, NULL, NULL)"
    ),
    "token: replace by secret": (
        "REPLACE INTO api_tokens SELECT 'mine', 'operator', NULL, sha256, 0, NULL, NULL, NULL "
        "FROM api_tokens"
    ),
}


@pytest.mark.parametrize("statement", [*TAMPERING.values(), *SQLITE_TAMPERING.values()])
def test_what_was_written_stays_in_a_file(tmp_path: Path, statement: str) -> None:
    datastore = Datastore(str(tmp_path / "ledger.db"), "FULL")
    file = SQLiteAccess(datastore)
    file.create()
    _fill(file)
    datastore.close()
    connection = sqlite3.connect(tmp_path / "ledger.db")
    before = list(connection.iterdump())
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute(statement.format(log="operator_log", tokens="api_tokens"))
    assert list(connection.iterdump()) == before
    connection.close()


@pytest.mark.parametrize("statement", [*TAMPERING.values(), "TRUNCATE {log}", "TRUNCATE {tokens}"])
def test_what_was_written_stays_in_postgresql_whoever_asks(
    postgres_url: str, statement: str
) -> None:
    postgres_schema.init(postgres_url)
    database = Database(postgres_url)
    _fill(PostgresAccess(database))
    database.close()
    names = {"log": PostgresAccess.operations, "tokens": PostgresAccess.tokens}
    sql = statement.format(**names).encode()
    with connect(postgres_url) as owner, pytest.raises(psycopg.errors.RestrictViolation):
        owner.execute(sql)
    with connect(postgres_url) as service:
        become_service(service)
        refusals = (psycopg.errors.InsufficientPrivilege, psycopg.errors.RestrictViolation)
        with pytest.raises(refusals):
            service.execute(sql)


def _fill(tables: AccessTables) -> None:
    tokens = TokenStore(tables, OperatorLog(tables, FakeClock()), FakeClock())
    tokens.create(TILL, MADE)
    tokens.create(BOOKS, MADE)
    tokens.revoke("books", REVOKED)


# ---------------------------------------------------------------------- ledgers of before tokens


def test_a_file_from_before_there_were_tokens_opens_and_gets_them(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    open_storage(url, ()).close()
    connection = sqlite3.connect(tmp_path / "ledger.db")
    connection.executescript("DROP TABLE api_tokens; DROP TABLE operator_log;")
    connection.close()
    storage = open_storage(url, ())
    _fill(storage.access)
    storage.close()


def test_a_database_from_before_there_were_tokens_opens_and_gets_them(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = postgres_schema.migrations()
    with monkeypatch.context() as patch:
        patch.setattr(postgres_schema, "migrations", lambda: every[:5])
        postgres_schema.init(postgres_url)
    storage = open_storage(postgres_url, ())
    _fill(storage.access)
    storage.close()
    assert postgres_schema.check(postgres_url) == []
