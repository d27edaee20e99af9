"""Sealing in a real service: behind the write path, through kills and stops, for an auditor."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from tests.servers import RunningServer

ROOT = Path(__file__).parents[2]
WAIT_SECONDS = 30.0


@pytest.fixture(params=["sqlite", "postgres"])
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> Mapping[str, str]:
    """A service on each database that signs every second."""
    env = {"ORDER_LEDGER_SEAL_SECONDS": "1", "XDG_DATA_HOME": str(tmp_path / "data")}
    if request.param == "postgres":
        env["ORDER_LEDGER_DATABASE_URL"] = request.getfixturevalue("postgres_url")
    return env


@pytest.fixture
def sealing(tmp_path: Path, environment: Mapping[str, str]) -> Iterator[RunningServer]:
    """The service, running."""
    running = RunningServer(tmp_path, environment)
    yield running
    if running.process.poll() is None:
        running.stop()


def command(folder: Path, env: Mapping[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    return subprocess.run(
        [sys.executable, "-m", "adapters.cli", *words],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def told(folder: Path, env: Mapping[str, str], *words: str) -> Any:
    ran = command(folder, env, *words, "--json")
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def evidence(server: RunningServer) -> Any:
    return server.get("/health/ready").json()["details"]["evidence"]


def deliver(server: RunningServer, first: int, count: int = 40) -> None:
    for number in range(first, first + count):
        body = json.dumps({"orderId": f"order-{number}", "orderPayment": "PAID"})
        assert server.deliver(body).status_code == 200


def wait_until_sealed(server: RunningServer) -> int:
    deadline = monotonic() + WAIT_SECONDS
    while (now := evidence(server))["unsealed_events"]:
        assert now["problem"] is None
        assert monotonic() < deadline, now
        sleep(0.1)
    return int(now["sealed_upto"].partition("-")[2])


def test_a_service_seals_what_it_took_in_and_an_auditor_believes_it(
    sealing: RunningServer, environment: Mapping[str, str], tmp_path: Path
) -> None:
    deliver(sealing, 0)
    assert wait_until_sealed(sealing) == 80
    bundle = sealing.get("/orders/order-7/bundle").json()
    (tmp_path / "bundle.json").write_text(json.dumps(bundle))
    key = command(tmp_path, environment, "keys", "export").stdout.strip()
    script = [sys.executable, str(ROOT / "scripts" / "verify_bundle.py"), "bundle.json"]
    ran = subprocess.run(
        [*script, "--key", key], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert told(tmp_path, environment, "verify")["is_sound"]


def test_after_a_kill_it_goes_on_from_what_was_signed(
    sealing: RunningServer, environment: Mapping[str, str], tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    deliver(sealing, 0)
    wait_until_sealed(sealing)
    assert command(tmp_path, environment, "checkpoint", "publish", str(kept)).returncode == 0
    for round_ in range(1, 4):
        deliver(sealing, 40 * round_)
        sealing.stop(signal.SIGKILL)
        sealing.start()
    assert wait_until_sealed(sealing) == 320
    (note,) = kept.iterdir()
    verdict = told(tmp_path, environment, "verify", "--since", str(note))
    assert (verdict["is_sound"], verdict["events"]) == (True, 320)


def test_a_graceful_stop_leaves_nothing_unsealed(
    sealing: RunningServer, environment: Mapping[str, str], tmp_path: Path
) -> None:
    sealing.stop()
    lazy = {**environment, "ORDER_LEDGER_SEAL_SECONDS": "3600"}
    server = RunningServer(tmp_path, lazy)
    deliver(server, 0, 5)
    assert evidence(server)["unsealed_events"] == 10
    server.stop()
    tail = told(tmp_path, environment, "checkpoint", "list")
    assert (tail["sealed_upto"], tail["unsealed_events"]) == ("0-10", 0)
