"""Bodies that told of no order are destroyed one by one, on both databases, and stay so."""

import sqlite3
from contextlib import AbstractContextManager, closing
from dataclasses import replace

import psycopg
import pytest

from adapters.deliveries.quarantine import CannotSettle, NoSuchDelivery, Quarantine
from adapters.imports.exported import Exported
from adapters.imports.importing import Import
from adapters.ledger.application import Delivery
from adapters.service import Service
from adapters.storage import postgres_schema
from adapters.storage.generations import Cursor
from domain.payment import Outcome
from tests.contract.test_erasure import (
    ANN,
    SEVI,
    another,
    body,
    bytes_on_disk,
    delivery,
    erase,
    readable,
    tell,
    verify,
)

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


# ---------------------------------------------------------------------- one, by a person's decision


def quarantine_of(service: Service) -> Quarantine:
    return Quarantine(service.ledger, service.bodies, {"sevi": SEVI}, service.operators)


def aside(service: Service, raw: bytes) -> Delivery:
    """A delivery that nobody could read when it came, and that can be read by now."""
    known = delivery(service, raw)
    return Delivery("sevi", known.received_at, raw, known.body_hash, (), Outcome.QUARANTINED)


def test_a_person_erases_one_body_and_its_facts_stay(service: Service) -> None:
    tell(service, CUT, OTHER)
    before = service.ledger.event_log.delivery(1)
    done = quarantine_of(service).erase(ANN, 1, "request 7")
    assert (done.delivery_id, done.outcome, done.left_to_do) == (1, "erased", None)
    assert readable(service) == {2: OTHER}
    assert service.ledger.event_log.delivery(1) == before
    assert open_ids(service) == [2], "nobody has to look at it any more"
    (row,) = service.operators.page(None, 10)
    assert (row.who, row.action, row.object) == ("user ann", "quarantine erase", "delivery 1")
    assert (row.reason, row.outcome) == ("request 7", "erased")
    assert verify(service).is_sound


def test_erasing_it_twice_is_told_and_does_what_is_left(service: Service) -> None:
    tell(service, CUT)
    quarantine = quarantine_of(service)
    assert quarantine.erase(ANN, 1, "request 7").outcome == "erased"
    assert quarantine.erase(ANN, 1, "request 7").outcome == "unchanged"
    assert [row.outcome for row in service.operators.page(None, 10)] == ["unchanged", "erased"]


def test_what_is_erased_is_neither_taken_in_nor_discarded(service: Service) -> None:
    tell(service, CUT)
    quarantine = quarantine_of(service)
    quarantine.erase(ANN, 1, "request 7")
    with pytest.raises(CannotSettle, match="its key was destroyed"):
        quarantine.replay(1)
    with pytest.raises(CannotSettle, match="delivery 1 was erased"):
        quarantine.discard(1, "it is nothing")


def test_what_was_discarded_can_still_be_erased(service: Service) -> None:
    tell(service, CUT)
    quarantine = quarantine_of(service)
    service.ledger.record([quarantine.discard(1, "cut off")])
    assert readable(service)[1] == CUT
    with pytest.raises(CannotSettle, match="it names delivery 1: erase that one"):
        quarantine.erase(ANN, 2, "request 7")
    assert quarantine.erase(ANN, 1, "request 7").outcome == "erased"
    assert readable(service) == {}


def test_a_body_that_belongs_to_an_order_goes_with_that_order_alone(service: Service) -> None:
    service.ledger.record([delivery(service, body("100017")), aside(service, body("200018"))])
    quarantine = quarantine_of(service)
    service.ledger.record([quarantine.replay(2)])
    both = delivery(service, body("300019"))
    both.notices = (*both.notices, replace(both.notices[0], order_id="400020"))
    service.ledger.record([both])
    kept = readable(service)
    for number, named in (
        (1, "the body of delivery 1 belongs to order 100017 of store default"),
        (2, "delivery 2 was taken in as delivery 3, .* to order 200018 of store default"),
        (3, "it names delivery 2: erase that one"),
        (4, "the body of delivery 4 belongs to several orders: erase one of them"),
    ):
        with pytest.raises(CannotSettle, match=named):
            quarantine.erase(ANN, number, "request 7")
    with pytest.raises(NoSuchDelivery, match="there is no delivery 9"):
        quarantine.erase(ANN, 9, "request 7")
    assert readable(service) == kept
    assert service.operators.page(None, 10) == []


def test_what_another_process_takes_in_meanwhile_is_not_destroyed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.ledger.record([aside(service, body("100017"))])
    other = another(service)
    tables = service.vault.tables
    transaction = tables.transaction

    def taken_in_before(*, commit: bool) -> AbstractContextManager[Cursor]:
        if commit and other.ledger.event_log.settled_by(1) is None:
            other.ledger.record([quarantine_of(other).replay(1)])
        return transaction(commit=commit)

    monkeypatch.setattr(tables, "transaction", taken_in_before)
    with pytest.raises(CannotSettle, match="was taken in as delivery 2"):
        quarantine_of(service).erase(ANN, 1, "request 7")
    assert sorted(readable(service)) == [1, 2]
    other.close()


def test_no_byte_on_the_disk_opens_it_again(service: Service) -> None:
    tell(service, CUT, OTHER)
    keys = [service.vault.tables.body_key(number) or b"" for number in (1, 2)]
    on_disk = bytes_on_disk(service)
    assert all(keys)
    assert all(key in on_disk for key in keys)
    assert quarantine_of(service).erase(ANN, 1, "request 7").left_to_do is None
    on_disk = bytes_on_disk(service)
    assert [key in on_disk for key in keys] == [False, True]
