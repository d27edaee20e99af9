"""The keys of a ledger in PostgreSQL, in the ledger's schema."""

from collections.abc import Sequence
from contextlib import AbstractContextManager

from adapters.storage.generations import Cursor
from adapters.storage.log import PARTITION, Clock, utc_now
from adapters.storage.postgres import Database
from adapters.storage.vault import VaultTables

SCRUBBED = ("order_keys", "body_keys", "effects", "kept_refusals")
# Who may not is only warned by VACUUM, so it is asked before.
MAY_VACUUM = (
    "SELECT bool_and(pg_has_role(session_user, c.relowner, 'USAGE')) FROM unnest(%s::text[]) AS t "
    "(name) JOIN pg_class AS c ON c.oid = t.name::regclass"
)


class PostgresVault(VaultTables):
    """The tables that migration 0012 made."""

    schema = "order_ledger."

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        super().__init__(clock)
        self._database = database

    def transaction(self, *, commit: bool) -> AbstractContextManager[Cursor]:
        """A transaction."""
        return self._database.transaction(commit=commit)

    def lock(self, c: Cursor) -> None:
        """Keep other processes from changing master keys until the transaction ends, and from
        wrapping with one: every append takes the lock of the log."""
        c.execute("SELECT order_ledger.lock_keys()")

    def destroy_body_keys(self, c: Cursor, delivery_ids: Sequence[int]) -> None:
        """Destroy the keys of bodies (see `VaultTables`)."""
        c.execute(
            "SELECT order_ledger.destroy_body_keys(?::int, ?::bigint[])",
            (PARTITION, list(delivery_ids)),
        )

    def scrub(self) -> str | None:
        """Vacuum the tables that something was taken out of, with the rights of who signed in: the
        service's role owns none of them."""
        tables = [f"{self.schema}{table}" for table in SCRUBBED]
        with self._database.as_signed_in() as connection:
            row = connection.execute(MAY_VACUUM, (tables,)).fetchone()
            if row is not None and row[0]:
                for table in tables:
                    connection.execute(f"VACUUM {table}".encode())
                return None
        return (
            f"the database's owner has to run VACUUM {', '.join(tables)}; until then its pages "
            "may hold what was destroyed"
        )
