"""Who calls: a provider's usual gap is learnt from its days, and a longer one is a silence."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.traffic import Arrival, Rhythm, SecretUse, Traffic, fold

MONDAY = datetime(2026, 1, 5, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def calls(times: Iterable[datetime], key_id: str | None = "new", called: bool = True) -> Traffic:
    return fold(Traffic(), arrivals(times, key_id, called))


def arrivals(
    times: Iterable[datetime], key_id: str | None = "new", called: bool = True
) -> list[Arrival]:
    return [Arrival(n, at, "sevi", key_id, called) for n, at in enumerate(times, 1)]


def rhythm(times: Iterable[datetime]) -> Rhythm:
    return calls(times).rhythms["sevi"]


def shop_days(days: int, first: datetime = MONDAY) -> list[datetime]:
    """A delivery every quarter of an hour from 8:00 to 20:00."""
    return [
        first + day * DAY + quarter * HOUR / 4
        for day in range(days)
        for quarter in range(12 * 4 + 1)
    ]


def test_the_usual_gap_of_a_shop_that_sleeps_is_its_night() -> None:
    known = rhythm(shop_days(5))
    assert known.usual_gap == 12 * HOUR
    assert known.allowed_gap(None) == 18 * HOUR


def test_closing_on_sundays_is_no_silence() -> None:
    weeks = [shop_days(6, MONDAY + week * 7 * DAY) for week in range(3)]
    known = rhythm(at for week in weeks for at in week)
    assert known.usual_gap == 36 * HOUR, "from Saturday evening to Monday morning"
    assert not known.is_silent(None, known.last_delivery_at + 36 * HOUR)


def test_one_outage_is_not_taken_for_a_habit() -> None:
    before, after = shop_days(5), shop_days(5, MONDAY + 8 * DAY)
    assert rhythm([*before, *after]).usual_gap == 12 * HOUR


def test_a_provider_that_always_calls_may_be_quiet_for_an_hour() -> None:
    every_minute = [MONDAY + timedelta(minutes=n) for n in range(4 * 24 * 60)]
    known = rhythm(every_minute)
    assert known.usual_gap == timedelta(minutes=1)
    assert not known.is_silent(None, known.last_delivery_at + HOUR)
    assert known.is_silent(None, known.last_delivery_at + HOUR + timedelta(seconds=1))


def test_old_habits_are_forgotten_after_fourteen_days() -> None:
    slow = [MONDAY + n * 20 * HOUR for n in range(20)]
    busy = shop_days(15, slow[-1] + DAY)
    assert rhythm(slow).usual_gap == 20 * HOUR
    assert rhythm([*slow, *busy]).usual_gap == 12 * HOUR


@pytest.mark.parametrize(
    "times",
    [
        [MONDAY],
        [MONDAY + n * DAY for n in range(19)],
        [MONDAY + timedelta(minutes=n) for n in range(60)],
        shop_days(2),
    ],
    ids=["one", "nineteen", "one day", "two days"],
)
def test_of_who_is_little_known_nothing_is_judged(times: list[datetime]) -> None:
    known = rhythm(times)
    assert known.usual_gap is None
    assert not known.is_silent(None, known.last_delivery_at + 365 * DAY)


def test_what_is_configured_goes_over_what_is_learnt() -> None:
    few, many = rhythm([MONDAY]), rhythm(shop_days(5))
    for known in (few, many):
        last = known.last_delivery_at
        assert not known.is_silent(300, last + timedelta(seconds=300))
        assert known.is_silent(300, last + timedelta(seconds=301))
        assert not known.is_silent(0, last + 365 * DAY), "0 turns it off"


def test_what_a_person_takes_in_again_or_imports_shows_no_life_and_no_use() -> None:
    assert calls(shop_days(5), called=False) == Traffic()


def test_each_secret_has_its_count_and_its_last_use() -> None:
    known = calls([MONDAY, MONDAY + HOUR], "old")
    known = fold(known, arrivals([MONDAY + 2 * HOUR], "new"))
    known = fold(known, arrivals([MONDAY + 3 * HOUR], None))
    assert known.secrets == {
        ("sevi", "old"): SecretUse(2, MONDAY + HOUR),
        ("sevi", "new"): SecretUse(1, MONDAY + 2 * HOUR),
    }
    assert known.rhythms["sevi"].deliveries == 4, "what names no secret is a delivery too"


times = st.lists(st.integers(0, 40 * 24 * 60).map(lambda n: MONDAY + timedelta(minutes=n)))


@given(times, st.integers(0, 30))
def test_it_makes_no_difference_where_a_batch_ends(times: list[datetime], cut: int) -> None:
    rows = arrivals(times)
    assert fold(fold(Traffic(), rows[:cut]), rows[cut:]) == fold(Traffic(), rows)


@given(times)
def test_what_is_kept_of_a_provider_is_bounded_and_true(times: list[datetime]) -> None:
    known = calls(times).rhythms.get("sevi")
    if known is None:
        assert times == []
        return
    assert known.deliveries == len(times)
    assert known.last_delivery_at == max(times)
    assert len(known.longest_gaps) <= 14
    assert all(gap > timedelta(0) for gap in known.longest_gaps.values())
