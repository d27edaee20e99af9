"""The keys of an embedded ledger, in the ledger's own file."""

from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from adapters.storage.generations import Cursor
from adapters.storage.log import Clock, utc_now
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
