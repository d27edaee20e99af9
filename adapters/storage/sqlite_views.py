"""The read models of an embedded ledger, in a file of their own beside the log.

Apart, because then the projections' writes and the webhooks' never wait for each other, and
because the file can be deleted at any time: it is made again from the log.
"""

import fcntl
import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any

from adapters.storage.columns import TEXT, insert_statement, to_database, upsert_clause
from adapters.storage.generations import Cursor
from adapters.storage.log import unavailable
from adapters.storage.sqlite import Datastore
from adapters.storage.views import Pin, Reader, T, Views
from projections.model import AnyTable
from projections.runner import Changes


class SQLiteViews(Views):
    """The read models in an SQLite file."""

    text = TEXT
    differs = "IS NOT"
    chunk_events = 2000  # the live read models wait while a chunk is written
    indexes_last = False  # to make one holds the file's only write lock for as long as it takes

    def __init__(self, datastore: Datastore) -> None:
        self._datastore = datastore
        self._leases: dict[str, IO[bytes]] = {}

    def transaction(self, *, commit: bool) -> AbstractContextManager[Cursor]:
        """A transaction of the file. One that reads sees the file as it was at its first look."""
        return self._datastore.transaction(commit=commit)

    def read(self, ask: Callable[[Reader], T], pin: Pin | None = None) -> T:
        """Ask something of the live generations (see `Views`)."""
        with unavailable(), self.transaction(commit=False) as c:
            return ask(Reader(c, pin))

    def put(self, c: Any, table: AnyTable, name: str, changes: Changes) -> None:
        """Write rows with statements that are compiled once."""
        marks = ", ".join("?" * len(table.columns))
        insert = f"{insert_statement(table, name)} VALUES ({marks})"
        c.executemany(insert, to_database(table, changes.new))
        upsert = f"{insert} {upsert_clause(table)}"
        c.executemany(upsert, to_database(table, changes.over))

    def leads(self, projection: str) -> bool:
        """Whether this process alone follows a projection: it holds the lock of a file, which the
        system takes back when the process ends."""
        if projection in self._leases:
            return True
        # Whoever may read it could hold the lock, and nobody would lead.
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        file = os.fdopen(os.open(self._lease(projection), flags, 0o600), "r+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return False
        self._leases[projection] = file
        return True

    def is_led(self, c: Cursor, name: str) -> bool:
        """Whether any process holds the lock of the file."""
        try:
            with self._lease(name).open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return False

    def _lease(self, name: str) -> Path:
        return Path(f"{self._datastore.pool.db_name}-leader-{name}")

    def size(self, c: Cursor, names: Sequence[str]) -> int | None:
        """Bytes of tables with their indexes; None where this SQLite cannot say."""
        marks = ", ".join("?" * len(names))
        tables = f"SELECT name FROM sqlite_schema WHERE tbl_name IN ({marks})"
        try:
            c.execute(f"SELECT sum(pgsize) FROM dbstat WHERE name IN ({tables})", names)
        except sqlite3.OperationalError:
            return None
        return int(c.fetchone()[0] or 0)

    def close(self) -> None:
        """Close the file, and let others lead."""
        for lease in self._leases.values():
            lease.close()
        self._leases.clear()
        self._datastore.close()
