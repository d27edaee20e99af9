"""An engineer's day: a fold had a bug, it is fixed, and the read model is made anew under load."""

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from adapters.storage.opening import open_storage
from adapters.storage.rebuilds import Rebuilds
from projections.known import PROJECTIONS
from projections.model import State
from tests.contract.logs import DATABASES
from tests.crash.verdict import fold_anew
from tests.releases import BUG, SMALL_STEPS, release
from tests.servers import RunningServer

DIFFERENT = 3
KILLS = 3
WAIT_SECONDS = 30.0


class Shop:
    """A running ledger, with whom to deliver to it and ask it, all the time."""

    def __init__(self, folder: Path, url: str | None) -> None:
        self.folder = folder
        self.url = url or f"sqlite:///{folder / 'var' / 'ledger.db'}"
        self.buggy = release(folder / "buggy", BUG)
        self.fixed = release(folder / "fixed", SMALL_STEPS)
        self._stop = Event()
        self._threads: list[Thread] = []
        self.failed: list[str] = []
        self.answers: list[tuple[int, Any]] = []
        self.server = RunningServer(folder, self._env(self.buggy))

    def deliver(self, order_id: str, *statuses: str) -> None:
        for status in statuses:
            body = json.dumps({"orderId": order_id, "orderPayment": status})
            self.server.deliver(body).raise_for_status()

    def upgrade(self) -> None:
        """Stop, install, start."""
        self.server.stop()
        self.server = RunningServer(self.folder, self._env(self.fixed))

    def keep_busy(self, watched: str) -> None:
        """Deliver from now on, and ask for one order."""
        for work in (self._deliver, self._ask):
            thread = Thread(target=work, args=(watched,))
            thread.start()
            self._threads.append(thread)

    def settle(self) -> None:
        """Deliver and ask no more, and wait until the read models know everything."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        head = self.server.get("/health/ready").json()["details"]["head"]
        self.server.get("/orders/o-0/history", min_position=head).raise_for_status()

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command of the fixed release."""
        return subprocess.Popen(
            [sys.executable, "-m", "adapters.cli", "projections", *arguments],
            cwd=self.folder,
            env={**os.environ, **self._env(self.fixed)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run a command of the fixed release; its output."""
        process = self.start(*arguments)
        output, errors = process.communicate(timeout=120)
        assert process.returncode == code, output + errors
        return output

    def _env(self, code: Path) -> dict[str, str]:
        return {"PYTHONPATH": str(code), "ORDER_LEDGER_DATABASE_URL": self.url}

    def _deliver(self, _: str) -> None:
        for n in range(100_000):
            if self._stop.is_set():
                return
            self.deliver(f"live-{n}", "FAILED" if n % 3 == 0 else "PAID")

    def _ask(self, watched: str) -> None:
        while not self._stop.is_set():
            answer = self.server.get(f"/orders/{watched}")
            self.answers.append((answer.status_code, answer.json().get("status")))


@pytest.fixture(params=DATABASES)
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    made = Shop(tmp_path, url)
    yield made
    made._stop.set()
    for thread in made._threads:
        thread.join()
    if made.server.process.poll() is None:
        made.server.stop()


def _progress(url: str) -> int:
    """How far the generation that is being built has come."""
    storage = open_storage(url, ())
    try:
        building = [g for g in storage.views.generations() if g.state is State.BUILDING]
        parts = [part for g in building for part in Rebuilds(storage.views).parts(g)]
        return sum(part.idx for part in parts)
    finally:
        storage.close()


def _kill_in_the_middle(shop: Shop) -> None:
    """Start a rebuild and kill it when it has written something more."""
    before = _progress(shop.url)
    process = shop.start("rebuild", "order_status", "--workers", "2")
    deadline = time.monotonic() + WAIT_SECONDS
    while _progress(shop.url) <= before:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
    process.kill()
    process.communicate()


def test_a_fixed_fold_is_rebuilt_compared_and_switched_under_load(shop: Shop) -> None:
    for n in range(400):
        shop.deliver(f"o-{n}", *(("PENDING", "FAILED") if n % 40 == 0 else ("PENDING", "PAID")))
    wrong = {f"o-{n}" for n in range(0, 400, 40)}
    head = shop.server.get("/health/ready").json()["details"]["head"]
    told = shop.server.get("/orders/o-0", min_position=head).json()
    assert told["status"] == "AWAITING_PAYMENT", "the bug shows"

    shop.upgrade()
    shop.keep_busy("o-40")
    assert "A rebuild of order_status is due" in shop.run("list")

    for _ in range(KILLS):
        _kill_in_the_middle(shop)
    differences = shop.folder / "differences.csv"
    arguments = ("--workers", "2", "--json", "--csv", str(differences))
    report = json.loads(shop.run("rebuild", "order_status", *arguments, code=DIFFERENT))

    (orders, references) = report["tables"]
    assert (orders["added"], orders["gone"], orders["changed"]) == (0, 0, len(wrong))
    assert orders["columns"] == {"status": len(wrong)}
    assert (references["added"], references["gone"], references["changed"]) == (0, 0, 0)
    rows = list(csv.DictReader(differences.read_text().splitlines()))
    assert {row["order_id"] for row in rows} == wrong, "exactly the wrong orders"
    assert {(row["column"], row["old"], row["new"]) for row in rows} == {
        ("status", "AWAITING_PAYMENT", "PAYMENT_FAILED")
    }
    for row in rows:
        events = shop.server.get(f"/orders/{row['order_id']}/history").json()["events"]
        (why,) = (e["position"] for e in events if e["type"] == "PaymentFailed")
        assert row["because_of"] == why
    assert shop.server.get("/orders/o-40").json()["status"] == "AWAITING_PAYMENT", "not yet"

    shop.run("switch", "order_status")
    assert shop.server.get("/orders/o-40").json()["status"] == "PAYMENT_FAILED"
    shop.settle()
    _check_against_all_events(shop.url)
    statuses = [status for _, status in shop.answers]
    assert {code for code, _ in shop.answers} == {200}, "no query failed"
    assert statuses == sorted(statuses), "first all of the old, then all of the new"
    assert len(set(statuses)) == 2
    shop.run("verify", "order_status")


def _check_against_all_events(url: str) -> None:
    """A fresh fold of every event equals the live tables."""
    from adapters.read_models.event_source import EventSource

    storage = open_storage(url, PROJECTIONS)
    try:
        events, poison = EventSource(storage.evidence.raw_rows).recorded(None, 1_000_000)
        assert poison is None
        for projection in PROJECTIONS:
            assert storage.views.checkpoint(projection.name) == events[-1].position
            anew = fold_anew(projection, events)
            for table in projection.tables:
                kept = {table.key_of(row): row for row in storage.views.select(table, "")}
                assert kept == {key: row for (t, key), row in anew.items() if t is table}
    finally:
        storage.close()


def test_a_rollback_returns_to_the_old_rows_and_goes_on_with_them(shop: Shop) -> None:
    shop.deliver("o-1", "FAILED")
    head = shop.server.get("/health/ready").json()["details"]["head"]
    shop.server.get("/orders/o-1", min_position=head).raise_for_status()
    shop.upgrade()
    shop.deliver("o-0", "PAID")
    head = shop.server.get("/health/ready").json()["details"]["head"]
    shop.server.get("/orders/o-0", min_position=head).raise_for_status()  # it follows by now
    shop.run("rebuild", "order_status", "--accept")
    assert shop.server.get("/orders/o-1").json()["status"] == "PAYMENT_FAILED"

    shop.run("rollback", "order_status")
    assert shop.server.get("/orders/o-1").json()["status"] == "AWAITING_PAYMENT"
    shop.deliver("o-2", "PAID")
    head = shop.server.get("/health/ready").json()["details"]["head"]
    shop.server.get("/orders/o-2", min_position=head).raise_for_status()
    facts = json.loads(shop.run("list", "--json"))
    live = next(f for f in facts if f["projection"] == "order_status" and f["state"] == "live")
    assert (live["generation"], live["followed"]) == (1, True)
    assert live["rebuild_due"]
