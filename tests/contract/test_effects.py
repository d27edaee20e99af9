"""The contract of the outbox, on both databases."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from eventsourcing.persistence import IntegrityError

from adapters.access.roles import Caller
from adapters.effects.state import State
from adapters.storage import postgres_schema
from adapters.storage.access import AccessTables, Operation, OperatorLog
from adapters.storage.effects import (
    Attempt,
    EffectFilter,
    EffectRow,
    EffectStore,
    EffectTables,
    NewEffect,
)
from adapters.storage.postgres import Database, become_service, connect
from adapters.storage.postgres_access import PostgresAccess
from adapters.storage.postgres_effects import PostgresEffects
from adapters.storage.sqlite import Datastore
from adapters.storage.sqlite_access import SQLiteAccess
from adapters.storage.sqlite_effects import SQLiteEffects
from adapters.storage.sqlite_log import SQLiteLog
from tests.contract.logs import DATABASES, START, FakeClock

ALICE = Caller.with_every_role("user alice", "command line")
RETRIED = Operation.by(ALICE, "effects retry", "x")
SENT = Attempt(State.SENT, START, "HTTP 204", None, None, 0, None)
FAILED = Attempt(State.FAILED, START, "HTTP 500", "oh no", START + timedelta(seconds=1), 1, None)
DEAD = replace(FAILED, state=State.DEAD, next_at=None)


def _tables(
    folder: Path, url: str | None
) -> tuple[EffectTables, AccessTables, Datastore | Database]:
    if url is None:
        datastore = Datastore(str(folder / "ledger.db"), "FULL")
        access, effects = SQLiteAccess(datastore), SQLiteEffects(datastore)
        access.create()
        SQLiteLog(datastore).create_table()  # with the ledger's name, and its events
        effects.create()
        return effects, access, datastore
    database = Database(url)
    return PostgresEffects(database), PostgresAccess(database), database


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest) -> str | None:
    """Where the database is; None is a file in the test's folder."""
    if request.param == "sqlite":
        return None
    found: str = request.getfixturevalue("postgres_url")
    postgres_schema.init(found)
    return found


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(tmp_path: Path, url: str | None, clock: FakeClock) -> Iterator[EffectStore]:
    effects, access, database = _tables(tmp_path, url)
    store = EffectStore(effects, OperatorLog(access, clock), clock)
    store.register("shop", 10)
    yield store
    effects.close()
    database.close()


def new(order_id: str, version: int, idx: int, store: str = "default") -> NewEffect:
    return NewEffect(f"id-{store}-{order_id}-{version}", store, order_id, version, idx, "Delivered")


def one(store: EffectStore, effect_id: str) -> EffectRow:
    row = store.get(effect_id)
    assert row is not None
    return row


def due(store: EffectStore, target: str = "shop") -> str | None:
    row = store.due(target)
    return row.id if row else None


def test_the_ledgers_id_is_made_once(tmp_path: Path, url: str | None, store: EffectStore) -> None:
    name = store.ledger_id()
    assert name.startswith("ledger-")
    effects, access, database = _tables(tmp_path, url)
    assert EffectStore(effects, OperatorLog(access)).ledger_id() == name
    database.close()


def test_a_target_begins_once(store: EffectStore) -> None:
    store.register("shop", 99)
    at = store.target("shop")
    assert at is not None
    assert (at.position, at.paused, at.failures, at.open_until) == (10, None, 0, None)
    assert store.target("nobody") is None


def test_effects_and_the_position_come_together_or_not_at_all(store: EffectStore) -> None:
    assert store.enqueue("shop", 10, 14, [new("a", 2, 12), new("b", 2, 14)])
    assert not store.enqueue("shop", 10, 15, [new("c", 2, 15)]), "another was there meanwhile"
    at = store.target("shop")
    assert at is not None
    assert at.position == 14
    assert [row.order_id for row in store.page(EffectFilter(), None, 10)] == ["b", "a"]
    with pytest.raises(IntegrityError):  # an id stands for one event and target, for ever
        store.enqueue("shop", 14, 16, [new("d", 2, 15), new("a", 2, 16)])
    at = store.target("shop")
    assert at is not None
    assert at.position == 14
    assert store.get("id-default-d-2") is None


