"""Erasure, on both databases: what lies outside of the order, and whose it is."""

import json
from datetime import UTC, datetime
from typing import Any

from adapters.deliveries.intake import delivery_of
from adapters.effects.state import State
from adapters.erasure.erasing import Eraser
from adapters.ledger.application import Delivery
from adapters.providers import Request, Secret
from adapters.providers.sevi import Sevi
from adapters.service import Service
from adapters.storage.effects import Attempt, NewEffect
from adapters.storage.refusals import KeptRefusal
from domain.payment import Outcome
from tests.contract.test_erasure import ANN, PERSON, SEVI, body, erase, readable, tell


def test_a_strangers_payment_is_never_destroyed(service: Service) -> None:
    def paid(**more: Any) -> bytes:
        return json.dumps({"order": {"paymentStatus": "PAID"} | more}).encode()

    tell(
        service,
        body("1500", referenceNumber="paymentStatus", platformReference="PAID"),
        paid(amount=1500),
        paid(amount="1500"),
        paid(items=[{"id": 1500}]),
        b'{"order": {"paymentStatus": "PAID", "amount": 15',
    )
    strangers = {number: raw for number, raw in readable(service).items() if number > 1}
    assert len(strangers) == 4
    plan = erase(service, "1500")
    assert plan.deliveries == []
    assert plan.look_at == [2, 3, 4, 5], "PAID is a name of it: only a person can tell"
    assert readable(service) == strangers


def test_a_short_id_is_found_in_the_orders_id_field(service: Service) -> None:
    aside = json.dumps({"order": {"id": 123, "paymentStatus": 7}, "customer": {"name": PERSON}})
    tell(service, body("123"), aside.encode())
    assert len(readable(service)) == 2
    assert erase(service, "123").deliveries == [2]
    assert readable(service) == {}


def test_what_a_provider_sent_that_is_configured_no_more_is_only_shown(service: Service) -> None:
    tell(service, body("100017"))
    uganda = Sevi("sevi-uganda", "uganda", [Secret("key", "token")])
    raw = b'{"order": {"id": "100017"'
    request = Request([], raw, datetime.now(UTC))
    service.ledger.record([delivery_of(uganda, request, None, service.ledger.vault.hashing)])
    service.refusals.add(
        [], [KeptRefusal(datetime.now(UTC), "sevi-uganda", "wrong_secret", None, [], raw)]
    )
    (kept,) = service.refusals.kept()
    plan = erase(service)
    assert (plan.deliveries, plan.look_at) == ([], [2])
    assert (plan.refusals, plan.look_at_refused) == ([], [kept.id])
    assert readable(service) == {2: raw}
    assert [one.body for one in service.refusals.kept()] == [raw]


def test_what_a_target_answers_during_the_erasure_is_forgotten(service: Service) -> None:
    tell(service, body("100017"))
    service.effects.register("shop", 0)
    new = NewEffect("e1", "default", "100017", 2, 2, "Delivered")
    assert service.effects.enqueue("shop", 0, 1, [new])
    under_way = service.effects.get("e1")
    assert under_way is not None
    eraser = Eraser(service)
    plan = eraser.of_order("default", "100017")
    eraser.sweep(ANN, plan, "default/100017", "request 7")
    said = Attempt(State.DEAD, datetime.now(UTC), "HTTP 400", f"no {PERSON}", None, 1, None)
    assert service.effects.settle(under_way, said)
    service.ledger.execute(plan.erasures(ANN.who, "request 7"))
    assert eraser.finish([plan]) is None
    row = service.effects.get("e1")
    assert row is not None
    assert (row.answer, row.excerpt) == ("HTTP 400", None)


def test_a_customer_whom_only_news_names_that_is_not_applied_is_found(service: Service) -> None:
    """Another provider's news of an order, and a delivery that contradicts one of the same id."""
    hashing = service.vault.hashing
    other = Sevi("other", "default", [Secret("key", "token")])

    def told(sender: Sevi, raw: bytes, key: str) -> Delivery:
        made = delivery_of(sender, Request([], raw, datetime.now(UTC)), None, hashing)
        for each in made.notices:
            each.delivery_key = key
        return made

    theirs, contradicting = "CUS-000088", "CUS-000099"
    receipts = service.ledger.record(
        [
            told(SEVI, body("1"), "one"),
            told(other, body("1", customer=theirs), "two"),
            told(SEVI, body("1", "FAILED", customer=contradicting), "one"),
            told(SEVI, body("2", customer="CUS-000077"), "three"),
        ]
    )
    assert receipts[2].outcome is Outcome.CONFLICT
    for customer in (theirs, contradicting):
        plans = list(Eraser(service).of_customer(None, customer))
        assert [stream for plan in plans for stream in plan.orders] == ["default/1"]
    assert len(readable(service)) == 4
    eraser = Eraser(service)
    for plan in eraser.of_customer(None, contradicting):
        eraser.sweep(ANN, plan, "a customer", "request 7")
        service.ledger.execute(plan.erasures(ANN.who, "request 7"))
    assert list(readable(service)) == [4]
    service.runner.catch_up()
    history = service.queries.history("default", "1")
    assert history is not None
    assert not any(event.customer for event in history.events)
