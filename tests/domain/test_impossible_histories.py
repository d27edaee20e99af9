"""Histories that no sequence of decisions can give: `evolve` refuses them. And it is pure."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from domain.events import (
    Verdict,
)
from domain.order import (
    EVENT_TYPES,
    Consequence,
    Disposition,
    ImpossibleHistory,
    News,
    Order,
    OrderEvent,
    ReviewReason,
    Unregistered,
    evolve,
    project,
)
from domain.payment import Payment, PaymentStatus
from domain.registration import move
from tests.domain.harness import ACCEPTED, REJECTED, Happens, fold, happen, placement
from tests.domain.recorded import (
    ID,
    conflicted,
    delivered,
    erased,
    facts,
    failed,
    moved,
    part,
    placed,
    received,
    resolved,
    review,
)
from tests.notices import notice

S = PaymentStatus
APPLIED, NOTED, STALE, HELD, PARKED = Disposition


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped(OrderEvent):
    """An event that no order knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused(Consequence):
    """A consequence that no order knows."""


PAID = [received(1), delivered(2, 1)]
HELD_PAID = [received(1, S.REFUNDED), review(2, 1), received(3, S.PAID, HELD)]
REPEATED: dict[str, Any] = {"delivery_key": "evt_1", "body_hash": f"{1:064x}"}
FROM_ANOTHER: dict[str, Any] = {"provider": "stripe"}
RIGHT: dict[str, Any] = {"amount": Decimal("902.10"), "currency": "KES"}
SHORT: dict[str, Any] = {"amount": Decimal(902), "currency": "KES"}
UNDERPAID = [
    placed(1), received(2, S.PAID, HELD, **SHORT), review(3, 2, ReviewReason.UNDERPAID)
]  # fmt: skip
OTHERS_PAID = [received(1, S.PENDING), received(2, S.PAID, HELD, **FROM_ANOTHER, **RIGHT)]
COMPLETING: dict[str, Any] = {"told_status": S.PARTIALLY_PAID}


class Impossible(NamedTuple):
    """A history whose last event cannot be, and a word of the reason."""

    name: str
    problem: str
    history: list[OrderEvent]
    last: OrderEvent


