"""What had happened before an instant, of what is known: the providers' clocks beside the log's."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from adapters.queries.queries import OrderView, order_view, row_after
from domain.events import ReviewReason, ReviewResolved, Verdict
from domain.log import Position, Recorded
from domain.order import Order, OrderEvent, Unregistered, evolve
from domain.payment import PaymentNotice, PaymentStatus
from domain.registration import Placement
from projections.occurrence import occurred_before
from tests.domain.harness import happen, placement
from tests.notices import NOON, notice
from tests.strategies import notices

S = PaymentStatus
EVER = datetime.max.replace(tzinfo=NOON.tzinfo)


def minute(n: int) -> datetime:
    return NOON + timedelta(minutes=n)


def told(status: PaymentStatus, occurred: int | None, **fields: Any) -> PaymentNotice:
    """News of what happened so many minutes after noon; it came an hour after noon."""
    at = None if occurred is None else minute(occurred)
    return notice(status=status, occurred_at=at, received_at=minute(60), **fields)


def history(
    *news: PaymentNotice | Placement, unregistered: Unregistered = Unregistered.TAKE
) -> list[Recorded[OrderEvent]]:
    """What the ledger records of them, one minute after the other, from an hour after noon on."""
    order, recorded = Order("default/1"), list[Recorded[OrderEvent]]()
    for each in news:
        for event in happen(order, each, unregistered).events:
            order = evolve(order, event)
            at = minute(60 + len(recorded))
            recorded.append(Recorded(Position(0, len(recorded) + 1), at, event))
    return recorded


def order_after(events: Iterable[Recorded[OrderEvent]]) -> OrderView | None:
    row = row_after(events)
    return None if row is None else order_view(row)


def true_before(events: Sequence[Recorded[OrderEvent]], instant: datetime) -> OrderView | None:
    return order_after(occurred_before(events, instant))


def standing(events: Sequence[Recorded[OrderEvent]], n: int) -> tuple[str | None, ...] | None:
    view = true_before(events, minute(n))
    return None if view is None else (view.status, view.payment_status, view.review)


def test_news_counts_from_when_it_happened_however_late_it_came() -> None:
    events = history(told(S.PENDING, 10), told(S.PAID, 20))
    assert standing(events, 10) is None, "the instant itself is excluded"
    assert standing(events, 11) == ("AWAITING_PAYMENT", "PENDING", None)
    assert standing(events, 20) == ("AWAITING_PAYMENT", "PENDING", None)
    assert standing(events, 21) == ("DELIVERED", "PAID", None)


def test_news_without_a_time_had_happened_when_it_came_in() -> None:
    events = history(told(S.PAID, None))
    assert standing(events, 60) is None
    assert standing(events, 61) == ("DELIVERED", "PAID", None)


def test_what_was_stale_since_a_paid_came_first_was_true_before_the_paid_happened() -> None:
    events = history(told(S.PAID, 30), told(S.PENDING, 10), told(S.FAILED, 20))
    assert standing(events, 11) == ("AWAITING_PAYMENT", "PENDING", None)
    assert standing(events, 21) == ("PAYMENT_FAILED", "FAILED", None)
    assert standing(events, 31) == ("DELIVERED", "PAID", None)


def test_a_failure_that_was_told_second_stands_where_the_first_had_not_happened() -> None:
    events = history(told(S.FAILED, 20), told(S.EXPIRED, 10))
    assert standing(events, 11) == ("PAYMENT_FAILED", "EXPIRED", None)


def test_an_order_is_delivered_by_the_paid_that_delivered_it_and_no_other() -> None:
    events = history(told(S.PAID, 30), told(S.PAID, 10))
    assert standing(events, 11) == ("AWAITING_PAYMENT", "PAID", None)
    assert standing(events, 31) == ("DELIVERED", "PAID", None)
    held = history(told(S.REFUNDED, 30), told(S.PAID, 10))
    assert standing(held, 11) == ("AWAITING_PAYMENT", None, "paid_after_refund")


def test_another_providers_word_stays_its_own() -> None:
    other = told(S.PAID, 5, provider="stripe", references=("S-1",), amount=None)
    events = history(told(S.PENDING, 10), other, told(S.FAILED, 20))
    view = true_before(events, minute(6))
    assert view is not None
    assert (view.status, view.payment_status) == ("AWAITING_PAYMENT", None)
    assert (view.provider, view.references, view.review) == ("sevi", [], "other_provider")
    assert standing(events, 21) == ("PAYMENT_FAILED", "FAILED", "other_provider")


def test_what_the_shop_decides_happens_when_it_is_recorded() -> None:
    events = history(placement(), told(S.PAID, 10))
    view = true_before(events, minute(11))
    assert view is not None
    assert (view.status, view.registered) == ("DELIVERED", False)
    view = true_before(events, minute(61))
    assert view is not None
    assert view.registered


def test_a_review_is_closed_when_a_person_closed_it() -> None:
    events = history(told(S.PAID, 1), told(S.DISPUTED, 10))
    resolved = ReviewResolved(
        originator_id="default/1",
        originator_version=len(events) + 1,
        review=ReviewReason.DISPUTED,
        verdict=Verdict.ACCEPTED,
        by="ann",
        reason="settled",
    )
    events.append(Recorded(Position(0, 9), minute(90), resolved))
    assert standing(events, 90) == ("DELIVERED", "DISPUTED", "disputed")
    assert standing(events, 91) == ("DELIVERED", "DISPUTED", None)


@given(st.lists(notices(), max_size=12), st.booleans(), st.sampled_from(Unregistered))
def test_at_the_end_of_time_everything_has_happened(
    news: list[PaymentNotice], registered: bool, unregistered: Unregistered
) -> None:
    first = [placement()] if registered else []
    events = history(*first, *news, unregistered=unregistered)
    assert true_before(events, EVER) == order_after(events)


@given(st.lists(notices(), max_size=12), st.integers(-1, 70))
def test_nothing_is_said_to_be_delivered_that_was_not(news: list[PaymentNotice], n: int) -> None:
    events = history(*news)
    view, now = true_before(events, minute(n)), order_after(events)
    if view is not None and view.status == "DELIVERED":
        assert now is not None
        assert now.delivered_at == view.delivered_at
        assert view.payment_status is not None
