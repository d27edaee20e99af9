"""The server under test: `order-ledger serve` as processes that may be killed at any moment."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import IO, Any

import httpx

from adapters.settings import CONFIG_FILE, CONFIG_VARIABLE
from tests.crash.senders import PROVIDER, TOKEN

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60.0
STOP_SECONDS = 20.0
KEPT_SECONDS = 60.0
PORT_SECONDS = 15.0
PORT_IN_USE = b"cannot listen on"
WELCOME = b"listens on"
POLL_SECONDS = 0.05
LAST_WORDS_BYTES = 1500
# Below the ports that systems give to outgoing connections: one of those must not take the
# server's port, or even connect to itself, while the server is down.
PORTS = (20_000, 32_000)


class NotReady(Exception):
    """The server did not start, or does not answer, within its time."""


def free_port() -> int:
    """A port that nobody listens on and that the system gives to nobody."""
    while True:
        port = random.SystemRandom().randrange(*PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def server_environment(database_url: str) -> dict[str, str]:
    """The caller's own configuration, but for the database, the address and the provider."""
    config = Path(os.environ.get(CONFIG_VARIABLE, CONFIG_FILE)).absolute()
    return {
        **os.environ,
        **({CONFIG_VARIABLE: str(config)} if config.exists() else {}),
        "PYTHONPATH": str(ROOT),
        "ORDER_LEDGER_DATABASE_URL": database_url,
        "ORDER_LEDGER_HOST": "127.0.0.1",
        "ORDER_LEDGER_API_TOKENS": f'["{TOKEN}"]',
        "ORDER_LEDGER_PROVIDERS": f'{{"{PROVIDER}": {{"kind": "sevi", "tokens": ["{TOKEN}"]}}}}',
    }


class Server:
    """The server's processes, in a group of their own. It keeps its port over every start."""

    def __init__(self, folder: Path, env: Mapping[str, str], serve: Sequence[str]) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.unexpected_ends = 0
        self._env = dict(env)
        self._serve = tuple(serve)
        self._process: subprocess.Popen[bytes] | None = None
        self._logs: list[tuple[int, Thread]] = []
        self._was_killed = True
        self._listens = Event()

    @property
    def pid(self) -> int:
        """The process that takes deliveries in."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def ensure(self) -> None:
        """Start where it does not run, and wait until it is ready. Raises `NotReady`."""
        if not self.is_alive:
            if not self._was_killed:
                self.unexpected_ends += 1
            self._reap()
            self._start()
        self._wait_until_ready()

    def pids(self) -> list[int]:
        """The server and its children."""
        return [self.pid, *self.children()]

    def children(self) -> list[int]:
        """The process that keeps the read models, and the workers where there are several."""
        found = subprocess.run(
            ["pgrep", "-P", str(self.pid)], capture_output=True, text=True, check=False
        )
        return [int(line) for line in found.stdout.split()]

    def kill(self) -> None:
        """Kill the server alone with -9."""
        self._was_killed = True
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._reap()

    def kill_group(self) -> None:
        """Kill the server and its children with -9."""
        self._was_killed = True
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._reap()

    def kill_child(self, chance: random.Random) -> None:
        """Kill one of its children with -9: the server has to start another."""
        children = self.children()
        if children:
            with suppress(ProcessLookupError):
                os.kill(chance.choice(children), signal.SIGKILL)

    def stop(self) -> int:
        """Stop it gracefully, or with -9 where it will not; the number of processes' groups that
        outlived their server."""
        if self._process is not None and self.is_alive:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
        if self._process is not None and self.is_alive:
            self.kill_group()
        left = 0
        for group, log in self._logs:
            log.join(STOP_SECONDS)  # it ends when every process of the group is gone
            if log.is_alive():
                left += 1
                with suppress(ProcessLookupError):
                    os.killpg(group, signal.SIGKILL)
                log.join(STOP_SECONDS)
        self._logs.clear()
        return left

    def wait_until_kept(self) -> str | None:
        """Wait until the read models have taken in the whole log; else what is amiss."""
        deadline = time.monotonic() + KEPT_SECONDS
        details: dict[str, Any] = {}
        while time.monotonic() < deadline:
            with suppress(httpx.TransportError):
                headers = {"Authorization": f"Bearer {TOKEN}"}
                answer = httpx.get(f"{self.url}/health/ready", headers=headers, trust_env=False)
                details = answer.json().get("details", {})
                models = details.get("projections", {}).values()
                if models and all(model["lag"] == 0 for model in models):
                    return None
            time.sleep(POLL_SECONDS)
        return f"the read models were not kept up within {KEPT_SECONDS} s: {details}"

    def _start(self) -> None:
        """Start, again and again while workers of a server that was killed hold its port."""
        deadline = time.monotonic() + PORT_SECONDS
        while True:
            since = self._log_size()
            self._spawn()
            while self.is_alive and not self._listens.wait(POLL_SECONDS):
                pass
            if self._listens.is_set():
                return
            if not self._said(PORT_IN_USE, since) or time.monotonic() > deadline:
                self._was_killed = True  # it never ran, so nobody has to wonder why it ended
                raise NotReady(f"the server did not start:\n{self.last_words()}")

    def _spawn(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", *self._serve, "--port", str(self.port)],
            cwd=self.folder,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            # Through us, so that a quota on its files does not hit its log.
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stderr is not None
        assert self._process.stdout is not None
        self._listens = Event()
        Thread(
            target=_await_welcome, args=(self._process.stdout, self._listens), daemon=True
        ).start()
        log = Thread(target=self._keep_log, args=(self._process.stderr,), daemon=True)
        log.start()
        self._logs = [(pid, old) for pid, old in self._logs if old.is_alive()]
        self._logs.append((self.pid, log))
        self._was_killed = False

    def _keep_log(self, stream: IO[bytes]) -> None:
        with stream, (self.folder / "server.log").open("ab") as log:
            while chunk := os.read(stream.fileno(), 65536):
                log.write(chunk)
                log.flush()

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait(STOP_SECONDS)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if not self.is_alive:
                raise NotReady(f"the server ended; its last words:\n{self.last_words()}")
            with suppress(httpx.TransportError):
                url = f"{self.url}/health/ready"
                if httpx.get(url, trust_env=False, timeout=START_SECONDS).status_code == 200:
                    return
            time.sleep(POLL_SECONDS)
        raise NotReady(f"not ready within {START_SECONDS} s; last words:\n{self.last_words()}")

    def _said(self, words: bytes, since: int) -> bool:
        """Whether its log has these words, from a place on."""
        time.sleep(POLL_SECONDS)  # the last ones may be on their way
        with (self.folder / "server.log").open("rb") as log:
            log.seek(since)
            return words in log.read()

    def _log_size(self) -> int:
        log = self.folder / "server.log"
        return log.stat().st_size if log.exists() else 0

    def last_words(self) -> str:
        """The end of its log."""
        path = self.folder / "server.log"
        if not path.exists():
            return ""
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - LAST_WORDS_BYTES))
            return log.read().decode(errors="replace")


def _await_welcome(stream: IO[bytes], listens: Event) -> None:
    with stream:
        for line in stream:
            if WELCOME in line:
                listens.set()
