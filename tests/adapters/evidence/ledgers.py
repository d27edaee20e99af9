"""Ledgers with a few orders, on both databases, and the parts that seal them."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from adapters.evidence.keys import Signer
from adapters.evidence.sealer import Sealer
from adapters.ledger.application import OrderLedger
from adapters.storage.evidence import EvidenceStore
from adapters.storage.opening import open_storage
from adapters.vault.bodies import Bodies
from domain.payment import PaymentNotice, PaymentStatus
from tests.notices import delivery, notice
from tests.vaults import ledger_of

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class Sealed:
    """A ledger in a database, its evidence, and a sealer with its signer."""

    url: str
    folder: Path
    ledger: OrderLedger
    evidence: EvidenceStore
    signer: Signer
    sealer: Sealer
    clock: Clock

    def fill(self, orders: int, prefix: str = "o") -> None:
        """Deliver some orders: two events each."""
        told = [self.hashed(notice(f"{prefix}{n}")) for n in range(orders)]
        self.ledger.record([delivery(one) for one in told])

    def tell(self, order_id: str, *statuses: PaymentStatus) -> None:
        """News of one order, one after the other."""
        for status in statuses:
            self.ledger.record([delivery(self.hashed(notice(order_id, status)))])

    def hashed(self, told: PaymentNotice) -> PaymentNotice:
        """A notice with this ledger's own hash of its body."""
        told.body_hash = told.delivery_key = self.ledger.vault.hashing.body(told.body)
        return told

    @property
    def bodies(self) -> Bodies:
        return Bodies(self.ledger.event_log, self.ledger.vault)

    def another_sealer(self) -> Sealer:
        """The sealer of a process that starts now."""
        return Sealer(self.evidence, self.signer, 60)

    def tamper(self, *statements: str) -> None:
        """Change the database as its owner, with the triggers out of the way."""
        if self.url.startswith("sqlite"):
            tamper_sqlite(self.folder / "ledger.db", *statements)
        else:
            with psycopg.connect(self.url) as connection:
                connection.execute("SET session_replication_role = replica")
                connection.execute("SET search_path = order_ledger")
                for statement in statements:
                    connection.execute(statement.encode())

    def tamper_tree(self, *statements: str) -> None:
        """Change the tiles."""
        if self.url.startswith("sqlite"):
            tamper_sqlite(self.folder / "ledger-tree.db", *statements)
        else:
            self.tamper(*statements)

    def ask(self, query: str) -> list[Any]:
        """Rows of the database."""
        if self.url.startswith("sqlite"):
            with closing(sqlite3.connect(self.folder / "ledger.db")) as connection:
                return connection.execute(query).fetchall()
        with psycopg.connect(self.url) as connection:
            connection.execute("SET search_path = order_ledger")
            return connection.execute(query.encode()).fetchall()


def tamper_sqlite(path: Path, *statements: str) -> None:
    """Change an SQLite file without its triggers; they come back when it is opened again."""
    with closing(sqlite3.connect(path)) as connection:
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in triggers.fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
        connection.commit()


@contextmanager
def opened(url: str, folder: Path) -> Iterator[Sealed]:
    """A ledger that is opened, or made."""
    storage = open_storage(url, ())
    clock = Clock()
    signer = Signer(storage.evidence, folder / "keys.pem", "shop.example", clock)
    sealer = Sealer(storage.evidence, signer, 60)
    ledger = ledger_of(storage.log)
    try:
        yield Sealed(url, folder, ledger, storage.evidence, signer, sealer, clock)
    finally:
        storage.close()
