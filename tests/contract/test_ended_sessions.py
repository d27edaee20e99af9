"""The sessions that somebody signed out of: known to every process, for as long as it matters."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from adapters.storage.ended_sessions import EndedSessions
from adapters.storage.opening import open_storage
from adapters.storage.views import Views

NOW = datetime(2026, 1, 5, 7, 30, tzinfo=UTC)
LATER = NOW + timedelta(hours=8)


@pytest.fixture
def views(url: str) -> Iterator[Views]:
    storage = open_storage(url, ())
    yield storage.views
    storage.close()


def test_an_ended_session_is_known_to_other_processes(url: str, views: Views) -> None:
    EndedSessions(views).add("one", NOW, LATER)
    EndedSessions(views).add("one", NOW, LATER)
    other = open_storage(url, ())
    ended = EndedSessions(other.views)
    assert (ended.has("one"), ended.has("another")) == (True, False)
    other.close()


def test_none_is_kept_longer_than_it_would_have_lasted(views: Views) -> None:
    ended = EndedSessions(views)
    ended.add("one", NOW, LATER)
    ended.add("two", LATER - timedelta(microseconds=1), LATER + timedelta(hours=1))
    assert ended.has("one"), "its cookie would still be good"
    ended.add("three", LATER, LATER + timedelta(hours=8))
    assert [ended.has(name) for name in ("one", "two", "three")] == [False, True, True]
