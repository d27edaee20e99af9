"""The schema in PostgreSQL: plain SQL files, each applied once, in order, and never changed."""

import hashlib
from dataclasses import dataclass
from importlib import resources
from typing import LiteralString

import psycopg
from psycopg import Connection

from adapters.storage.log import StorageUnavailable, first_line
from adapters.storage.postgres import SERVICE_ROLE, become_service, connect
from adapters.storage.postgres_locks import AdvisoryLock

SERVER_VERSION_MIN = 140000
FOLDER = "postgres"
NO_SCHEMA = "the schema is missing"
VIEWS_SCHEMA = (
    f"CREATE SCHEMA IF NOT EXISTS order_ledger_views AUTHORIZATION {SERVICE_ROLE}"
).encode()
HAS_VIEWS: LiteralString = "SELECT to_regnamespace('order_ledger_views')"
HAS_SCHEMA: LiteralString = "SELECT (SELECT oid FROM pg_namespace WHERE nspname = 'order_ledger')"
# Triggers that are switched off, and rights of the service's role to change what was written.
UNGUARDED = """
SELECT format('trigger %%s of %%s is switched off', t.tgname, c.relname)
FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
WHERE c.relnamespace = 'order_ledger'::regnamespace AND NOT t.tgisinternal
AND t.tgenabled NOT IN ('O', 'A')
UNION ALL
SELECT format('%%s may change %%s', %(role)s::text, c.relname)
FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
WHERE c.relnamespace = 'order_ledger'::regnamespace AND t.tgname = 'append_only'
AND (has_table_privilege(%(role)s::text, c.oid, 'DELETE, TRUNCATE')
     OR has_any_column_privilege(%(role)s::text, c.oid, 'UPDATE'))
ORDER BY 1"""
MIGRATIONS_TABLE = """
CREATE SCHEMA IF NOT EXISTS order_ledger;
CREATE TABLE IF NOT EXISTS order_ledger.migrations (
    number integer PRIMARY KEY,
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)"""


@dataclass(frozen=True)
class Migration:
    """One SQL file; its number is its name's beginning."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """The digest by which a later release sees that the file was changed."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> list[Migration]:
    """The files of this release, in order."""
    folder = resources.files(__package__).joinpath(FOLDER)
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    return [Migration(int(f.name[:4]), f.name, f.read_text()) for f in files]


def init(url: str) -> list[str]:
    """Apply what is missing, as the owner of the database; returns the names of what was applied.

    Several processes may call it at once. Raises `StorageUnavailable` with the fix.
    """
    try:
        with connect(url) as connection, connection.transaction():
            _require_version(connection)
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (AdvisoryLock.SCHEMA,))
            missing = [m for m in migrations() if m.number not in _applied(connection)]
            if missing and missing[0].number == 1:
                connection.execute(MIGRATIONS_TABLE)
            for migration in missing:
                connection.execute(migration.sql.encode())
                connection.execute(
                    "INSERT INTO order_ledger.migrations VALUES (%s, %s, %s)",
                    (migration.number, migration.name, migration.sha256),
                )
            connection.execute(VIEWS_SCHEMA)
            return [migration.name for migration in missing]
    except psycopg.errors.InsufficientPrivilege as error:
        raise StorageUnavailable(
            f"the schema cannot be created by this user ({first_line(error)}): "
            "run `order-ledger db init` once with the URL of the database's owner, who may create "
            f"roles, then GRANT {SERVICE_ROLE} to this user"
        ) from error
    except psycopg.Error as error:
        raise StorageUnavailable(first_line(error)) from error


def make_role(url: str) -> None:
    """Make the service's role where the server does not have it: a dump that is restored grants
    rights to it. Raises `StorageUnavailable`."""
    made = f"CREATE ROLE {SERVICE_ROLE} NOLOGIN".encode()
    try:
        with connect(url) as connection:
            asked = "SELECT FROM pg_roles WHERE rolname = %s"
            if connection.execute(asked, (SERVICE_ROLE,)).fetchone() is None:
                connection.execute(made)
            grant = f"GRANT {SERVICE_ROLE} TO CURRENT_USER".encode()
            connection.execute(grant)
    except psycopg.Error as error:
        raise StorageUnavailable(first_line(error)) from error


def is_behind(url: str) -> bool:
    """Whether `init` would find something to do. Raises `StorageUnavailable` also for the schema of
    a newer release."""
    try:
        with connect(url) as connection:
            _require_version(connection)
            if not _has(connection, HAS_SCHEMA):
                return True
            _try_service(connection)
            applied, ours = _applied(connection), {m.number for m in migrations()}
            if newer := applied.keys() - ours:
                raise StorageUnavailable(
                    f"the schema has migration {max(newer)}, and this release knows up to "
                    f"{max(ours)}: start the release that made it, or a newer one"
                )
            return bool(ours - applied.keys()) or not _has(connection, HAS_VIEWS)
    except psycopg.Error as error:
        raise StorageUnavailable(first_line(error)) from error


def check(url: str) -> list[str]:
    """What is wrong with the schema, a line each; nothing where it is this release's own, its
    triggers are on, and the service's role may change nothing that was written."""
    try:
        with connect(url) as connection:
            _require_version(connection)
            if not _has(connection, HAS_SCHEMA):  # asked of the catalog, which needs no right
                return [NO_SCHEMA]
            _try_service(connection)
            applied = _applied(connection)
            ours = {m.number: m for m in migrations()}
            problems = [f"{m.name} is missing" for n, m in ours.items() if n not in applied]
            problems += [
                f"{m.name} was applied in another form"
                for n, m in ours.items()
                if n in applied and applied[n] != m.sha256
            ]
            problems += [
                f"migration {n} is newer than this release" for n in applied if n not in ours
            ]
            if not _has(connection, HAS_VIEWS):
                problems.append("the schema of the read models is missing")
            unguarded = connection.execute(UNGUARDED, {"role": SERVICE_ROLE}).fetchall()
            return problems + [problem for (problem,) in unguarded]
    except psycopg.Error as error:
        raise StorageUnavailable(first_line(error)) from error


def _applied(connection: Connection) -> dict[int, str]:
    if not _has(connection, "SELECT to_regclass('order_ledger.migrations')"):
        return {}
    rows = connection.execute("SELECT number, sha256 FROM order_ledger.migrations").fetchall()
    return dict(rows)


def _has(connection: Connection, question: LiteralString) -> bool:
    found = connection.execute(question).fetchone()
    return found is not None and found[0] is not None


def _try_service(connection: Connection) -> None:
    """Look as the service would: a login may have no rights of its own."""
    try:
        become_service(connection)
    except psycopg.errors.InsufficientPrivilege as error:
        raise StorageUnavailable(
            f"this user may not work as {SERVICE_ROLE}: run GRANT {SERVICE_ROLE} TO it"
        ) from error


def _require_version(connection: Connection) -> None:
    if connection.info.server_version < SERVER_VERSION_MIN:
        raise StorageUnavailable("PostgreSQL 14 or newer is wanted")
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise StorageUnavailable(
            f"the database's encoding is {encoding}: create one with ENCODING 'UTF8'"
        )
