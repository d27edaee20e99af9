"""The bench runs from end to end. How fast anything is, no test says."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bench import bodies
from tests.bench.contenders import NAMES, OURS, ROOT
from tests.bench.figures import spread, table

RUN_SECONDS = 240
TINY = (
    "--rounds=1 --seconds=0.3 --warm-up=0.1 --connections=4 --append-sizes=100,300 "
    "--deliveries=300 --rebuild-events=400 --verified-events=200 --tree-sizes=300,600 --json=-"
).split()


def run(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.bench", *TINY, *arguments]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=RUN_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_everything_is_measured_and_reported() -> None:
    report = run("--generator=python", "--workloads=duplicates")

    assert report["machine"]["cores"] >= 1
    assert report["machine"]["fsync_ms"]["median"] > 0
    assert report["versions"]["fastapi"]
    assert report["postgres"]["fsync"] == "on"
    assert report["flags"]["uvicorn"]["access_log"] is False
    (part,) = report["ingest"]["workloads"]
    assert part["workload"] == "duplicates"
    assert list(part["contenders"]) == list(NAMES)
    assert part["contenders"]["empty"]["ratio"] == {"median": 1, "min": 1, "max": 1}
    for one in part["contenders"].values():
        assert one["acknowledged"] > 0
        assert one["other_answers"] == []
        assert one["lost_connections"] == 0
        assert 0 < one["p50_ms"]["median"] <= one["p99_ms"]["median"]
        assert one["rss_mb"]["median"] > 0
    for name in OURS:
        assert part["contenders"][name]["is_all_stored"]
        assert part["contenders"][name]["ledger_bytes_per_delivery"]["median"] > 1000
    assert report["ingest"]["headroom"]["requests_per_second"]["median"] > 0
    for name in OURS:
        assert set(report["append"][name]["sizes"]) == {"100", "300"}
        assert report["memory"][name]["samples"][-1]["deliveries"] >= 300
        assert report["memory"][name]["lag_events"] >= 0
        assert part["contenders"][name]["ratio_to_plain"]["median"] > 0
        assert report["evidence"][name]["verify"]["is_sound"]
        assert report["evidence"][name]["verify"]["ratio"]["median"] > 0
        assert set(report["evidence"][name]["proofs"]) == {"300", "600"}
        rebuilt = report["rebuild"][name]
        assert set(rebuilt["rates"]) >= {"order_status, 1", "order_status, 2", "audit_history, 1"}
        assert all(rate["median"] > 0 for rate in rebuilt["rates"].values())
        assert rebuilt["rss_mb"]["all"] > 0
        assert rebuilt["p99_ms"]["during"] > 0
    assert report["rebuild"]["postgres"]["rates"]["library, one transaction an event"]


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_wrk_sends_what_the_service_takes() -> None:
    report = run("ingest", "--generator=wrk", "--contenders=sqlite", "--workloads=duplicates")

    one = report["ingest"]["workloads"][0]["contenders"]["sqlite"]
    assert one["acknowledged"] > 0
    assert one["other_answers"] == []
    assert one["is_all_stored"]


def test_a_body_has_the_size_that_it_should_have() -> None:
    assert len(bodies.body()) == bodies.BODY_BYTES
    request = bodies.request("127.0.0.1", "token")
    assert f"Content-Length: {bodies.BODY_BYTES}\r\n".encode() in request.head


@pytest.mark.parametrize("duplicates", [False, True])
def test_ids_repeat_only_in_the_mix(duplicates: bool) -> None:
    count = 10_000
    ids = [bodies.order_id("m", number, duplicates) for number in range(1, count + 1)]
    repeated = count - len(set(ids))
    expected = (count - bodies.DUPLICATE_BACK) / bodies.DUPLICATE_EVERY
    assert {len(each) for each in ids} == {bodies.ID_LENGTH}
    assert repeated == pytest.approx(expected if duplicates else 0, abs=1)


def test_figures_are_shown_in_columns() -> None:
    assert spread([3, 1, 2]) == {"median": 2, "min": 1, "max": 3}
    assert table(("a", "b"), [("long", "1")]) == "a     b\nlong  1"


def test_ctrl_c_is_a_clean_end(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.bench", "memory", "--contenders=sqlite"]
    process = subprocess.Popen(
        command, cwd=ROOT, stderr=subprocess.PIPE, text=True, env=_environment(tmp_path)
    )
    assert process.stderr is not None
    assert "deliveries" in process.stderr.readline()
    process.terminate()
    _, errors = process.communicate(timeout=RUN_SECONDS)
    assert process.returncode == 130
    assert "interrupted" in errors
    assert list(tmp_path.iterdir()) == []


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(folder)}
