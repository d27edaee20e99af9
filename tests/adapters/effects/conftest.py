"""A ledger with a target."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.effects.ledgers import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger that heard nothing yet, with a target that takes everything."""
    opened = Ledger(tmp_path)
    yield opened
    opened.close()
