"""`given(notices).when(notice).then(events, order)`: a rule of an order, told as a short story.

Besides a notice, or a status for one, a shop's `placement` and an operator's `verdict` happen.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from domain.events import Verdict
from domain.log import stream_of
from domain.order import Decision, Order, OrderEvent, Unregistered, decide, evolve, repeats
from domain.payment import Outcome, PaymentNotice, PaymentStatus
from domain.registration import Placement, Resolution, place, resolve
from tests.notices import notice

Told = PaymentNotice | PaymentStatus  # a status alone stands for news of its own about one order
Happens = Told | Placement | Resolution


def placement(amount: str = "902.10", currency: str = "KES", **fields: Any) -> Placement:
    """The shop registers order 1."""
    told = {"store": "default", "order_id": "1", "by": "token shop"} | fields
    return Placement(amount=Decimal(amount), currency=currency, **told)


def verdict_at(verdict: Verdict, version: int = 0) -> Resolution:
    """An operator decides about the open review of order 1, seen at a version (0: as it is)."""
    return Resolution(
        store="default",
        order_id="1",
        version=version,
        verdict=verdict,
        by="token ann",
        reason="the shop asked",
    )


ACCEPTED, REJECTED = verdict_at(Verdict.ACCEPTED), verdict_at(Verdict.REJECTED)


@dataclass(frozen=True)
class Like:
    """An event of a type, with these fields; its other fields may hold anything."""

    type: type[OrderEvent]
    fields: dict[str, Any]

    def check(self, event: OrderEvent) -> None:
        assert type(event) is self.type
        assert {name: getattr(event, name) for name in self.fields} == self.fields, event


def like(event_type: type[OrderEvent], **fields: Any) -> Like:
    return Like(event_type, fields)


def fold(order: Order, events: Iterable[OrderEvent]) -> Order:
    for event in events:
        order = evolve(order, event)
    return order


@dataclass(frozen=True)
class Then:
    """A decision, the order that it was made on, and the order after it."""

    before: Order
    decision: Decision
    after: Order

    def then(
        self,
        *expected: type[OrderEvent] | Like,
        outcome: Outcome = Outcome.RECORDED,
        **order: Any,
    ) -> Order:
        """Check the events (all of them, in order), the outcome and what is said of the order."""
        types = [one.type if isinstance(one, Like) else one for one in expected]
        assert [type(event) for event in self.decision.events] == types
        for event, one in zip(self.decision.events, expected, strict=True):
            if isinstance(one, Like):
                one.check(event)
        assert self.decision.outcome is outcome
        assert {name: getattr(self.after, name) for name in order} == order
        return self.after

    def then_nothing(self, original_version: int) -> None:
        """Check that this repeats the delivery whose last event has this version."""
        self.then(outcome=Outcome.DUPLICATE)
        assert self.decision.original_version == original_version


@dataclass(frozen=True)
class Given:
    """An order to which something happened, and how news is taken where nobody registered it."""

    order: Order
    unregistered: Unregistered = Unregistered.TAKE

    def when(self, happens: Happens) -> Then:
        decision = happen(self.order, happens, self.unregistered)
        return Then(self.order, decision, fold(self.order, decision.events))


def given(
    *history: Happens, order_id: str = "1", unregistered: Unregistered = Unregistered.TAKE
) -> Given:
    """An order to which this happened, each thing decided and evolved in its turn."""
    order = Order(stream_of("default", order_id))
    for happens in history:
        order = fold(order, happen(order, happens, unregistered).events)
    return Given(order, unregistered)


def happen(
    order: Order, happens: Happens, unregistered: Unregistered = Unregistered.TAKE
) -> Decision:
    """What is decided. Raises `Refused`."""
    match happens:
        case Placement():
            return Decision(Outcome.RECORDED, place(order, happens))
        case Resolution():
            seen = replace(happens, version=happens.version or order.version)
            return Decision(Outcome.RECORDED, resolve(order, seen))
        case PaymentStatus():
            happens = notice(status=happens)
    decision = decide(order, happens, unregistered)
    assert repeats(order, happens) == (decision.outcome is Outcome.DUPLICATE)
    return decision
