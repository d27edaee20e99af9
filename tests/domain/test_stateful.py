"""Random news from several providers, told to one order and to a model of the rules."""

import hashlib
from collections import defaultdict
from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from domain.order import (
    Delivered,
    DeliveryConflicted,
    Disposition,
    Order,
    OrderEvent,
    OrderStatus,
    PaymentReceived,
    ReviewRequired,
    decide,
    project,
)
from domain.payment import Outcome, PaymentNotice, PaymentStatus
from tests.domain.harness import fold
from tests.domain.model import STALE_AFTER_PAID, Model, tell
from tests.strategies import bodies, notices, statuses

S = PaymentStatus
ORDER = Order("default/1")


def meaning(told: PaymentNotice) -> tuple[object, ...]:
    word = told.raw_status if told.status is S.UNRECOGNIZED else None
    return told.status, word, told.amount, told.currency, told.payment


class OneOrder(RuleBasedStateMachine):
    """An order and its model hear the same, and have to agree after each piece of news."""

    told = Bundle("told")

    def __init__(self) -> None:
        super().__init__()
        self.order = ORDER
        self.events: list[OrderEvent] = []
        self.model = Model()
        self.recorded: dict[tuple[str, str], list[PaymentNotice]] = defaultdict(list)
        self.conflicts: dict[tuple[str, str], list[PaymentNotice]] = defaultdict(list)

    @rule(target=told, news=notices())
    def news(self, news: PaymentNotice) -> PaymentNotice:
        return self.tell(news)

    @rule(earlier=told)
    def the_same_again(self, earlier: PaymentNotice) -> None:
        self.tell(earlier)
        assert decide(self.order, earlier).outcome is Outcome.DUPLICATE

    @rule(target=told, earlier=told, body=bodies)
    def the_same_in_other_bytes(self, earlier: PaymentNotice, body: bytes) -> PaymentNotice:
        digest = hashlib.sha256(body).hexdigest()
        amount = earlier.amount and Decimal(f"{earlier.amount}0")
        return self.tell(replace(earlier, body=body, body_hash=digest, amount=amount))

    @rule(target=told, earlier=told, news=notices())
    def other_news_under_a_known_key(
        self, earlier: PaymentNotice, news: PaymentNotice
    ) -> PaymentNotice:
        key, provider = earlier.delivery_key, earlier.provider
        return self.tell(replace(news, delivery_key=key, provider=provider))

    @rule(target=told, earlier=told, status=statuses)
    def the_same_bytes_read_in_another_way(
        self, earlier: PaymentNotice, status: PaymentStatus
    ) -> PaymentNotice:
        return self.tell(replace(earlier, status=status))

    def tell(self, told: PaymentNotice) -> PaymentNotice:
        review = self.model.review
        expected = self.expected(told)
        decision = decide(self.order, told)
        assert decision.outcome is expected
        types = [type(event) for event in decision.events]
        assert types.count(PaymentReceived) == (expected in (Outcome.RECORDED, Outcome.STALE))
        assert types.count(DeliveryConflicted) == (expected is Outcome.CONFLICT)
        assert types.count(ReviewRequired) == (self.model.review != review)
        self.order = fold(self.order, decision.events)
        self.events += decision.events
        return told

    def expected(self, told: PaymentNotice) -> Outcome:
        """Tell the model, and say what it expects to become of this."""
        key = (told.provider, told.delivery_key)
        recorded, conflicts = self.recorded[key], self.conflicts[key]
        if told.body in [one.body for one in conflicts]:
            return Outcome.DUPLICATE
        same = [one for one in recorded if one.body == told.body]
        if same and (same[-1].status is not S.UNRECOGNIZED or told.status is S.UNRECOGNIZED):
            return Outcome.DUPLICATE
        if not same and meaning(told) in [meaning(one) for one in recorded]:
            return Outcome.DUPLICATE
        if recorded and not same:
            conflicts.append(told)
            self.model = replace(self.model, review="delivery_conflict")
            return Outcome.CONFLICT
        recorded.append(told)
        stale = self.model.paids and told.status in STALE_AFTER_PAID
        self.model = tell(self.model, told)
        return Outcome.STALE if stale else Outcome.RECORDED

    @invariant()
    def order_and_model_agree(self) -> None:
        order, model = self.order, self.model
        assert (order.status, order.payment_status) == (model.status, model.payment_status)
        assert (order.review, order.provider) == (model.review, model.provider)

    @invariant()
    def the_order_is_what_its_events_tell(self) -> None:
        assert project(ORDER, self.events) == self.order
        assert self.order.version == len(self.events)

    @invariant()
    def delivered_names_an_applied_paid_of_the_orders_provider(self) -> None:
        deliveries = [event for event in self.events if isinstance(event, Delivered)]
        assert len(deliveries) == (self.order.status is OrderStatus.DELIVERED)
        for delivered in deliveries:
            cause = self.events[delivered.caused_by - 1]
            assert isinstance(cause, PaymentReceived)
            assert (cause.status, cause.disposition) == (S.PAID, Disposition.APPLIED)
            assert cause.provider == self.order.provider


OneOrder.TestCase.settings = settings(max_examples=200, stateful_step_count=25, deadline=None)
test_random_news = OneOrder.TestCase


def after(history: list[PaymentNotice]) -> Order:
    order = ORDER
    for told in history:
        order = fold(order, decide(order, told).events)
    return order


@settings(deadline=None)
@given(st.lists(notices(), max_size=12))
def test_to_replay_what_was_told_appends_nothing(history: list[PaymentNotice]) -> None:
    order = after(history)
    for told in history:
        decision = decide(order, told)
        assert (decision.outcome, decision.events) == (Outcome.DUPLICATE, ())


def with_keys_of_their_own(history: list[PaymentNotice]) -> list[PaymentNotice]:
    return [replace(told, delivery_key=str(number)) for number, told in enumerate(history)]


CONTRADICTORY = st.sampled_from([S.PAID, S.FAILED, S.REFUNDED])


@settings(max_examples=300, deadline=None)
@given(st.lists(notices(CONTRADICTORY, st.just("sevi")), max_size=6).map(with_keys_of_their_own))
def test_payments_and_times_decide_which_failure_contradicts_a_paid(
    history: list[PaymentNotice],
) -> None:
    order, model = ORDER, Model()
    for told in history:
        order = fold(order, decide(order, told).events)
        model = tell(model, told)
        assert order.review == model.review


BEFORE_MONEY_GOES_BACK = st.sampled_from(
    [S.PAID, S.PENDING, S.PARTIALLY_PAID, S.FAILED, S.CANCELLED, S.EXPIRED]
)
of_one_provider = st.lists(notices(BEFORE_MONEY_GOES_BACK, st.just("sevi")), max_size=20)


@settings(deadline=None)
@given(of_one_provider.map(with_keys_of_their_own))
def test_in_whatever_order_the_news_comes_a_paid_among_it_delivers_and_nothing_else_does(
    news: list[PaymentNotice],
) -> None:
    paid = any(told.status is S.PAID for told in news)
    assert (after(news).status is OrderStatus.DELIVERED) == paid
