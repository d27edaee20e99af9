"""What somebody decides who erases an order: once, and its facts go on."""

import pytest

from domain.erasure import Erasure, erase
from domain.events import PersonalDataErased
from domain.log import stream_of
from domain.order import ImpossibleHistory, Order, OrderStatus, decide, evolve
from domain.payment import Outcome, PaymentStatus
from domain.registration import Unknown
from tests.domain.harness import fold, given
from tests.notices import notice

S = PaymentStatus
WISH = Erasure(store="default", order_id="1", by="user ann", reason="request 7")


def test_an_erasure_says_who_and_why() -> None:
    order = given(S.PENDING).order
    (erased,) = erase(order, WISH)
    assert erased == PersonalDataErased(
        originator_id="default/1", originator_version=2, by="user ann", reason="request 7"
    )


def test_an_order_is_erased_once() -> None:
    order = given(S.PAID).order
    after = fold(order, erase(order, WISH))
    assert after.erased
    assert erase(after, WISH) == ()
    again = PersonalDataErased(
        originator_id=after.id, originator_version=after.version + 1, by="ann", reason="again"
    )
    with pytest.raises(ImpossibleHistory):
        evolve(after, again)


def test_an_order_that_nobody_told_of_cannot_be_erased() -> None:
    with pytest.raises(Unknown, match="order 1"):
        erase(Order(stream_of("default", "1")), WISH)


def test_an_erased_order_is_paid_for_as_before() -> None:
    order = given(S.PENDING).order
    order = fold(order, erase(order, WISH))
    told = notice(status=S.PAID)
    decision = decide(order, told)
    assert decision.outcome is Outcome.RECORDED
    order = fold(order, decision.events)
    assert (order.status, order.erased) == (OrderStatus.DELIVERED, True)
    assert decide(order, told).outcome is Outcome.DUPLICATE