def test_a_new_effect_is_due_at_once_and_the_earlier_first(
    store: EffectStore, clock: FakeClock
) -> None:
    store.enqueue("shop", 10, 12, [new("a", 2, 11), new("b", 2, 12)])
    row = store.due("shop")
    assert row is not None
    assert (row.id, row.state, row.attempts, row.created_at) == (
        "id-default-a-2",
        State.PENDING,
        0,
        START,
    )
    assert (row.idx, row.event, row.version, row.waits_for) == (11, "Delivered", 2, None)
    assert store.due("another") is None


def test_what_was_sent_is_kept_with_its_answer_and_done(store: EffectStore) -> None:
    store.enqueue("shop", 10, 11, [new("a", 2, 11)])
    row = one(store, "id-default-a-2")
    assert store.settle(row, SENT)
    row = one(store, row.id)
    assert (row.state, row.attempts, row.answer, row.sent_at, row.next_at) == (
        State.SENT,
        1,
        "HTTP 204",
        START,
        None,
    )
    assert store.due("shop") is None
    assert not store.settle(row._replace(attempts=0), FAILED), "a late loser changes nothing"
    assert one(store, row.id).state is State.SENT


def test_what_failed_is_due_when_its_pause_is_over(store: EffectStore, clock: FakeClock) -> None:
    store.enqueue("shop", 10, 12, [new("a", 2, 11), new("b", 2, 12)])
    store.settle(one(store, "id-default-a-2"), replace(FAILED, failures=3))
    assert due(store) == "id-default-b-2", "another order does not wait"
    store.settle(one(store, "id-default-b-2"), SENT)
    assert due(store) is None
    following = store.next("shop")
    assert following is not None
    assert (following.id, following.next_at) == ("id-default-a-2", START + timedelta(seconds=1))
    clock.advance(seconds=1)
    assert due(store) == "id-default-a-2"
    assert one(store, "id-default-a-2").excerpt == "oh no"


@pytest.mark.parametrize("first", [FAILED, DEAD])
def test_a_later_effect_of_an_order_waits_for_the_earlier_one(
    store: EffectStore, clock: FakeClock, first: Attempt
) -> None:
    store.register("mail", 10)
    several = [new("a", 2, 11), new("a", 4, 13), new("a", 2, 12, "uganda")]
    store.enqueue("shop", 10, 13, several)
    mail = [effect._replace(id=f"mail-{effect.id}") for effect in several]
    store.enqueue("mail", 10, 13, mail)
    store.settle(one(store, "id-default-a-2"), first)
    assert due(store) == "id-uganda-a-2", "another store's order of this id is another order"
    store.settle(one(store, "id-uganda-a-2"), SENT)
    assert due(store) is None
    assert one(store, "id-default-a-4").waits_for == "id-default-a-2"
    assert due(store, "mail") == "mail-id-default-a-2", "another target does not wait"
    assert store.skip(["id-default-a-2"], RETRIED) == ["id-default-a-2"]
    assert due(store) == "id-default-a-4"
    assert one(store, "id-default-a-4").waits_for is None


def test_a_dead_effect_is_sent_when_it_is_retried(store: EffectStore, clock: FakeClock) -> None:
    store.enqueue("shop", 10, 11, [new("a", 2, 11)])
    row = one(store, "id-default-a-2")
    store.settle(row, DEAD)
    clock.advance(days=30)
    assert due(store) is None
    assert store.count("shop") == {State.DEAD: 1}
    assert store.retry([row.id, "nothing"], RETRIED) == [row.id]
    row = one(store, row.id)
    assert (row.state, row.attempts, row.answer) == (State.PENDING, 0, "HTTP 500")
    assert due(store) == row.id
    store.settle(row, SENT)
    assert store.retry([row.id], RETRIED) == []
    assert store.skip([row.id], RETRIED) == []


def test_what_was_sent_while_an_operator_skipped_it_was_sent(store: EffectStore) -> None:
    store.enqueue("shop", 10, 11, [new("a", 2, 11)])
    row = one(store, "id-default-a-2")
    store.skip([row.id], RETRIED)
    assert not store.settle(row, FAILED)
    assert one(store, row.id).state is State.SKIPPED
    assert store.settle(row, SENT)
    assert one(store, row.id).state is State.SENT


