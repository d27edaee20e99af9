"""Backups of a ledger: the events in one file, the orders' keys in another.

Both are of one instant, and are to be kept apart. Events may be restored with keys of a later
backup: who was erased in between stays so, and what wraps the keys comes with them. What is erased
in the events, an order or a body of none, stays so with keys of an earlier one. An erasure is for
good as soon as no older file of keys is left.

For a ledger in a file the events are an SQLite file, for one in PostgreSQL pg_dump's custom format.
"""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE
from tempfile import TemporaryFile, mkstemp
from typing import IO, NamedTuple

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from adapters.storage.log import StorageUnavailable, first_line
from adapters.storage.opening import beside
from adapters.storage.urls import is_sqlite, sqlite_path

# What a key's id is: of an order's key the index of its first event, of a body's its delivery's id.
KEY_TABLES = {
    "order_keys": "SELECT coalesce(max(idx), 0) FROM {}stored_events",
    "body_keys": "SELECT coalesce(max(id), 0) FROM {}deliveries",
}
# What wraps the keys, and the one of hashes: only together do they open.
WHOLE_TABLES = ("master_keys", "ledger_keys")
ALL_TABLES = (*KEY_TABLES, *WHOLE_TABLES)
# The keys of orders that were erased; an older file of keys still holds them.
ERASED = (
    "id IN (SELECT begun.idx FROM {0}stored_events AS begun JOIN {0}stored_events AS erased "
    "ON erased.originator_id = begun.originator_id WHERE erased.topic = 'PersonalDataErased')"
)
# What no backup holds, for it would outlive the keys: refused deliveries that are kept for a while,
# and what targets of effects answered as far as an earlier release kept it in clear.
LEFT_OUT = (
    "DELETE FROM {}kept_refusals",
    "UPDATE {}effects SET excerpt = NULL WHERE excerpt IS NOT NULL AND excerpt NOT LIKE 'sealed:%'",
)
SCHEMA = "order_ledger"
SQLITE_BEGINS = b"SQLite format 3\0"
DUMP_BEGINS = b"PGDMP"


class BackupFailed(Exception):
    """No backup was made, or nothing was restored; the message says what to do."""


class Backup(NamedTuple):
    """The two files of a backup."""

    events: Path
    keys: Path


def back_up(url: str, wanted: Backup) -> None:
    """Write a backup while the service goes on. Nothing is there until both files are whole.

    Raises `BackupFailed`, `StorageUnavailable` and `OSError`.
    """
    with ExitStack() as stack:
        events, keys = (stack.enter_context(_draft(path)) for path in wanted)
        if is_sqlite(url):
            _copy_file(sqlite_path(url), events, keys)
        else:
            _dump(url, events, keys)


def restore(url: str, backup: Backup) -> None:
    """Make the ledger that a backup holds, where there is none yet.

    Raises `BackupFailed`, `StorageUnavailable` and `OSError`.
    """
    begins = SQLITE_BEGINS if is_sqlite(url) else DUMP_BEGINS
    for path in backup:
        with path.open("rb") as file:
            if file.read(len(begins)) != begins:
                kind = "file" if is_sqlite(url) else "PostgreSQL"
                raise BackupFailed(f"{path} is no backup of a ledger in a {kind}")
    holds = _tables_of_file if is_sqlite(url) else _tables_of_dump
    for path, is_events in ((backup.events, True), (backup.keys, False)):
        if ("stored_events" in holds(path)) is not is_events:
            of, wanted = ("keys", "events") if is_events else ("events", "keys")
            raise BackupFailed(
                f"{path} is a file of {of}, and one of {wanted} is wanted there: name the file of "
                "the events first, then that of the keys"
            )
    if is_sqlite(url):
        _restore_file(sqlite_path(url), backup)
    else:
        _restore_dump(url, backup)


