"""An import on both databases: it says what it is, and can be repeated."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.imports.exported import csv_rows
from adapters.imports.importing import Import, Tally
from adapters.service import Service
from adapters.settings import Settings
from domain.payment import Outcome
from tests.adapters.providers.tables import configured
from tests.contract.logs import DATABASES

EXPORT = b"orderId,orderPayment,amount\n1,PAID,902.10\n2,PENDING,5\n1,PENDING,902.10\n3,[],\n"


@pytest.fixture(params=DATABASES)
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
    opened = Service(Settings(database_url=url))
    yield opened
    opened.close()


def imported(service: Service, *, dry: bool = False) -> Tally:
    taking = Import(service.ledger, configured("sevi"), dry=dry)
    list(taking.take(csv_rows(io.BytesIO(EXPORT), 1024)))
    return taking.tally


def test_an_import_says_what_it_is_and_can_be_repeated(service: Service) -> None:
    foreseen = imported(service, dry=True)
    assert service.ledger.event_log.head() is None
    first = imported(service)
    assert first == foreseen
    assert first.outcomes == {Outcome.RECORDED: 2, Outcome.STALE: 1, Outcome.QUARANTINED: 1}
    head = service.ledger.event_log.head()
    assert imported(service, dry=True).outcomes == {Outcome.DUPLICATE: 4}
    assert imported(service).outcomes == {Outcome.DUPLICATE: 4}
    assert service.ledger.event_log.head() == head
    service.runner.catch_up()
    history = service.queries.history("default", "1")
    assert history is not None
    told = [event for event in history.events if event.payment_status]
    assert {(event.origin, event.reconciled, event.key_id) for event in told} == {
        ("import", True, None)
    }


def test_it_counts_neither_as_a_call_nor_as_the_use_of_a_secret(service: Service) -> None:
    imported(service)
    service.traffic.catch_up()
    known = service.traffic.traffic()
    assert (known.rhythms, known.secrets) == ({}, {})
