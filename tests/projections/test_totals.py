"""Money is added up once for each payment, exactly, and once for an order that names none."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.queries.totals import totals
from domain.log import Position, Recorded
from domain.order import Order, OrderEvent, Unregistered, decide, evolve
from domain.payment import Payment, PaymentNotice, PaymentStatus
from projections.model import Place, Row
from projections.totals import MONEY, PAYMENTS, STATED, Counted, PaymentRow, StatedRow, total
from tests.domain.harness import ACCEPTED, Happens, happen, placement
from tests.notices import NOON, delivery, notice
from tests.projections.conftest import Models
from tests.strategies import notices

S = PaymentStatus
DAY = timedelta(days=1)


class Money:
    """The read model, kept as a runner keeps it, a day passing with each thing that happens."""

    def __init__(self) -> None:
        self.rows: dict[Place, Row] = {}
        self.orders: dict[str, Order] = {}
        self.events: list[OrderEvent] = []
        self.now = NOON

    def happens(self, *things: Happens, unregistered: Unregistered = Unregistered.TAKE) -> "Money":
        for thing in things:
            name = "1" if isinstance(thing, PaymentStatus) else thing.order_id
            order = self.orders.get(name, Order(f"default/{name}"))
            for event in happen(order, thing, unregistered).events:
                order = evolve(order, event)
                self._take_in(event)
            self.orders[name] = order
            self.now += DAY
        return self

    def _take_in(self, event: OrderEvent) -> None:
        self.events.append(event)
        recorded = Recorded(Position(0, len(self.events)), self.now, event)
        asked = {place: self.rows[place] for place in MONEY.reads(recorded) if place in self.rows}
        for table, row in MONEY.fold(asked, recorded):
            self.rows[table, table.key_of(row)] = row

    def counted(self) -> list[Counted]:
        return [
            (row.day, row.provider, row.currency, row.status, row.amount, 1)
            for row in self.rows.values()
            if isinstance(row, PaymentRow) or (isinstance(row, StatedRow) and row.counts)
        ]

    def totals(self) -> list[tuple[Any, ...]]:
        """Day of January, status, number, amount."""
        return [
            (int(t.day[-2:]), t.status, t.payments, str(t.amount)) for t in total(self.counted())
        ]


def moved(ref: str, amount: str | None, status: PaymentStatus = S.PAID, **fields: Any) -> Happens:
    payment = Payment(ref=ref, status=status, amount=Decimal(amount) if amount else None)
    return notice(payment=payment, **{"status": status} | fields)


def test_an_order_told_only_by_its_state_counts_once_when_it_is_delivered() -> None:
    assert Money().happens(S.PENDING, S.FAILED).totals() == []
    assert Money().happens(S.PENDING, S.PAID, S.PAID).totals() == [(6, "PAID", 1, "902.10")]


def test_a_payment_counts_once_on_the_day_of_its_latest_change() -> None:
    told = Money().happens(moved("a", "5", S.PENDING), moved("a", "5"), moved("a", "5"))
    assert told.totals() == [(6, "PAID", 1, "5")]
    assert told.happens(moved("a", "5", S.REFUNDED)).totals() == [(8, "REFUNDED", 1, "5")]


def test_an_order_whose_payments_are_named_is_not_counted_besides() -> None:
    paid = [(5, "PAID", 1, "902.10")]
    assert Money().happens(S.PAID).totals() == paid
    assert Money().happens(S.PAID, moved("a", "900")).totals() == [(6, "PAID", 1, "900")]
    assert Money().happens(moved("a", "900"), S.PAID).totals() == [(5, "PAID", 1, "900")]


def test_money_that_went_back_from_an_order_told_by_its_state_is_told_so() -> None:
    assert Money().happens(S.PAID, S.REFUNDED).totals() == [(6, "REFUNDED", 1, "902.10")]


def test_payments_of_orders_are_added_exactly_with_what_told_no_amount_beside() -> None:
    big = "99999999999999999999.99999999999999999999"
    told = Money().happens(
        moved("a", big, order_id="1", received_at=NOON),
        moved("b", None, order_id="2"),
    )
    told.now = NOON
    told.happens(moved("c", big, order_id="3"))
    (first, second) = total(told.counted())
    assert str(first.amount) == "199999999999999999999.99999999999999999998"
    assert (second.payments, second.unknown, str(second.amount)) == (1, 1, "0")


def test_what_was_counted_often_is_multiplied_exactly() -> None:
    (all_of_it,) = total([("2026-01-05", "sevi", "KES", "PAID", Decimal("0.10"), 10_000_001)])
    assert (str(all_of_it.amount), all_of_it.payments) == ("1000000.10", 10_000_001)


def test_parked_news_counts_when_it_is_taken_in() -> None:
    parked = Money().happens(moved("a", "902.10"), S.PAID, unregistered=Unregistered.PARK)
    assert parked.totals() == []
    assert parked.happens(placement()).totals() == [(7, "PAID", 1, "902.10")]


def test_an_accepted_payment_counts_with_the_money_that_came() -> None:
    held = Money().happens(placement("5"), S.PAID)
    assert held.totals() == []
    assert held.happens(ACCEPTED).totals() == [(7, "PAID", 1, "902.10")]


def test_both_databases_add_up_alike(models: Models) -> None:
    models.record(3)
    parts = [moved(ref, "0.10", order_id=f"with {ref}") for ref in ("a", "b")]
    models.ledger.record([delivery(part) for part in parts if isinstance(part, PaymentNotice)])
    models.follow(MONEY)
    (item,) = totals(models.storage.views, None, None).items
    assert (item.provider, item.currency, item.status) == ("sevi", "KES", "PAID")
    assert (item.payments, item.amount, item.unknown) == (5, "2706.50", 0)
    assert totals(models.storage.views, None, item.day).items == []
    assert totals(models.storage.views, item.day, None, "default").items == [item]
    assert totals(models.storage.views, item.day, None, "another").items == []


@settings(max_examples=200, deadline=None)
@given(st.lists(notices(), max_size=12))
def test_each_payment_stands_there_once_as_it_was_told_last(history: list[PaymentNotice]) -> None:
    money = Money()
    latest: dict[tuple[str, str], PaymentStatus] = {}
    for told in history:
        order = money.orders.get("1", Order("default/1"))
        is_new = decide(order, told).events
        money.happens(told)
        payment = told.payment
        if payment is not None and is_new and type(is_new[0]).__name__ == "PaymentReceived":
            latest.setdefault((told.provider, payment.ref), payment.status)
    kept = [row for row in money.rows.values() if isinstance(row, PaymentRow)]
    assert {(row.provider, row.payment_ref) for row in kept} == set(latest)
    counted = [row for row in money.rows.values() if isinstance(row, StatedRow) and row.counts]
    assert not (kept and counted), "never both"
    delivered = money.orders.get("1", Order("default/1")).status == "DELIVERED"
    assert bool(counted) == (delivered and not kept)
    assert {table for table, _ in money.rows} <= {PAYMENTS, STATED}
