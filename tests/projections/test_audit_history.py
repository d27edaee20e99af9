"""The read model of events: each fact of an event stands in the column of its name."""

from dataclasses import fields, replace
from datetime import timedelta
from decimal import Decimal

import pytest

from domain.log import Position, Recorded
from domain.order import (
    DeliveryConflicted,
    Disposition,
    News,
    Order,
    PaymentReceived,
    decide,
    evolve,
)
from domain.payment import Origin, Payment, PaymentNotice, PaymentStatus
from projections.audit_history import AUDIT_HISTORY, HistoryRow
from tests.notices import NOON, notice

S = PaymentStatus
LATER = NOON + timedelta(seconds=5)


def _told(raw_status: str) -> PaymentNotice:
    return notice(
        delivery_key="a-key",
        raw_status=raw_status,
        references=("R1", "R2"),
        payment=Payment(ref="tx-1", status=S.REFUNDED, amount=Decimal("5.00")),
        occurred_at=NOON - timedelta(hours=1),
        key_id="key-1",
        origin=Origin.REPLAY,
    )


def _received() -> PaymentReceived:
    news, *_ = decide(Order("default/1"), _told("paid!")).events
    assert isinstance(news, PaymentReceived)
    return replace(news, disposition=Disposition.STALE, told_status=S.PARTIALLY_PAID)


def _conflicted() -> DeliveryConflicted:
    order = Order("default/1")
    for event in decide(order, _told("paid!")).events:
        order = evolve(order, event)
    other = replace(_told("paid?"), amount=Decimal("1.00"))
    news, *_ = decide(order, other).events
    assert isinstance(news, DeliveryConflicted)
    return news


def _row(event: News) -> HistoryRow:
    ((_, row),) = AUDIT_HISTORY.fold({}, Recorded(Position(0, 9), LATER, event))
    assert isinstance(row, HistoryRow)
    return row


@pytest.mark.parametrize("news", [_received(), _conflicted()], ids=["received", "conflicted"])
def test_each_fact_of_news_stands_in_the_column_of_its_name(news: News) -> None:
    row = _row(news)
    names = {field.name for field in fields(news)} & set(HistoryRow._fields)
    assert {"provider", "raw_status", "delivery_key", "occurred_at", "key_id"} < names
    assert {name: getattr(row, name) for name in names} == {
        name: getattr(news, name) for name in names
    }
    place = ("default", "1", news.originator_version, type(news).__name__, LATER)
    assert row[:7] == (0, 9, *place)
    assert (row.payment_status, row.payment_ref, row.payment_state) == ("PAID", "tx-1", "REFUNDED")
    assert row.payment_amount == Decimal("5.00")


def test_what_became_of_news_stands_beside_it() -> None:
    stale = _row(_received())
    assert (stale.disposition, stale.stale, stale.caused_by) == ("stale", True, None)
    noted = _row(replace(_received(), disposition=Disposition.NOTED, told_status=None))
    assert (noted.disposition, noted.stale, noted.told_status) == ("noted", False, None)
    conflict = _row(_conflicted())
    assert (conflict.disposition, conflict.stale, conflict.caused_by) == (None, False, 1)
