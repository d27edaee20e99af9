"""Who starts a server believes what it says."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.cli.serve import _left_out
from adapters.settings import load_settings
from tests.adapters.cli.shops import CommandLine


def test_once_it_says_that_it_listens_nobody_is_refused(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "adapters.cli", "serve", "--port", "0"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    found = (re.search(r"listens on http://([\d.]+):(\d+),", line) for line in process.stdout)
    address = next(match for match in found if match)
    with socket.socket() as caller:
        refused = caller.connect_ex((address[1], int(address[2])))
    process.terminate()
    process.communicate(timeout=30)
    assert refused == 0


def test_a_provider_that_is_left_out_of_the_configuration_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    folder.mkdir()
    (folder / "webhook-token-sevi").write_text("made here\n")
    settings = load_settings(
        database_url=f"sqlite:///{folder / 'ledger.db'}",
        providers={"till": {"kind": "sevi", "tokens": ["a-token"]}},
    )
    (line,) = _left_out(settings)
    assert "Add [providers.sevi]" in line
    assert "made here" not in line


def test_who_only_looks_makes_no_ledger_in_a_database(
    postgres_url: str, order_ledger: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDER_LEDGER_DATABASE_URL", postgres_url)
    ran = order_ledger("orders", "show", "1")
    assert ran.code == 2
    assert b"there is no ledger in this database" in ran.stderr
    assert b"the schema is missing" in order_ledger("db", "check").stderr
