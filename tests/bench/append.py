"""What an append costs in a small log and in a large one: a batch through `OrderLedger.record`."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from adapters.ledger.application import Delivery, OrderLedger
from adapters.providers import Ignored, Request, Secret
from adapters.providers.sevi import Sevi
from adapters.storage.opening import open_storage
from tests import postgres
from tests.bench import bodies
from tests.bench.contenders import OURS, Machinery
from tests.bench.figures import Report, shown, spread, table
from tests.vaults import ledger_of

BATCH = 64
FILL_BATCH = 1000
BATCHES_PER_ROUND = 8
EVENTS_PER_DELIVERY = 2  # PAID: PaymentReceived and Delivered

Say = Callable[[str], None]


@dataclass
class BenchLedger:
    """An open ledger and how many deliveries it got."""

    ledger: OrderLedger
    count: int = 0

    def fill(self, events: int) -> None:
        while self.count * EVENTS_PER_DELIVERY < events:
            left = events // EVENTS_PER_DELIVERY - self.count
            self.ledger.record(self._deliveries(min(FILL_BATCH, max(1, left))))

    def round_ms(self) -> float:
        """The median time of a batch, in a few of them."""
        took = []
        for _ in range(BATCHES_PER_ROUND):
            batch = self._deliveries(BATCH)
            started = perf_counter()
            self.ledger.record(batch)
            took.append((perf_counter() - started) * 1000)
        return median(took)

    def _deliveries(self, count: int) -> list[Delivery]:
        first, self.count = self.count, self.count + count
        return [_delivery(bodies.order_id("a", n)) for n in range(first, self.count)]


_SEVI = Sevi("sevi", "default", [Secret("key", "unused")])
_HEAD, _TAIL = bodies.body().split(bodies.ID_PLACE.encode())


def _delivery(order_id: str) -> Delivery:
    body = _HEAD + order_id.encode() + _TAIL
    digest = hashlib.sha256(body).hexdigest()
    now = datetime.now(UTC)
    told = _SEVI.translate(Request([], body, now), digest, "key-0123456789ab")
    assert not isinstance(told, Ignored)
    return Delivery("sevi", now, body, digest, told)


def append(
    machine: Machinery, sizes: Sequence[int], rounds: int, contenders: Sequence[str], say: Say
) -> Report:
    """The cost at each size, the rounds of the sizes interleaved."""
    return {
        name: _database(name, machine, sizes, rounds, say) for name in OURS if name in contenders
    }


def _database(name: str, machine: Machinery, sizes: Sequence[int], rounds: int, say: Say) -> Report:
    with ExitStack() as stack:
        ledgers = {}
        for size in sizes:
            say(f"append, {name}: filling a log with {size} events")
            ledgers[size] = stack.enter_context(_opened(name, machine))
            ledgers[size].fill(size)
        machine.settle()
        taken: dict[int, list[float]] = {size: [] for size in sizes}
        for number in range(rounds + 1):
            for size, ledger in ledgers.items():
                took = ledger.round_ms()
                if number:  # the first round only warms up
                    taken[size].append(took)
    base = taken[sizes[0]]
    return {
        "batch": BATCH,
        "sizes": {
            str(size): {
                "batch_ms": spread(took),
                "ratio": spread(a / b for a, b in zip(took, base, strict=True)),
            }
            for size, took in taken.items()
        },
    }


@contextmanager
def _opened(name: str, machine: Machinery) -> Iterator[BenchLedger]:
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="order-ledger-bench-"))
        url = f"sqlite:///{Path(folder) / 'ledger.db'}"
        if name == "postgres":
            url = stack.enter_context(postgres.database(machine.postgres_url))
        storage = open_storage(url, ())
        stack.callback(storage.close)
        yield BenchLedger(ledger_of(storage.log))


def told(report: Report) -> Iterator[str]:
    """The report as lines for a person."""
    rows = [
        (name, f"{int(size):,}", shown(one["batch_ms"], 2), shown(one["ratio"], 2))
        for name, part in report.items()
        for size, one in part["sizes"].items()
    ]
    yield f"\nappend, batches of {BATCH} deliveries"
    yield table(("database", "events in the log", "ms per batch", "ratio"), rows)
