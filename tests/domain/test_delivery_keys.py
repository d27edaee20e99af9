"""What a delivery repeats, what it contradicts, and whom it came from."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from domain.order import (
    Delivered,
    DeliveryConflicted,
    Disposition,
    OrderStatus,
    PaymentFailed,
    PaymentReceived,
    ReviewReason,
    ReviewRequired,
)
from domain.payment import Outcome, Payment, PaymentNotice, PaymentStatus
from tests.domain.harness import given, like
from tests.notices import notice

S = PaymentStatus
CONFLICT = Outcome.CONFLICT
AWAITING, FAILED, DELIVERED = OrderStatus
TX = Payment(ref="tx-1", status=S.PAID, amount=Decimal("902.1"))


def evt(body: bytes, status: PaymentStatus = S.PAID, **fields: Any) -> PaymentNotice:
    """A notice of a provider that names its deliveries itself."""
    told: dict[str, Any] = {"status": status, "delivery_key": "evt_1", "payment": TX}
    return notice(body=body, **told | fields)


# ---------------------------------------------------------------------------------- duplicates


@pytest.mark.parametrize("status", list(S))
def test_the_same_delivery_again_is_a_duplicate_of_the_last_event_it_caused(
    status: PaymentStatus,
) -> None:
    told = notice(status=status)
    order = given(told).order
    given(told).when(told).then_nothing(original_version=order.version)


def test_a_delivery_is_a_duplicate_whatever_was_told_since() -> None:
    first = notice(status=S.FAILED)
    given(first, S.PENDING, S.PAID, S.REFUNDED).when(first).then_nothing(original_version=2)


def test_the_same_bytes_repeat_even_where_they_are_read_in_another_way_by_now() -> None:
    given(evt(b"one")).when(evt(b"one", S.FAILED)).then_nothing(original_version=2)


def test_the_same_facts_under_another_key_are_news() -> None:
    told = evt(b"one", S.PENDING)
    again = evt(b"one", S.PENDING, delivery_key="evt_2")
    given(told).when(again).then(PaymentReceived, status=AWAITING)


def test_other_bytes_that_mean_the_same_are_a_duplicate() -> None:
    given(evt(b"one")).when(evt(b"two")).then_nothing(original_version=2)


@pytest.mark.parametrize(
    "fields",
    [
        {"amount": Decimal("902.1")},
        {"amount": Decimal("902.100")},
        {"payment": replace(TX, amount=Decimal("902.10"))},
        {"references": ("INV-7",)},
        {"raw_status": "Paid"},
    ],
    ids=str,
)
def test_other_bytes_repeat_where_status_amount_currency_and_payment_are_equal(
    fields: dict[str, Any],
) -> None:
    given(evt(b"one")).when(evt(b"two", **fields)).then_nothing(original_version=2)


def test_a_duplicate_is_found_behind_conflicts() -> None:
    history = [evt(b"one"), evt(b"two", S.FAILED), evt(b"three", S.CANCELLED)]
    given(*history).when(evt(b"one")).then_nothing(original_version=2)
    given(*history).when(evt(b"four")).then_nothing(original_version=2)


# ----------------------------------------------------------------------------------- conflicts


@pytest.mark.parametrize(
    "fields",
    [
        {"status": S.PENDING},
        {"amount": Decimal("902.11")},
        {"amount": None},
        {"currency": "UGX"},
        {"currency": None},
        {"payment": None},
        {"payment": replace(TX, ref="tx-2")},
        {"payment": replace(TX, status=S.FAILED)},
        {"payment": replace(TX, amount=Decimal(902))},
    ],
    ids=str,
)
def test_other_bytes_that_mean_something_else_conflict(fields: dict[str, Any]) -> None:
    told = evt(b"two", **fields)
    given(evt(b"one")).when(told).then(
        like(DeliveryConflicted, originator_version=3, original_version=1, status=told.status),
        like(ReviewRequired, reason=ReviewReason.DELIVERY_CONFLICT, caused_by=3),
        outcome=CONFLICT,
        status=DELIVERED,
        payment_status=S.PAID,
        review=ReviewReason.DELIVERY_CONFLICT,
    )


@pytest.mark.parametrize("status", [s for s in S if s is not S.PENDING])
def test_a_conflict_is_never_applied_whatever_it_says(status: PaymentStatus) -> None:
    given(evt(b"one", S.PENDING)).when(evt(b"two", status)).then(
        DeliveryConflicted,
        ReviewRequired,
        outcome=CONFLICT,
        status=AWAITING,
        payment_status=S.PENDING,
        paid=None,
        refunded=False,
    )


def test_a_conflict_that_said_paid_does_not_make_later_news_stale() -> None:
    given(evt(b"one", S.PENDING), evt(b"two")).when(S.FAILED).then(
        PaymentReceived, PaymentFailed, status=FAILED
    )


def test_a_paid_delivers_though_a_conflict_is_open() -> None:
    given(evt(b"one", S.PENDING), evt(b"two", S.REFUNDED)).when(S.PAID).then(
        PaymentReceived, Delivered, status=DELIVERED, review=ReviewReason.DELIVERY_CONFLICT
    )


def test_two_unknown_words_under_one_key_conflict() -> None:
    first, second = (evt(b, S.UNRECOGNIZED, raw_status=b.decode()) for b in (b"one", b"two"))
    given(first).when(second).then(DeliveryConflicted, ReviewRequired, outcome=CONFLICT)


def test_the_same_conflict_again_is_a_duplicate_of_its_last_event() -> None:
    told = evt(b"two", S.FAILED)
    given(evt(b"one"), told).when(told).then_nothing(original_version=4)
    given(evt(b"one"), told, S.PAID, evt(b"three", S.FAILED)).when(told).then_nothing(4)


def test_another_conflict_is_kept_and_named_after_the_original_but_not_reviewed_twice() -> None:
    given(evt(b"one"), evt(b"two", S.FAILED)).when(evt(b"three", S.EXPIRED)).then(
        like(DeliveryConflicted, original_version=1, originator_version=5), outcome=CONFLICT
    )


def test_other_bytes_that_repeat_a_conflict_and_not_its_original_conflict_too() -> None:
    given(evt(b"one"), evt(b"two", S.FAILED)).when(evt(b"three", S.FAILED)).then(
        DeliveryConflicted, outcome=CONFLICT
    )


# --------------------------------------------------------------------- a word that became known


def unknown() -> PaymentNotice:
    return evt(b"one", S.UNRECOGNIZED, raw_status="settled")


def known(status: PaymentStatus = S.PAID) -> PaymentNotice:
    return replace(unknown(), status=status)


def test_an_unknown_word_again_is_a_duplicate() -> None:
    given(unknown()).when(unknown()).then_nothing(original_version=2)


def test_a_replay_of_a_word_known_by_now_is_recorded_anew_and_applied() -> None:
    given(unknown()).when(known()).then(
        like(PaymentReceived, status=S.PAID, disposition=Disposition.APPLIED),
        like(Delivered, caused_by=3),
        status=DELIVERED,
        payment_status=S.PAID,
    )


def test_a_replay_of_a_word_known_by_now_follows_the_table_like_other_news() -> None:
    given(unknown(), S.PAID).when(known(S.PENDING)).then(
        PaymentReceived, outcome=Outcome.STALE, payment_status=S.PAID
    )
    given(unknown(), S.DISPUTED).when(known()).then(PaymentReceived, ReviewRequired)


def test_a_second_replay_of_a_word_known_by_now_is_a_duplicate() -> None:
    given(unknown(), known()).when(known()).then_nothing(original_version=4)


def test_a_word_that_is_unknown_once_more_is_a_duplicate_of_when_it_was_known() -> None:
    given(unknown(), known()).when(unknown()).then_nothing(original_version=4)


def test_a_replay_is_recorded_anew_though_its_key_has_a_conflict() -> None:
    given(unknown(), evt(b"two", S.FAILED)).when(known()).then(PaymentReceived, Delivered)


def test_a_conflict_with_an_unknown_word_stays_one_once_the_word_is_known() -> None:
    conflict = evt(b"two", S.UNRECOGNIZED, raw_status="cleared")
    given(evt(b"one", S.PENDING), conflict).when(replace(conflict, status=S.PAID)).then_nothing(3)


# ------------------------------------------------------------------------------- other providers

OTHER = "stripe"


def from_another(status: PaymentStatus, **fields: Any) -> PaymentNotice:
    return notice(status=status, provider=OTHER, **fields)


MONEY_MOVED = [s for s in S if s not in (S.PENDING, S.FAILED, S.CANCELLED, S.EXPIRED)]


@pytest.mark.parametrize("status", MONEY_MOVED)
def test_before_a_paid_another_providers_news_of_money_is_held_for_review(
    status: PaymentStatus,
) -> None:
    given(S.PENDING).when(from_another(status)).then(
        like(PaymentReceived, provider=OTHER, disposition=Disposition.HELD),
        like(ReviewRequired, reason=ReviewReason.OTHER_PROVIDER),
        status=AWAITING,
        payment_status=S.PENDING,
        paid=None,
        refunded=False,
        provider="sevi",
    )


@pytest.mark.parametrize("status", MONEY_MOVED)
def test_after_a_paid_another_providers_news_of_money_is_reviewed_and_not_applied(
    status: PaymentStatus,
) -> None:
    stale = status is S.PARTIALLY_PAID
    given(S.PAID).when(from_another(status)).then(
        like(PaymentReceived, disposition=Disposition.STALE if stale else Disposition.HELD),
        like(ReviewRequired, reason=ReviewReason.OTHER_PROVIDER),
        outcome=Outcome.STALE if stale else Outcome.RECORDED,
        status=DELIVERED,
        payment_status=S.PAID,
    )


def test_another_providers_second_paid_is_not_reviewed_again() -> None:
    given(S.PENDING, from_another(S.PAID)).when(from_another(S.PAID)).then(
        PaymentReceived, review=ReviewReason.OTHER_PROVIDER
    )


@pytest.mark.parametrize("status", [S.PENDING, S.FAILED, S.CANCELLED, S.EXPIRED])
def test_another_providers_word_that_no_money_moved_changes_nothing(
    status: PaymentStatus,
) -> None:
    given(S.PARTIALLY_PAID).when(from_another(status)).then(
        like(PaymentReceived, disposition=Disposition.NOTED),
        status=AWAITING,
        payment_status=S.PARTIALLY_PAID,
        review=None,
    )
    given(S.PAID).when(from_another(status)).then(
        like(PaymentReceived, disposition=Disposition.STALE),
        outcome=Outcome.STALE,
        status=DELIVERED,
        payment_status=S.PAID,
        review=None,
    )


def test_another_providers_paid_neither_makes_news_stale_nor_delivers() -> None:
    given(S.PENDING, from_another(S.PAID)).when(S.PENDING).then(PaymentReceived, status=AWAITING)
    given(S.PENDING, from_another(S.PAID)).when(S.PAID).then(PaymentReceived, Delivered)


def test_another_providers_refund_does_not_hold_the_orders_own_paid_back() -> None:
    given(S.PENDING, from_another(S.REFUNDED)).when(S.PAID).then(PaymentReceived, Delivered)


def test_an_order_belongs_to_the_provider_that_first_named_it_whatever_it_said() -> None:
    given(from_another(S.UNRECOGNIZED)).when(S.PAID).then(PaymentReceived, ReviewRequired)
    given(from_another(S.FAILED)).when(from_another(S.PAID)).then(PaymentReceived, Delivered)


# ------------------------------------------------------------------------------ scope of a key


def test_one_key_of_two_providers_names_two_deliveries() -> None:
    given(evt(b"one", S.PENDING)).when(evt(b"one", S.PENDING, provider=OTHER)).then(
        PaymentReceived, review=None
    )
    given(evt(b"one")).when(evt(b"two", S.FAILED, provider=OTHER)).then(
        PaymentReceived, outcome=Outcome.STALE
    )


def test_another_provider_repeats_and_contradicts_its_own_deliveries() -> None:
    told = from_another(S.PAID, delivery_key="evt_1", body=b"one")
    given(S.PENDING, told).when(told).then_nothing(original_version=3)
    given(S.PENDING, told).when(from_another(S.FAILED, delivery_key="evt_1", body=b"two")).then(
        like(DeliveryConflicted, original_version=2), ReviewRequired, outcome=CONFLICT
    )


def test_one_key_of_two_orders_names_two_deliveries() -> None:
    given(evt(b"one")).when(evt(b"one")).then_nothing(original_version=2)
    given(order_id="2").when(evt(b"one", order_id="2")).then(PaymentReceived, Delivered)
