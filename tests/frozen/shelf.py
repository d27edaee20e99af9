"""The frozen ledgers, and how a test gets a copy of one that it may open.

Each folder here holds one ledger, written once on SQLite and once on PostgreSQL, with its keys,
what its writer answered from it, and an audit bundle that its writer made.
"""

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import psycopg

from adapters.settings import Settings, load_settings
from adapters.storage.postgres import SERVICE_ROLE

SHELF = Path(__file__).parent
LEDGER = "ledger.db.gz"
DUMP = "ledger.sql.gz"
TOLD = "told.json.gz"
BUNDLE = "bundle.json"
MASTER_KEY, SEAL_KEYS = "master-keys.txt", "seal-keys.pem"
PUBLIC_KEY = "public-key.txt"
NAME = "frozen.example/ledger"


def settings_of(folder: Path, url: str) -> Settings:
    """The configuration of a ledger whose secrets lie in a folder."""
    return load_settings(
        database_url=url,
        ledger_name=NAME,
        master_key_file=folder / MASTER_KEY,
        seal_keys_file=folder / SEAL_KEYS,
        seal_seconds=60,
        providers={
            "sevi": {"secrets": [{"name": "frozen", "value": "sevi-token-frozen-1"}]},
            "stripe": {"secrets": [{"name": "frozen", "value": "whsec_frozen-1"}]},
            "mpesa": {"secrets": [{"name": "frozen", "value": "mpesa-path-frozen-1"}]},
        },
    )


def put_out(frozen: Path, database: str, folder: Path, empty: str) -> Settings:
    """Copy a frozen ledger into a folder, or into an empty database, and configure it."""
    for name in (MASTER_KEY, SEAL_KEYS):
        shutil.copy(frozen / database / name, folder)
        (folder / name).chmod(0o600)
    if database == "sqlite":
        (folder / "ledger.db").write_bytes(
            gzip.decompress((frozen / database / LEDGER).read_bytes())
        )
        return settings_of(folder, f"sqlite:///{folder / 'ledger.db'}")
    with psycopg.connect(empty, autocommit=True) as connection:
        make_role(connection)
        connection.execute(gzip.decompress((frozen / database / DUMP).read_bytes()))
    return settings_of(folder, empty)


def make_role(connection: psycopg.Connection) -> None:
    """The role that the dump grants rights to; a role is the whole cluster's."""
    connection.execute(
        f"DO $$ BEGIN CREATE ROLE {SERVICE_ROLE} NOLOGIN; "
        "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$".encode()
    )


def told_by(frozen: Path, database: str) -> Any:
    """What the version that wrote the ledger answered from it."""
    return json.loads(gzip.decompress((frozen / database / TOLD).read_bytes()))
