"""What evidence costs: sealing, verifying a ledger beside a plain copy of its rows, and proofs of
large trees."""

import hashlib
import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import psycopg

from adapters.evidence import verifying
from adapters.evidence.keys import Signer
from adapters.evidence.merkle import Tree, inclusion_proof, root_of_inclusion
from adapters.evidence.sealer import Sealer
from adapters.storage.evidence import EvidenceStore
from adapters.storage.opening import open_storage
from tests import postgres
from tests.bench.append import BenchLedger
from tests.bench.contenders import OURS, Machinery
from tests.bench.figures import Report, shown, spread, table
from tests.vaults import ledger_of

TABLES = ("stored_events", "deliveries", "bodies")  # that a verification reads
ROWS_AT_ONCE = 5000
LEAVES_AT_ONCE = 65_536
PROOFS = 200

Say = Callable[[str], None]


def evidence(
    machine: Machinery,
    events: int,
    tree_sizes: Sequence[int],
    rounds: int,
    contenders: Sequence[str],
    say: Say,
) -> Report:
    """The cost on each database."""
    return {
        name: {
            "verify": _verify(name, machine, events, rounds, say),
            "proofs": _proofs(name, machine, tree_sizes, say),
        }
        for name in OURS
        if name in contenders
    }


def _verify(name: str, machine: Machinery, events: int, rounds: int, say: Say) -> Report:
    with _opened(name, machine) as (url, folder, ledger, store):
        say(f"verify, {name}: filling a log with {events} events")
        ledger.fill(events)
        signer = Signer(store, folder / "keys.pem", None)
        started = perf_counter()
        Sealer(store, signer, 60).seal()
        sealed = perf_counter() - started
        machine.settle()
        copies, events_copies, took, sound = [], [], [], True
        for number in range(rounds + 1):
            copy_events = _copied(url, TABLES[:1])
            copy = copy_events + _copied(url, TABLES[1:])
            started = perf_counter()
            verdict = verifying.verify(store, url, signer.public_keys())
            seconds = perf_counter() - started
            sound = sound and verdict.is_sound
            if number or rounds == 1:  # the first round only warms up
                copies.append(copy)
                events_copies.append(copy_events)
                took.append(seconds)
                say(f"  round {number}  copy {copy:.2f} s  verify {seconds:.2f} s")
    return {
        "events": events,
        "is_sound": sound,
        "seal_us_per_event": sealed * 1e6 / events,
        "verify_seconds": spread(took),
        "copy_seconds": spread(copies),
        "ratio": spread(c / t for c, t in zip(copies, took, strict=True)),
        "ratio_to_events_alone": spread(c / t for c, t in zip(events_copies, took, strict=True)),
    }


def _copied(url: str, tables: Sequence[str]) -> float:
    """The seconds that it takes to read all rows and discard them: by COPY, or as SQLite reads."""
    started = perf_counter()
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as file:
            for name in tables:
                rows = file.execute(f"SELECT * FROM {name}")
                while rows.fetchmany(ROWS_AT_ONCE):
                    pass
    else:
        with psycopg.connect(url) as connection, connection.cursor() as cursor:
            for name in tables:
                with cursor.copy(
                    f"COPY order_ledger.{name} TO STDOUT (FORMAT BINARY)".encode()
                ) as c:
                    for _ in c:
                        pass
    return perf_counter() - started


def _proofs(name: str, machine: Machinery, sizes: Sequence[int], say: Say) -> Report:
    """The time of an inclusion proof in trees of leaves that nobody has events for."""
    report: Report = {}
    with _opened(name, machine) as (_, _, _, store):
        tree, done = Tree(), 0
        for size in sizes:
            say(f"proofs, {name}: growing a tree to {size} leaves")
            while done < size:
                count = min(LEAVES_AT_ONCE, size - done)
                with store.sealing() as sealing:
                    sealing.put(tree.extend([_leaf(n) for n in range(done, done + count)]))
                    done += count
                    if done == size:
                        sealing.put(tree.tails())
            took = []
            for index in random.Random(1).sample(range(size), min(size, PROOFS)):
                started = perf_counter()
                path = inclusion_proof(index, size, store.tile)
                took.append((perf_counter() - started) * 1000)
                assert root_of_inclusion(index, size, _leaf(index), path) == tree.root()
            report[str(size)] = {"proof_ms": spread(took), "median_ms": median(took)}
    return report


def _leaf(number: int) -> bytes:
    return hashlib.sha256(number.to_bytes(8, "big")).digest()


@contextmanager
def _opened(
    name: str, machine: Machinery
) -> Iterator[tuple[str, Path, BenchLedger, EvidenceStore]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="order-ledger-bench-")))
        url = f"sqlite:///{folder / 'ledger.db'}"
        if name == "postgres":
            url = stack.enter_context(postgres.database(machine.postgres_url))
        storage = open_storage(url, ())
        stack.callback(storage.close)
        yield url, folder, BenchLedger(ledger_of(storage.log)), storage.evidence


def told(report: Report) -> Iterator[str]:
    """The report as lines for a person."""
    yield "\nverify, beside a copy of the same rows that is read and discarded"
    yield table(
        ("database", "events", "seconds", "copy", "ratio", "to the events alone", "seal us/event"),
        [
            (
                name,
                f"{one['verify']['events']:,}",
                shown(one["verify"]["verify_seconds"], 1),
                shown(one["verify"]["copy_seconds"], 1),
                shown(one["verify"]["ratio"], 2),
                shown(one["verify"]["ratio_to_events_alone"], 2),
                f"{one['verify']['seal_us_per_event']:.1f}",
            )
            for name, one in report.items()
        ],
    )
    yield "\nan inclusion proof, ms"
    yield table(
        ("database", "leaves", "ms"),
        [
            (name, f"{int(size):,}", shown(proof["proof_ms"], 2))
            for name, one in report.items()
            for size, proof in one["proofs"].items()
        ],
    )
