"""The runner: exactly once, in step with positions, and never past an event that it cannot fold."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import pytest

from adapters.ledger.application import OrderLedger
from adapters.read_models.event_source import EventSource
from adapters.storage import postgres_schema
from adapters.storage.evidence_sqlite import SQLiteEvidence
from adapters.storage.log import StorageUnavailable
from adapters.storage.postgres import Database
from adapters.storage.postgres_views import PostgresViews
from adapters.storage.sqlite import Datastore
from adapters.storage.sqlite_log import SQLiteLog
from adapters.storage.sqlite_views import SQLiteViews
from adapters.storage.views import Views
from domain.log import Position
from domain.order import Delivered
from projections import runner as module
from projections.audit_history import AUDIT_HISTORY, HISTORY
from projections.model import Projection
from projections.order_status import ORDER_STATUS, ORDERS
from projections.runner import CheckpointMoved, Followed, Runner
from tests.contract.logs import DATABASES, FakeClock, sqlite_log
from tests.notices import delivery, notice
from tests.vaults import ledger_of

PROJECTIONS = (ORDER_STATUS, AUDIT_HISTORY)


Open = Callable[[Sequence[Projection]], Views]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[OrderLedger]:
    with sqlite_log(tmp_path, FakeClock()) as log:
        yield ledger_of(log)


@pytest.fixture
def source(ledger: OrderLedger) -> EventSource:
    recorder = ledger.event_log.recorder
    assert isinstance(recorder, SQLiteLog)
    assert isinstance(recorder.datastore, Datastore)
    return EventSource(SQLiteEvidence(recorder.datastore, recorder.datastore).raw_rows)


@pytest.fixture(params=DATABASES)
def open_views(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens read models, again and again the same ones, in each of the databases."""
    opened: list[Views] = []
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
        postgres_schema.init(url)

    def open_them(projections: Sequence[Projection]) -> Views:
        if request.param == "postgres":
            views: Views = PostgresViews(Database(url))
        else:
            views = SQLiteViews(Datastore(str(tmp_path / "views.db"), "NORMAL"))
        opened.append(views)
        views.prepare(projections)
        return views

    yield open_them
    for views in opened:
        views.close()


@pytest.fixture
def views(open_views: Open) -> Views:
    return open_views(PROJECTIONS)


def _record(ledger: OrderLedger, count: int) -> None:
    ledger.record([delivery(notice(order_id=f"{n:04d}")) for n in range(count)])


def _failing(projection: Projection, at: int) -> Projection:
    """The projection with a fold that cannot take in the event at one position."""

    def fold(rows, recorded):  # type: ignore[no-untyped-def]
        if recorded.position.index == at:
            raise ValueError("a bug in the fold")
        return projection.fold(rows, recorded)

    return replace(projection, fold=fold)


