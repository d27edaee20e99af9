"""Every sequence of up to five statuses, told to one order: 111,110 histories."""

from collections.abc import Iterator
from typing import NamedTuple

from domain.order import (
    Delivered,
    Order,
    OrderEvent,
    OrderStatus,
    PaymentReceived,
    ReviewRequired,
    decide,
)
from domain.payment import PaymentStatus
from tests.domain.harness import fold
from tests.domain.model import Model, tell
from tests.notices import notice

S = PaymentStatus
LENGTH_MAX = 5
MONEY_WENT_BACK = {S.REFUNDED, S.PARTIALLY_REFUNDED, S.DISPUTED}
# A notice for each step: two of one sequence never have the same key.
NOTICES = [[notice(status=status) for status in S] for _ in range(LENGTH_MAX)]


class History(NamedTuple):
    """What was told, what was recorded of it, and what the order and the model became."""

    told: tuple[PaymentStatus, ...] = ()
    events: tuple[OrderEvent, ...] = ()
    order: Order = Order("default/1")
    model: Model = Model()


def histories(start: History) -> Iterator[tuple[History, History]]:
    """Each history that goes on from this one, after the one that it goes on from."""
    if len(start.told) == LENGTH_MAX:
        return
    for told in NOTICES[len(start.told)]:
        events = decide(start.order, told).events
        longer = History(
            (*start.told, told.status),
            (*start.events, *events),
            fold(start.order, events),
            tell(start.model, told),
        )
        yield start, longer
        yield from histories(longer)


def check_delivery(before: History, after: History) -> None:
    deliveries = [event for event in after.events if isinstance(event, Delivered)]
    assert (after.order.status is OrderStatus.DELIVERED) == bool(deliveries)
    if before.order.status is OrderStatus.DELIVERED:
        assert after.order.status is OrderStatus.DELIVERED, "a delivered order stays delivered"
    if S.PAID not in after.told:
        assert not deliveries, "without a PAID nothing is delivered"
    assert len(deliveries) <= 1
    for delivered in deliveries:
        cause = after.events[delivered.caused_by - 1]
        assert isinstance(cause, PaymentReceived)
        assert cause.status is S.PAID
        assert cause.originator_id == after.order.id
        earlier = after.events[: delivered.caused_by - 1]
        told = {event.status for event in earlier if isinstance(event, PaymentReceived)}
        assert not told & {S.PAID, *MONEY_WENT_BACK}, "the first PAID, and no money back before"


def check_record(before: History, after: History) -> None:
    news, *consequences = after.events[len(before.events) :]
    assert isinstance(news, PaymentReceived)
    assert news.status is after.told[-1]
    assert len(consequences) <= 1
    assert not any(isinstance(event, PaymentReceived) for event in consequences)
    reviews = [event for event in consequences if isinstance(event, ReviewRequired)]
    assert len(reviews) == (after.model.review != before.model.review), "a review per new reason"
    assert [event.originator_version for event in after.events] == list(
        range(1, after.order.version + 1)
    )


def check_model(after: History) -> None:
    order, model = after.order, after.model
    said = (order.status, order.payment_status, order.review)
    assert said == (model.status, model.payment_status, model.review), after.told


def test_every_sequence_of_up_to_five_statuses_keeps_the_rules() -> None:
    seen = 0
    for before, after in histories(History()):
        check_record(before, after)
        check_delivery(before, after)
        check_model(after)
        seen += 1
    assert seen == sum(len(S) ** length for length in range(1, LENGTH_MAX + 1)) == 111_110