def test_a_breaker_and_a_pause_belong_to_the_target(store: EffectStore, clock: FakeClock) -> None:
    store.enqueue("shop", 10, 11, [new("a", 2, 11)])
    until = START + timedelta(seconds=7)
    stop = replace(FAILED, failures=5, open_until=until, paused="it answered HTTP 410")
    store.settle(one(store, "id-default-a-2"), stop)
    at = store.target("shop")
    assert at is not None
    assert (at.failures, at.open_until, at.paused) == (5, until, "it answered HTTP 410")
    store.settle(one(store, "id-default-a-2"), replace(SENT, failures_before=5))
    at = store.target("shop")
    assert at is not None
    assert (at.failures, at.open_until, at.paused) == (0, None, "it answered HTTP 410")
    assert store.resume("shop", RETRIED)
    store.settle(one(store, "id-default-a-2"), replace(FAILED, failures=6, failures_before=5))
    resumed = store.target("shop")
    assert resumed is not None
    assert (resumed.failures, resumed.open_until) == (0, None), "an attempt was under way"
    assert not store.resume("nobody", RETRIED)
    assert store.pause("shop", "the shop moves", RETRIED)
    at = store.target("shop")
    assert at is not None
    assert at.paused == "the shop moves"


def test_a_target_that_stands_still_says_so_until_it_goes_on(store: EffectStore) -> None:
    store.stand_still("shop", "the event at 0-11 cannot be read")
    at = store.target("shop")
    assert at is not None
    assert at.problem == "the event at 0-11 cannot be read"
    store.enqueue("shop", 10, 11, [])
    at = store.target("shop")
    assert at is not None
    assert at.problem is None


def test_operators_are_logged_only_for_what_they_changed(store: EffectStore) -> None:
    store.enqueue("shop", 10, 11, [new("a", 2, 11)])
    store.retry(["nothing"], RETRIED)
    store.pause("nobody", "why", RETRIED)
    assert store._operators.page(None, 10) == []
    store.skip(["id-default-a-2"], Operation.by(ALICE, "effects skip", "id-default-a-2", "phoned"))
    (logged,) = store._operators.page(None, 10)
    assert (logged.who, logged.action, logged.object, logged.reason) == (
        "user alice",
        "effects skip",
        "id-default-a-2",
        "phoned",
    )


def test_effects_are_listed_by_what_is_asked_newest_first(store: EffectStore) -> None:
    store.enqueue("shop", 10, 20, [new("a", 2, 11), new("b", 2, 12), new("a", 4, 13)])
    store.settle(one(store, "id-default-b-2"), SENT)

    def listed(before: int | None = None, limit: int = 10, **wanted: object) -> list[str]:
        rows = store.page(EffectFilter(**wanted), before, limit)  # type: ignore[arg-type]
        return [row.id for row in rows]

    assert listed() == ["id-default-a-4", "id-default-b-2", "id-default-a-2"]
    assert listed(state=State.SENT) == ["id-default-b-2"]
    assert listed(order_id="a") == ["id-default-a-4", "id-default-a-2"]
    assert listed(target="mail") == listed(store="uganda") == []
    first = store.page(EffectFilter(), None, 2)
    assert listed(before=first[-1].number) == ["id-default-a-2"]
    assert [row.version for row in store.of_order("default", "a")] == [2, 4]


def test_one_process_leads_until_it_ends(
    tmp_path: Path, url: str | None, store: EffectStore
) -> None:
    other, _, database = _tables(tmp_path, url)
    assert store.tables.leads()
    assert store.tables.leads()
    assert not other.leads()
    store.tables.close()
    assert other.leads()
    assert not store.tables.leads()
    other.close()
    database.close()


CHANGES = [
    "UPDATE {p}effects SET order_id = 'b'",
    "UPDATE {p}effects SET id = 'b'",
    "DELETE FROM {p}effects",
    "DELETE FROM {p}ledger_identity",
    "UPDATE {p}ledger_identity SET id = 'another'",
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_an_effect_is_about_never_changes(
    tmp_path: Path, url: str | None, store: EffectStore, change: str
) -> None:
    store.enqueue("shop", 10, 11, [new("a", 2, 11)])
    if url is None:
        with sqlite3.connect(tmp_path / "ledger.db") as file, pytest.raises(sqlite3.Error):
            file.execute(change.format(p=""))
        file.close()
    else:
        with connect(url) as connection:
            become_service(connection)
            with pytest.raises(psycopg.Error):
                connection.execute(change.format(p="order_ledger.").encode())
    assert one(store, "id-default-a-2").order_id == "a"
