"""`given(notices).when(notice).then(events, order)`: a rule of an order, told as a short story."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from domain.log import stream_of
from domain.order import Decision, Order, OrderEvent, decide, evolve
from domain.payment import Outcome, PaymentNotice, PaymentStatus
from tests.notices import notice

Told = PaymentNotice | PaymentStatus  # a status alone stands for news of its own about one order


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
    """An order to which something happened."""

    order: Order

    def when(self, told: Told) -> Then:
        decision = decide(self.order, _notice(told))
        return Then(self.order, decision, fold(self.order, decision.events))


def given(*history: Told, order_id: str = "1") -> Given:
    """An order that was told this, each piece of news decided and evolved in its turn."""
    order = Order(stream_of("default", order_id))
    for told in history:
        order = fold(order, decide(order, _notice(told)).events)
    return Given(order)


def _notice(told: Told) -> PaymentNotice:
    return notice(status=told) if isinstance(told, PaymentStatus) else told
