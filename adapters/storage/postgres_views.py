"""The read models in PostgreSQL, in a schema of their own that the service's role owns."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from eventsourcing.persistence import PersistenceError, ProgrammingError

from adapters.storage.columns import insert_statement, kinds, names, to_database, upsert_clause
from adapters.storage.generations import Cursor
from adapters.storage.log import unavailable
from adapters.storage.postgres import Database
from adapters.storage.postgres_locks import LEADERS, AdvisoryLock
from adapters.storage.views import Reader, T, Views
from projections.model import AnyTable, Row
from projections.runner import Changes

SCHEMA = "order_ledger_views"
# A crash of the server may undo the last commits, never half of one: what is lost is folded again.
BEGIN = f"SET LOCAL search_path = {SCHEMA}; SET LOCAL synchronous_commit = off".encode()
SNAPSHOT = b"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; " + BEGIN
READ_TRIES = 3


class PostgresViews(Views):
    """The read models in PostgreSQL."""

    text = 'TEXT COLLATE "C"'  # compared byte by byte, as SQLite does
    differs = "IS DISTINCT FROM"
    chunk_events = 10_000
    indexes_last = True  # nobody waits for the table that is being built

    def __init__(self, database: Database) -> None:
        self._database = database
        self._leader: psycopg.Connection | None = None
        self._leases: set[str] = set()

    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[Cursor]:
        """A transaction in the schema of the read models; one that only reads sees one moment."""
        with self._database.transaction(commit=commit) as cursor:
            cursor.raw.execute(BEGIN if commit else SNAPSHOT)
            yield cursor

    def read(self, ask: Callable[[Reader], T]) -> T:
        """Ask something of the live generations (see `Views`).

        A generation that was live when the reading began may be dropped before its first row is
        read: then all of it is asked again, of the one that is live by now.
        """
        for _ in range(READ_TRIES - 1):
            try:
                return self._read(ask)
            except ProgrammingError as error:
                if not isinstance(error.__cause__, psycopg.errors.UndefinedTable):
                    raise
        return self._read(ask)

    def _read(self, ask: Callable[[Reader], T]) -> T:
        with unavailable(), self.transaction(commit=False) as c:
            return ask(Reader(c))

    def put(self, c: Any, table: AnyTable, name: str, changes: Changes) -> None:
        """Write rows with COPY; over others by way of a table that only this connection sees."""
        if changes.new:
            _copy(c.raw, table, name, changes.new)
        if not changes.over:
            return
        staged = f"pg_temp.staged_{name}"
        c.execute(
            f"CREATE TEMP TABLE IF NOT EXISTS staged_{name} (LIKE {name}) ON COMMIT DELETE ROWS"
        )
        _copy(c.raw, table, staged, changes.over)
        c.execute(f"{insert_statement(table, name)} SELECT * FROM {staged} {upsert_clause(table)}")

    def lock(self, c: Cursor) -> None:
        """Keep other processes from changing read models at the same time."""
        c.execute("SELECT pg_advisory_xact_lock(?)", (AdvisoryLock.VIEWS,))

    def unbound(self, c: Cursor, processors: int = 1) -> None:
        """Let a statement of this transaction take as long as it takes, on so many processors: the
        others answer webhooks. A query gets one; two large tables are joined in the order of their
        keys then, and that takes less of them all."""
        c.execute("SET LOCAL statement_timeout = 0")
        c.execute("SET LOCAL max_parallel_workers_per_gather = 0")
        c.execute(f"SET LOCAL max_parallel_maintenance_workers = {processors - 1:d}")

    def leads(self, projection: str) -> bool:
        """Whether this process alone follows a projection: a connection of its own holds a lock,
        which the server takes back when the process or the connection ends."""
        try:
            if self._leader is None:
                self._leader = self._database.connected()
            connection = self._leader
            if projection in self._leases:
                connection.execute("SELECT 1")
                return True
            row = connection.execute(
                "SELECT pg_try_advisory_lock(%s, hashtext(%s))", (LEADERS, projection)
            ).fetchone()
        except (psycopg.Error, PersistenceError):
            self._abdicate()
            return False
        if row is not None and row[0]:
            self._leases.add(projection)
        return projection in self._leases

    def is_led(self, c: Cursor, name: str) -> bool:
        """Whether any connection to this database holds the lock."""
        c.execute(
            "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_database d ON d.oid = database "
            "WHERE locktype = 'advisory' AND d.datname = current_database() AND granted "
            "AND classid = ?::bigint::oid AND objid = hashtext(?)::oid AND objsubid = 2)",
            (LEADERS, name),
        )
        return bool(c.fetchone()[0])

    def size(self, c: Cursor, names: Sequence[str]) -> int | None:
        """Bytes of tables with their indexes."""
        c.execute(
            "SELECT sum(pg_total_relation_size(to_regclass(name)))::bigint "
            "FROM unnest(?::text[]) AS names (name)",
            (list(names),),
        )
        return int(c.fetchone()[0] or 0)

    def analyze(self, names: Sequence[str]) -> None:
        """Let the planner learn what is in new tables."""
        with unavailable(), self.transaction(commit=True) as c:
            self.unbound(c)
            for name in names:
                c.execute(f"ANALYZE {name}")

    def close(self) -> None:
        """Close the connections, and let others lead."""
        self._abdicate()
        self._database.close()

    def _abdicate(self) -> None:
        if self._leader is not None:
            self._leader.close()
        self._leader = None
        self._leases.clear()


def _copy(cursor: psycopg.Cursor, table: AnyTable, into: str, rows: Sequence[Row]) -> None:
    statement = f"COPY {into} ({names(table.columns)}) FROM STDIN (FORMAT BINARY)"
    with cursor.copy(statement.encode()) as copy:
        copy.set_types([kind.sql.lower() for kind in kinds(table)])
        for values in to_database(table, rows):
            copy.write_row(values)
