"""The outbox of an embedded ledger, in the ledger's own file."""

import fcntl
import os
from contextlib import AbstractContextManager
from datetime import datetime
from importlib import resources
from threading import Lock
from typing import Any

from adapters.storage.effects import EffectTables
from adapters.storage.generations import Cursor
from adapters.storage.log import unavailable
from adapters.storage.sqlite import Datastore, from_microseconds, to_microseconds


class SQLiteEffects(EffectTables):
    """The tables in the file that holds the log; their commits are on disk like the log's."""

    def __init__(self, datastore: Datastore) -> None:
        self._datastore = datastore
        self._lock = Lock()
        self._lease: int | None = None

    def create(self) -> None:
        """Create what is missing."""
        schema = resources.files(__package__).joinpath("sqlite_effects.sql").read_text()
        with unavailable():
            self._datastore.run_script(schema)

    def transaction(self, *, commit: bool) -> AbstractContextManager[Cursor]:
        """A transaction of the file; one that writes has the only lock there is."""
        return self._datastore.transaction(commit=commit)

    def leads(self) -> bool:
        """Whether this process alone sends: it holds the lock of a file, which the system takes
        back when the process ends."""
        with self._lock:
            if self._lease is not None:
                return True
            path = f"{self._datastore.pool.db_name}-leader-effects"
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(file)
                return False
            self._lease = file
            return True

    def close(self) -> None:
        """Let others lead."""
        with self._lock:
            if self._lease is not None:
                os.close(self._lease)
                self._lease = None

    def to_time(self, time: datetime | None) -> Any:
        """Whole microseconds since 1970-01-01 UTC."""
        return None if time is None else to_microseconds(time)

    def from_time(self, value: Any) -> Any:
        """The time of whole microseconds."""
        return None if value is None else from_microseconds(value)
