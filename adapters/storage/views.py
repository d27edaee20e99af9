"""The read models' tables and their checkpoints, in SQL that both databases read."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from eventsourcing.persistence import IntegrityError, Tracking, TrackingRecorder

from adapters.storage.columns import (
    KINDS,
    create_statements,
    from_database,
)
from adapters.storage.log import PARTITION, StorageUnavailable, unavailable
from domain.log import Position
from projections.model import AnyTable, Key, Projection, Row, RowT, Table
from projections.runner import CheckpointMoved, Poison

PARAMETERS_MAX = 900  # of one statement; SQLite's smallest limit is 999

TABLES = {
    "tracking": "application_name TEXT PRIMARY KEY, notification_id BIGINT NOT NULL",
    "projections": "name TEXT PRIMARY KEY, version INTEGER NOT NULL",
    "parked": (
        "projection TEXT PRIMARY KEY, position TEXT NOT NULL, "
        "event TEXT NOT NULL, error TEXT NOT NULL"
    ),
}
INSERT_TRACKING = (
    "INSERT INTO tracking VALUES (?, ?) ON CONFLICT (application_name) DO UPDATE "
    "SET notification_id = excluded.notification_id "
    "WHERE tracking.notification_id < excluded.notification_id RETURNING notification_id"
)
PARK = (
    "INSERT INTO parked VALUES (?, ?, ?, ?) ON CONFLICT (projection) DO UPDATE "
    "SET position = excluded.position, event = excluded.event, error = excluded.error"
)


class Cursor(Protocol):
    """What a transaction offers; parameters are marked with `?`."""

    def execute(self, sql: str, params: Sequence[Any] = ()) -> Any:
        """Run a statement."""

    def fetchone(self) -> Any:
        """The next row, or None."""

    def fetchall(self) -> Any:
        """The rows that are left."""


class Views(TrackingRecorder):
    """The tables of the read models, and for each the position up to which it is folded.

    A position is kept in the library's way of tracking, under `<projection>/<partition>`.
    """

    @abstractmethod
    def transaction(self, *, commit: bool) -> AbstractContextManager[Cursor]:
        """A transaction, to write with or to read with; errors are the library's."""

    @abstractmethod
    def put(self, c: Cursor, table: AnyTable, rows: Sequence[Row]) -> None:
        """Write rows over whatever their keys held before; into a table that only grows, as new."""

    @abstractmethod
    def close(self) -> None:
        """Release the connections."""

    def prepare(self, projections: Sequence[Projection]) -> None:
        """Create what is missing, and empty the tables of a projection whose version changed."""
        with unavailable(), self.transaction(commit=True) as c:
            self.lock(c)
            for table, columns in TABLES.items():
                c.execute(f"CREATE TABLE IF NOT EXISTS {table} ({columns})")
            for projection in projections:
                _prepare(c, projection)

    def lock(self, c: Cursor) -> None:
        """Keep other processes from preparing at the same time, until the transaction ends."""

    def checkpoint(self, projection: str) -> Position | None:
        """The position of the last event that the projection has taken in."""
        with unavailable():
            index = self.max_tracking_id(_name(projection))
        return None if index is None else Position(PARTITION, index)

    def rows(self, table: Table[RowT], keys: Sequence[Key]) -> list[RowT]:
        """The rows that exist under these keys."""
        names = ", ".join(f'"{column}"' for column in table.key)
        marks = f"({', '.join('?' * len(table.key))})"
        found: list[RowT] = []
        for some in _chunks(keys, len(table.key)):
            clauses = f"WHERE ({names}) IN (VALUES {', '.join([marks] * len(some))})"
            found += self.select(table, clauses, [value for key in some for value in key])
        return found

    def select(self, table: Table[RowT], clauses: str, params: Sequence[Any] = ()) -> list[RowT]:
        """The rows of a table that the clauses choose."""
        columns = ", ".join(f't."{column}"' for column in table.columns)
        with unavailable(), self.transaction(commit=False) as c:
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
        with unavailable(), self.transaction(commit=True) as c:
            self.lock(c)
            if _tracked(c, _name(projection)) != (since.index if since else None):
                raise CheckpointMoved
            for table, table_rows in rows.items():
                self.put(c, table, table_rows)
            track(c, _name(projection), upto.index)
            c.execute("DELETE FROM parked WHERE projection = ?", (projection,))

    def park(self, projection: str, poison: Poison) -> None:
        """Say at which event a projection stands still, and why."""
        values = (projection, str(poison.position), poison.event, poison.error)
        with unavailable(), self.transaction(commit=True) as c:
            c.execute(PARK, values)

    def parked(self) -> dict[str, Poison]:
        """The projections that stand still."""
        with unavailable(), self.transaction(commit=False) as c:
            c.execute("SELECT projection, position, event, error FROM parked")
            return {
                projection: Poison(Position.parse(position), event, error)
                for projection, position, event, error in map(tuple, c.fetchall())
            }

    # ----------------------------------------------------------------------------- the library's

    def insert_tracking(self, tracking: Tracking) -> None:
        """Record a position. Raises `IntegrityError` where it is not beyond the recorded one."""
        with self.transaction(commit=True) as c:
            track(c, tracking.application_name, tracking.notification_id)

    def max_tracking_id(self, application_name: str) -> int | None:
        """The recorded position."""
        with self.transaction(commit=False) as c:
            return _tracked(c, application_name)


def _prepare(c: Cursor, projection: Projection) -> None:
    c.execute("SELECT version FROM projections WHERE name = ?", (projection.name,))
    found = c.fetchone()
    if found and found[0] > projection.version:
        raise StorageUnavailable(
            f"{projection.name} was made by a newer release (version {found[0]}): start that one"
        )
    if found and found[0] != projection.version:
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


def _chunks(rows: Sequence[Any], width: int) -> Iterator[Sequence[Any]]:
    """Pieces of as many rows as one statement can hold."""
    size = PARAMETERS_MAX // width
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _tracked(c: Cursor, name: str) -> int | None:
    c.execute("SELECT notification_id FROM tracking WHERE application_name = ?", (name,))
    row = c.fetchone()
    return row[0] if row else None


def track(c: Cursor, name: str, index: int) -> None:
    """Record a position. Raises `IntegrityError` where it is not beyond the recorded one."""
    c.execute(INSERT_TRACKING, (name, index))
    if c.fetchone() is None:
        raise IntegrityError(f"the recorded position of {name} is not before {index}")


def _name(projection: str) -> str:
    return f"{projection}/{PARTITION}"
