"""How fast read models are made anew, beside what the library does and what a plain read costs.

All rates are events a second; beside them stands the processor time of an event, in microseconds,
the database server's included. A rebuild is the whole command, with its start, its comparison and
its switch. The library's runner writes one transaction an event; COPY reads the same rows through
psycopg and throws them away.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import perf_counter
from typing import Any

import psycopg

from adapters.read_models.event_source import EventSource
from adapters.storage.opening import open_storage
from projections.known import PROJECTIONS
from projections.runner import Runner
from tests import postgres
from tests.bench.append import BenchLedger
from tests.bench.contenders import OURS, ROOT, TOKEN, Machinery, environment, serving
from tests.bench.figures import Report, shown, spread, table
from tests.bench.generator import Load, send
from tests.bench.library_runner import library_events_per_second
from tests.bench.usage import Usage, cpu_seconds, measured
from tests.vaults import ledger_of

WORKERS = (1, 2)
LIBRARY = "library, one transaction an event"
COPY = "COPY, thrown away"
COPY_EVENTS = (
    "COPY (SELECT idx, originator_id, originator_version, topic, state, recorded_at "
    "FROM order_ledger.stored_events ORDER BY idx) TO STDOUT"
)
Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What is measured, and how often."""

    events: int
    rounds: int
    seconds: float
    connections: int
    generator: str
    contenders: Sequence[str]
    say: Say


