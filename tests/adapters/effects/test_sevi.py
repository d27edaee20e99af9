"""Telling Sevi of a delivery: it moves money, so Sevi is asked first, every time."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from adapters.effects.base import Verdict
from adapters.effects.sevi import OrderDeliver
from adapters.providers.sevi import SeviSettings
from adapters.sevi_api import ENDPOINTS, SeviApi
from domain.registration import Placement
from tests.adapters.effects.ledgers import Ledger
from tests.adapters.effects.test_webhook import EFFECT, ORDER
from tests.web import FakeSevi

REGISTERED = replace(EFFECT, order=ORDER.model_copy(update={"registered": True}))
PLACEMENT = Placement(
    store="default",
    order_id="42",
    references=("ORD-7",),
    amount=Decimal(100),
    currency="KES",
    by="the shop",
)


@pytest.fixture
def sevi() -> Iterator[FakeSevi]:
    with FakeSevi() as server:
        yield server


@pytest.fixture
def sender(sevi: FakeSevi) -> Iterator[OrderDeliver]:
    table = {"kind": "sevi", "api_token": sevi.token, "api_endpoint": sevi.url}
    made = OrderDeliver(SeviApi(SeviSettings.model_validate(table)))
    yield made
    made.close()


def test_a_paid_order_is_delivered_there(sevi: FakeSevi, sender: OrderDeliver) -> None:
    sevi.add_order("42")
    answer = sender.send(EFFECT)
    assert (answer.verdict, answer.said) == (Verdict.SENT, "DELIVERED there")
    assert [name for name, _ in sevi.asked] == ["orderSearch", "orderDeliver"]
    assert sevi.delivered == ["42"]


@pytest.mark.parametrize("status", ["DELIVERED", "ARCHIVED"])
def test_what_is_delivered_there_already_is_not_delivered_again(
    sevi: FakeSevi, sender: OrderDeliver, status: str
) -> None:
    sevi.add_order("42", status=status)
    answer = sender.send(EFFECT)
    assert (answer.verdict, answer.said) == (Verdict.SENT, f"was {status} there already")
    assert sevi.delivered == []


def test_a_mutation_whose_answer_was_lost_is_not_repeated(
    sevi: FakeSevi, sender: OrderDeliver
) -> None:
    sevi.add_order("42")
    sevi.forgets_after_delivery = 502
    answer = sender.send(EFFECT)
    assert (answer.verdict, answer.excerpt) == (Verdict.RETRY, "Sevi answered HTTP 502")
    assert sender.send(EFFECT).said == "was DELIVERED there already"
    assert sevi.delivered == ["42"]


def test_an_order_that_the_shop_registered_goes_by_sevis_own_id(
    sevi: FakeSevi, sender: OrderDeliver
) -> None:
    sevi.add_order("42")  # another shop order there, which has this number by chance
    sevi.add_order("sevi-7")
    answer = sender.send(replace(REGISTERED, provider_order_id="sevi-7"))
    assert answer.verdict is Verdict.SENT
    assert sevi.delivered == ["sevi-7"]


def test_where_sevis_id_was_not_kept_the_shops_is_its_reference(
    sevi: FakeSevi, sender: OrderDeliver
) -> None:
    sevi.add_order("42")
    assert sender.send(REGISTERED).said == "Sevi knows no such order"
    sevi.add_order("sevi-7", platformReference="42")
    assert sender.send(REGISTERED).verdict is Verdict.SENT
    assert sevi.delivered == ["sevi-7"]


@pytest.mark.parametrize("is_registered_first", [True, False])
def test_the_paid_that_delivers_a_registered_order_keeps_sevis_id(
    ledger: Ledger, sevi: FakeSevi, is_registered_first: bool
) -> None:
    ledger.close()
    ledger.targets = {"deliver": {"kind": "sevi-order-deliver"}}
    ledger.providers["sevi"]["api_token"] = sevi.token
    ledger.registered_only = True
    ledger.open()
    if is_registered_first:
        ledger.service.ledger.execute([PLACEMENT])
    ledger.hears("777", "PAID", referenceNumber="ORD-7", amount=100, currency="KES")
    if not is_registered_first:
        ledger.service.ledger.execute([PLACEMENT])
    ledger.works()
    (effect,) = ledger.sender.sent
    assert (effect.order.order_id, effect.provider_order_id) == ("42", "777")


def test_what_is_not_clearly_the_order_is_not_delivered(
    sevi: FakeSevi, sender: OrderDeliver
) -> None:
    assert sender.send(EFFECT).said == "Sevi knows no such order"
    sevi.add_order("sevi-7", platformReference="42")
    assert sender.send(EFFECT).said == "Sevi knows no such order"
    sevi.add_order("sevi-8", platformReference="42")
    assert sender.send(REGISTERED).said == "Sevi knows no such order"
    sevi.add_order("42", payment="PENDING")
    assert sender.send(EFFECT).said == "Sevi does not call the order PAID"
    assert sevi.delivered == []


def test_a_refusal_is_tried_again_and_told_without_secrets(
    sevi: FakeSevi, sender: OrderDeliver
) -> None:
    sevi.refuses = "unknown field id of amina@example.com"
    answer = sender.send(EFFECT)
    assert answer.verdict is Verdict.RETRY
    assert answer.excerpt == "Sevi refused: unknown field id of …"
    sevi.refuses = None
    sevi.token = "another"
    answer = sender.send(EFFECT)
    assert (answer.verdict, answer.excerpt) == (Verdict.RETRY, "Sevi refused: Unauthorized")


def test_only_what_sevis_own_paid_delivered_goes_there(ledger: Ledger, sevi: FakeSevi) -> None:
    ledger.close()
    ledger.targets = {"deliver": {"kind": "sevi-order-deliver", "provider": "other"}}
    ledger.providers["other"] = {"kind": "sevi", "api_token": sevi.token}
    ledger.open()
    ledger.hears("a", "PAID")
    ledger.works()
    assert ledger.rows == []
    ledger.hears("b", "PAID", provider="other")
    ledger.works()
    assert ledger.sender.orders == ["b:Delivered"]


def test_the_endpoints_are_those_that_sevi_documents() -> None:
    assert ENDPOINTS == {
        "production": "https://partner.sevi.io/graphql",
        "sandbox": "https://sandbox.sevi.io/graphql",
    }
