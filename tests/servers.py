"""A real server in a process of its own, as a user would start it."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

START_SECONDS = 30.0
STOP_SECONDS = 20.0


class RunningServer:
    """`order-ledger serve` on a free port, its ledger under a folder of the test's."""

    def __init__(
        self,
        folder: Path,
        env: Mapping[str, str] | None = None,
        arguments: Sequence[str] = ("--port", "0"),
    ) -> None:
        self.folder = folder
        self._env = {"XDG_DATA_HOME": str(folder / "data"), **(env or {})}
        self._data = Path(self._env["XDG_DATA_HOME"])
        self._arguments = tuple(arguments)
        self.start()

    def start(self) -> None:
        """Start, and wait until it listens. The ledger of an earlier start goes on."""
        self._errors = (self.folder / "stderr.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "adapters.cli", "serve", *self._arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), **self._env},
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        try:
            self.url = self._read_url()
        except BaseException:
            self.process.kill()
            self.process.wait(STOP_SECONDS)
            raise
        self.http = httpx.Client(base_url=self.url, timeout=START_SECONDS)
        self.http.get("/health/live").raise_for_status()

    @property
    def webhook_token(self) -> str:
        """The token that the server made for Sevi."""
        return self._made("webhook-token-sevi")

    @property
    def api_token(self) -> str:
        """The token that the server made for its query API."""
        return self._made("api-token")

    def _made(self, name: str) -> str:
        """A secret that lies beside the ledger's file, or, for PostgreSQL, in the data folder."""
        beside = self.folder / "var" / name
        return (beside if beside.exists() else next(self._data.rglob(name))).read_text().strip()

    @property
    def errors(self) -> str:
        """What the server logged so far, starts before this one included."""
        return (self.folder / "stderr.log").read_text()

    def deliver(self, body: bytes | str) -> httpx.Response:
        """POST a body as Sevi would."""
        headers = {"Authorization": self.webhook_token, "Content-Type": "application/json"}
        return self.http.post("/webhooks/sevi", content=body, headers=headers)

    def get(self, path: str, **params: Any) -> httpx.Response:
        """Ask the query API."""
        headers = {"Authorization": f"Bearer {self.api_token}"}
        return self.http.get(path, params=params, headers=headers)

    def command(self, *arguments: str) -> str:
        """Run `order-ledger` where the server runs; returns what it printed."""
        return subprocess.run(
            [sys.executable, "-m", "adapters.cli", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), **self._env},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what has to become true."""
        deadline = time.monotonic() + START_SECONDS
        while not condition():
            assert time.monotonic() < deadline, self.errors
            time.sleep(0.05)

    def stop(self, how: int = signal.SIGTERM) -> int:
        """Stop the server with a signal; returns its exit code."""
        self.http.close()
        self.process.send_signal(how)
        code = self.process.wait(STOP_SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._errors.close()
        return code

    def _read_url(self) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if match := re.search(r"listens on (http://\S+),", line):
                return match[1]
        self.process.wait(STOP_SECONDS)
        self.process.stdout.close()
        self._errors.close()
        raise AssertionError(f"the server did not start:\n{self.errors}")
