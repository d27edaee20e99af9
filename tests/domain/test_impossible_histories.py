"""Histories that no sequence of decisions can give: `evolve` refuses them. And it is pure."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pytest

from domain.order import (
    EVENT_TYPES,
    Consequence,
    Delivered,
    DeliveryConflicted,
    Disposition,
    ImpossibleHistory,
    News,
    Order,
    OrderEvent,
    PaymentFailed,
    PaymentReceived,
    ReviewReason,
    ReviewRequired,
    decide,
    evolve,
    project,
)
from domain.payment import PaymentStatus
from tests.domain.harness import fold
from tests.notices import NOON, notice

S = PaymentStatus
APPLIED, NOTED, STALE, HELD = Disposition
ID = "default/1"


def _facts(version: int, status: PaymentStatus, fields: dict[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "originator_id": ID,
        "originator_version": version,
        "provider": "sevi",
        "delivery_key": f"evt_{version}",
        "status": status,
        "raw_status": status.value,
        "received_at": NOON,
        "body_sha256": f"{version:064x}",
    }
    return facts | fields


def received(
    version: int,
    status: PaymentStatus = S.PAID,
    disposition: Disposition = APPLIED,
    **fields: Any,
) -> PaymentReceived:
    return PaymentReceived(**_facts(version, status, fields), disposition=disposition)


def conflicted(version: int, original_version: int, **fields: Any) -> DeliveryConflicted:
    facts = _facts(version, S.FAILED, fields)
    return DeliveryConflicted(**facts, original_version=original_version)


def delivered(version: int, caused_by: int) -> Delivered:
    return Delivered(originator_id=ID, originator_version=version, caused_by=caused_by)


def failed(version: int, caused_by: int) -> PaymentFailed:
    return PaymentFailed(originator_id=ID, originator_version=version, caused_by=caused_by)


def review(version: int, caused_by: int) -> ReviewRequired:
    return ReviewRequired(
        originator_id=ID,
        originator_version=version,
        caused_by=caused_by,
        reason=ReviewReason.REFUNDED,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped(OrderEvent):
    """An event that no order knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused(Consequence):
    """A consequence that no order knows."""


PAID = [received(1), delivered(2, 1)]
HELD_PAID = [received(1, S.REFUNDED), review(2, 1), received(3, S.PAID, HELD)]
REPEATED: dict[str, Any] = {"delivery_key": "evt_1", "body_sha256": f"{1:064x}"}
FROM_ANOTHER: dict[str, Any] = {"provider": "stripe"}


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
        evolve(Order(ID), News(**_facts(1, S.PAID, {})))


# A story with every type of event: the facts that each state keeps are all touched.
STORY = [
    notice(status=S.UNRECOGNIZED, body=b"one"),
    notice(status=S.FAILED),
    notice(status=S.PENDING, delivery_key="evt_1"),
    notice(status=S.PAID, delivery_key="evt_1"),
    notice(status=S.PAID, body=b"one"),
    notice(status=S.PENDING, provider="stripe"),
    notice(status=S.CANCELLED),
    notice(status=S.DISPUTED),
]


def steps() -> Iterator[tuple[Order, OrderEvent]]:
    """Each event of the story, and the order before it."""
    order = Order(ID)
    for told in STORY:
        for event in decide(order, told).events:
            yield order, event
            order = evolve(order, event)


def test_the_story_has_every_type_of_event() -> None:
    assert {type(event) for _, event in steps()} == set(EVENT_TYPES)


def test_evolve_gives_the_same_order_twice_and_leaves_the_given_one_as_it_was() -> None:
    for order, event in steps():
        before = deepcopy(order)
        assert evolve(order, event) == evolve(order, event) != before
        assert order == before


def test_project_is_evolve_step_by_step_from_any_order_on() -> None:
    events = [event for _, event in steps()]
    last = fold(Order(ID), events)
    assert project(None, events) == last
    for number, (order, _) in enumerate(steps()):
        before = deepcopy(order)
        assert project(order, iter(events[number:])) == last
        assert order == before


def test_of_no_events_no_order_comes_and_an_order_stays_what_it_is() -> None:
    assert project(None, []) is None
    order = fold(Order(ID), PAID)
    assert project(order, []) == order


def test_decide_gives_the_same_answer_twice_and_leaves_the_order_as_it_was() -> None:
    order = Order(ID)
    for told in STORY:
        before = deepcopy(order)
        assert decide(order, told) == decide(order, told)
        assert order == before
        order = fold(order, decide(order, told).events)
