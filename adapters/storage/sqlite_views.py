"""The read models of an embedded ledger, in a file of their own beside the log.

Apart, because then the projections' writes and the webhooks' never wait for each other, and
because the file can be deleted at any time: it is made again from the log.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from adapters.storage.columns import insert_statement, to_database, upsert_clause
from adapters.storage.sqlite import Datastore
from adapters.storage.views import Cursor, Views
from projections.model import AnyTable, Row


class SQLiteViews(Views):
    """The read models in an SQLite file."""

    def __init__(self, datastore: Datastore) -> None:
        self._datastore = datastore

    def transaction(self, *, commit: bool) -> AbstractContextManager[Cursor]:
        """A transaction of the file."""
        return self._datastore.transaction(commit=commit)

    def put(self, c: Any, table: AnyTable, rows: Sequence[Row]) -> None:
        """Write rows with one statement, compiled once."""
        marks = ", ".join("?" * len(table.columns))
        clause = "" if table.only_grows else upsert_clause(table)
        statement = f"{insert_statement(table)} VALUES ({marks}) {clause}"
        c.executemany(statement, [to_database(table, row) for row in rows])

    def close(self) -> None:
        """Close the file."""
        self._datastore.close()
