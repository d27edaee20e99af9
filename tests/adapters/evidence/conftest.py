"""A ledger on each database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.evidence.ledgers import Sealed, opened


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty ledger is to be."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def sealed(database_url: str, tmp_path: Path) -> Iterator[Sealed]:
    """A ledger without an event, and what seals it."""
    with opened(database_url, tmp_path) as ledger:
        yield ledger
