"""What every database must do for the log, in one suite."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest

from adapters.storage.deliveries import DeliveryFilter
from adapters.storage.log import EventLog, VersionConflict
from domain.log import Position
from domain.payment import Origin, Outcome
from tests.contract.logs import DATABASES, START, FakeClock, entry, event, postgres_log, sqlite_log

ALL = list(Outcome)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=DATABASES)
def log(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[EventLog]:
    if request.param == "sqlite":
        opening = sqlite_log(tmp_path, clock)
    else:
        opening = postgres_log(request.getfixturevalue("postgres_url"), clock)
    with opening as opened:
        yield opened


def test_an_empty_log_has_no_head_and_nothing_to_read(log: EventLog) -> None:
    assert log.head() is None
    assert log.read(None, 10) == []
    assert log.load(["default/1"]) == {}
    assert log.deliveries(ALL, None, 10) == []
    assert log.delivery(1) is None


def test_positions_are_gapless_and_each_entry_gets_that_of_its_last_event(log: EventLog) -> None:
    first = log.append([entry(event("s/a", 1), event("s/a", 2)), entry(event("s/b", 1))])
    second = log.append([entry(event("s/a", 3))])
    assert first == [Position(0, 2), Position(0, 3)]
    assert second == [Position(0, 4)]
    assert [at.position.index for at in log.read(None, 10)] == [1, 2, 3, 4]
    assert log.head() == Position(0, 4)


def test_reading_goes_on_after_a_position_and_stops_at_the_limit(log: EventLog) -> None:
    log.append([entry(*(event("s/a", version) for version in range(1, 8)))])
    page = log.read(Position(0, 2), 3)
    assert [at.event.originator_version for at in page] == [3, 4, 5]
    assert log.read(Position(0, 7), 3) == []


def test_orders_are_loaded_together_each_in_the_order_of_its_versions(log: EventLog) -> None:
    log.append([entry(event("s/b", 1)), entry(event("s/a", 1)), entry(event("s/b", 2))])
    loaded = log.load(["s/a", "s/b", "s/missing"])
    versions = {s: [at.event.originator_version for at in found] for s, found in loaded.items()}
    assert versions == {"s/a": [1], "s/b": [1, 2]}
    assert [at.position.index for at in loaded["s/b"]] == [1, 3]


def test_a_version_that_exists_refuses_the_whole_batch(log: EventLog) -> None:
    log.append([entry(event("s/a", 1))])
    with pytest.raises(VersionConflict):
        log.append([entry(event("s/b", 1)), entry(event("s/a", 1))])
    assert log.head() == Position(0, 1)
    assert len(log.deliveries(ALL, None, 10)) == 1
    assert log.append([entry(event("s/b", 1))]) == [Position(0, 2)], "no index is skipped"


def test_an_entry_without_events_is_logged_with_no_position(log: EventLog) -> None:
    ignored = replace(entry(outcome=Outcome.IGNORED), reason="none of our business")
    assert log.append([ignored]) == [None]
    (row,) = log.deliveries(ALL, None, 10)
    assert (row.outcome, row.position, row.reason) == (ignored.outcome, None, ignored.reason)


def test_a_duplicate_has_the_position_of_its_original(log: EventLog) -> None:
    earlier = replace(entry(outcome=Outcome.DUPLICATE, body=None), position=Position(0, 1))
    log.append([entry(event("s/a", 1))])
    same_batch = replace(entry(outcome=Outcome.DUPLICATE, body=None), duplicate_of=0)
    positions = log.append([entry(event("s/b", 1)), same_batch, earlier])
    assert positions == [Position(0, 2), Position(0, 2), Position(0, 1)]
    assert [row.position for row in log.deliveries(ALL, None, 3)] == positions[::-1]


def test_the_delivery_log_keeps_times_outcome_and_body(log: EventLog, clock: FakeClock) -> None:
    clock.advance(seconds=1, microseconds=7)
    log.append([entry(event("s/a", 1), body=b"\x00raw\xff")])
    (row,) = log.deliveries(ALL, None, 10)
    assert row.received_at == START
    assert row.recorded_at == clock.now
    assert (row.provider, row.outcome, row.stream) == ("sevi", Outcome.RECORDED, "s/a")
    assert row.body_hash == "00" * 32
    assert log.delivery(row.id) == row
    (kept,) = log.bodies([row.id])
    assert kept == (row.id, row.body_hash, b"\x00raw\xff", None, "s/a", 1, "PaymentReceived")


def test_the_delivery_log_is_listed_newest_first_by_outcome_and_page(log: EventLog) -> None:
    for outcome in (Outcome.IGNORED, Outcome.QUARANTINED, Outcome.IGNORED):
        log.append([entry(outcome=outcome)])
    newest, oldest = log.deliveries([Outcome.IGNORED], None, 10)
    assert newest.id > oldest.id
    assert log.deliveries([Outcome.IGNORED], newest.id, 10) == [oldest]
    assert log.deliveries(ALL, None, 1) == [newest]


def test_recording_times_never_go_back_even_if_the_clock_does(
    log: EventLog, clock: FakeClock
) -> None:
    clock.advance(hours=1)
    log.append([entry(event("s/a", 1))])
    later = clock.now
    clock.advance(hours=-2)
    log.append([entry(event("s/a", 2))])
    clock.advance(hours=3)
    log.append([entry(event("s/a", 3))])
    assert [at.recorded_at for at in log.read(None, 9)] == [later, later, clock.now]


def test_an_append_wakes_who_waits_for_it(log: EventLog) -> None:
    woken = Event()
    log.on_append(woken.set)
    log.append([entry(event("s/a", 1))])
    assert woken.is_set()


def test_an_append_says_before_it_waits_for_the_database(log: EventLog) -> None:
    stored: list[bool] = []
    log.on_wait(lambda: stored.append(bool(log.head())))
    log.append([entry(event("s/a", 1))])
    assert stored == [False]


def test_many_writers_of_one_order_each_version_is_won_once(log: EventLog) -> None:
    def race(version: int) -> bool:
        try:
            log.append([entry(event("s/a", version))])
        except VersionConflict:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        won = list(threads.map(race, [version for version in range(1, 26) for _ in range(8)]))
    assert sum(won) == 25
    assert len(log.read(None, 1000)) == 25


def test_a_tail_reader_misses_nothing_under_concurrent_writers(log: EventLog) -> None:
    writers, batches = 4, 40
    done = Event()
    seen: list[tuple[str, int]] = []

    def tail() -> None:
        after: Position | None = None
        while True:
            finished = done.is_set()
            page = log.read(after, 7)
            for at in page:
                assert at.position.index == (after.index if after else 0) + 1, "a gap was visible"
                after = at.position
                seen.append((str(at.event.originator_id), at.event.originator_version))
            if finished and not page:
                return

    def write(writer: int) -> None:
        for n in range(batches):
            events = [event(f"s/{writer}-{n}", version) for version in (1, 2, 3)]
            log.append([entry(*events)])

    with ThreadPoolExecutor(writers + 1) as threads:
        tailing = threads.submit(tail)
        for written in [threads.submit(write, writer) for writer in range(writers)]:
            written.result()
        done.set()
        tailing.result()
    expected = {
        (f"s/{w}-{n}", v) for w in range(writers) for n in range(batches) for v in (1, 2, 3)
    }
    assert len(seen) == len(set(seen))
    assert set(seen) == expected


def test_bodies_of_eight_megabytes_are_kept_whole(log: EventLog) -> None:
    body = bytes(range(256)) * 32 * 1024
    log.append([entry(event("s/a", 1), body=body)])
    (kept,) = log.bodies([log.deliveries(ALL, None, 1)[0].id])
    assert kept.sealed == body


def test_what_a_delivery_brought_besides_its_body_is_kept(log: EventLog) -> None:
    told = replace(
        entry(outcome=Outcome.QUARANTINED),
        body_bytes=2,
        address="192.0.2.7",
        key_id="autumn",
    )
    log.append([told])
    (row,) = log.deliveries(tuple(Outcome), None, 10)
    assert (row.body_bytes, row.address, row.key_id) == (2, "192.0.2.7", "autumn")
    assert (row.origin, row.replay_of) == (Origin.WEBHOOK, None)


def test_what_is_set_aside_stays_so_until_it_is_taken_in_or_discarded(log: EventLog) -> None:
    aside = entry(outcome=Outcome.QUARANTINED)
    log.append(
        [aside, entry(event("default/1", 1)), replace(aside, outcome=Outcome.IGNORED), aside]
    )
    assert [row.id for row in log.set_aside(None, 10)] == [4, 3, 1]
    assert [row.id for row in log.set_aside(4, 1)] == [3]

    again = replace(aside, body=None, origin=Origin.REPLAY, replay_of=1)
    log.append([again])
    assert [row.id for row in log.set_aside(None, 10)] == [4, 3, 1]
    assert log.settled_by(1) is None

    taken_in = replace(entry(event("default/2", 1), body=None), origin=Origin.REPLAY, replay_of=1)
    discarded = replace(again, outcome=Outcome.DISCARDED, replay_of=4)
    log.append([taken_in, discarded])
    assert [row.id for row in log.set_aside(None, 10)] == [3]
    settled = log.settled_by(1)
    assert settled is not None
    assert (settled.outcome, settled.origin, settled.replay_of) == ("recorded", "replay", 1)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (DeliveryFilter(), [5, 4, 3, 2, 1]),
        (DeliveryFilter(provider="till"), [4]),
        (DeliveryFilter(stream="default/1"), [5, 3, 1]),
        (DeliveryFilter(stream="default/nobody"), []),
        (DeliveryFilter(store="uganda", providers=["till"]), [4, 2]),
        (DeliveryFilter(store="uganda"), [2]),
        (DeliveryFilter(store="uganda", stream="default/1"), []),
        (DeliveryFilter(store="default", providers=["sevi"]), [5, 3, 1]),
        (DeliveryFilter(store="default", provider="sevi", stream="default/1"), [3, 1]),
        (DeliveryFilter(since=START + timedelta(hours=1)), [5, 4, 3, 2]),
        (DeliveryFilter(until=START + timedelta(hours=3)), [3, 2, 1]),
        (DeliveryFilter(since=START + timedelta(hours=1, microseconds=1)), [5, 4, 3]),
        (DeliveryFilter(provider="sevi", since=START + timedelta(hours=2)), [5, 3]),
    ],
)
def test_the_delivery_log_is_asked_for_what_is_wanted(
    log: EventLog, clock: FakeClock, wanted: DeliveryFilter, found: list[int]
) -> None:
    """Delivery 5 tells of two orders, so its row names none."""
    for one in (
        entry(event("default/1", 1)),
        entry(event("uganda/1", 1)),
        replace(entry(outcome=Outcome.DUPLICATE), stream="default/1"),
        replace(entry(outcome=Outcome.QUARANTINED), provider="till"),
        replace(entry(event("default/1", 2), event("default/2", 1)), stream=None),
    ):
        log.append([one])
        clock.advance(hours=1)
    assert [row.id for row in log.deliveries(ALL, None, 10, wanted)] == found
    assert [row.id for row in log.deliveries(ALL, 3, 1, wanted)] == [i for i in found if i < 3][:1]
    aside = [number for number in found if number == 4]
    assert [row.id for row in log.set_aside(None, 10, wanted)] == aside
