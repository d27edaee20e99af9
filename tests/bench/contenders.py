"""The servers under measurement, each in a process of its own on the loopback interface."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg

from tests import postgres
from tests.vaults import MASTER

ROOT = Path(__file__).parents[2]
TOKEN = "a-webhook-token-of-the-bench"
API_TOKEN = "an-api-token-of-the-bench"
START_SECONDS = 30
STOP_SECONDS = 30
CATCH_UP_SECONDS = 180
POLL_SECONDS = 0.05
OURS = ("sqlite", "postgres")
# Of which of ours: without checkpoints, and without anything sealed for persons.
PLAIN = {"plain-sqlite": "sqlite", "plain-postgres": "postgres"}
SERVICES = (*OURS, *PLAIN)
NAMES = ("empty", "straightforward-sqlite", "straightforward-postgres", *PLAIN, *OURS)
POSTGRES_SHOWN = ("fsync", "synchronous_commit", "full_page_writes", "shared_buffers")


@dataclass(frozen=True)
class Machinery:
    """What contenders need: a PostgreSQL server where one of them wants it, and its process where
    it is our own."""

    postgres_url: str = ""
    postgres_pid: int | None = None

    @property
    def postgres_settings(self) -> dict[str, str]:
        """What the durability and speed of that server hang on."""
        if not self.postgres_url:
            return {}
        with psycopg.connect(self.postgres_url) as connection:
            shown = ("server_version", *POSTGRES_SHOWN)
            rows = {name: connection.execute(f"SHOW {name}".encode()).fetchone() for name in shown}
        return {name: str(row[0]) for name, row in rows.items() if row}

    def settle(self) -> None:
        """Write out what an earlier contender left to be written."""
        if self.postgres_url:
            with psycopg.connect(self.postgres_url, autocommit=True) as connection:
                connection.execute("CHECKPOINT")
        os.sync()


@contextmanager
def machinery(contenders: Sequence[str]) -> Iterator[Machinery]:
    """A private cluster with its default settings, or the server that the tests are given."""
    if not any(name.endswith("postgres") for name in contenders):
        yield Machinery()
        return
    named = os.environ.get(postgres.DSN_VARIABLE)
    if named:
        yield Machinery(named, None)
        return
    with postgres.private_cluster() as cluster:
        pid = int((cluster.folder / "data" / "postmaster.pid").read_text().split()[0])
        yield Machinery(cluster.url, pid)


@dataclass(frozen=True)
class Stored:
    """What a stopped ledger of ours holds."""

    deliveries: int
    ledger_bytes: int
    views_bytes: int
    log_lines_bytes: int


class Running:
    """A contender that runs."""

    def __init__(self, command: list[str], env: Mapping[str, str], folder: Path, database: str):
        self.folder = folder
        self.database = database
        self._errors = (folder / "stderr.log").open("wb")
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("ORDER_LEDGER_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=folder,
            env={**inherited, "PYTHONPATH": str(ROOT), **env},
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,  # Ctrl-C is for the bench, which then stops it
        )
        try:
            url = urlsplit(self._read_url())
            self.host, self.port = str(url.hostname), int(url.port or 0)
            self._wait_until_it_listens()
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        """The process that was started; others may be its children."""
        return self.process.pid

    def lag(self) -> int:
        """How many events the read models are behind the log."""
        url = f"http://{self.host}:{self.port}/health/ready"
        headers = {"Authorization": f"Bearer {API_TOKEN}"}
        told = httpx.get(url, headers=headers, timeout=30, trust_env=False).json()
        projections = told["details"]["projections"]
        return max(int(projection["lag"]) for projection in projections.values())

    def catch_up(self) -> tuple[int, float]:
        """The lag now, and the seconds until there is none."""
        started = monotonic()
        lag = first = self.lag()
        while lag and monotonic() - started < CATCH_UP_SECONDS:
            sleep(POLL_SECONDS)
            lag = self.lag()
        return first, monotonic() - started

    def stop(self) -> None:
        """Stop it, gently first."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._errors.close()

    def _read_url(self) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if match := re.search(r"listens on (http://\S+),", line):
                return match[1]
        errors = (self.folder / "stderr.log").read_text()
        raise RuntimeError(f"the server did not start:\n{errors}")

    def _wait_until_it_listens(self) -> None:
        deadline = monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection((self.host, self.port), START_SECONDS).close()
                return
            except ConnectionRefusedError:
                if self.process.poll() is not None or monotonic() > deadline:
                    raise
                sleep(POLL_SECONDS)

    def stored(self) -> Stored:
        """What the ledger holds; ask once it is stopped."""
        lines = (self.folder / "stderr.log").stat().st_size
        if self.database:
            return Stored(*_in_postgres(self.database), lines)
        with closing(sqlite3.connect(self.folder / "ledger.db")) as connection:
            deliveries = connection.execute("SELECT count(*) FROM deliveries").fetchone()[0]
        return Stored(
            deliveries, _files(self.folder, "ledger.db"), _files(self.folder, "ledger-views"), lines
        )


