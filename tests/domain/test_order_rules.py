"""Every cell of the transition table: what a status does before a PAID is known, and after."""

from datetime import timedelta
from typing import Any, NamedTuple

import pytest

from domain.order import (
    TRANSITIONS,
    Delivered,
    Disposition,
    OrderEvent,
    OrderStatus,
    PaymentFailed,
    PaymentReceived,
    ReviewReason,
    ReviewRequired,
)
from domain.payment import Outcome, Payment, PaymentStatus
from tests.domain.harness import Like, given, like
from tests.notices import NOON, notice

S = PaymentStatus
R = ReviewReason
AWAITING, FAILED, DELIVERED = OrderStatus
EARLIER, LATER = NOON - timedelta(seconds=1), NOON + timedelta(seconds=1)
MONEY_WENT_BACK = [S.REFUNDED, S.PARTIALLY_REFUNDED, S.DISPUTED]
FAILURES = [S.FAILED, S.CANCELLED, S.EXPIRED]


def paid_with(ref: str, **fields: Any) -> dict[str, Any]:
    return {"payment": Payment(ref=ref, status=S.PAID), **fields}


def reviewed(reason: ReviewReason) -> Like:
    return like(ReviewRequired, reason=reason)


class Cell(NamedTuple):
    """What a status does to an order of which nothing, or only a PAID, is known."""

    status: PaymentStatus
    disposition: Disposition
    order_status: OrderStatus
    payment_status: PaymentStatus | None
    follows: type[OrderEvent] | None = None
    review: ReviewReason | None = None


APPLIED, NOTED, STALE, HELD, PARKED = Disposition
BEFORE_A_PAID = [
    Cell(S.PAID, APPLIED, DELIVERED, S.PAID, follows=Delivered),
    Cell(S.PENDING, APPLIED, AWAITING, S.PENDING),
    Cell(S.PARTIALLY_PAID, APPLIED, AWAITING, S.PARTIALLY_PAID),
    Cell(S.FAILED, APPLIED, FAILED, S.FAILED, follows=PaymentFailed),
    Cell(S.CANCELLED, APPLIED, FAILED, S.CANCELLED, follows=PaymentFailed),
    Cell(S.EXPIRED, APPLIED, FAILED, S.EXPIRED, follows=PaymentFailed),
    *(Cell(s, APPLIED, AWAITING, s, ReviewRequired, ReviewReason[s.name]) for s in MONEY_WENT_BACK),
    Cell(S.UNRECOGNIZED, HELD, AWAITING, None, ReviewRequired, R.UNRECOGNIZED_STATUS),
]
AFTER_A_PAID = [
    Cell(S.PAID, NOTED, DELIVERED, S.PAID),
    Cell(S.PENDING, STALE, DELIVERED, S.PAID),
    Cell(S.PARTIALLY_PAID, STALE, DELIVERED, S.PAID),
    Cell(S.FAILED, STALE, DELIVERED, S.PAID),
    Cell(S.CANCELLED, STALE, DELIVERED, S.PAID, ReviewRequired, R.CANCELLED_AFTER_PAID),
    Cell(S.EXPIRED, STALE, DELIVERED, S.PAID),
    *(
        Cell(s, APPLIED, DELIVERED, s, ReviewRequired, ReviewReason[s.name])
        for s in MONEY_WENT_BACK
    ),
    Cell(S.UNRECOGNIZED, HELD, DELIVERED, S.PAID, ReviewRequired, R.UNRECOGNIZED_STATUS),
]


def check(cell: Cell, *history: PaymentStatus) -> None:
    received = like(PaymentReceived, status=cell.status, disposition=cell.disposition)
    given(*history).when(cell.status).then(
        *([received, cell.follows] if cell.follows else [received]),
        outcome=Outcome.STALE if cell.disposition is STALE else Outcome.RECORDED,
        status=cell.order_status,
        payment_status=cell.payment_status,
        review=cell.review,
    )


@pytest.mark.parametrize("cell", BEFORE_A_PAID, ids=lambda cell: cell.status)
def test_before_a_paid(cell: Cell) -> None:
    check(cell)


@pytest.mark.parametrize("cell", AFTER_A_PAID, ids=lambda cell: cell.status)
def test_after_a_paid(cell: Cell) -> None:
    check(cell, S.PAID)


@pytest.mark.parametrize("table", [BEFORE_A_PAID, AFTER_A_PAID], ids=["before", "after"])
def test_the_tables_have_a_cell_for_every_status(table: list[Cell]) -> None:
    assert [cell.status for cell in table] == list(PaymentStatus)
    assert set(TRANSITIONS) == set(PaymentStatus)


def test_the_table_that_people_read_says_where_a_review_may_follow_a_paid() -> None:
    reviewed_after_paid = {status for status in S if "review" in TRANSITIONS[status].after_paid}
    assert reviewed_after_paid == {S.FAILED, S.CANCELLED, S.UNRECOGNIZED, *MONEY_WENT_BACK}


