"""The read models in PostgreSQL, in a schema of their own that the service's role owns."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

from adapters.storage.columns import insert_statement, kinds, names, to_database, upsert_clause
from adapters.storage.postgres import Database
from adapters.storage.views import Cursor, Views
from projections.model import AnyTable, Row

SCHEMA = "order_ledger_views"
LOCK = 7_305_842_611_202_935  # any number that is ours alone
# A crash of the server may undo the last commits, never half of one: what is lost is folded again.
BEGIN = f"SET LOCAL search_path = {SCHEMA}; SET LOCAL synchronous_commit = off".encode()


class PostgresCursor:
    """A psycopg cursor that takes `?` for a parameter, as SQLite does."""

    def __init__(self, cursor: psycopg.Cursor) -> None:
        self.raw = cursor
        self.fetchone = cursor.fetchone
        self.fetchall = cursor.fetchall

    def execute(self, sql: str, params: Sequence[Any] = ()) -> None:
        """Run a statement."""
        self.raw.execute(sql.replace("?", "%s").encode(), params)


class PostgresViews(Views):
    """The read models in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[Cursor]:
        """A transaction in the schema of the read models."""
        with (
            self._database.writing() if commit else self._database.reading() as connection,
            connection.transaction(),
            connection.cursor() as cursor,
        ):
            cursor.execute(BEGIN)
            yield PostgresCursor(cursor)

    def put(self, c: Any, table: AnyTable, rows: Sequence[Row]) -> None:
        """Write rows with COPY; over others by way of a table that only this connection sees."""
        if table.only_grows:
            _copy(c.raw, table, table.name, rows)
            return
        staged = f"staged_{table.name}"
        c.execute(
            f"CREATE TEMP TABLE IF NOT EXISTS {staged} (LIKE {table.name}) ON COMMIT DELETE ROWS"
        )
        _copy(c.raw, table, f"pg_temp.{staged}", rows)
        c.execute(
            f"{insert_statement(table)} SELECT * FROM pg_temp.{staged} {upsert_clause(table)}"
        )

    def lock(self, c: Cursor) -> None:
        """Keep other processes from writing read models at the same time."""
        c.execute("SELECT pg_advisory_xact_lock(?)", (LOCK,))

    def close(self) -> None:
        """Close the connections."""
        self._database.close()


def _copy(cursor: psycopg.Cursor, table: AnyTable, into: str, rows: Sequence[Row]) -> None:
    statement = f"COPY {into} ({names(table.columns)}) FROM STDIN (FORMAT BINARY)"
    with cursor.copy(statement.encode()) as copy:
        copy.set_types([kind.sql.lower() for kind in kinds(table)])
        for row in rows:
            copy.write_row(to_database(table, row))
