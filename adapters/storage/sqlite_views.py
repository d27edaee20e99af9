"""The read models of an embedded ledger, in a file of their own beside the log.

Apart, because then the projections' writes and the webhooks' never wait for each other, and
because the file can be deleted at any time: it is made again from the log.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from eventsourcing.persistence import PersistenceError, Tracking
from eventsourcing.sqlite import SQLiteCursor, SQLiteTrackingRecorder

from adapters.storage.columns import (
    KINDS,
    create_statements,
    from_database,
    to_database,
    upsert_statement,
)
from adapters.storage.log import PARTITION, StorageUnavailable
from adapters.storage.sqlite import Datastore
from domain.log import Position
from projections.model import AnyTable, Key, Projection, Row, RowT, Table
from projections.runner import CheckpointMoved

VERSIONS = (
    "CREATE TABLE IF NOT EXISTS projections (name TEXT PRIMARY KEY, version INTEGER NOT NULL)"
)


class SQLiteViews(SQLiteTrackingRecorder):
    """The tables of the read models, and for each the position up to which it is folded.

    A position is kept by the library's tracking, under `<projection>/<partition>`.
    """

    def prepare(self, projections: Sequence[Projection]) -> None:
        """Create what is missing, and empty the tables of a projection whose version changed."""
        with self._unavailable():
            self.create_table()
            with self.datastore.transaction(commit=True) as c:
                c.execute(VERSIONS)
                for projection in projections:
                    self._prepare(c, projection)

    def _prepare(self, c: SQLiteCursor, projection: Projection) -> None:
        c.execute("SELECT version FROM projections WHERE name = ?", (projection.name,))
        found = c.fetchone()
        if found and found["version"] != projection.version:
            for table in projection.tables:
                c.execute(f"DROP TABLE IF EXISTS {table.name}")
            c.execute("DELETE FROM tracking WHERE application_name = ?", (_name(projection.name),))
        for table in projection.tables:
            for statement in create_statements(table):
                c.execute(statement)
        c.execute(
            "INSERT INTO projections VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET version = excluded.version",
            (projection.name, projection.version),
        )

    def checkpoint(self, projection: str) -> Position | None:
        """The position of the last event that the projection has taken in."""
        with self._unavailable():
            index = self.max_tracking_id(_name(projection))
        return None if index is None else Position(PARTITION, index)

    def rows(self, table: Table[RowT], keys: Sequence[Key]) -> list[RowT]:
        """The rows that exist under these keys."""
        wanted = ", ".join(f"json_extract(value, '$[{n}]')" for n in range(len(table.key)))
        names = ", ".join(f'"{column}"' for column in table.key)
        return self.select(
            table,
            f"WHERE ({names}) IN (SELECT {wanted} FROM json_each(?))",
            (json.dumps(keys),),
        )

    def select(self, table: Table[RowT], clauses: str, params: Sequence[Any] = ()) -> list[RowT]:
        """The rows of a table that the clauses choose."""
        columns = ", ".join(f't."{column}"' for column in table.columns)
        with self._unavailable(), self.datastore.transaction(commit=False) as c:
            c.execute(f"SELECT {columns} FROM {table.name} AS t {clauses}", params)
            return [from_database(table, tuple(row)) for row in c.fetchall()]

    def param(self, value: Any) -> Any:
        """A value as it is compared with a column: the database's form of its type."""
        kind = KINDS.get(type(value))
        return kind.to_database(value) if kind and kind.to_database else value

    def write(
        self,
        projection: str,
        since: Position | None,
        upto: Position,
        rows: Mapping[AnyTable, Sequence[Row]],
    ) -> None:
        """Write rows and the new position in one transaction.

        Raises `CheckpointMoved` where the position is no more `since`; then nothing is written.
        """
        with self._unavailable(), self.datastore.transaction(commit=True) as c:
            found = self._max_tracking_id(_name(projection), c)
            if found != (since.index if since else None):
                raise CheckpointMoved
            for table, table_rows in rows.items():
                values = [to_database(table, row) for row in table_rows]
                c.executemany(upsert_statement(table, "?"), values)
            self._insert_tracking(c, Tracking(_name(projection), upto.index))

    def close(self) -> None:
        """Close the file."""
        self.datastore.close()

    @staticmethod
    @contextmanager
    def _unavailable() -> Iterator[None]:
        try:
            yield
        except PersistenceError as error:
            raise StorageUnavailable(str(error)) from error


def open_views(path: str, projections: Sequence[Projection]) -> SQLiteViews:
    """The read models in a file, created where they are missing."""
    views = SQLiteViews(Datastore(path, "NORMAL"))
    views.prepare(projections)
    return views


def _name(projection: str) -> str:
    return f"{projection}/{PARTITION}"