IMPOSSIBLE = [
    Impossible("a first event that is not version 1", "version", [], received(2)),
    Impossible("a version that is missing", "version", PAID, received(4, disposition=NOTED)),
    Impossible("a version that is double", "version", PAID, received(2, disposition=NOTED)),
    Impossible("a consequence whose version is double", "version", PAID, delivered(2, 1)),
    Impossible(
        "another order's news", "another order", PAID, received(3, originator_id="default/2")
    ),
    Impossible(
        "another order's consequence",
        "another order",
        PAID[:1],
        replace(delivered(2, 1), originator_id="default/2"),
    ),
    Impossible("a consequence as the first event", "does not follow", [], review(1, 0)),
    Impossible("a Delivered without news", "does not follow", [], delivered(1, 1)),
    *(
        Impossible(
            f"a Delivered caused by {status}", "no PAID", [received(1, status)], delivered(2, 1)
        )
        for status in S
        if status not in (S.PAID, S.UNRECOGNIZED)
    ),
    Impossible("a Delivered twice for one PAID", "twice", PAID, delivered(3, 1)),
    Impossible(
        "a Delivered for the second PAID",
        "no PAID",
        [*PAID, received(3, disposition=NOTED)],
        delivered(4, 3),
    ),
    Impossible(
        "a Delivered that names an earlier PAID than the last news",
        "does not follow",
        [*PAID, received(3, disposition=NOTED)],
        delivered(4, 1),
    ),
    *(
        Impossible(f"{name} after a PAID that delivered nothing", "nothing", PAID[:1], news)
        for name, news in {
            "another PAID": received(2, disposition=NOTED),
            "a PENDING": received(2, S.PENDING, STALE),
            "another provider's news": received(2, S.PENDING, STALE, **FROM_ANOTHER),
            "a conflict": conflicted(2, 1, delivery_key="evt_1"),
        }.items()
    ),
    Impossible("a Delivered that names itself", "does not follow", PAID[:1], delivered(2, 2)),
    Impossible(
        "a Delivered that names a consequence",
        "does not follow",
        [received(1, S.REFUNDED), review(2, 1)],
        delivered(3, 2),
    ),
    Impossible("a Delivered after a held PAID", "no PAID", HELD_PAID, delivered(4, 3)),
    *(
        Impossible(f"a first PAID that was {d}", "passed over", [], received(1, S.PAID, d))
        for d in (NOTED, STALE)
    ),
    Impossible(
        "a Delivered for another provider's PAID",
        "no PAID",
        [received(1, S.PENDING), received(2, S.PAID, HELD, **FROM_ANOTHER)],
        delivered(3, 2),
    ),
    Impossible(
        "a Delivered for a conflict",
        "no PAID",
        [received(1, S.PENDING), conflicted(2, 1, delivery_key="evt_1", status=S.PAID)],
        delivered(3, 2),
    ),
    *(
        Impossible(
            f"a PaymentFailed caused by {status}",
            "no failure",
            [received(1, status)],
            failed(2, 1),
        )
        for status in (S.PAID, S.PENDING, S.PARTIALLY_PAID, S.REFUNDED, S.DISPUTED)
    ),
    Impossible("a PaymentFailed after Delivered", "no failure", PAID, failed(3, 1)),
    Impossible(
        "a PaymentFailed for a stale failure",
        "no failure",
        [*PAID, received(3, S.FAILED, STALE)],
        failed(4, 3),
    ),
    Impossible(
        "a PaymentFailed that changes nothing",
        "changes nothing",
        [received(1, S.FAILED), failed(2, 1), received(3, S.EXPIRED)],
        failed(4, 3),
    ),
    *(
        Impossible(f"an applied {status} after a PAID", "applied", PAID, received(3, status))
        for status in (S.PAID, S.PENDING, S.PARTIALLY_PAID, S.FAILED, S.CANCELLED, S.EXPIRED)
    ),
    Impossible("an applied unknown word", "applied", [], received(1, S.UNRECOGNIZED)),
    Impossible("an applied PAID after a refund", "applied", HELD_PAID[:2], received(3)),
    Impossible(
        "an applied PENDING after a held PAID", "applied", HELD_PAID, received(4, S.PENDING)
    ),
    Impossible(
        "applied news of another provider",
        "another provider",
        [received(1, S.PENDING)],
        received(2, S.PENDING, **FROM_ANOTHER),
    ),
    Impossible(
        "the same delivery twice",
        "recorded before",
        [received(1, S.PENDING)],
        received(2, S.PENDING, **REPEATED),
    ),
    Impossible(
        "the same delivery twice, read in another way",
        "recorded before",
        [received(1, S.PENDING)],
        received(2, S.PAID, **REPEATED),
    ),
    Impossible(
        "one key for two bodies, neither of them a conflict",
        "recorded before",
        [received(1, S.UNRECOGNIZED, HELD)],
        received(2, S.PENDING, delivery_key="evt_1"),
    ),
    Impossible(
        "an unknown word twice",
        "recorded before",
        [received(1, S.UNRECOGNIZED, HELD)],
        received(2, S.UNRECOGNIZED, HELD, **REPEATED),
    ),
    Impossible(
        "a word that became known twice",
        "recorded before",
        [received(1, S.UNRECOGNIZED, HELD), received(2, S.PENDING, **REPEATED)],
        received(3, S.PENDING, **REPEATED),
    ),
    Impossible("a conflict as the first event", "no original", [], conflicted(1, 1)),
    Impossible("a conflict under a new key", "no original", PAID, conflicted(3, 1)),
    Impossible(
        "a conflict that names another delivery",
        "no original",
        [received(1, S.PENDING), received(2, S.PENDING)],
        conflicted(3, 1, delivery_key="evt_2"),
    ),
    Impossible(
        "a conflict with another provider's delivery",
        "no original",
        PAID,
        conflicted(3, 1, delivery_key="evt_1", **FROM_ANOTHER),
    ),
    Impossible(
        "an applied PAID with less than was registered",
        "applied",
        [placed(1)],
        received(2, S.PAID, **SHORT),
    ),
    Impossible(
        "an applied PAID without an amount, of a registered order",
        "applied",
        [placed(1)],
        received(2, S.PAID),
    ),
    Impossible("a Delivered for a PAID that is held", "no PAID", UNDERPAID[:2], delivered(3, 2)),
    Impossible(
        "a Delivered without the decision that lets it count",
        "no PAID",
        UNDERPAID,
        delivered(4, 2),
    ),
    Impossible(
        "a Delivered that names a decision which is none",
        "does not follow",
        UNDERPAID,
        delivered(4, 2, decision=3),
    ),
    Impossible(
        "a Delivered by a decision, for another PAID than the one that waited",
        "does not count",
        [*UNDERPAID, resolved(4)],
        delivered(5, 1, decision=4),
    ),
    Impossible(
        "a Delivered although the review was rejected",
        "no PAID",
        [*UNDERPAID, resolved(4, Verdict.REJECTED)],
        delivered(5, 2, decision=4),
    ),
    Impossible(
        "a Delivered by a verdict about another review",
        "does not count",
        [
            *UNDERPAID,
            received(4, S.UNRECOGNIZED, HELD),
            review(5, 4),
            resolved(6, reason=ReviewReason.REFUNDED),
        ],
        delivered(7, 2, decision=6),
    ),
    Impossible(
        "a Delivered twice by one decision",
        "twice|no PAID",
        [*UNDERPAID, resolved(4), delivered(5, 2, decision=4)],
        delivered(6, 2, decision=4),
    ),
    Impossible(
        "news after an acceptance that delivered nothing",
        "nothing",
        [*UNDERPAID, resolved(4)],
        received(5, S.PENDING, STALE),
    ),
    Impossible(
        "news after a registration that delivered nothing",
        "nothing",
        [*OTHERS_PAID, placed(3)],
        received(4, S.PENDING, STALE),
    ),
    Impossible(
        "a Delivered by a registration with another amount",
        "does not count",
        [*OTHERS_PAID, placed(3, "1")],
        delivered(4, 2, decision=3),
    ),
    Impossible(
        "a Delivered by a registration that no PAID waited for",
        "no PAID",
        [placed(1)],
        delivered(2, 1, decision=1),
    ),
    Impossible(
        "another registration after news",
        "came before",
        [placed(1), received(2, S.PENDING)],
        placed(3),
    ),
    Impossible(
        "a registration of another order",
        "another order",
        [],
        replace(placed(1), originator_id="default/2"),
    ),
    Impossible("a verdict about no review", "not open", [placed(1)], resolved(2)),
    Impossible(
        "a verdict about a review that is closed",
        "not open",
        [*UNDERPAID, resolved(4, Verdict.REJECTED)],
        resolved(5),
    ),
    Impossible(
        "a verdict about another review",
        "not open",
        UNDERPAID,
        resolved(4, reason=ReviewReason.REFUNDED),
    ),
    Impossible(
        "a part that completes an order which nobody registered",
        "completes",
        [],
        part(1, "902.10", **COMPLETING),
    ),
    Impossible(
        "a part that completes less than the amount",
        "completes",
        [placed(1)],
        part(2, "902", **COMPLETING),
    ),
    Impossible(
        "a refund that completes the amount",
        "completes",
        [placed(1)],
        part(2, "902.10", status=S.PAID, told_status=S.REFUNDED),
    ),
    Impossible(
        "news of a registered order that is parked",
        "parked",
        [placed(1)],
        received(2, S.PAID, PARKED),
    ),
    Impossible(
        "parked news twice",
        "recorded before",
        [received(1, S.PAID, PARKED)],
        received(2, S.PAID, PARKED, **REPEATED),
    ),
    Impossible(
        "a Delivered for parked news",
        "no PAID",
        [received(1, S.PAID, PARKED)],
        delivered(2, 1),
    ),
    Impossible("parked news that moved, and there is none", "nothing is parked", PAID, moved(3)),
    Impossible(
        "parked news that moved twice",
        "nothing is parked",
        [received(1, S.PAID, PARKED), moved(2)],
        moved(3),
    ),
    Impossible(
        "parked news that moved away from a registered order",
        "nothing is parked",
        [received(1, S.PAID, PARKED), placed(2)],
        moved(3),
    ),
    Impossible(
        "an event of an unknown type",
        "Shipped",
        PAID,
        Shipped(originator_id=ID, originator_version=3),
    ),
    Impossible(
        "a consequence of an unknown type",
        "Refused",
        PAID,
        Refused(originator_id=ID, originator_version=3, caused_by=1),
    ),
]


