"""The shop and its command line, in a folder of the test's."""

import os
from pathlib import Path

import pytest

from tests.adapters.cli.shops import CommandLine, Shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A shop that heard nothing yet."""
    return Shop(tmp_path)


@pytest.fixture
def order_ledger(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> CommandLine:
    """The command, run in the shop's folder, in a wide terminal without colours."""
    for variable in [name for name in os.environ if name.startswith("ORDER_LEDGER_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)
    return CommandLine(capsysbinary, monkeypatch)