@dataclass
class _Filled:
    """A ledger with events, whose read models know them all."""

    name: str
    folder: Path
    database: str

    @property
    def url(self) -> str:
        return self.database or f"sqlite:///{self.folder / 'ledger.db'}"

    def fill(self, ledger: BenchLedger, events: int) -> None:
        ledger.fill(events)
        storage = open_storage(self.url, PROJECTIONS)
        Runner(EventSource(storage.evidence.raw_rows), storage.views, PROJECTIONS).catch_up()
        storage.close()

    def run(self, *arguments: str) -> tuple[float, Usage]:
        """Run a command of the read models: how long it took, and what it used."""
        started = perf_counter()
        process = self.start(*arguments)
        with measured(process.pid) as usage:
            _, errors = process.communicate()
        assert process.returncode == 0, errors
        return perf_counter() - started, usage

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("ORDER_LEDGER_")}
        return subprocess.Popen(
            [sys.executable, "-m", "adapters.cli", "projections", *arguments],
            cwd=self.folder,
            env={**inherited, **environment(self.name, self.database), "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def rebuild(self, projection: str, workers: int) -> tuple[float, Usage]:
        """Rebuild and switch; what was live is to be dropped afterwards."""
        return self.run("rebuild", projection, "--workers", str(workers))


def rebuild(plan: Plan, machine: Machinery) -> Report:
    """The rates, the memory, and what webhooks notice."""
    return {name: _one(name, plan, machine) for name in OURS if name in plan.contenders}


def _one(name: str, plan: Plan, machine: Machinery) -> Report:
    with _filled(name, machine) as (filled, ledger):
        few = max(2, plan.events // 4)
        plan.say(f"rebuild, {name}: filling a log with {plan.events} events")
        filled.fill(ledger, few)
        rss = {"a quarter": filled.rebuild("order_status", WORKERS[-1])[1].rss_bytes_max / 1e6}
        filled.run("drop", "order_status")
        filled.fill(ledger, plan.events)
        rates: dict[str, list[float]] = {}
        costs: dict[str, list[float]] = {}

        def note(what: str, seconds: float, before: float) -> None:
            rates.setdefault(what, []).append(plan.events / seconds)
            costs.setdefault(what, []).append((_spent(machine) - before) / plan.events * 1e6)

        for number in range(plan.rounds):
            plan.say(f"rebuild, {name}: round {number + 1} of {plan.rounds}")
            if name == "postgres":
                before = _spent(machine)
                note(COPY, _copied(filled.url), before)
            for projection in ("order_status", "audit_history"):
                for workers in WORKERS:
                    machine.settle()
                    before = _spent(machine)
                    seconds, usage = filled.rebuild(projection, workers)
                    note(f"{projection}, {workers}", seconds, before)
                    filled.run("drop", projection)
                    rss["all"] = max(rss.get("all", 0.0), usage.rss_bytes_max / 1e6)
        if name == "postgres":
            seconds = min(plan.seconds, 10.0)
            rate = library_events_per_second(filled.url, seconds, plan.events)
            rates[LIBRARY] = [rate]
        return {
            "events": plan.events,
            "rates": {what: spread(each) for what, each in rates.items()},
            "cpu_us": {what: spread(each) for what, each in costs.items()},
            "rss_mb": rss,
            "p99_ms": _webhooks(filled, plan),
        }


@contextmanager
def _filled(name: str, machine: Machinery) -> Iterator[tuple[_Filled, BenchLedger]]:
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="order-ledger-bench-"))
        database = ""
        if name == "postgres":
            database = stack.enter_context(postgres.database(machine.postgres_url))
        filled = _Filled(name, Path(folder), database)
        storage = open_storage(filled.url, PROJECTIONS)
        stack.callback(storage.close)
        yield filled, BenchLedger(ledger_of(storage.log))


def _spent(machine: Machinery) -> float:
    """Seconds of processor time so far: of this process, of those that it started and that ended,
    and of the database server."""
    used = [getrusage(who) for who in (RUSAGE_SELF, RUSAGE_CHILDREN)]
    server = cpu_seconds(machine.postgres_pid) if machine.postgres_pid else 0.0
    return server + sum(each.ru_utime + each.ru_stime for each in used)


def _copied(url: str) -> float:
    """The seconds that COPY takes to read all events."""
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        started = perf_counter()
        with cursor.copy(COPY_EVENTS) as copy:
            for _ in copy.rows():
                pass
        return perf_counter() - started


def _webhooks(filled: _Filled, plan: Plan) -> dict[str, float]:
    """The 99th percentile of webhooks, alone and while rebuild follows on rebuild."""
    with serving(filled.name, filled.folder, filled.database) as server:

        def p99(prefix: str) -> float:
            host, port = server.host, server.port
            load = Load(host, port, TOKEN, plan.connections, plan.seconds, prefix)
            return send(load, plan.generator).p99_ms

        p99("w")  # the first only warms up
        alone = p99("a")
        stop = Event()
        thread = Thread(target=_keep_rebuilding, args=(filled, stop))
        thread.start()
        during = p99("d")
        stop.set()
        thread.join()
    return {"alone": alone, "during": during}


def _keep_rebuilding(filled: _Filled, stop: Event) -> None:
    while not stop.is_set():
        process = filled.start("rebuild", "order_status", "--dry-run")
        while process.poll() is None:
            if stop.wait(0.1):
                process.kill()
        process.communicate()


def told(report: Report) -> Iterator[str]:
    """The report as lines for a person."""
    for name, part in report.items():
        rates: dict[str, Any] = part["rates"]
        yield f"\nrebuild, {name}, {part['events']:,} events"
        head = ["what, processes", "events/s", "processor us/event"]
        costs: dict[str, Any] = part["cpu_us"]
        bases = [base for base in (LIBRARY, COPY) if base in rates]
        yield table(
            [*head, *(f"of: {base}" for base in bases)],
            [
                [what, shown(rate), shown(costs[what], 1) if what in costs else ""]
                + [f"{rate['median'] / rates[base]['median']:.2f}" for base in bases]
                for what, rate in rates.items()
            ],
        )
        memory = ", ".join(f"{what} {size:.0f}" for what, size in part["rss_mb"].items())
        yield f"MB resident, most at once, of {part['events']:,} events: {memory}"
        p99 = part["p99_ms"]
        ratio = p99["during"] / p99["alone"]
        alone, during = (f"{p99[when]:.1f}" for when in ("alone", "during"))
        yield f"webhooks, p99 ms: alone {alone}, during a rebuild {during} ({ratio:.1f} times)"
