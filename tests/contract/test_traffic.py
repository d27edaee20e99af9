"""Who calls, followed through the delivery log of both databases."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.read_models.traffic import TrafficWatch
from adapters.storage.log import LogEntry
from adapters.storage.opening import Storage, open_storage
from domain.payment import Origin, Outcome
from projections.traffic import SecretUse
from tests.contract.logs import DATABASES, START, FakeClock

HOUR = timedelta(hours=1)
SILENCE = {"sevi": 3600, "never": 3600, "off": 0}


@pytest.fixture(params=DATABASES)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
    opened = open_storage(url, ())
    yield opened
    opened.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def watch(storage: Storage, clock: FakeClock) -> TrafficWatch:
    return another(storage, clock)


def another(storage: Storage, clock: FakeClock) -> TrafficWatch:
    return TrafficWatch(storage.log, storage.traffic, SILENCE, clock)


def delivery(hours: int, key_id: str = "new", provider: str = "sevi") -> LogEntry:
    at = START + hours * HOUR
    return LogEntry(provider, Outcome.DUPLICATE, at, "00" * 32, key_id=key_id)


def test_who_called_is_known_with_the_secret_that_proved_it(
    storage: Storage, watch: TrafficWatch
) -> None:
    storage.log.append([delivery(0, "old"), delivery(1, "old"), delivery(2, "new")])
    watch.catch_up()
    storage.log.append([delivery(3, "new"), delivery(4, "other", "off")])
    watch.catch_up()
    known = watch.traffic()
    assert known.secrets == {
        ("sevi", "old"): SecretUse(2, START + HOUR),
        ("sevi", "new"): SecretUse(2, START + 3 * HOUR),
        ("off", "other"): SecretUse(1, START + 4 * HOUR),
    }
    rhythm = known.rhythms["sevi"]
    assert (rhythm.deliveries, rhythm.last_delivery_at) == (4, START + 3 * HOUR)
    assert list(rhythm.longest_gaps.values()) == [HOUR]


def test_a_replay_an_import_and_a_decision_are_no_calls(
    storage: Storage, watch: TrafficWatch
) -> None:
    called = delivery(0)
    storage.log.append(
        [
            called,
            *(replace(delivery(1), origin=origin) for origin in Origin if origin != "webhook"),
            replace(delivery(2), replay_of=1),
        ]
    )
    watch.catch_up()
    assert watch.traffic().secrets == {("sevi", "new"): SecretUse(1, START)}


def test_every_delivery_is_taken_in_once_however_many_follow(
    storage: Storage, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.read_models.traffic.BATCH_SIZE_MAX", 3)
    both = [another(storage, clock), another(storage, clock)]
    for number in range(5):
        storage.log.append([delivery(number)] * 4)
        for watch in both:
            watch.catch_up()
    assert both[0].traffic().rhythms["sevi"].deliveries == 20


def test_who_was_overtaken_by_another_process_writes_nothing(
    storage: Storage, watch: TrafficWatch
) -> None:
    storage.log.append([delivery(0), delivery(1)])
    before = storage.traffic.read()
    watch.catch_up()
    upto, known = storage.traffic.read()
    assert not storage.traffic.write(before[0], 1, before[1], known)
    assert storage.traffic.read() == (upto, known) == (2, known)


def test_a_silence_is_told_once_when_it_begins_and_once_when_it_ends(
    storage: Storage, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    storage.log.append([delivery(0), delivery(0, provider="off")])
    told = []
    for hours in (0.5, 1.5, 2, 2.5):
        clock.now = START + hours * HOUR
        if hours == 2.5:
            storage.log.append([replace(delivery(2), received_at=clock.now)])
        for _ in range(2):  # two processes, or one that was started anew
            watch = another(storage, clock)
            watch.catch_up()
            watch.judge()
        told.append([r.__dict__["provider"] for r in caplog.records])
    assert told == [[], ["sevi"], ["sevi"], ["sevi", "sevi"]]
    begins, ends = caplog.records
    assert (begins.levelname, ends.levelname) == ("WARNING", "INFO")
    assert begins.__dict__["last_delivery_at"] == START.isoformat()
    assert begins.__dict__["allowed_gap_seconds"] == 3600


def test_the_standing_of_every_configured_provider_is_known(
    storage: Storage, watch: TrafficWatch, clock: FakeClock
) -> None:
    storage.log.append([delivery(0), delivery(0, provider="gone")])
    watch.catch_up()
    clock.advance(hours=2)
    standings = watch.standings()
    assert set(standings) == set(SILENCE)
    assert standings["sevi"].is_silent
    assert standings["sevi"].allowed_gap == HOUR
    assert not standings["never"].is_silent, "it may not have been set up yet"
