"""The outbox in PostgreSQL, in the ledger's schema."""

from contextlib import AbstractContextManager
from threading import Lock

import psycopg
from eventsourcing.persistence import PersistenceError
from psycopg import Connection

from adapters.storage.effects import EffectTables
from adapters.storage.generations import Cursor
from adapters.storage.log import PARTITION
from adapters.storage.postgres import Database
from adapters.storage.postgres_locks import AdvisoryLock


class PostgresEffects(EffectTables):
    """The tables that migration 0011 made, named in full: any transaction can write them."""

    targets = "order_ledger.effect_targets"
    effects = "order_ledger.effects"
    identity = "order_ledger.ledger_identity"
    events = "order_ledger.stored_events"
    here = f"s.partition = {PARTITION} AND"

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = Lock()
        self._connection: Connection | None = None
        self._is_leader = False

    def transaction(self, *, commit: bool) -> AbstractContextManager[Cursor]:
        """A transaction."""
        return self._database.transaction(commit=commit)

    def leads(self) -> bool:
        """Whether this process alone sends: a connection of its own holds a lock, which the server
        takes back when the process or the connection ends."""
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._database.connected()
                row = self._connection.execute(
                    "SELECT %s OR pg_try_advisory_lock(%s)", (self._is_leader, AdvisoryLock.EFFECTS)
                ).fetchone()
                self._is_leader = row is not None and row[0]
            except (psycopg.Error, PersistenceError):
                self._abdicate()
            return self._is_leader

    def close(self) -> None:
        """Let others lead."""
        with self._lock:
            self._abdicate()

    def _abdicate(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._is_leader = False
