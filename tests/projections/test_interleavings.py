"""Operators act on read models side by side: in whatever order their steps fall, one generation is
live, its tables are there, and who came too late is told so in words."""

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import pytest

from adapters.read_models.read_model import FAILURES, explained
from adapters.read_models.rebuilding import Rebuild
from adapters.storage.rebuilds import Rebuilds, Refused
from projections.model import Generation, State
from projections.order_status import ORDER_STATUS, ORDERS, REFERENCES
from tests.projections.conftest import Models

ORDERS_THERE = 3
Act = Callable[[Rebuild], None]


def _quiet(done: int, whole: int) -> None:
    assert 0 <= done <= whole


def rebuild(work: Rebuild) -> None:
    """What `projections rebuild` does, without the switch."""
    work.lead()
    made = work.built or work.build(1, "", _quiet)
    report = work.compare(made, 1)
    work.steps.settle(made, report.model_dump_json())


def switch(work: Rebuild) -> None:
    waiting = work.built or work.undone
    if waiting is None:
        raise Refused("nothing waits")
    work.switch(waiting)


def roll_back(work: Rebuild) -> None:
    work.roll_back()


def drop(work: Rebuild) -> None:
    """What `projections drop` does where no generation is named."""
    live = work.live.number
    for each in work.storage.views.generations("order_status"):
        if each.number != live:
            work.steps.drop("order_status", each.number)


ACTS: tuple[Act, ...] = (rebuild, switch, roll_back, drop)
BEGINNINGS: dict[str, tuple[Act, ...]] = {
    "one live": (),
    "one waits": (rebuild,),
    "one kept": (rebuild, switch),
    "one kept, one waits": (rebuild, switch, rebuild),
    "one taken back": (rebuild, switch, roll_back),
    "one taken back, one waits": (rebuild, switch, roll_back, rebuild),
}
# Before each of these steps of an act another operator may come in.
SEAMS = [
    (rebuild, Rebuild, "build"),
    (rebuild, Rebuild, "compare"),
    (rebuild, Rebuilds, "settle"),
    (switch, Rebuild, "catch_up"),
    (switch, Rebuilds, "switch"),
    (roll_back, Rebuild, "catch_up"),
    (roll_back, Rebuilds, "switch"),
    (drop, Rebuilds, "drop"),
]


def _told(act: Act, work: Rebuild) -> None:
    told: list[str] = []
    try:
        act(work)
    except FAILURES as error:
        told.append(explained(error))
    assert all(told), "whoever comes too late is told so in words"


def _see_that_all_is_well(models: Models, what: str) -> None:
    views = models.storage.views
    every = views.generations("order_status")
    live = [g for g in every if g.state is State.LIVE]
    assert len(live) == 1, (what, every)
    assert len(views.select(ORDERS, "")) == ORDERS_THERE, what
    with views.transaction(commit=False) as c:
        for each in every:
            for table in (ORDERS, REFERENCES):
                c.execute(f"SELECT count(*) FROM {each.name_of(table.name)}")
    models.follow(ORDER_STATUS)


def _come_in(models: Models, act: Act, work: Rebuild, what: str) -> None:
    _told(act, work)
    _see_that_all_is_well(models, what)


def _with_somebody_before(step: Callable[..., Any], come_in: Callable[[], None]) -> Any:
    """A step before which, the first time, somebody comes in."""
    waiting = [come_in]

    def interrupted(*args: Any, **named: Any) -> Any:
        if waiting:
            waiting.pop()()
        return step(*args, **named)

    return interrupted


@pytest.fixture
def work(models: Models) -> Rebuild:
    models.record(ORDERS_THERE)
    models.follow(ORDER_STATUS)
    return Rebuild(models.storage, ORDER_STATUS)


def _undo(models: Models) -> None:
    """Begin anew: nothing but a first generation that is live."""
    with models.storage.views.transaction(commit=True) as c:
        c.execute("SELECT projection, number FROM generations")
        for projection, number in list(map(tuple, c.fetchall())):
            for table in (ORDERS, REFERENCES):
                if projection == "order_status":
                    c.execute(f"DROP TABLE IF EXISTS {table.name}__g{number:d}")
        c.execute("DELETE FROM generations WHERE projection = 'order_status'")
        c.execute("DELETE FROM slices")
        c.execute("DELETE FROM tracking WHERE substr(application_name, 1, 13) = 'order_status@'")
    models.storage.views.prepare((ORDER_STATUS,))
    models.follow(ORDER_STATUS)


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_whoever_comes_in_between_two_steps_one_generation_is_live(
    models: Models, work: Rebuild, beginning: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Rebuild(models.another(), ORDER_STATUS)
    for (begun, owner, seam), between in product(SEAMS, ACTS):
        _undo(models)
        for act in BEGINNINGS[beginning]:
            act(work)
        what = f"{beginning}: {between.__name__} before {seam} in {begun.__name__}"
        come_in = partial(_come_in, models, between, other, what)
        with monkeypatch.context() as patched:
            patched.setattr(owner, seam, _with_somebody_before(getattr(owner, seam), come_in))
            _told(begun, work)
        _see_that_all_is_well(models, what)


def test_what_was_switched_to_while_it_was_compared_stays_live(
    models: Models, work: Rebuild
) -> None:
    rebuild(work)
    again = _waiting(work)
    report = work.compare(again, 1)
    other = Rebuild(models.another(), ORDER_STATUS)
    other.switch(_waiting(other))
    with pytest.raises(Refused, match="generation 2 of order_status is live already"):
        work.steps.settle(again, report.model_dump_json())
    assert work.live.number == 2
    _see_that_all_is_well(models, "settled after a switch")


def test_what_was_dropped_while_it_was_compared_stays_dropped(
    models: Models, work: Rebuild
) -> None:
    rebuild(work)
    again = _waiting(work)
    report = work.compare(again, 1)
    Rebuild(models.another(), ORDER_STATUS).steps.drop("order_status", again.number)
    with pytest.raises(Refused, match="generation 2 of order_status is not there any more"):
        work.steps.settle(again, report.model_dump_json())
    _see_that_all_is_well(models, "settled after a drop")


def test_a_switch_of_what_is_live_or_dropped_by_now_is_refused_in_words(
    models: Models, work: Rebuild
) -> None:
    rebuild(work)
    waiting = _waiting(work)
    other = Rebuild(models.another(), ORDER_STATUS)
    other.switch(_waiting(other))
    with pytest.raises(Refused, match="dropped or made live meanwhile"):
        work.switch(waiting)
    former = work.roll_back()[0]
    assert former.number == 1
    work.steps.drop("order_status", waiting.number)
    with pytest.raises(Refused, match="dropped or made live meanwhile"):
        work.switch(waiting)


def test_where_none_is_live_every_step_says_so_and_a_switch_mends_it(
    models: Models, work: Rebuild
) -> None:
    """As an earlier release could leave it."""
    rebuild(work)
    with models.storage.views.transaction(commit=True) as c:
        c.execute("UPDATE generations SET state = 'kept' WHERE state = 'live'")
    for act in (roll_back, drop):
        with pytest.raises(Refused, match="no generation of order_status is live"):
            act(work)
    switch(work)
    _see_that_all_is_well(models, "mended")


def _waiting(work: Rebuild) -> Generation:
    found = work.built
    assert found is not None
    return found
