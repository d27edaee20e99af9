"""Tokens, the operators' log and the refusals of an embedded ledger, in the ledger's own file."""

from contextlib import AbstractContextManager
from datetime import datetime
from importlib import resources
from typing import Any

from adapters.storage.access import AccessTables
from adapters.storage.generations import Cursor
from adapters.storage.log import unavailable
from adapters.storage.sqlite import Datastore, from_microseconds, to_microseconds


class SQLiteAccess(AccessTables):
    """The tables in the file that holds the log; their commits are on disk like the log's."""

    def __init__(self, datastore: Datastore) -> None:
        self._datastore = datastore

    def create(self) -> None:
        """Create what is missing."""
        folder = resources.files(__package__)
        with unavailable():
            for schema in ("sqlite_access.sql", "sqlite_refusals.sql"):
                self._datastore.run_script(folder.joinpath(schema).read_text())

    def transaction(self, *, commit: bool) -> AbstractContextManager[Cursor]:
        """A transaction of the file; one that writes has the only lock there is."""
        return self._datastore.transaction(commit=commit)

    def to_time(self, time: datetime | None) -> Any:
        """Whole microseconds since 1970-01-01 UTC."""
        return None if time is None else to_microseconds(time)

    def from_time(self, value: Any) -> Any:
        """The time of whole microseconds."""
        return None if value is None else from_microseconds(value)
