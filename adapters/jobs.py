"""What takes longer than a request: a rebuild, a verification. Each runs in a process of its own.

Folding on a thread of the service would take the processor from the deliveries. How far a job is
stands in the database, so every process of the service can show it. A job ends with the service, at
any moment: a rebuild goes on where it was, a verification begins anew.
"""

import logging
import multiprocessing
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from threading import Lock, Thread
from time import monotonic, sleep
from typing import TYPE_CHECKING

from adapters import collector
from adapters.access.roles import Caller
from adapters.evidence.verifying import verify
from adapters.read_models.folding import be_nice
from adapters.read_models.read_model import FAILURES, SAMPLES, ReadModel, explained, projection_of
from adapters.service import Service
from adapters.settings import Settings
from adapters.storage.jobs import LEASE, Jobs
from adapters.storage.log import StorageUnavailable
from adapters.telemetry.logs import configure_logs, discreetly

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

VERIFY = "verify"
REBUILD = "rebuild"
TELL_SECONDS = 0.5
STOP_SECONDS = 10.0

log = logging.getLogger("order_ledger.jobs")

Say = Callable[[str, int, int], None]  # a phase, and how many of how many events


def rebuild_of(projection: str) -> str:
    """The name of the job that makes a read model anew."""
    return f"{REBUILD} {projection}"


class JobRunner:
    """Starts jobs, and sees them end. Its methods block."""

    def __init__(self, service: Service) -> None:
        self.jobs = Jobs(service.views)
        self._settings = service.settings
        self._lock = Lock()
        self._process: SpawnProcess | None = None
        self._watcher: Thread | None = None

    def start(self, name: str, caller: Caller) -> None:
        """Start a job. Raises `Refused` where one is running, `StorageUnavailable`."""
        self.jobs.begin(name, caller)
        process = multiprocessing.get_context("spawn").Process(
            target=_work, args=(self._settings, name, caller), daemon=True
        )
        with self._lock:
            process.start()
            self._process = process
            self._watcher = Thread(target=self._see_it_end, args=(process, name), daemon=True)
            self._watcher.start()

    def stop(self) -> None:
        """End what is running: every step of it is a transaction."""
        with self._lock:
            if self._process is not None and self._watcher is not None:
                self._process.terminate()
                self._watcher.join(STOP_SECONDS)

    def _see_it_end(self, process: "SpawnProcess", name: str) -> None:
        """Say of a job whose process ended without a word that it did.

        Its own word decides, not the exit status: the system gives that once, and another thread
        may be the one who asked (`multiprocessing` asks after every child when it starts one).
        """
        process.join()
        with suppress(StorageUnavailable):
            job = self.jobs.get(name)
            if job is not None and job.ended_at is None:
                told = f"its process was ended ({process.exitcode}): start it again"
                self.jobs.end(name, told, is_done=False)


def _work(settings: Settings, name: str, caller: Caller) -> None:
    """Do a job, in a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # sent to the whole group; the service decides
    Thread(target=_end_with_parent, daemon=True).start()
    be_nice()
    configure_logs()
    service = Service(settings)
    collector.relax()
    try:
        run(service, name, caller)
    finally:
        service.close()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def run(service: Service, name: str, caller: Caller) -> None:
    """Do a job that was entered, and say how it ended."""
    jobs = Jobs(service.views)
    kind, _, of = name.partition(" ")
    work = {VERIFY: _verify, REBUILD: _rebuild}[kind]
    _take_lease(service)
    try:
        told = work(service, caller, of, _Teller(jobs, name))
    except FAILURES as error:
        jobs.end(name, explained(error), is_done=False)
    except Exception as error:
        log.error("%s failed: %s", name, discreetly(error))
        jobs.end(name, "an error of the service; its log has the details", is_done=False)
    else:
        jobs.end(name, told, is_done=True)


def _take_lease(service: Service) -> None:
    """Hold what says that a job runs; the one before may be about to let go of it."""
    deadline = monotonic() + STOP_SECONDS
    while not service.views.leads(LEASE):
        assert monotonic() < deadline, "who enters a job sees that none is running"
        sleep(TELL_SECONDS)


class _Teller:
    """Writes down how far a job is, a few times a second at most."""

    def __init__(self, jobs: Jobs, name: str) -> None:
        self._jobs = jobs
        self._name = name
        self._phase = ""
        self._next = 0.0

    def __call__(self, phase: str, done: int, whole: int) -> None:
        if phase != self._phase or monotonic() >= self._next:
            self._phase, self._next = phase, monotonic() + TELL_SECONDS
            self._jobs.tell(self._name, phase, done, whole)


def _rebuild(service: Service, caller: Caller, projection: str, say: Say) -> None:
    """Make the next generation and compare it; to switch is for a person who read the report."""
    model = ReadModel(service, caller, projection_of(projection))
    whole = 0

    def tell(done: int, of: int) -> None:
        nonlocal whole
        whole = of
        say("folding", done, of)

    say("folding", 0, 0)
    made = model.build(1, tell)
    say("comparing", whole, whole)
    model.settle(made, model.work.compare(made, SAMPLES))


def _verify(service: Service, _: Caller, __: str, say: Say) -> str:
    """Verify the whole ledger, in this one process."""
    say("verifying", 0, 0)
    verdict = verify(
        service.evidence,
        service.settings.database_url,
        service.signer.public_keys(),
        lambda done, whole: say("verifying", done, whole),
        processes=1,
        vault=service.vault,
        signer=service.signer,
    )
    return verdict.model_dump_json()
