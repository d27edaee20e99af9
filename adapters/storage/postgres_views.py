"""The read models in PostgreSQL, in a schema of their own that the service's role owns."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

from adapters.storage.postgres import Database
from adapters.storage.views import Cursor, Views

SCHEMA = "order_ledger_views"
LOCK = 7_305_842_611_202_935  # any number that is ours alone


class _Cursor:
    """A psycopg cursor that takes `?` for a parameter, as SQLite does."""

    def __init__(self, cursor: psycopg.Cursor) -> None:
        self._cursor = cursor
        self.fetchone = cursor.fetchone
        self.fetchall = cursor.fetchall

    def execute(self, sql: str, params: Sequence[Any] = ()) -> None:
        self._cursor.execute(sql.replace("?", "%s").encode(), params)


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
            cursor.execute(f"SET LOCAL search_path = {SCHEMA}")
            yield _Cursor(cursor)

    def lock(self, c: Cursor) -> None:
        """Keep other processes from writing read models at the same time."""
        c.execute("SELECT pg_advisory_xact_lock(?)", (LOCK,))

    def close(self) -> None:
        """Close the connections."""
        self._database.close()
