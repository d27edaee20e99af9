"""Fixtures of the tests of the web service."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.http.local import LocalService


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalService]:
    """A service with an empty ledger."""
    with LocalService(tmp_path) as service:
        yield service


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    """A service for tests that change nothing, or that do not mind each other's orders."""
    with LocalService(tmp_path_factory.mktemp("shared")) as service:
        yield service