@contextmanager
def _draft(path: Path) -> Iterator[Path]:
    """A file beside this one that its owner alone can read, and that gets its name when whole."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, name = mkstemp(dir=path.parent, prefix=f".{path.name}-")
    draft = Path(name)
    try:
        yield draft
        os.fsync(descriptor)
        draft.rename(path)
    finally:
        os.close(descriptor)
        draft.unlink(missing_ok=True)


# ------------------------------------------------------------------------------------------ SQLite


def _copy_file(source: Path, events: Path, keys: Path) -> None:
    with (
        _reported(),
        closing(sqlite3.connect(source)) as live,
        closing(sqlite3.connect(events, isolation_level=None)) as copy,
    ):
        live.backup(copy, pages=-1)
        copy.execute("PRAGMA journal_mode = MEMORY")  # a file of it would hold the keys
        copy.execute("PRAGMA secure_delete = ON")  # no page that is left keeps what was taken out
        copy.execute("ATTACH ? AS kept", (str(keys),))
        copy.execute("BEGIN")
        for table in ALL_TABLES:
            copy.execute(f"CREATE TABLE kept.{table} AS SELECT * FROM main.{table}")
            with _unguarded(copy, table):
                copy.execute(f"DELETE FROM main.{table}")
        for left_out in LEFT_OUT:
            copy.execute(left_out.format("main."))
        copy.execute("COMMIT")
        copy.execute("DETACH kept")
        copy.execute("VACUUM")


@contextmanager
def _unguarded(copy: sqlite3.Connection, table: str) -> Iterator[None]:
    """Without its triggers, which let a key go with its erasure alone: from a copy it may go."""
    triggers = copy.execute(
        "SELECT name, sql FROM main.sqlite_schema WHERE type = 'trigger' AND tbl_name = ?", (table,)
    ).fetchall()
    for name, _ in triggers:
        copy.execute(f"DROP TRIGGER main.{name}")
    yield
    for _, sql in triggers:
        copy.execute(sql)


def _tables_of_file(path: Path) -> set[str]:
    with (
        _reported(),
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as c,
    ):
        return {name for (name,) in c.execute("SELECT name FROM sqlite_master")}


def _restore_file(target: Path, backup: Backup) -> None:
    left = [path for path in (target, *beside(target)) if path.exists()]
    if left:
        names = ", ".join(str(path) for path in left)
        raise BackupFailed(f"a ledger is or was here: move {names} away, with what begins alike")
    with _draft(target) as draft:
        shutil.copyfile(backup.events, draft)
        with _reported(), closing(sqlite3.connect(draft, isolation_level=None)) as copy:
            copy.execute("PRAGMA journal_mode = MEMORY")
            copy.execute("PRAGMA secure_delete = ON")  # of keys whose order was erased
            copy.execute("ATTACH ? AS kept", (f"{backup.keys}",))
            copy.execute("BEGIN")
            for table, last in KEY_TABLES.items():
                known = f"WHERE id <= ({last.format('main.')})"  # later ones are of other events
                copy.execute(f"INSERT INTO main.{table} SELECT * FROM kept.{table} {known}")
            for table in WHOLE_TABLES:
                copy.execute(f"INSERT INTO main.{table} SELECT * FROM kept.{table}")
            copy.execute(f"DELETE FROM main.order_keys WHERE {ERASED.format('main.')}")
            for left_out in LEFT_OUT:  # an earlier release's file holds it
                copy.execute(left_out.format("main."))
            copy.execute("COMMIT")


@contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StorageUnavailable(str(error)) from error


# -------------------------------------------------------------------------------------- PostgreSQL


def _dump(url: str, events: Path, keys: Path) -> None:
    tables = [f"{SCHEMA}.{table}" for table in ALL_TABLES]
    address, environment = _address(url)
    with _at_one_instant(url) as snapshot:
        common = [_program("pg_dump"), address, "--format=custom", f"--snapshot={snapshot}"]
        without = [*tables, f"{SCHEMA}.kept_refusals"]
        excluded = [f"--exclude-table-data={table}" for table in without]
        only = [f"--table={table}" for table in tables]
        for path, what in (
            (events, [f"--schema={SCHEMA}", *excluded]),
            (keys, ["--data-only", *only]),
        ):
            with path.open("wb") as file:
                _run([*common, *what], environment, into=file)


@contextmanager
def _at_one_instant(url: str) -> Iterator[str]:
    try:
        with psycopg.connect(url) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            found = connection.execute("SELECT pg_export_snapshot()").fetchone()
            assert found is not None
            yield found[0]
    except psycopg.Error as error:
        raise StorageUnavailable(first_line(error)) from error


def _tables_of_dump(path: Path) -> set[str]:
    with TemporaryFile() as told:
        _run([_program("pg_restore"), "--list", str(path)], os.environ, into=told)
        told.seek(0)
        words = [line.split() for line in told.read().decode(errors="replace").splitlines()]
    return {line[line.index(SCHEMA) + 1] for line in words if "TABLE" in line and SCHEMA in line}


def _restore_dump(url: str, backup: Backup) -> None:
    from adapters.storage import postgres_schema

    if postgres_schema.check(url) != [postgres_schema.NO_SCHEMA]:
        raise BackupFailed(
            "there is a ledger in this database: name an empty one in ORDER_LEDGER_DATABASE_URL"
        )
    postgres_schema.make_role(url)  # to which the dump grants rights
    with _script(url) as script:
        script.write(b"BEGIN;\n")
        script.flush()
        for path in backup:
            command = [_program("pg_restore"), "--no-owner", "--file=-", str(path)]
            _run(command, os.environ, into=script)
        for table, last in KEY_TABLES.items():
            later = f"id > ({last.format(f'{SCHEMA}.')})"  # they are of other events
            script.write(f"DELETE FROM {SCHEMA}.{table} WHERE {later};\n".encode())
        erased = ERASED.format(f"{SCHEMA}.")
        script.write(f"DELETE FROM {SCHEMA}.order_keys WHERE {erased};\n".encode())
        for left_out in LEFT_OUT:  # an earlier release's file holds it
            script.write(f"{left_out.format(f'{SCHEMA}.')};\n".encode())
        script.write(b"COMMIT;\n")
    postgres_schema.init(url)


@contextmanager
def _script(url: str) -> Iterator[IO[bytes]]:
    """Where to write statements for psql. It ends with the first that fails, and undoes all of a
    transaction whose COMMIT never comes: also where who writes is killed."""
    address, environment = _address(url)
    command = [_program("psql"), address, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]
    with (
        TemporaryFile() as told,
        subprocess.Popen(  # noqa: S603  (no shell, and every argument is ours)
            command, env=environment, stdin=PIPE, stdout=DEVNULL, stderr=told
        ) as psql,
    ):
        assert psql.stdin is not None
        failed: BaseException | None = None
        try:
            yield psql.stdin
            psql.stdin.close()
        except (BackupFailed, BrokenPipeError) as error:
            failed = error
            with suppress(BrokenPipeError):
                psql.stdin.close()
        except BaseException:  # Ctrl-C, too: all is undone by the time that the command ends
            with suppress(BrokenPipeError):
                psql.stdin.close()
            psql.wait()
            raise
        if psql.wait() != 0:  # before who wrote to it: that only knows that nobody read on
            told.seek(0)
            raise _ended("psql", psql.returncode, told.read())
        if failed is not None:
            raise failed


def _run(command: Sequence[str], environment: Mapping[str, str], into: IO[bytes]) -> None:
    """Run a client program of PostgreSQL."""
    done = subprocess.run(  # noqa: S603  (no shell, and every argument is ours)
        command, env=environment, stdout=into, stderr=PIPE, check=False
    )
    if done.returncode != 0:
        raise _ended(command[0], done.returncode, done.stderr)


def _ended(program: str, code: int, said: bytes) -> BackupFailed:
    lines = [line.strip() for line in said.decode(errors="replace").splitlines()]
    told = "; ".join(filter(None, lines)) or f"{program} ended with {code}"
    if "server version mismatch" in told:
        told += f": put a {program} of the server's version, or a newer one, first in PATH"
    return BackupFailed(told)


def _program(name: str) -> str:
    if shutil.which(name) is None:
        raise BackupFailed(
            f"{name} is not here: install PostgreSQL's client programs, of the server's version "
            "or a newer one"
        )
    return name


def _address(url: str) -> tuple[str, Mapping[str, str]]:
    """How a client program finds a database: an argument, and the environment, so that nobody sees
    the password among the processes."""
    given = {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
    password = given.pop("password", None)
    environment = os.environ if password is None else {**os.environ, "PGPASSWORD": password}
    return f"--dbname={make_conninfo(**given)}", environment
