"""Tokens and the operators' log in PostgreSQL, in the ledger's schema."""

from contextlib import AbstractContextManager

from adapters.storage.access import AccessTables
from adapters.storage.generations import Cursor
from adapters.storage.log import PARTITION
from adapters.storage.postgres import Database
from adapters.storage.postgres_locks import AdvisoryLock


class PostgresAccess(AccessTables):
    """The tables of migrations 0006 and 0009, named in full: any transaction can write them."""

    tokens = "order_ledger.api_tokens"
    operations = "order_ledger.operator_log"
    refusals = "order_ledger.refusals"
    kept_refusals = "order_ledger.kept_refusals"
    refusal_rings = "order_ledger.refusal_rings"
    events = "order_ledger.stored_events"
    deliveries = f"(SELECT * FROM order_ledger.deliveries WHERE partition = {PARTITION}) AS d"
    minute = "floor(extract(epoch FROM recorded_at) / 60)"

    def __init__(self, database: Database) -> None:
        self._database = database

    def transaction(self, *, commit: bool) -> AbstractContextManager[Cursor]:
        """A transaction."""
        return self._database.transaction(commit=commit)

    def lock(self, c: Cursor) -> None:
        """Keep other processes from writing these tables until the transaction ends."""
        c.execute("SELECT pg_advisory_xact_lock(?)", (AdvisoryLock.OPERATORS_LOG,))
