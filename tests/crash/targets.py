"""Where the ledger of a run lives: files or databases of our own, or the one that a URL names."""

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from adapters.storage.urls import POSTGRES, is_sqlite, shown, sqlite_path
from tests.crash.disks import Disk, Quota, Tmpfs, can_limit, can_mount
from tests.crash.proxy import Proxy
from tests.crash.server import Server, free_port, server_environment
from tests.postgres import Cluster

OWN = ("sqlite", "postgres")
RECOVERY_SECONDS = 10.0
FAULTS = ("server", "database", "connection", "disk")


class Refused(Exception):
    """The run cannot be made as asked; the message says why and what to do."""


@dataclass
class Target:
    """A ledger to be, and what may be done to it."""

    url: str  # of the database itself
    server: Server
    cluster: Cluster | None = None
    proxy: Proxy | None = None
    disk: Disk | None = None

    def revive(self) -> None:
        """See to it that a database of our own answers."""
        cluster = self.cluster
        if cluster is None:
            return
        deadline = time.monotonic() + RECOVERY_SECONDS
        while time.monotonic() < deadline:
            with suppress(psycopg.OperationalError):
                psycopg.connect(cluster.url, connect_timeout=2).close()
                return
            time.sleep(0.1)
        cluster.stop()
        cluster.start()


def impossible_faults(database: str) -> dict[str, str]:
    """For each fault that cannot be done to a database the reason."""
    if database not in OWN and not is_sqlite(database) and not database.startswith(POSTGRES):
        raise Refused(
            "--database: write sqlite, postgres or both, or the URL of an empty database, "
            "sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE"
        )
    is_file = database == "sqlite" or is_sqlite(database)
    impossible = {}
    if database != "postgres":
        what = "an SQLite file has no server" if is_file else "it is not ours to kill"
        impossible["database"] = what
    if is_file:
        impossible["connection"] = "an SQLite file is reached by no connection"
    elif database not in OWN and not _has_tcp_address(database):
        impossible["connection"] = "the URL names no single TCP address that a proxy could take"
    if database in OWN:
        if not can_mount() and not (is_file and can_limit()):
            impossible["disk"] = "no tmpfs may be mounted here (run as root)"
    elif not (is_file and can_limit()):
        impossible["disk"] = "its disk is not ours to fill"
    return impossible


@contextmanager
def opened(database: str, faults: set[str], folder: Path, serve: Sequence[str]) -> Iterator[Target]:
    """The target of a run, its server not started yet."""
    with ExitStack() as stack:
        mounted: Disk | None = None
        home = folder
        if "disk" in faults and database in OWN and can_mount():
            home = folder / "disk"
            mounted = Tmpfs(home)
            stack.callback(_unmount, mounted, home, folder)
        target = _target(database, faults, home, folder, serve, stack)
        if mounted is not None:
            target.disk = mounted
        elif "disk" in faults:
            path = sqlite_path(target.url)
            target.disk = Quota(target.server.pids, path.with_name(path.name + "-wal"))
        stack.callback(target.server.stop)
        yield target


def _target(
    database: str,
    faults: set[str],
    home: Path,
    folder: Path,
    serve: Sequence[str],
    stack: ExitStack,
) -> Target:
    cluster = proxy = None
    if database == "sqlite":
        url = f"sqlite:///{home / 'ledger.db'}"
    elif database == "postgres":
        cluster = _cluster(home, stack)
        url = cluster.url
    else:
        url = f"sqlite:///{sqlite_path(database).absolute()}" if is_sqlite(database) else database
        require_empty(url)
    service_url = url
    if "connection" in faults:
        parts = urlsplit(url)
        proxy = Proxy(parts.hostname or "127.0.0.1", parts.port or 5432)
        stack.callback(proxy.close)
        user = parts.netloc.rpartition("@")[0]
        netloc = f"{user}@127.0.0.1:{proxy.port}" if user else f"127.0.0.1:{proxy.port}"
        service_url = urlunsplit(parts._replace(netloc=netloc))
    server = Server(folder, server_environment(service_url), serve)
    return Target(url, server, cluster, proxy)


def _cluster(home: Path, stack: ExitStack) -> Cluster:
    folder = home / "postgres"
    folder.mkdir()
    cluster = Cluster(folder)
    cluster.port = free_port()
    cluster.start()
    stack.callback(cluster.stop)
    return cluster


def _unmount(disk: Disk, home: Path, folder: Path) -> None:
    """What a failed run leaves must not go with the mount."""
    disk.free()
    if (folder / "keep").exists():
        shutil.copytree(home, folder / "ledger", dirs_exist_ok=True, ignore_dangling_symlinks=True)
    disk.close()


def require_empty(url: str) -> None:
    """Raise `Refused` for a database that holds a ledger with something in it."""
    try:
        found = _sqlite_rows(sqlite_path(url)) if is_sqlite(url) else _postgres_rows(url)
    except (sqlite3.Error, psycopg.Error) as error:
        raise Refused(f"{shown(url)} cannot be read: {error}") from error
    if found:
        raise Refused(
            f"{shown(url)} holds {found} events or deliveries. This suite writes and kills: "
            "give it the URL of an empty database that is configured like yours"
        )


def _sqlite_rows(path: Path) -> int:
    if not path.exists() or path.stat().st_size == 0:
        return 0
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        if not tables:
            return 0
        if not tables >= {"stored_events", "deliveries"}:
            raise Refused(f"{path} is a database of something else")
        (events,) = connection.execute("SELECT count(*) FROM stored_events").fetchone()
        (deliveries,) = connection.execute("SELECT count(*) FROM deliveries").fetchone()
        return int(events) + int(deliveries)
    finally:
        connection.close()


def _postgres_rows(url: str) -> int:
    with psycopg.connect(url, connect_timeout=5) as connection:
        there = connection.execute("SELECT to_regclass('order_ledger.log_head')").fetchone()
        if there is None or there[0] is None:
            return 0
        row = connection.execute(
            "SELECT coalesce(sum(last_idx + last_delivery_id), 0) FROM order_ledger.log_head"
        ).fetchone()
        return int(row[0]) if row else 0


def _has_tcp_address(url: str) -> bool:
    parts = urlsplit(url)
    try:
        is_one = bool(parts.hostname) and "," not in parts.netloc and "host=" not in parts.query
        return is_one and (parts.port or 5432) > 0 and not os.environ.get("PGHOSTADDR")
    except ValueError:  # several ports, say
        return False