def test_every_event_is_taken_in_once_across_batches(
    ledger: OrderLedger, source: EventSource, views: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_SIZE_MAX", 7)
    _record(ledger, 20)
    Runner(source, views, PROJECTIONS).catch_up()
    assert len(views.select(ORDERS, "")) == 20
    assert [row.idx for row in views.select(HISTORY, "ORDER BY idx")] == list(range(1, 41))
    assert views.checkpoint("order_status") == Position(0, 40)


def test_a_runner_goes_on_where_another_stopped(
    ledger: OrderLedger, source: EventSource, views: Views
) -> None:
    _record(ledger, 3)
    Runner(source, views, PROJECTIONS).catch_up()
    _record(ledger, 5)
    Runner(source, views, PROJECTIONS).catch_up()
    assert len(views.select(HISTORY, "")) == len(source.recorded(None, 100)[0])


def test_two_runners_at_once_take_every_event_in_once(
    ledger: OrderLedger, source: EventSource, views: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_SIZE_MAX", 5)
    _record(ledger, 50)
    threads = [Thread(target=Runner(source, views, PROJECTIONS).catch_up) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [row.idx for row in views.select(HISTORY, "ORDER BY idx")] == list(range(1, 101))


def test_writing_from_a_position_that_moved_is_refused(views: Views) -> None:
    fresh = Followed(ORDER_STATUS, 1, None)
    views.write(fresh, Position(0, 5), {})
    with pytest.raises(CheckpointMoved):
        views.write(fresh, Position(0, 6), {})
    with pytest.raises(CheckpointMoved):
        views.write(fresh._replace(position=Position(0, 4)), Position(0, 6), {})
    assert views.checkpoint("order_status") == Position(0, 5)


def test_a_poison_event_parks_its_projection_there_and_no_other(
    ledger: OrderLedger, source: EventSource, views: Views
) -> None:
    _record(ledger, 5)
    failing = _failing(ORDER_STATUS, 4)
    views.adopt(failing)
    Runner(source, views, (failing, AUDIT_HISTORY)).catch_up()
    assert views.checkpoint("order_status") == Position(0, 3), "everything before it is taken in"
    assert views.checkpoint("audit_history") == Position(0, 10)
    poison = views.parked()["order_status"]
    assert poison.position == Position(0, 4)
    assert "a bug in the fold" in poison.error
    assert poison.event == "Delivered of default/0001"


def test_after_the_fix_a_parked_projection_goes_on_by_itself(
    ledger: OrderLedger, source: EventSource, views: Views
) -> None:
    _record(ledger, 5)
    failing = _failing(ORDER_STATUS, 4)
    views.adopt(failing)
    Runner(source, views, (failing,)).catch_up()
    views.adopt(ORDER_STATUS)
    fixed = Runner(source, views, (ORDER_STATUS,))
    fixed.catch_up()
    assert views.parked() == {}
    assert views.checkpoint("order_status") == Position(0, 10)


def test_an_event_that_cannot_be_read_parks_every_projection_before_it(
    ledger: OrderLedger, source: EventSource, views: Views
) -> None:
    _record(ledger, 1)
    recorder = ledger.event_log.recorder
    stored = recorder.select_events("default/0000")[1]
    recorder.insert_events([replace(stored, originator_version=3, topic="FromTheFuture")])
    runner = Runner(source, views, PROJECTIONS)
    runner.catch_up()
    assert set(views.parked()) == {"order_status", "audit_history"}
    assert views.checkpoint("order_status") == Position(0, 2)


def test_another_version_stands_where_it_is_and_is_served(
    ledger: OrderLedger, source: EventSource, open_views: Open
) -> None:
    _record(ledger, 2)
    Runner(source, open_views(PROJECTIONS), PROJECTIONS).catch_up()
    _record(ledger, 1)
    other = (replace(ORDER_STATUS, version=99), AUDIT_HISTORY)
    views = open_views(other)
    views.adopt(other[0])
    Runner(source, views, other).catch_up()
    assert views.checkpoint("order_status") == Position(0, 4)
    assert len(views.select(ORDERS, "")) == 2
    assert views.checkpoint("audit_history") == Position(0, 5)


def test_a_running_runner_follows_the_log_and_survives_an_unreachable_database(
    ledger: OrderLedger, source: EventSource, views: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = Runner(source, views, PROJECTIONS)
    ledger.event_log.on_append(runner.wake.set)
    monkeypatch.setattr(module, "POLL_SECONDS", 0.01)
    reached, stop, failures = Event(), Event(), iter([True, True, False])
    followed, write = views.followed, views.write

    def fails_at_first(projections: Sequence[Projection]) -> list[Followed]:
        if next(failures, False):
            raise StorageUnavailable("gone for a moment")
        return followed(projections)

    def tells(*args: object) -> None:
        write(*args)  # type: ignore[arg-type]
        if views.checkpoint("audit_history") == Position(0, 2):
            reached.set()

    monkeypatch.setattr(views, "followed", fails_at_first)
    monkeypatch.setattr(views, "write", tells)
    thread = Thread(target=runner.run, args=(stop,))
    thread.start()
    _record(ledger, 1)
    assert reached.wait(10)
    stop.set()
    runner.wake.set()
    thread.join(10)
    assert not thread.is_alive()


def test_the_history_keeps_one_row_an_event_with_what_it_tells(
    ledger: OrderLedger, source: EventSource, views: Views
) -> None:
    _record(ledger, 1)
    Runner(source, views, PROJECTIONS).catch_up()
    received, delivered = views.select(HISTORY, "ORDER BY idx")
    assert (received.type, received.payment_status, received.disposition) == (
        "PaymentReceived",
        "PAID",
        "applied",
    )
    assert str(received.amount) == "902.10"
    assert (delivered.type, delivered.caused_by, delivered.provider) == (
        Delivered.__name__,
        1,
        None,
    )
