"""Fixtures that several folders share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import RunningServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """A running server with an empty ledger."""
    running = RunningServer(tmp_path)
    yield running
    if running.process.poll() is None:
        running.stop()
