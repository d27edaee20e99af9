"""Someone who just installed it sees in seconds what it does."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "adapters.cli", "demo"]


def environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "TMPDIR": str(folder),
        "COLUMNS": "80",
        "ORDER_LEDGER_PORT": "no number",
        "order_ledger_database_url": "nonsense",
    }


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    (tmp_path / "order-ledger.toml").write_text("this is no TOML")
    (tmp_path / "tmp").mkdir()
    return tmp_path / "tmp"


def listens(url: str) -> bool:
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def test_an_order_s_life_is_told_and_nothing_stays_behind(temporary: Path) -> None:
    ran = subprocess.run(
        COMMAND,
        cwd=temporary.parent,
        env=environment(temporary),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert max(map(len, ran.stdout.splitlines())) <= 80
    answers = re.findall(r"^ +(\d{3} \w+)", ran.stdout, re.MULTILINE)
    assert answers == [
        "200 recorded",
        "200 recorded",
        "200 duplicate",
        "401 Unauthorized",
        "200 stale",
    ]
    assert "Order demo-1 of store default is DELIVERED." in ran.stdout
    timeline = re.findall(r"^(0-\d) +[\d:.]+Z +(\w+).* (\S+)$", ran.stdout, re.MULTILINE)
    assert timeline == [
        ("0-1", "PaymentReceived", "applied"),
        ("0-2", "PaymentReceived", "applied"),
        ("0-3", "Delivered", "0-2"),
        ("0-4", "PaymentReceived", "stale"),
    ]
    assert list(temporary.iterdir()) == []
    url = re.search(r"http://[\d.]+:\d+", ran.stdout)
    assert url
    assert not listens(url[0])


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_who_stops_it_early_finds_it_all_cleaned_up(temporary: Path, how: int) -> None:
    process = subprocess.Popen(
        COMMAND,
        cwd=temporary.parent,
        env=environment(temporary),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    url = re.search(r"http://[\d.]+:\d+", process.stdout.readline())
    assert url
    process.send_signal(how)
    _, errors = process.communicate(timeout=60)
    assert errors == ""
    assert process.returncode == 130
    assert list(temporary.iterdir()) == []
    assert not listens(url[0])
