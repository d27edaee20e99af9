"""Every short life of a registered order, and every state that six steps lead to."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import combinations, permutations
from typing import Any

import pytest

from domain.events import Delivered, Disposition, OrderEvent, ReviewReason, ReviewResolved, Verdict
from domain.order import ImpossibleHistory, Order, OrderStatus, Unregistered, evolve, project
from domain.payment import PaymentStatus
from tests.domain.lives import STEPS, Life, check, live, without_versions
from tests.domain.recorded import received

S = PaymentStatus
LENGTH_MAX = 4
STEPS_MAX = 6
STATES_MIN = 500
State = tuple[Any, ...]


def lives(life: Life, length: int) -> int:
    """Live every life that goes on from this one; returns how many steps that were."""
    if length == 0:
        return 0
    steps = 0
    for name in STEPS:
        after = live(life, name)
        check(life, name, after)
        steps += 1 + lives(after, length - 1)
    return steps


def test_every_life_of_up_to_four_steps_keeps_the_rules() -> None:
    assert lives(Life(), LENGTH_MAX) == sum(len(STEPS) ** n for n in range(1, LENGTH_MAX + 1))


def did(life: Life, name: str, unregistered: Unregistered) -> tuple[Any, ...]:
    """What a step does to an order, without numbers."""
    after = live(life, name, unregistered)
    new = after.events[len(life.events) :]
    names = ("disposition", "status", "reason", "verdict")
    said = [(type(event), *(getattr(event, name, None) for name in names)) for event in new]
    return (*said, without_versions(after.order))


# What is parked is kept in its order, so fewer kinds of it make as many states.
PARKED = ["PAID", "one half", "the other half", "REFUNDED", "placed", "duplicate", "accepted"]


@pytest.mark.parametrize(
    ("unregistered", "names"), [(Unregistered.TAKE, list(STEPS)), (Unregistered.PARK, PARKED)]
)
def test_every_state_that_six_steps_lead_to_keeps_the_rules(
    unregistered: Unregistered, names: list[str]
) -> None:
    """Equal states are merged; for each, a second life that leads to it has the same future."""
    states: dict[State, Life] = {without_versions(Life().order): Life()}
    twins: set[State] = set()
    newest = dict(states)
    for _ in range(STEPS_MAX):
        reached: dict[State, Life] = {}
        for life in newest.values():
            for name in names:
                after = live(life, name, unregistered)
                check(life, name, after)
                state = without_versions(after.order)
                first = states.get(state) or reached.setdefault(state, after)
                if state not in twins and first.events != after.events:
                    twins.add(state)
                    for step in names:
                        assert did(first, step, unregistered) == did(after, step, unregistered)
        newest = {state: life for state, life in reached.items() if state not in states}
        states |= newest
    assert len(states) > STATES_MIN
    assert twins
    refuse_what_nothing_decided(states.values())


def refuse_what_nothing_decided(lives: Iterable[Life]) -> None:
    for life in lives:
        for forged in forgeries(life.order):
            with pytest.raises(ImpossibleHistory):
                evolve(life.order, forged)
            with pytest.raises(ImpossibleHistory):  # nor does a later event mend it
                project(
                    life.order,
                    [forged, replace(forged, originator_version=forged.originator_version + 1)],
                )


def forgeries(order: Order) -> Iterator[OrderEvent]:
    """Events that no decision makes of an order as it stands between two steps."""
    identity: dict[str, Any] = {
        "originator_id": order.id,
        "originator_version": order.version + 1,
    }
    for version in range(order.version + 1):
        yield Delivered(**identity, caused_by=version)
        yield Delivered(**identity, caused_by=version, decision=order.version)
    other = (
        ReviewReason.REFUNDED
        if order.review is not ReviewReason.REFUNDED
        else ReviewReason.DISPUTED
    )
    yield ReviewResolved(
        **identity, review=other, verdict=Verdict.ACCEPTED, by="token ann", reason="none"
    )
    if order.placed is not None:
        short: dict[str, Any] = {
            "status": S.PAID,
            "amount": order.placed.amount - 1,
            "currency": "KES",
        }
        yield received(order.version + 1, disposition=Disposition.APPLIED, **short)
        yield received(order.version + 1, disposition=Disposition.PARKED)


# News whose order does not matter: no money goes back, and no more comes than was to be paid.
ANY_ORDER = [
    "PAID", "PAID too little", "PAID in another currency", "one half", "the other half",
    "PENDING", "FAILED", "CANCELLED", "EXPIRED",
]  # fmt: skip


@pytest.mark.parametrize("count", range(1, 5))
def test_the_same_news_in_any_order_delivers_or_not(count: int) -> None:
    for news in combinations(ANY_ORDER, count):
        ends = {end_of("placed", *told) for told in permutations(news)}
        pays = "PAID" in news or {"one half", "the other half"} <= set(news)
        assert ends == {pays}, news


@pytest.mark.parametrize("count", range(1, 4))
def test_where_orders_have_to_be_registered_it_does_not_matter_when_they_are(count: int) -> None:
    for news in combinations(ANY_ORDER, count):
        pays = "PAID" in news or {"one half", "the other half"} <= set(news)
        for told in permutations((*news, "placed")):
            assert end_of(*told, unregistered=Unregistered.PARK) == pays, told


def end_of(*names: str, unregistered: Unregistered = Unregistered.TAKE) -> bool:
    """Whether the order is delivered in the end."""
    life = Life()
    for name in names:
        life = live(life, name, unregistered)
    return life.order.status is OrderStatus.DELIVERED
