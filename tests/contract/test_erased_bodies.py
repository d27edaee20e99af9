"""Bodies that told of no order are destroyed one by one, on both databases, and stay so."""

import sqlite3
from contextlib import closing

import psycopg
import pytest

from adapters.exported import Exported
from adapters.importing import Import
from adapters.service import Service
from adapters.storage import postgres_schema
from domain.payment import Outcome
from tests.contract.test_erasure import SEVI, another, body, erase, readable, tell, verify

CUT = b'{"orderId": "100017", "name": "Wanjiru"'
OTHER = b'{"orderId": "200018"'


def owner_runs(service: Service, *statements: str) -> None:
    """What somebody does to the database who need not ask the service."""
    path = service.settings.database_path
    if path is not None:
        with closing(sqlite3.connect(path)) as file, file:
            for statement in statements:
                file.execute(statement)
        return
    with psycopg.connect(service.settings.database_url) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def open_ids(service: Service) -> list[int]:
    return [row.id for row in service.ledger.event_log.set_aside(None, 100)]


# ------------------------------------------------------------------------------ destroyed for good


def test_what_is_destroyed_waits_for_nobody(service: Service) -> None:
    tell(service, body("100017"), CUT, OTHER)
    assert open_ids(service) == [3, 2]
    erase(service)
    assert service.vault.tables.destroyed([1, 2, 3]) == [2]
    assert open_ids(service) == [3]
    assert verify(service).is_sound


def test_a_destroyed_key_does_not_come_back(service: Service) -> None:
    tell(service, body("100017"), CUT, OTHER)
    schema = service.vault.tables.schema
    owner_runs(service, f"CREATE TABLE {schema}kept AS SELECT * FROM {schema}body_keys")
    erase(service)
    owner_runs(
        service,
        f"DELETE FROM {schema}body_keys",  # also by whoever does not ask the service
        f"INSERT INTO {schema}body_keys SELECT * FROM {schema}kept",
    )
    assert service.vault.tables.with_own_key([2, 3]) == []
    assert service.vault.tables.destroyed([2, 3]) == [2, 3]
    (receipt,) = tell(service, b"a new one")
    assert receipt.outcome == "quarantined"
    assert readable(service) == {4: b"a new one"}


def test_that_it_was_destroyed_is_never_taken_back(service: Service) -> None:
    tell(service, body("100017"), CUT)
    erase(service)
    table = f"{service.vault.tables.schema}destroyed_body_keys"
    for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET id = 3"):
        with pytest.raises((sqlite3.IntegrityError, psycopg.DatabaseError)):
            owner_runs(service, statement)
    assert service.vault.tables.destroyed([2]) == [2]


def test_a_ledger_from_before_knows_what_was_destroyed_in_it(service: Service) -> None:
    tell(service, body("100017"), CUT, OTHER)
    erase(service)
    triggers = ("body_keys_destroyed", "body_keys_stay_destroyed")
    undo = [f"DROP TRIGGER {name}" for name in triggers]
    undo += ["DROP TABLE destroyed_body_keys"]
    if service.settings.database_path is None:
        undo = [
            "DROP TABLE order_ledger.destroyed_body_keys",
            "DROP FUNCTION order_ledger.remember_destroyed, order_ledger.leave_destroyed CASCADE",
            "DELETE FROM order_ledger.migrations WHERE number = 14",
        ]
    owner_runs(service, *undo)
    if service.settings.database_path is None:
        postgres_schema.init(service.settings.database_url)
    other = another(service)
    assert other.vault.tables.destroyed([1, 2, 3]) == [2]
    assert open_ids(other) == [3]
    again = another(service)
    tell(again, b"more")
    assert again.vault.tables.destroyed([1, 2, 3, 4]) == [2]
    other.close()
    again.close()


def test_an_import_does_not_bring_back_what_was_destroyed(service: Service) -> None:
    tell(service, body("100017"), CUT, OTHER)
    erase(service)
    importing = Import(service.ledger, SEVI, dry=False)
    list(importing.take([Exported(n, raw, n) for n, raw in enumerate((CUT, OTHER, b"new"), 1)]))
    assert importing.tally.outcomes == {Outcome.DUPLICATE: 2, Outcome.QUARANTINED: 1}
    assert readable(service) == {3: OTHER, 4: b"new"}
