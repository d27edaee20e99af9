"""A ledger on each database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.service import Service
from adapters.settings import Settings
from tests.contract.logs import DATABASES


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a ledger may be made."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.fixture
def service(url: str, tmp_path: Path) -> Iterator[Service]:
    """An empty ledger whose secrets lie in a folder of the test's."""
    master, seal = tmp_path / "master-keys.txt", tmp_path / "seal-keys.pem"
    opened = Service(Settings(database_url=url, master_key_file=master, seal_keys_file=seal))
    yield opened
    opened.close()