@pytest.mark.parametrize("case", IMPOSSIBLE, ids=lambda case: case.name)
def test_evolve_refuses_and_leaves_the_order_as_it_was(case: Impossible) -> None:
    order = fold(Order(ID), case.history)
    before = deepcopy(order)
    with pytest.raises(ImpossibleHistory, match=case.problem):
        evolve(order, case.last)
    with pytest.raises(ImpossibleHistory, match=case.problem):
        project(order, [case.last])
    assert order == before


def test_evolve_refuses_news_of_an_unknown_type() -> None:
    with pytest.raises(ImpossibleHistory):
        evolve(Order(ID), News(**facts(1, S.PAID, {})))


# Stories that have every type of event: the facts that each state keeps are all touched.
Story = list[Happens]
STORIES: list[Story] = [
    [
        notice(status=S.UNRECOGNIZED, body=b"one"),
        notice(status=S.FAILED),
        notice(status=S.PENDING, delivery_key="evt_1"),
        notice(status=S.PAID, delivery_key="evt_1"),
        notice(status=S.PAID, body=b"one"),
        notice(status=S.PENDING, provider="stripe"),
        notice(status=S.CANCELLED),
        notice(status=S.DISPUTED),
    ],
    [
        placement("1"),
        placement(),
        notice(amount=Decimal(1)),
        REJECTED,
        notice(status=S.PARTIALLY_PAID, payment=Payment(ref="a", status=S.PAID)),
        notice(amount=Decimal(2)),
        ACCEPTED,
        notice(status=S.REFUNDED, payment=Payment(ref="a", status=S.REFUNDED)),
        ACCEPTED,
    ],
    [notice(status=S.PENDING), notice(provider="stripe"), placement()],
]


