"""The keys of a ledger in PostgreSQL, in the ledger's schema."""

from collections.abc import Iterator
from contextlib import contextmanager

from adapters.storage.generations import Cursor
from adapters.storage.log import Clock, utc_now
from adapters.storage.postgres import Database
from adapters.storage.postgres_views import PostgresCursor
from adapters.storage.vault import VaultTables


class PostgresVault(VaultTables):
    """The tables that migration 0012 made."""

    schema = "order_ledger."

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        super().__init__(clock)
        self._database = database

    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[Cursor]:
        """A transaction."""
        with (
            self._database.writing() if commit else self._database.reading() as connection,
            connection.transaction(),
            connection.cursor() as cursor,
        ):
            yield PostgresCursor(cursor)

    def lock(self, c: Cursor) -> None:
        """Keep other processes from changing master keys until the transaction ends, and from
        wrapping with one: every append takes the lock of the log."""
        c.execute("SELECT order_ledger.lock_keys()")
