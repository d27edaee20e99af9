"""Who keeps the read models, seals the log and carries out effects while a web service runs.

In production a process of its own: folding costs as much as taking in, and two processes use two
cores. `python -m adapters.keepers` is that process. Its standard input is its lifeline: a byte
wakes it, the end stops it, so it never outlives the service, not even after a kill -9.
"""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import Protocol

from adapters import collector
from adapters.service import Service
from adapters.settings import load_settings
from adapters.telemetry.logs import configure_logs
from adapters.telemetry.tracing import trace_where_wanted

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
        self._thread = Thread(target=service.keep, args=(self._stop,), name="projections")
        self._dispatch = service.dispatch()
        service.ledger.event_log.on_append(self._runner.wake.set)
        service.ledger.event_log.on_append(self._dispatch.wake)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the thread, and those of the effects."""
        self._thread.start()
        self._dispatch.start(self._stop)

    def stop(self) -> None:
        """Stop the thread; what is there is sealed."""
        self._stop.set()
        self._runner.wake.set()
        self._dispatch.join()
        self._thread.join()


class ProcessKeeper:
    """Keeps them in a process of their own, and starts another where that one dies."""

    def __init__(self) -> None:
        self._stopping = Event()
        self._lock = Lock()  # nobody writes to a lifeline while it is replaced
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher = Thread(target=self._watch, name="projections-watcher", daemon=True)

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process."""
        self._spawn()
        self._watcher.start()

    def wake(self) -> None:
        """Tell the process that there is something to take in."""
        self.tell(b"\n")

    def tell(self, line: bytes) -> None:
        """Wake the process with a line, of at most a page: which commit it is (`traced.py`)."""
        with self._lock, suppress(OSError):  # the pipe is full, so it is told, or it is broken
            if self._process is not None and self._process.stdin is not None:
                os.write(self._process.stdin.fileno(), line)

    def stop(self) -> None:
        """Stop the process."""
        self._stopping.set()
        self._end()

    def _spawn(self) -> None:
        # -P: modules of the working folder must not stand in for ours.
        command = [sys.executable, "-P", "-m", "adapters.read_models.keepers"]
        with self._lock:
            if self._stopping.is_set():
                return
            process = subprocess.Popen(command, stdin=subprocess.PIPE)  # noqa: S603  (all ours)
            assert process.stdin is not None
            os.set_blocking(process.stdin.fileno(), False)
            self._process = process

    def _end(self) -> None:
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        with suppress(OSError):
            process.stdin.close()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _watch(self) -> None:
        while not self._stopping.is_set():
            process = self._process
            code = process.wait() if process is not None else None
            if self._stopping.wait(RESTART_SECONDS):
                return
            log.error("the process that folds the read models ended with %s; starting anew", code)
            self._end()
            try:
                self._spawn()
            except OSError as error:
                log.error("it could not be started: %s", error)


class KeptElsewhere:
    """For web processes beside which another keeps the read models: the one that started them, or
    `order-ledger keep`."""

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
    trace_where_wanted(service)
    _keep(service, sys.stdin.fileno())


def keep_until_told(service: Service) -> None:
    """Keep the read models on this process's main thread, until SIGTERM or SIGINT."""
    reading, writing = os.pipe()
    for interruption in (signal.SIGINT, signal.SIGTERM):
        # Nothing but the end of the lifeline: a handler may interrupt whoever holds a lock.
        signal.signal(interruption, lambda *_: _end_of(writing))
    _keep(service, reading)


def _end_of(lifeline: int) -> None:
    with suppress(OSError):  # it was told twice
        os.close(lifeline)


def _keep(service: Service, lifeline: int) -> None:
    """Keep the read models, carry out effects and seal, until the lifeline ends."""
    collector.relax()
    stop = Event()
    dispatch = service.dispatch()

    def wake() -> None:
        service.runner.wake.set()
        dispatch.wake()

    hear = service.tracing.hear if service.tracing else None
    Thread(target=_follow, args=(lifeline, wake, stop, hear), daemon=True).start()
    service.ledger.event_log.on_append_elsewhere(wake, stop)
    dispatch.start(stop)
    service.keep(stop)
    dispatch.join()
    service.close()


def _follow(
    lifeline: int, wake: Callable[[], None], stop: Event, hear: Callable[[bytes], None] | None
) -> None:
    while told := os.read(lifeline, 65536):
        if hear is not None:
            hear(told)
        wake()
    stop.set()
    wake()


if __name__ == "__main__":
    main()