def test_what_was_told_is_recorded_as_it_was_told() -> None:
    told = notice(
        status=S.PENDING,
        raw_status="pending_review",
        references=("INV-7",),
        payment=Payment(ref="tx-1", status=S.PENDING),
        occurred_at=EARLIER,
        body_digest="5a" * 32,
        hidden_references=("0c" * 16,),
        customer="ab" * 16,
        private="c2VhbGVk",
    )
    names = "provider delivery_key status raw_status received_at references amount"
    names += " currency payment occurred_at body_digest hidden_references customer private"
    facts = {name: getattr(told, name) for name in names.split()}
    given().when(told).then(
        like(PaymentReceived, originator_id="default/1", originator_version=1, **facts)
    )


def test_a_decision_about_another_order_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(AssertionError):
        given().when(notice("2"))


# ------------------------------------------------------------------------------- before a PAID


@pytest.mark.parametrize("again", [S.PENDING, S.PARTIALLY_PAID])
@pytest.mark.parametrize("failure", FAILURES)
def test_an_order_whose_payment_failed_awaits_payment_once_it_is_tried_again(
    failure: PaymentStatus, again: PaymentStatus
) -> None:
    given(failure).when(again).then(PaymentReceived, status=AWAITING, payment_status=again)


@pytest.mark.parametrize("second", FAILURES)
@pytest.mark.parametrize("first", FAILURES)
def test_a_second_failure_is_applied_but_fails_the_order_only_once(
    first: PaymentStatus, second: PaymentStatus
) -> None:
    given(first).when(second).then(
        like(PaymentReceived, disposition=APPLIED), status=FAILED, payment_status=second
    )


def test_a_failure_after_another_try_fails_the_order_once_more() -> None:
    given(S.FAILED, S.PENDING).when(S.EXPIRED).then(
        PaymentReceived, like(PaymentFailed, caused_by=4, originator_version=5), status=FAILED
    )


@pytest.mark.parametrize("earlier", [S.PENDING, S.PARTIALLY_PAID, S.UNRECOGNIZED, *FAILURES])
def test_a_paid_delivers_whatever_was_told_before_it_short_of_money_going_back(
    earlier: PaymentStatus,
) -> None:
    given(earlier).when(S.PAID).then(PaymentReceived, Delivered, status=DELIVERED)


@pytest.mark.parametrize("back", MONEY_WENT_BACK)
def test_money_that_went_back_leaves_a_failed_order_failed(back: PaymentStatus) -> None:
    given(S.FAILED).when(back).then(PaymentReceived, ReviewRequired, status=FAILED)


@pytest.mark.parametrize("other", [S.PENDING, S.FAILED, S.UNRECOGNIZED])
@pytest.mark.parametrize("back", MONEY_WENT_BACK)
def test_a_paid_after_money_went_back_is_held_for_review_and_not_delivered(
    back: PaymentStatus, other: PaymentStatus
) -> None:
    for history in ([back], [back, other], [other, back]):
        order = given(*history).order
        given(*history).when(S.PAID).then(
            like(PaymentReceived, disposition=HELD),
            reviewed(R.PAID_AFTER_REFUND),
            status=order.status,
            payment_status=order.payment_status,
            review=R.PAID_AFTER_REFUND,
        )


def test_after_a_held_paid_no_further_paid_delivers() -> None:
    given(S.REFUNDED, S.PAID).when(S.PAID).then(PaymentReceived, status=AWAITING)


@pytest.mark.parametrize("late", [S.PENDING, S.PARTIALLY_PAID, S.FAILED, S.EXPIRED])
def test_after_a_held_paid_other_news_is_stale_too(late: PaymentStatus) -> None:
    given(S.REFUNDED, S.PAID).when(late).then(
        PaymentReceived, outcome=Outcome.STALE, status=AWAITING, payment_status=S.REFUNDED
    )


# -------------------------------------------------------------------------------- after a PAID


def test_delivered_names_the_news_that_caused_it() -> None:
    given(S.PENDING, S.FAILED).when(S.PAID).then(
        like(PaymentReceived, originator_version=4, status=S.PAID),
        like(Delivered, originator_version=5, originator_id="default/1", caused_by=4),
    )


def test_an_order_is_delivered_exactly_once() -> None:
    given(S.PAID, S.PENDING, S.REFUNDED).when(S.PAID).then(
        like(PaymentReceived, disposition=NOTED), status=DELIVERED, payment_status=S.REFUNDED
    )


def test_a_failure_of_the_payment_that_the_paid_told_of_is_reviewed() -> None:
    given(notice(**paid_with("tx-1"))).when(
        notice(status=S.FAILED, payment=Payment(ref="tx-1", status=S.FAILED))
    ).then(
        PaymentReceived,
        reviewed(R.FAILED_AFTER_PAID),
        outcome=Outcome.STALE,
        status=DELIVERED,
        review=R.FAILED_AFTER_PAID,
    )