def steps(story: Story) -> Iterator[tuple[Order, OrderEvent]]:
    """Each event of the story, and the order before it."""
    order = Order(ID)
    for happens in story:
        for event in happen(order, happens).events:
            yield order, event
            order = evolve(order, event)


def parked() -> list[OrderEvent]:
    events = happen(Order(ID), notice(), Unregistered.PARK).events
    return [*events, *move(fold(Order(ID), events), "2")]


def test_the_stories_have_every_type_of_event() -> None:
    told = [event for story in STORIES for _, event in steps(story)]
    assert {type(event) for event in [*told, *parked(), erased(2)]} == set(EVENT_TYPES)


@pytest.mark.parametrize("story", STORIES)
def test_evolve_gives_the_same_order_twice_and_leaves_the_given_one_as_it_was(story: Story) -> None:
    for order, event in steps(story):
        before = deepcopy(order)
        assert evolve(order, event) == evolve(order, event) != before
        assert order == before


@pytest.mark.parametrize("story", STORIES)
def test_project_is_evolve_step_by_step_from_any_order_on(story: Story) -> None:
    events = [event for _, event in steps(story)]
    last = fold(Order(ID), events)
    assert project(None, events) == last
    for number, (order, _) in enumerate(steps(story)):
        before = deepcopy(order)
        assert project(order, iter(events[number:])) == last
        assert order == before


def test_of_no_events_no_order_comes_and_an_order_stays_what_it_is() -> None:
    assert project(None, []) is None
    order = fold(Order(ID), PAID)
    assert project(order, []) == order


@pytest.mark.parametrize("story", STORIES)
def test_decide_gives_the_same_answer_twice_and_leaves_the_order_as_it_was(story: Story) -> None:
    order = Order(ID)
    for happens in story:
        before = deepcopy(order)
        assert happen(order, happens) == happen(order, happens)
        assert order == before
        order = fold(order, happen(order, happens).events)
