"""Who keeps the read models up to date while a web service runs.

In production a process of its own: folding costs as much as taking in, and two processes use two
cores. `python -m adapters.keepers` is that process. Its standard input is its lifeline: a byte
wakes it, the end stops it, so it never outlives the service, not even after a kill -9.
"""

import logging
import os
import signal
import subprocess
import sys
from contextlib import suppress
from threading import Event, Thread
from typing import Protocol

from adapters.logs import configure_logs
from adapters.service import Service
from adapters.settings import load_settings

RESTART_SECONDS = 1.0
STOP_SECONDS = 10.0
NICENESS = 10  # where processors are short, taking deliveries in comes first

log = logging.getLogger("order_ledger.projections")


class Keeper(Protocol):
    """Keeps the read models of a service."""

    @property
    def is_alive(self) -> bool:
        """Whether the read models are being kept."""

    def start(self) -> None:
        """Keep them from now on."""

    def stop(self) -> None:
        """Stop, after the batch that is being written."""


class ThreadKeeper:
    """Keeps them on a thread of this process."""

    def __init__(self, service: Service) -> None:
        self._runner = service.runner
        self._stop = Event()
        self._thread = Thread(target=self._runner.run, args=(self._stop,), name="projections")
        service.ledger.event_log.on_append(self._runner.wake.set)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread."""
        self._stop.set()
        self._runner.wake.set()
        self._thread.join()


class ProcessKeeper:
    """Keeps them in a process of their own, and starts another where that one dies."""

    def __init__(self) -> None:
        self._stopping = Event()
        self._watcher = Thread(target=self._watch, name="projections-watcher")

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def start(self) -> None:
        """Start the process."""
        self._spawn()
        self._watcher.start()

    def wake(self) -> None:
        """Tell the process that there is something to take in."""
        with suppress(OSError):  # the pipe is full, so it is told; or broken, so it starts anew
            os.write(self._lifeline, b"\n")

    def stop(self) -> None:
        """Stop the process."""
        self._stopping.set()
        self._end()
        self._watcher.join()

    def _spawn(self) -> None:
        # -P: modules of the working folder must not stand in for ours.
        command = [sys.executable, "-P", "-m", "adapters.keepers"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE)  # noqa: S603  (all ours)
        assert self._process.stdin is not None
        self._lifeline = self._process.stdin.fileno()
        os.set_blocking(self._lifeline, False)

    def _end(self) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _watch(self) -> None:
        while True:
            code = self._process.wait()
            if self._stopping.wait(RESTART_SECONDS):
                return
            log.error("the process that keeps the read models ended with %s; starting anew", code)
            self._end()
            self._spawn()


class KeptElsewhere:
    """For one of several web processes: the process that started them keeps the read models."""

    is_alive = True

    def start(self) -> None:
        """Nothing to start here."""

    def stop(self) -> None:
        """Nothing to stop here."""


def main() -> None:
    """Keep the read models of the configured ledger until standard input ends."""
    os.nice(NICENESS)
    for interruption in (signal.SIGINT, signal.SIGTERM):
        signal.signal(interruption, signal.SIG_IGN)  # sent to the whole group; the lifeline decides
    configure_logs()
    service = Service(load_settings())
    stop = Event()
    Thread(target=_follow_lifeline, args=(service.runner.wake, stop), daemon=True).start()
    service.ledger.event_log.on_append_elsewhere(service.runner.wake.set, stop)
    service.runner.run(stop)
    service.close()


def _follow_lifeline(wake: Event, stop: Event) -> None:
    while os.read(sys.stdin.fileno(), 65536):
        wake.set()
    stop.set()
    wake.set()


if __name__ == "__main__":
    main()
