"""An order that the shop registered: what money counts, what waits, and what a person decides."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.events import ParkedNewsMoved, Verdict
from domain.order import (
    Delivered,
    DeliveryConflicted,
    Disposition,
    Order,
    OrderPlaced,
    OrderStatus,
    PaymentFailed,
    PaymentReceived,
    ReviewReason,
    ReviewRequired,
    ReviewResolved,
    Unregistered,
)
from domain.payment import Origin, Outcome, Payment, PaymentNotice, PaymentStatus
from domain.registration import Placement, Refused, move, place
from tests.domain.harness import ACCEPTED, REJECTED, fold, given, like, placement, verdict_at
from tests.notices import NOON, notice

S = PaymentStatus
R = ReviewReason
AWAITING, FAILED, DELIVERED = OrderStatus
HELD = like(PaymentReceived, disposition=Disposition.HELD)
TODAY = placement()


def part(
    ref: str, moved: str | None, status: PaymentStatus = S.PARTIALLY_PAID, **fields: Any
) -> PaymentNotice:
    """News of one completed movement of money."""
    payment = Payment(ref=ref, status=S.PAID, amount=Decimal(moved) if moved else None)
    return notice(status=status, payment=payment, **{"amount": None} | fields)


def paid(
    amount: str | None = "902.10", currency: str | None = "KES", **fields: Any
) -> PaymentNotice:
    return notice(amount=Decimal(amount) if amount else None, currency=currency, **fields)


def reviewed(reason: ReviewReason, **fields: Any) -> Any:
    return like(ReviewRequired, reason=reason, **fields)


# --------------------------------------------------------------------------------- to register


def test_what_a_shop_registers_is_an_event() -> None:
    wish = placement("10", references=("INV-7",), tolerance=Decimal("0.05"))
    given().when(wish).then(
        like(
            OrderPlaced,
            amount=Decimal(10),
            currency="KES",
            references=("INV-7",),
            tolerance=Decimal("0.05"),
            by="token shop",
        ),
        status=AWAITING,
        provider=None,
        review=None,
    )


@pytest.mark.parametrize(
    "again",
    [
        placement("902.1"),
        placement(by="token till"),
        placement(tolerance=Decimal(1)),
    ],
)
def test_the_same_registration_again_changes_nothing(again: Placement) -> None:
    given(TODAY).when(again).then()
    given(TODAY, S.PAID).when(again).then(status=DELIVERED)


DIFFERENT = [placement("902.11"), placement(currency="UGX"), placement(references=("INV-7",))]


@pytest.mark.parametrize("other", DIFFERENT)
def test_another_one_before_any_news_takes_its_place(other: Placement) -> None:
    order = given(TODAY).when(other).then(OrderPlaced)
    assert order.placed is not None
    assert (order.placed.amount, order.placed.references) == (other.amount, other.references)


@pytest.mark.parametrize("news", [S.PENDING, S.FAILED, S.PAID, S.UNRECOGNIZED])
@pytest.mark.parametrize("other", DIFFERENT)
def test_another_one_after_news_of_a_payment_is_refused(
    other: Placement, news: PaymentStatus
) -> None:
    with pytest.raises(Refused):
        given(TODAY, news).when(other)


# ------------------------------------------------------------------------------- the money gate


def test_a_paid_with_the_registered_money_delivers() -> None:
    given(TODAY).when(paid("902.1")).then(PaymentReceived, Delivered, status=DELIVERED)


MISMATCHES = [
    (paid("902.09"), R.UNDERPAID),
    (paid("902.11"), R.OVERPAID),
    (paid(None), R.AMOUNT_MISSING),
    (paid(currency=None), R.CURRENCY_MISSING),
    (paid(currency="UGX"), R.WRONG_CURRENCY),
    (paid("1", currency="UGX"), R.WRONG_CURRENCY),
    (paid("902.10", currency="kes"), R.WRONG_CURRENCY),
]


@pytest.mark.parametrize(("news", "reason"), MISMATCHES)
def test_a_paid_with_other_money_is_held_for_review(
    news: PaymentNotice, reason: ReviewReason
) -> None:
    given(TODAY).when(news).then(
        HELD, reviewed(reason), status=AWAITING, payment_status=None, review=reason
    )


@pytest.mark.parametrize(("news", "_"), MISMATCHES)
def test_without_a_registration_a_paid_delivers_whatever_its_amount(
    news: PaymentNotice, _: ReviewReason
) -> None:
    given().when(news).then(PaymentReceived, Delivered)


@pytest.mark.parametrize(
    ("amount", "delivers"),
    [("902.05", True), ("902.15", True), ("902.04", False), ("902.16", False)],
)
def test_the_tolerance_is_exact(amount: str, delivers: bool) -> None:
    order = given(placement(tolerance=Decimal("0.05"))).when(paid(amount)).after
    assert (order.status is DELIVERED) == delivers


def test_no_digit_of_a_sum_is_lost() -> None:
    large, small = "12345678901234567890.1", "0.00000000000000000001"
    exact = placement("12345678901234567890.10000000000000000002")
    news = [part("a", large), part("b", small)]
    given(exact, *news).when(part("c", small)).then(PaymentReceived, Delivered)


def test_after_a_held_paid_the_right_one_delivers() -> None:
    given(TODAY, paid("1")).when(paid()).then(PaymentReceived, Delivered, status=DELIVERED)


def test_the_same_reason_again_opens_no_second_review() -> None:
    given(TODAY, paid("1")).when(paid("2")).then(HELD, review=R.UNDERPAID)


def test_after_a_held_paid_other_news_is_judged_as_after_any_paid() -> None:
    held = given(TODAY, paid("1"))
    held.when(S.PENDING).then(PaymentReceived, outcome=Outcome.STALE, status=AWAITING)
    held.when(S.CANCELLED).then(
        PaymentReceived, reviewed(R.CANCELLED_AFTER_PAID), outcome=Outcome.STALE
    )


def test_failures_before_a_paid_fail_a_registered_order_too() -> None:
    given(TODAY).when(S.FAILED).then(PaymentReceived, PaymentFailed, status=FAILED)
    given(TODAY, S.FAILED).when(paid()).then(PaymentReceived, Delivered)


@pytest.mark.parametrize("back", [S.REFUNDED, S.PARTIALLY_REFUNDED, S.DISPUTED])
def test_after_money_went_back_no_paid_delivers(back: PaymentStatus) -> None:
    given(TODAY, back).when(paid()).then(HELD, reviewed(R.PAID_AFTER_REFUND))
    given(TODAY, back, paid()).when(paid()).then(HELD, status=AWAITING)


def test_any_provider_may_pay_for_a_registered_order() -> None:
    given(TODAY, S.PENDING).when(paid(provider="stripe")).then(
        like(PaymentReceived, provider="stripe", disposition=Disposition.APPLIED),
        Delivered,
        provider="sevi",
    )


# ------------------------------------------------------------------------------- part payments


def test_the_part_that_completes_the_amount_is_recorded_as_a_paid() -> None:
    given(TODAY, part("a", "900")).when(part("b", "2.10", raw_status="Part")).then(
        like(
            PaymentReceived,
            status=S.PAID,
            told_status=S.PARTIALLY_PAID,
            raw_status="Part",
            disposition=Disposition.APPLIED,
        ),
        Delivered,
        status=DELIVERED,
    )


def test_a_part_that_completes_nothing_is_a_part() -> None:
    given(TODAY, part("a", "900")).when(part("b", "2.09")).then(
        like(PaymentReceived, status=S.PARTIALLY_PAID, told_status=None), status=AWAITING
    )


def test_a_part_that_goes_beyond_the_amount_is_an_overpaid_paid() -> None:
    given(TODAY, part("a", "900")).when(part("b", "3")).then(
        like(PaymentReceived, status=S.PAID, disposition=Disposition.HELD), reviewed(R.OVERPAID)
    )


def test_a_payment_counts_once_however_often_it_is_told() -> None:
    parts = [part("a", "451.05"), part("a", "451.05")]
    given(TODAY, parts[0]).when(parts[1]).then(PaymentReceived, status=AWAITING)
    given(TODAY, *parts).when(part("b", "451.05")).then(PaymentReceived, Delivered)


def test_payments_of_two_providers_are_two_even_with_one_ref() -> None:
    given(TODAY, part("a", "451.05")).when(part("a", "451.05", provider="stripe")).then(
        PaymentReceived, Delivered
    )


def test_a_payment_counts_with_its_latest_status_and_amount() -> None:
    corrected = [part("a", "500"), part("a", "400")]
    given(TODAY, *corrected).when(part("b", "502.10")).then(PaymentReceived, Delivered)
    failed = notice(status=S.PENDING, payment=Payment(ref="a", status=S.FAILED), amount=None)
    given(TODAY, part("a", "500"), failed).when(part("b", "402.10")).then(PaymentReceived)


def test_which_news_of_a_payment_is_the_latest_says_the_provider_where_it_can() -> None:
    new = part("a", "400", occurred_at=NOON)
    old = part("a", "500", occurred_at=NOON - timedelta(seconds=1))
    given(TODAY, new, old).when(part("b", "502.10")).then(PaymentReceived, Delivered)


def test_a_payment_that_is_said_to_be_under_way_came_before_whatever_is_known_of_it() -> None:
    late = notice(status=S.PENDING, payment=Payment(ref="a", status=S.PENDING), amount=None)
    given(TODAY, part("a", "400"), late).when(part("b", "502.10")).then(PaymentReceived, Delivered)


def test_a_paid_that_names_a_payment_confirms_the_sum() -> None:
    given(TODAY).when(part("a", "902.10", S.PAID)).then(PaymentReceived, Delivered)
    short = part("a", "900", S.PAID, amount=Decimal("902.10"))
    given(TODAY).when(short).then(HELD, reviewed(R.UNDERPAID))
    given(TODAY, short).when(part("b", "2.10")).then(PaymentReceived, Delivered)
    given(TODAY, short).when(part("b", "2.10", S.PAID)).then(PaymentReceived, Delivered)


def test_a_paid_that_names_no_payment_confirms_the_amount_that_it_tells() -> None:
    given(TODAY, part("a", "900")).when(paid()).then(PaymentReceived, Delivered)


def test_where_a_payment_tells_no_amount_the_orders_own_counts() -> None:
    given(TODAY).when(part("a", None, S.PAID, amount=Decimal("902.10"))).then(
        PaymentReceived, Delivered
    )
    given(TODAY).when(part("a", None, S.PAID)).then(HELD, reviewed(R.AMOUNT_MISSING))


def test_parts_in_another_currency_complete_nothing() -> None:
    given(TODAY).when(part("a", "902.10", currency="UGX")).then(PaymentReceived, status=AWAITING)


def test_a_part_sent_again_is_a_duplicate_also_where_it_was_recorded_as_a_paid() -> None:
    last = part("a", "902.10", delivery_key="evt_1")
    other_bytes = part("a", "902.10", delivery_key="evt_1")
    for again in (last, other_bytes):
        given(TODAY, last).when(again).then_nothing(original_version=3)


# --------------------------------------------------------------- registered after the news came


def test_registered_after_delivered_with_the_money_that_came_it_stays_as_it_is() -> None:
    given(S.PAID).when(TODAY).then(OrderPlaced, status=DELIVERED, review=None)


@pytest.mark.parametrize(("news", "reason"), MISMATCHES)
def test_registered_after_delivered_with_other_money_it_is_reviewed(
    news: PaymentNotice, reason: ReviewReason
) -> None:
    given(news).when(TODAY).then(
        OrderPlaced, reviewed(reason, caused_by=3), status=DELIVERED, review=reason
    )


def test_a_paid_that_another_providers_order_held_is_decided_when_it_is_registered() -> None:
    held = given(S.PENDING, paid(provider="stripe"))
    held.when(TODAY).then(
        OrderPlaced, like(Delivered, caused_by=2, decision=4), payment_status=S.PAID
    )
    held.when(placement("1")).then(OrderPlaced, reviewed(R.OVERPAID, caused_by=4), status=AWAITING)


def test_parts_that_were_told_before_complete_the_amount_when_it_is_registered() -> None:
    given(part("a", "900"), part("b", "2.10"), S.FAILED).when(TODAY).then(
        OrderPlaced,
        like(PaymentReceived, status=S.PAID, told_status=S.PARTIALLY_PAID, origin=Origin.REPLAY),
        Delivered,
    )
    given(part("a", "900")).when(TODAY).then(OrderPlaced, status=AWAITING)


def test_money_that_went_back_before_the_registration_delivers_nothing() -> None:
    given(S.REFUNDED, paid()).when(TODAY).then(OrderPlaced, status=AWAITING)


# -------------------------------------------------------------------------------------- reviews


def test_an_accepted_money_review_delivers_and_names_the_paid_and_the_decision() -> None:
    given(TODAY, paid("902")).when(ACCEPTED).then(
        like(
            ReviewResolved,
            review=R.UNDERPAID,
            verdict=Verdict.ACCEPTED,
            by="token ann",
            reason="the shop asked",
        ),
        like(Delivered, caused_by=2, decision=4),
        status=DELIVERED,
        payment_status=S.PAID,
        review=None,
    )


def test_a_rejected_one_lets_the_paid_go_and_the_right_one_still_delivers() -> None:
    rejected = given(TODAY, paid("902"), REJECTED)
    assert (rejected.order.status, rejected.order.review) == (AWAITING, None)
    with pytest.raises(Refused):
        rejected.when(ACCEPTED)
    rejected.when(paid()).then(PaymentReceived, Delivered)


@pytest.mark.parametrize("other", [S.UNRECOGNIZED, S.DISPUTED])
@pytest.mark.parametrize("verdict", [ACCEPTED, REJECTED])
def test_a_verdict_about_another_review_leaves_the_one_that_holds_the_paid_open(
    other: PaymentStatus, verdict: Any
) -> None:
    given(TODAY, paid("902"), other).when(verdict).then(
        ReviewResolved, reviewed(R.UNDERPAID, caused_by=6), status=AWAITING, review=R.UNDERPAID
    )
    given(TODAY, paid("902"), other, verdict).when(ACCEPTED).then(ReviewResolved, Delivered)


@pytest.mark.parametrize("word", Verdict)
def test_a_verdict_about_an_order_that_moved_on_is_refused(word: Verdict) -> None:
    under_review = given(TODAY, paid("902"))
    seen = under_review.order.version
    under_review.when(verdict_at(word, seen))
    with pytest.raises(Refused, match="look at it again"):
        given(TODAY, paid("902"), S.PENDING).when(verdict_at(word, seen))


@pytest.mark.parametrize("verdict", [ACCEPTED, REJECTED])
def test_without_a_paid_that_waits_a_verdict_only_closes_the_review(verdict: Any) -> None:
    for history in ([S.DISPUTED], [TODAY, S.UNRECOGNIZED], [S.PAID, S.REFUNDED]):
        before = given(*history)
        before.when(verdict).then(ReviewResolved, status=before.order.status, review=None)


def test_other_reviews_that_hold_a_paid_deliver_where_they_are_accepted() -> None:
    given(S.REFUNDED, paid()).when(ACCEPTED).then(ReviewResolved, Delivered)
    given(S.PENDING, paid(provider="stripe")).when(ACCEPTED).then(ReviewResolved, Delivered)
    delivered = given(S.PAID, paid(provider="stripe"))
    delivered.when(ACCEPTED).then(ReviewResolved, status=DELIVERED)


def test_after_another_providers_paid_was_accepted_the_own_one_changes_nothing() -> None:
    given(S.PENDING, paid(provider="stripe"), ACCEPTED).when(S.PAID).then(
        like(PaymentReceived, disposition=Disposition.NOTED), status=DELIVERED
    )


@pytest.mark.parametrize("history", [[], [TODAY], [S.PAID], [S.DISPUTED, ACCEPTED]])
def test_where_no_review_is_open_there_is_nothing_to_decide(history: list[Any]) -> None:
    for verdict in (ACCEPTED, REJECTED):
        with pytest.raises(Refused):
            given(*history).when(verdict)


# ------------------------------------------------------------------------------------- parking

PARKED = like(PaymentReceived, disposition=Disposition.PARKED)


def parked(*history: Any) -> Any:
    return given(*history, unregistered=Unregistered.PARK)


@pytest.mark.parametrize("status", S)
def test_news_of_an_order_that_has_to_be_registered_waits(status: PaymentStatus) -> None:
    parked().when(status).then(PARKED, status=AWAITING, payment_status=None, review=None)


def test_once_the_order_is_registered_what_waited_is_taken_in_by_itself() -> None:
    first, last = notice(status=S.PENDING, received_at=NOON), paid(provider="stripe")
    parked(first, last).when(TODAY).then(
        OrderPlaced,
        like(PaymentReceived, status=S.PENDING, received_at=NOON, origin=Origin.REPLAY),
        like(PaymentReceived, status=S.PAID, disposition=Disposition.APPLIED),
        like(Delivered, caused_by=5, decision=None),
        status=DELIVERED,
        parked=(),
    )


def test_what_waited_is_checked_like_any_money() -> None:
    parked(paid("1")).when(TODAY).then(OrderPlaced, HELD, reviewed(R.UNDERPAID))


def test_where_money_went_back_by_then_what_waited_does_not_deliver() -> None:
    parked(paid(), notice(status=S.REFUNDED)).when(TODAY).then(
        OrderPlaced,
        like(PaymentReceived, status=S.REFUNDED),
        ReviewRequired,
        HELD,
        reviewed(R.PAID_AFTER_REFUND),
        status=AWAITING,
    )


def test_what_waits_and_what_was_taken_in_are_duplicates_when_they_are_sent_again() -> None:
    news = paid()
    parked(news).when(news).then_nothing(original_version=1)
    parked(news, TODAY).when(news).then_nothing(original_version=4)


def test_other_news_under_a_key_that_waits_is_a_conflict() -> None:
    first, other = paid(delivery_key="evt_1"), paid("1", delivery_key="evt_1")
    parked(first).when(other).then(DeliveryConflicted, ReviewRequired, outcome=Outcome.CONFLICT)


def test_what_was_parked_under_another_name_is_taken_over_and_that_is_noted() -> None:
    source = given(paid(order_id="SEVI-1"), order_id="SEVI-1", unregistered=Unregistered.PARK).order
    events = place(Order("default/1"), TODAY, source.parked)
    assert [type(event) for event in events] == [OrderPlaced, PaymentReceived, Delivered]
    assert fold(Order("default/1"), events).status is DELIVERED
    moved = fold(source, move(source, "1"))
    assert (moved.parked, moved.status) == ((), AWAITING)
    assert isinstance(move(source, "1")[0], ParkedNewsMoved)


def test_news_that_several_registered_orders_could_mean_is_held() -> None:
    ambiguous = given(unregistered=Unregistered.HOLD)
    ambiguous.when(S.PAID).then(HELD, reviewed(R.AMBIGUOUS_REFERENCE), status=AWAITING)
    ambiguous.when(S.PENDING).then(HELD, reviewed(R.AMBIGUOUS_REFERENCE), status=AWAITING)
    given(S.PAID, unregistered=Unregistered.HOLD).when(ACCEPTED).then(ReviewResolved, Delivered)