def _files(folder: Path, prefix: str) -> int:
    return sum(path.stat().st_size for path in folder.glob(f"{prefix}*"))


def _in_postgres(url: str) -> tuple[int, int, int]:
    size = (
        "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c "
        "WHERE c.relkind = 'r' AND c.relnamespace = to_regnamespace(%s)"
    )
    with psycopg.connect(url) as connection:

        def one(sql: str, *params: Any) -> int:
            row = connection.execute(sql.encode(), params).fetchone()
            return int(row[0]) if row else 0

        deliveries = one("SELECT count(*) FROM order_ledger.deliveries")
        return deliveries, one(size, "order_ledger"), one(size, "order_ledger_views")


@contextmanager
def running(name: str, machine: Machinery) -> Iterator[Running]:
    """A contender with an empty database, stopped at the end."""
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="order-ledger-bench-"))
        database = ""
        if name.endswith("postgres"):
            database = stack.enter_context(postgres.database(machine.postgres_url))
        yield stack.enter_context(serving(name, Path(folder), database))


@contextmanager
def serving(name: str, folder: Path, database: str) -> Iterator[Running]:
    """A contender over what is in a folder and a database, stopped at the end."""
    server = Running(_command(name), environment(name, database), folder, database)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()


def _command(name: str) -> list[str]:
    if name in SERVICES:
        module = "tests.bench.plain" if name in PLAIN else "adapters.cli"
        return [module, "serve", "--host", "127.0.0.1", "--port", "0"]
    return ["tests.bench.responders", name.partition("-")[0]]


def environment(name: str, database: str) -> dict[str, str]:
    """The configuration of a contender, as variables."""
    if name in SERVICES:
        return {
            **({"ORDER_LEDGER_SEAL_SECONDS": "0"} if name in PLAIN else {}),
            "ORDER_LEDGER_DATABASE_URL": database or "sqlite:///ledger.db",
            "ORDER_LEDGER_PROVIDERS": json.dumps({"sevi": {"tokens": [TOKEN]}}),
            "ORDER_LEDGER_API_TOKENS": json.dumps([API_TOKEN]),
            # Of the ledgers, too, that are filled before a server opens them.
            "ORDER_LEDGER_MASTER_KEYS": json.dumps([MASTER]),
        }
    if not database:
        return {
            "WEBHOOK_TOKEN": TOKEN,
            "PERSISTENCE_MODULE": "eventsourcing.sqlite",
            "SQLITE_DBNAME": "orders.db",
        }
    url = urlsplit(database)
    return {
        "WEBHOOK_TOKEN": TOKEN,
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": url.path.removeprefix("/"),
        "POSTGRES_HOST": str(url.hostname),
        "POSTGRES_PORT": str(url.port or 5432),
        "POSTGRES_USER": str(url.username),
        "POSTGRES_PASSWORD": url.password or "",
    }
