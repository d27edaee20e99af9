"""A ledger and its read models, on each database."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapters.ledger.application import OrderLedger
from adapters.read_models.event_source import EventSource
from adapters.storage.opening import Storage, open_storage
from projections.known import PROJECTIONS
from projections.model import Projection
from projections.runner import Runner
from tests.contract.logs import DATABASES
from tests.notices import delivery, notice
from tests.vaults import ledger_of


@dataclass
class Models:
    """A ledger with read models that this test folds by hand."""

    url: str
    storage: Storage
    ledger: OrderLedger
    opened: list[Storage]

    def record(self, count: int, first: int = 0) -> None:
        """Deliver a PAID for so many orders."""
        told = [
            notice(order_id=f"{n:04d}", references=(f"R{n}",)) for n in range(first, first + count)
        ]
        self.ledger.record([delivery(one) for one in told])

    def follow(self, *projections: Projection, adopt: bool = True) -> None:
        """Fold everything that is there."""
        for projection in projections:
            if adopt:
                self.storage.views.adopt(projection)
        Runner(
            EventSource(self.storage.evidence.raw_rows), self.storage.views, projections
        ).catch_up()

    def another(self) -> Storage:
        """The same ledger, opened as another process would."""
        self.opened.append(open_storage(self.url, ()))
        return self.opened[-1]


@pytest.fixture(params=DATABASES)
def models(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Models]:
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
    else:
        url = f"sqlite:///{tmp_path / 'ledger.db'}"
    storage = open_storage(url, PROJECTIONS)
    made = Models(url, storage, ledger_of(storage.log), [])
    yield made
    for each in (*made.opened, storage):
        each.close()
