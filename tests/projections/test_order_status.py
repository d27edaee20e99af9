"""The read model of orders: folded from events alone, it agrees with the aggregate."""

from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from domain.log import Position, Recorded
from domain.order import Order, OrderEvent, decide, evolve
from domain.payment import PaymentNotice, PaymentStatus
from projections.model import Place, Row
from projections.order_status import ORDER_STATUS, ORDERS, REFERENCES, OrderRow, ReferenceRow
from tests.notices import NOON, notice

S = PaymentStatus


def _events(*notices: PaymentNotice) -> tuple[Order, list[OrderEvent]]:
    order, events = Order("default/1"), []
    for told in notices:
        for event in decide(order, told).events:
            order = evolve(order, event)
            events.append(event)
    return order, events


def _fold(*notices: PaymentNotice) -> tuple[OrderRow, list[Row]]:
    rows: dict[Place, Row] = {}
    for index, event in enumerate(_events(*notices)[1], 1):
        at = NOON + timedelta(seconds=index)
        for table, row in ORDER_STATUS.fold(rows, Recorded(Position(0, index), at, event)):
            rows[table, table.key_of(row)] = row
    order = rows[ORDERS, ("default", "1")]
    assert isinstance(order, OrderRow)
    return order, [row for (table, _), row in rows.items() if table is REFERENCES]


def test_a_paid_order_is_delivered_at_the_time_its_delivery_was_recorded() -> None:
    row, _ = _fold(notice(status=S.PENDING), notice(status=S.PAID), notice(status=S.PENDING))
    assert (row.status, row.payment_status, row.review) == ("DELIVERED", "PAID", None)
    assert row.delivered_at == NOON + timedelta(seconds=3)
    assert row.updated_at == NOON + timedelta(seconds=4)
    assert (row.version, row.idx) == (4, 4)


def test_stale_news_changes_neither_status_nor_amount() -> None:
    row, _ = _fold(notice(), notice(status=S.FAILED, amount=None, currency="UGX"))
    assert (row.payment_status, str(row.amount), row.currency) == ("PAID", "902.10", "KES")


def test_references_are_gathered_once_each_in_the_order_they_came() -> None:
    row, references = _fold(
        notice(status=S.PENDING, references=("ORD-1",)),
        notice(status=S.PENDING, references=("SHOP-9", "ORD-1")),
    )
    assert row.references == ("ORD-1", "SHOP-9")
    assert sorted(references) == [
        ReferenceRow("default", "ORD-1", "1"),
        ReferenceRow("default", "SHOP-9", "1"),
    ]


def test_another_providers_news_lends_the_order_nothing() -> None:
    row, references = _fold(
        notice(status=S.PENDING, amount=None),
        notice(provider="other", references=("THEIRS",)),
    )
    assert (row.provider, row.amount, row.review) == ("sevi", None, "other_provider")
    assert references == []


def test_a_customer_is_found_by_whatever_news_tells_of_it() -> None:
    """Also by another provider's, and by a conflicting one: both keep what names a person."""
    row, references = _fold(
        notice(status=S.PENDING, customer="hash-a"),
        notice(provider="other", customer="hash-b", hidden_references=("theirs",)),
        notice(status=S.PENDING, delivery_key="key", customer="hash-a"),
        notice(delivery_key="key", customer="hash-c", amount=Decimal(1)),
    )
    assert row.hidden == ("hash-a", "hash-b", "hash-c")
    assert {r.reference for r in references if isinstance(r, ReferenceRow)} == set(row.hidden)
    assert row.review is not None


@given(st.lists(st.tuples(st.sampled_from(S), st.sampled_from(["sevi", "other"])), min_size=1))
def test_the_row_agrees_with_the_aggregate(told: list[tuple[PaymentStatus, str]]) -> None:
    notices = [notice(status=status, provider=provider) for status, provider in told]
    order, events = _events(*notices)
    row, _ = _fold(*notices)
    assert (row.status, row.payment_status, row.review) == (
        order.status.value,
        order.payment_status.value if order.payment_status else None,
        order.review.value if order.review else None,
    )
    assert (row.version, row.provider) == (len(events), order.provider)
