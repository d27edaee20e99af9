"""The keys of an embedded ledger, in the ledger's own file."""

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from eventsourcing.persistence import IntegrityError
from eventsourcing.sqlite import SQLiteCursor

from adapters.storage.generations import Cursor
from adapters.storage.log import Clock, LogEntry, utc_now
from adapters.storage.sqlite import Datastore, from_microseconds, to_microseconds
from adapters.storage.vault import VaultTables


class SQLiteVault(VaultTables):
    """The tables in the file that holds the log; their commits are on disk like the log's."""

    def __init__(self, datastore: Datastore, clock: Clock = utc_now) -> None:
        super().__init__(clock)
        self._datastore = datastore

    def transaction(self, *, commit: bool) -> AbstractContextManager[Cursor]:
        """A transaction of the file; one that writes has the only lock there is."""
        return self._datastore.transaction(commit=commit)

    def here(self, table: str = "") -> str:
        """All rows are of the one partition."""
        return "1 = 1"

    def to_time(self, time: datetime) -> Any:
        """Whole microseconds since 1970-01-01 UTC."""
        return to_microseconds(time)

    def from_time(self, value: Any) -> Any:
        """The time of whole microseconds."""
        return None if value is None else from_microseconds(value)

    def destroy_body_keys(self, c: Cursor, delivery_ids: Sequence[int]) -> None:
        """Destroy the keys of bodies (see `VaultTables`)."""
        for number in delivery_ids:
            c.execute("DELETE FROM body_keys WHERE id = ?", (number,))

    def scrub(self) -> str | None:
        """Write the log ahead into the file and cut it off. In the file secure_delete has zeroed
        what was destroyed; the log ahead holds its pages as they were before."""
        if self._datastore.cut_log_ahead():
            return None
        return (
            "another process reads the file, so its log ahead still holds what was destroyed: run "
            "the erasure again, or stop the service, which cuts it off"
        )


def change_keys(c: SQLiteCursor, entries: Sequence[LogEntry]) -> None:
    """Destroy the keys of entries, and require those that they rely on."""
    destroyed = [idx for entry in entries for idx in entry.destroys]
    relied_on = {idx for entry in entries for idx in entry.relies_on}
    bodies = [
        entry.destroys_body_key_of for entry in entries if entry.destroys_body_key_of is not None
    ]
    for table, ids in (("order_keys", destroyed), ("body_keys", bodies)):
        for number in ids:
            c.execute(f"DELETE FROM {table} WHERE id = ?", (number,))
    if relied_on:
        wanted = "SELECT count(*) FROM order_keys WHERE id IN (SELECT value FROM json_each(?))"
        c.execute(wanted, (json.dumps(list(relied_on)),))
        if c.fetchone()[0] < len(relied_on):
            raise IntegrityError("the key of an order was destroyed")
