"""The read model of events: each fact of an event stands in the column of its name."""

from dataclasses import fields
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.events import DeliveryConflicted, Disposition, News, PaymentReceived
from domain.log import Position, Recorded
from domain.payment import Origin, Payment, PaymentStatus
from projections.audit_history import AUDIT_HISTORY, HistoryRow
from tests.notices import NOON

S = PaymentStatus
ELSEWHERE = {
    *("originator_id", "originator_version", "status", "payment", "original_version"),
    *("body_hash", "hidden_references", "customer", "private"),  # hashes, and what is sealed
}
TOLD: dict[str, Any] = {
    "originator_id": "shop/7",
    "originator_version": 3,
    "provider": "sevi",
    "delivery_key": "a-key",
    "status": S.PAID,
    "raw_status": "paid!",
    "received_at": NOON,
    "body_digest": "a-digest",
    "references": ("R1", "R2"),
    "amount": Decimal("902.10"),
    "currency": "KES",
    "payment": Payment(ref="tx-1", status=S.REFUNDED, amount=Decimal("5.00")),
    "occurred_at": NOON - timedelta(hours=1),
    "key_id": "key-1",
    "origin": Origin.REPLAY,
}


def _row(event: News) -> HistoryRow:
    recorded = Recorded(Position(0, 9), NOON + timedelta(seconds=5), event)
    ((_, row),) = AUDIT_HISTORY.fold({}, recorded)
    assert isinstance(row, HistoryRow)
    return row


@pytest.mark.parametrize(
    "news",
    [
        PaymentReceived(**TOLD, disposition=Disposition.STALE, told_status=S.PARTIALLY_PAID),
        DeliveryConflicted(**TOLD, original_version=1),
    ],
    ids=["received", "conflicted"],
)
def test_each_fact_of_news_stands_in_the_column_of_its_name(news: News) -> None:
    row = _row(news)
    names = {field.name for field in fields(news)} - ELSEWHERE
    assert {name: getattr(row, name) for name in names} == {n: getattr(news, n) for n in names}
    assert row[:7] == (0, 9, "shop", "7", 3, type(news).__name__, NOON + timedelta(seconds=5))
    assert (row.payment_status, row.payment_ref, row.payment_state) == ("PAID", "tx-1", "REFUNDED")
    assert row.payment_amount == Decimal("5.00")


def test_what_became_of_news_stands_beside_it() -> None:
    stale = _row(PaymentReceived(**TOLD, disposition=Disposition.STALE))
    assert (stale.disposition, stale.stale, stale.caused_by) == ("stale", True, None)
    noted = _row(PaymentReceived(**TOLD, disposition=Disposition.NOTED))
    assert (noted.disposition, noted.stale, noted.told_status) == ("noted", False, None)
    conflict = _row(DeliveryConflicted(**TOLD, original_version=1))
    assert (conflict.disposition, conflict.stale, conflict.caused_by) == (None, False, 1)
