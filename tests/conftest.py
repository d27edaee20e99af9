"""Fixtures that several folders share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import postgres
from tests.servers import RunningServer


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL server."""
    with postgres.server() as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of an empty database in PostgreSQL."""
    with postgres.database(postgres_server) as url:
        yield url


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """A running server with an empty ledger."""
    running = RunningServer(tmp_path)
    yield running
    if running.process.poll() is None:
        running.stop()