@pytest.mark.parametrize("payment", [None, Payment(ref="tx-2", status=S.FAILED)])
@pytest.mark.parametrize("occurred_at", [None, EARLIER, NOON])
def test_a_failure_of_another_payment_that_is_no_later_is_only_stale(
    payment: Payment | None, occurred_at: Any
) -> None:
    given(notice(**paid_with("tx-1"), occurred_at=NOON)).when(
        notice(status=S.FAILED, payment=payment, occurred_at=occurred_at)
    ).then(PaymentReceived, outcome=Outcome.STALE, status=DELIVERED, review=None)


def test_a_failure_that_is_later_than_the_paid_is_reviewed() -> None:
    given(notice(occurred_at=NOON)).when(notice(status=S.FAILED, occurred_at=LATER)).then(
        PaymentReceived, reviewed(R.FAILED_AFTER_PAID), outcome=Outcome.STALE, status=DELIVERED
    )


@pytest.mark.parametrize("paid_at", [None, LATER])
def test_a_failure_that_is_not_known_to_be_later_is_only_stale(paid_at: Any) -> None:
    given(notice(occurred_at=paid_at)).when(notice(status=S.FAILED, occurred_at=NOON)).then(
        PaymentReceived, outcome=Outcome.STALE, review=None
    )


def test_when_we_heard_of_it_says_nothing_about_which_news_is_later() -> None:
    given(notice(received_at=EARLIER)).when(notice(status=S.FAILED, received_at=LATER)).then(
        PaymentReceived, outcome=Outcome.STALE, review=None
    )


def test_a_failure_is_held_against_every_paid_that_was_told() -> None:
    paids = [notice(**paid_with("tx-1")), notice(**paid_with("tx-2", occurred_at=NOON))]
    for ref in ("tx-1", "tx-2"):
        failed = notice(status=S.FAILED, payment=Payment(ref=ref, status=S.FAILED))
        given(*paids).when(failed).then(PaymentReceived, ReviewRequired, outcome=Outcome.STALE)


def test_a_failure_between_two_paids_is_only_stale() -> None:
    paids = [notice(occurred_at=time) for time in (LATER, EARLIER)]
    given(*paids).when(notice(status=S.FAILED, occurred_at=NOON)).then(
        PaymentReceived, outcome=Outcome.STALE, review=None
    )


def test_an_expiry_is_only_stale_even_where_it_is_later_and_of_the_paid_payment() -> None:
    given(notice(**paid_with("tx-1", occurred_at=NOON))).when(
        notice(status=S.EXPIRED, **paid_with("tx-1", occurred_at=LATER))
    ).then(PaymentReceived, outcome=Outcome.STALE, review=None)


def test_a_cancellation_is_reviewed_even_where_it_is_earlier() -> None:
    given(notice(occurred_at=NOON)).when(notice(status=S.CANCELLED, occurred_at=EARLIER)).then(
        PaymentReceived, reviewed(R.CANCELLED_AFTER_PAID), outcome=Outcome.STALE, status=DELIVERED
    )


# --------------------------------------------------------------------------------------- review


def test_a_review_never_changes_the_status() -> None:
    for history in ([], [S.FAILED], [S.PAID]):
        before = given(*history)
        for status in (*MONEY_WENT_BACK, S.UNRECOGNIZED):
            after = before.when(status).then(
                PaymentReceived, ReviewRequired, status=before.order.status
            )
            assert after.review is not None


def test_an_open_review_hinders_no_delivery_and_stays_open() -> None:
    given(S.UNRECOGNIZED).when(S.PAID).then(
        PaymentReceived, Delivered, status=DELIVERED, review=R.UNRECOGNIZED_STATUS
    )


def test_news_without_a_reason_leaves_the_review_open() -> None:
    given(S.PAID, S.DISPUTED).when(S.PENDING).then(
        PaymentReceived, outcome=Outcome.STALE, review=R.DISPUTED
    )


@pytest.mark.parametrize("status", [*MONEY_WENT_BACK, S.UNRECOGNIZED, S.CANCELLED])
def test_a_review_is_not_required_again_while_it_is_open_for_the_same_reason(
    status: PaymentStatus,
) -> None:
    order = given(S.PAID, status).order
    outcome = Outcome.STALE if status is S.CANCELLED else Outcome.RECORDED
    given(S.PAID, status).when(status).then(PaymentReceived, outcome=outcome, review=order.review)


def test_another_reason_is_a_review_of_its_own() -> None:
    given(S.PAID, S.PARTIALLY_REFUNDED).when(S.REFUNDED).then(
        PaymentReceived, like(ReviewRequired, reason=R.REFUNDED, caused_by=5), review=R.REFUNDED
    )
