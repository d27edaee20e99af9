"""The stored form of events: readable, stable, and read again in every older version."""

import json
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from eventsourcing.persistence import MapperDeserialisationError, StoredEvent

from adapters.ledger import mapper as module
from adapters.ledger.mapper import FORMS, EventMapper
from domain.order import EVENT_TYPES, Delivered, Order, OrderEvent, OrderPlaced, decide
from domain.payment import Payment, PaymentStatus
from tests.notices import notice

mapper = EventMapper()


def _news() -> OrderEvent:
    told = notice(
        references=("ORD-1", "SHOP-1"),
        payment=Payment(ref="T-1", status=PaymentStatus.PAID, amount=Decimal("0.10")),
        occurred_at=datetime(2026, 1, 5, 11, tzinfo=UTC),
    )
    return decide(Order("default/1"), told).events[0]


def test_what_is_stored_is_read_back_equal() -> None:
    for event in (_news(), *decide(Order("default/1"), notice()).events):
        assert mapper.to_domain_event(mapper.to_stored_event(event)) == event


def test_the_stored_form_is_json_that_a_person_reads() -> None:
    stored = mapper.to_stored_event(_news())
    assert stored.topic == "PaymentReceived"
    state = json.loads(stored.state)
    assert state["v"] == 1
    assert state["amount"] == "902.10"
    assert state["received_at"] == "2026-01-05T12:00:00Z"
    assert state["payment"] == {"ref": "T-1", "status": "PAID", "amount": "0.10"}
    assert "originator_id" not in state, "the stream has a column of its own"


def test_what_is_none_is_left_out() -> None:
    (news, _) = decide(Order("default/1"), notice(amount=None)).events
    assert (
        not {"amount", "payment", "occurred_at"}
        & json.loads(mapper.to_stored_event(news).state).keys()
    )


def test_what_equals_a_default_is_left_out() -> None:
    placed = OrderPlaced(
        originator_id="default/1",
        originator_version=1,
        amount=Decimal("902.10"),
        currency="USD",
        tolerance=Decimal("0.00"),
        by="shop",
    )
    stored = mapper.to_stored_event(placed)
    assert stored.state == b'{"v":1,"amount":"902.10","currency":"USD","by":"shop"}'


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_every_event_begins_with_the_fields_that_have_columns(event_type: type[OrderEvent]) -> None:
    assert tuple(f.name for f in fields(event_type))[:2] == module.ENVELOPE


@pytest.mark.parametrize(
    ("topic", "state"),
    [
        ("Delivered", b"no json"),
        ("Delivered", b'{"v":1}'),
        ("Delivered", b'{"v":1,"caused_by":"1"}'),
        ("Delivered", b'{"v":7,"caused_by":1}'),
        ("domain.order:Delivered", b'{"v":1,"caused_by":1}'),
        ("PaymentReceived", b'{"v":1,"status":"NEVER_HEARD"}'),
    ],
)
def test_what_cannot_be_read_is_named(topic: str, state: bytes) -> None:
    with pytest.raises(MapperDeserialisationError, match="version 3 of stream 'default/1'"):
        mapper.to_domain_event(StoredEvent("default/1", 3, topic, state))


def test_only_events_of_an_order_are_stored() -> None:
    @dataclass
    class Delivered:
        originator_id: str = "default/1"
        originator_version: int = 1

    with pytest.raises(TypeError):
        mapper.to_stored_event(Delivered())


@dataclass(frozen=True, slots=True, kw_only=True)
class _NewerDelivered(Delivered):
    class_version: ClassVar[int] = 3
    by: str

    @staticmethod
    def upcast_v1_v2(state: dict[str, Any]) -> None:
        state["person"] = "unknown"

    @staticmethod
    def upcast_v2_v3(state: dict[str, Any]) -> None:
        state["by"] = state.pop("person")


def test_an_older_version_is_brought_up_to_date_on_read(monkeypatch: pytest.MonkeyPatch) -> None:
    forms = {**FORMS, "Delivered": module._Form(_NewerDelivered)}
    monkeypatch.setattr(module, "FORMS", forms)
    for version, extra in ((1, ""), (2, ',"person":"unknown"'), (3, ',"by":"unknown"')):
        state = f'{{"v":{version},"caused_by":1{extra}}}'.encode()
        event = mapper.to_domain_event(StoredEvent("default/1", 2, "Delivered", state))
        assert event == _NewerDelivered(
            originator_id="default/1", originator_version=2, caused_by=1, by="unknown"
        )
