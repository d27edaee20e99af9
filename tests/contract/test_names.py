"""What every database must do for the names of orders, and for what no delivery brought."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.storage.log import EventLog, LogEntry, NamedOrder, OrderNames, VersionConflict
from domain.log import Position
from domain.payment import Outcome
from tests.contract.logs import DATABASES, START, FakeClock, entry, event, postgres_log, sqlite_log

ALL = list(Outcome)


@pytest.fixture(params=DATABASES)
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventLog]:
    if request.param == "sqlite":
        opening = sqlite_log(tmp_path, FakeClock())
    else:
        opening = postgres_log(request.getfixturevalue("postgres_url"), FakeClock())
    with opening as opened:
        yield opened


def command(order: str, version: int, *names: OrderNames) -> LogEntry:
    return LogEntry(
        provider="",
        outcome=Outcome.RECORDED,
        received_at=START,
        body_hash="",
        events=[event(f"s/{order}", version, "OrderPlaced")],
        is_command=True,
        names=names,
    )


def test_a_log_without_names_knows_no_store(log: EventLog) -> None:
    log.append([entry(event("s/a", 1))])
    assert log.stores_with_names() == frozenset()
    assert log.named([("s", "a")]) == []
    assert log.named([]) == []


def test_an_order_is_found_by_each_of_its_names_in_its_store_only(log: EventLog) -> None:
    log.append([command("a", 1, OrderNames("s", "a", ("a", "R-1", "Ä\"'[]")))])
    assert log.stores_with_names() == {"s"}
    wanted = [("s", "a"), ("s", "R-1"), ("s", "Ä\"'[]"), ("s", "r-1"), ("t", "a")]
    found = sorted(log.named(wanted))
    assert found == sorted(NamedOrder("s", name, "a", False) for name in ("a", "R-1", "Ä\"'[]"))


def test_a_name_belongs_to_one_registered_order_and_nothing_of_the_batch_is_stored(
    log: EventLog,
) -> None:
    log.append([command("a", 1, OrderNames("s", "a", ("a", "R-1")))])
    with pytest.raises(VersionConflict):
        log.append([entry(event("s/c", 1)), command("b", 1, OrderNames("s", "b", ("b", "R-1")))])
    assert log.head() == Position(0, 1)
    assert log.named([("s", "b")]) == []
    assert log.deliveries(ALL, None, 10) == []
    log.append([command("b", 1, OrderNames("t", "b", ("R-1",)))])


def test_names_are_added_or_take_the_place_of_others(log: EventLog) -> None:
    log.append([command("a", 1, OrderNames("s", "a", ("a", "R-1")))])
    log.append([command("a", 2, OrderNames("s", "a", ("a", "R-2")))])
    assert len(log.named([("s", "a"), ("s", "R-1"), ("s", "R-2")])) == 3
    log.append([command("a", 3, OrderNames("s", "a", ("a", "R-3"), anew=True))])
    found = log.named([("s", "a"), ("s", "R-1"), ("s", "R-2"), ("s", "R-3")])
    assert sorted(named.name for named in found) == ["R-3", "a"]
    log.append([command("b", 1, OrderNames("s", "b", ("R-1",)))])


def test_parked_news_may_wait_under_a_name_that_others_have(log: EventLog) -> None:
    log.append([command("a", 1, OrderNames("s", "a", ("a", "R-1"), waits=True))])
    log.append([command("b", 1, OrderNames("s", "b", ("b", "R-1"), waits=True))])
    log.append([command("c", 1, OrderNames("s", "c", ("c", "R-1")))])
    found = sorted(log.named([("s", "R-1")]))
    assert [(named.order_id, named.waits) for named in found] == [
        ("a", True),
        ("b", True),
        ("c", False),
    ]
    log.append([command("a", 2, OrderNames("s", "a", (), anew=True))])
    assert [named.order_id for named in sorted(log.named([("s", "R-1")]))] == ["b", "c"]


def test_a_command_is_in_the_log_and_in_no_delivery_log(log: EventLog) -> None:
    positions = log.append(
        [command("a", 1), entry(event("s/b", 1)), command("a", 2), entry(event("s/b", 2))]
    )
    assert positions == [Position(0, n) for n in (1, 2, 3, 4)]
    rows = log.deliveries(ALL, None, 10)
    assert [(row.id, row.position) for row in rows] == [(2, Position(0, 4)), (1, Position(0, 2))]
    topics = [at.event.topic for at in log.read(None, 10)]
    assert topics == ["OrderPlaced", "PaymentReceived"] * 2


def test_a_duplicate_names_its_original_also_past_a_command(log: EventLog) -> None:
    original = entry(event("s/b", 1))
    again = replace(original, outcome=Outcome.DUPLICATE, events=(), body=None, duplicate_of=1)
    positions = log.append([command("a", 1), original, again])
    assert positions[1:] == [Position(0, 2), Position(0, 2)]
    rows = log.deliveries(ALL, None, 10)
    assert [row.position for row in rows] == [Position(0, 2)] * 2


def test_a_command_without_an_event_stores_nothing(log: EventLog) -> None:
    nothing = replace(command("a", 1), events=())
    assert log.append([nothing]) == [None]
    assert log.head() is None
