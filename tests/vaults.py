"""A vault over the tables of a test's log, with a master key that a configuration names."""

from base64 import b64encode
from pathlib import Path
from typing import Any

from adapters.ledger.application import OrderLedger
from adapters.storage.log import EventLog
from adapters.storage.postgres_log import PostgresLog
from adapters.storage.postgres_vault import PostgresVault
from adapters.storage.sqlite import Datastore
from adapters.storage.sqlite_log import SQLiteLog
from adapters.storage.sqlite_vault import SQLiteVault
from adapters.storage.vault import VaultTables
from adapters.vault.keys import Hashing
from adapters.vault.masters import MasterSource
from adapters.vault.vault import Vault

MASTER = b64encode(bytes(range(32))).decode()
SOURCE = MasterSource(Path("no-such-file"), (MASTER,))
HASHING = Hashing(bytes(32))


def tables_of(log: EventLog) -> VaultTables:
    if isinstance(log, PostgresLog):
        return PostgresVault(log._database)
    assert isinstance(log, SQLiteLog)
    assert isinstance(log.datastore, Datastore)
    return SQLiteVault(log.datastore)


def vault_of(log: EventLog) -> Vault:
    return Vault(tables_of(log), SOURCE)


def ledger_of(log: Any, registered_only: bool = False) -> OrderLedger:
    """A ledger over a log, which may be one that a test wraps around another."""
    inner = log
    while not isinstance(inner, PostgresLog | SQLiteLog):
        inner = inner._log
    return OrderLedger(log, vault_of(inner), registered_only)
