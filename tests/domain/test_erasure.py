"""What an order is once its key was destroyed."""

import pytest

from domain.order import ImpossibleHistory, Order, evolve
from domain.payment import PaymentStatus
from tests.domain.harness import fold
from tests.domain.recorded import ID, delivered, erased, received, review

S = PaymentStatus
PAID = fold(Order(ID), [received(1), delivered(2, 1)])


def test_an_order_that_is_erased_keeps_where_it_stands() -> None:
    gone = evolve(PAID, erased(3))
    assert gone == PAID._replace(version=3, erased=True, last_cause=None)


def test_an_order_is_erased_once_and_only_where_there_is_something() -> None:
    gone = evolve(PAID, erased(3))
    for impossible, order in ((erased(1), Order(ID)), (erased(4), gone)):
        with pytest.raises(ImpossibleHistory, match="nothing to erase"):
            evolve(order, impossible)


def test_nothing_follows_from_what_was_told_before() -> None:
    refunded = fold(PAID, [received(3, S.REFUNDED)])
    assert evolve(refunded, review(4, 3)).review is not None
    with pytest.raises(ImpossibleHistory, match="does not follow"):
        evolve(evolve(refunded, erased(4)), review(5, 3))


def test_news_goes_on_to_be_taken_in() -> None:
    gone = evolve(PAID, erased(3))
    assert fold(gone, [received(4, S.REFUNDED), review(5, 4)]).review is not None
