"""Lists of orders and payments, and deliveries by the minute, on both databases alike."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from adapters.queries import order_search
from adapters.queries.order_search import (
    Hidden,
    OrderFilter,
    list_orders,
    read_cursor,
    write_cursor,
)
from adapters.queries.payment_search import PaymentFilter, select_payments
from adapters.storage import order_deliveries
from adapters.storage.log import LogEntry
from adapters.storage.opening import Storage, open_storage
from adapters.storage.order_deliveries import deliveries_of
from adapters.storage.rates import Minute, Rates
from domain.log import Position
from domain.money import exact_amount
from domain.payment import Outcome
from projections.audit_history import HISTORY, HistoryRow
from projections.known import PROJECTIONS
from projections.model import Row
from projections.order_status import ORDERS, REFERENCES, OrderRow, ReferenceRow
from projections.runner import Changes
from tests.contract.logs import DATABASES, START, event

MINUTE = timedelta(minutes=1)
# store, order id, status, review, amount, provider, minutes after the start
SHELF: list[tuple[str, str, str, str | None, str, str, int]] = [
    ("default", "1", "DELIVERED", None, "902.10", "sevi", 1),
    ("default", "2", "DELIVERED", "refunded", "902.1", "stripe", 5),
    ("default", "3", "PAYMENT_FAILED", None, "7", "sevi", 5),
    ("uganda", "1", "AWAITING_PAYMENT", None, "902.11", "sevi", 3),
    ("uganda", "a", "DELIVERED", "disputed", "7.00", "mpesa", 9),
]


@pytest.fixture(params=DATABASES)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
    opened = open_storage(url, PROJECTIONS)
    yield opened
    opened.close()


@pytest.fixture
def shelf(storage: Storage) -> Storage:
    """The orders of the shelf, each with one event, in the order of their times."""
    orders: list[Row] = []
    references: list[Row] = []
    history: list[Row] = []
    for idx, (store, name, status, review, amount, provider, minutes) in enumerate(
        sorted(SHELF, key=lambda order: order[-1]), 1
    ):
        at = START + minutes * MINUTE
        exact = exact_amount(Decimal(amount), "KES")
        ref = f"R-{store}-{name}"
        told = ("PAID", review, exact, "KES", (ref,), None, at, 0, idx)
        orders.append(OrderRow(store, name, 1, provider, status, *told))
        references.append(ReferenceRow(store, ref, name))
        row = HistoryRow(0, idx, store, name, 1, "PaymentReceived", at, at)
        history.append(row._replace(provider=provider, payment_status="PAID", raw_status="PAID"))
    views = storage.views
    names = {
        table: generation.name_of(table)
        for generation in views.read(lambda reader: reader.live).values()
        for table in generation.columns
    }
    with views.transaction(commit=True) as c:
        for table, rows in ((ORDERS, orders), (REFERENCES, references), (HISTORY, history)):
            views.put(c, table, names[table.name], Changes(rows, []))
    return storage


def listed(storage: Storage, wanted: OrderFilter, size: int) -> list[tuple[str, str]]:
    """The orders of a list, read in pages."""
    param = storage.views.param
    found: list[OrderRow] = []
    after = None
    while True:
        ask = partial(
            list_orders, wanted=wanted, after=after, limit=size, param=param, hidden=Hidden()
        )
        rows, after = storage.views.read(ask)
        found += rows
        assert len(rows) <= size
        if after is None:
            return [(row.store, row.order_id) for row in found]
        after = read_cursor(wanted, write_cursor(after))


D1, D2, D3, U1, UA = [(store, name) for store, name, *_ in SHELF]


# Each on an empty database would take minutes: all are asked of one shelf.
ORDERS_ASKED: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
    ({}, [D1, D2, D3, U1, UA]),
    ({"newest": True}, [UA, D3, D2, U1, D1]),
    ({"status": "DELIVERED"}, [D1, D2, UA]),
    ({"status": "DELIVERED", "newest": True, "store": "default"}, [D2, D1]),
    ({"review_open": True}, [D2, UA]),
    ({"review_open": True, "newest": True}, [UA, D2]),
    ({"parked": True}, []),
    ({"reference": "1"}, [D1, U1]),
    ({"reference": "1", "newest": True}, [U1, D1]),
    ({"reference": "R-uganda-a"}, [UA]),
    ({"reference": "R-uganda-a", "store": "default"}, []),
    ({"amount": Decimal("902.1")}, [D1, D2]),
    ({"amount": Decimal(7), "newest": True}, [UA, D3]),
    ({"amount": Decimal(7), "currency": "UGX"}, []),
    ({"provider": "sevi", "store": "default"}, [D1, D3]),
    ({"since": START + 3 * MINUTE, "until": START + 9 * MINUTE}, [D3, D2, U1]),
    ({"until": START + 3 * MINUTE}, [D1]),
]
PAYMENTS_ASKED: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [1, 2, 3, 4, 5]),
    ({"newest": True}, [5, 4, 3, 2, 1]),
    ({"since": START + 3 * MINUTE}, [2, 3, 4, 5]),
    ({"since": START + 4 * MINUTE, "until": START + 6 * MINUTE, "newest": True}, [4, 3]),
    ({"since": START + 10 * MINUTE}, []),
    ({"until": START + 10 * MINUTE}, [1, 2, 3, 4, 5]),
    ({"until": START}, []),
    ({"order_id": "1"}, [1, 2]),
    ({"order_id": "1", "store": "uganda"}, [2]),
    ({"store": "uganda", "newest": True}, [5, 2]),
    ({"provider": "mpesa"}, [5]),
]


def test_orders_are_listed_and_paged(shelf: Storage) -> None:
    for asked, wanted in ORDERS_ASKED:
        for size in (1, 2, 10):
            assert listed(shelf, OrderFilter(**asked), size) == wanted, (asked, size)


def test_what_no_index_knows_is_looked_for_piece_by_piece(
    shelf: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = OrderFilter(provider="mpesa", newest=True)
    param = shelf.views.param
    for looked_at in (1, 2, 3, 5, 6):
        monkeypatch.setattr(order_search, "LOOKED_AT_MAX", looked_at)
        for asked, expected in ORDERS_ASKED:
            for size in (1, 10):
                assert listed(shelf, OrderFilter(**asked), size) == expected, (asked, looked_at)
    monkeypatch.setattr(order_search, "LOOKED_AT_MAX", 2)
    ask = partial(list_orders, after=None, limit=10, param=param, hidden=Hidden())
    first = shelf.views.read(partial(ask, wanted=wanted))
    assert ([row.order_id for row in first.rows], first.after is not None) == (["a"], True)
    none = shelf.views.read(partial(ask, wanted=OrderFilter(provider="nobody", newest=True)))
    assert (none.rows, none.after is not None) == ([], True)


def test_payments_are_listed_and_paged(shelf: Storage) -> None:
    for asked, wanted in PAYMENTS_ASKED:
        assert told(shelf, PaymentFilter(**asked)) == wanted, asked


def told(shelf: Storage, filtered: PaymentFilter) -> list[int]:
    """The payment news of a list, read in pages of two, by its index."""
    views = shelf.views
    found: list[int] = []
    after = None
    while True:
        ask = partial(select_payments, wanted=filtered, after=after, limit=2, param=views.param)
        rows = views.read(ask)
        found += [row.idx for row in rows]
        if len(rows) < 2:
            return found
        after = Position(rows[-1].partition, rows[-1].idx)


def test_nothing_is_found_where_nothing_is(storage: Storage) -> None:
    views = storage.views
    for wanted in (OrderFilter(reference="1"), OrderFilter(newest=True)):
        assert listed(storage, wanted, 10) == []
    none = PaymentFilter(order_id="1", since=START, until=START)
    assert views.read(lambda r: select_payments(r, none, None, 10, views.param)) == []


def test_the_deliveries_of_an_order_are_found_wherever_they_stand(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(stream: str, version: int) -> LogEntry:
        events = [event(stream, version)] if version else []
        outcome = Outcome.RECORDED if version else Outcome.DUPLICATE
        entry = LogEntry("sevi", outcome, START, "00" * 32, stream=stream, events=events)
        return entry if version else replace(entry, position=Position(0, 1))

    def found(stream: str) -> tuple[list[int], bool]:
        told = deliveries_of(storage.access, storage.log, stream)
        return [row.id for row in told.deliveries], told.is_all

    mine, other = "default/1", "default/2"
    for stream, version in (
        (other, 1), (mine, 1), (mine, 0), (other, 0), (mine, 2), (other, 0), (mine, 0),
    ):  # fmt: skip
        storage.log.append([told(stream, version)])
    assert found(mine) == ([2, 3, 5, 7], True)
    assert found("default/3") == ([], True)
    monkeypatch.setattr(order_deliveries, "ROWS_MAX", 2)  # so that ids 2 and 3 are looked at
    assert found(mine) == ([2, 3, 5], False)
    monkeypatch.setattr(order_deliveries, "ROWS_MAX", 100)
    monkeypatch.setattr(order_deliveries, "SHOWN_MAX", 1)
    assert found(mine) == ([5, 7], False)


def test_deliveries_are_counted_by_minute_and_outcome(storage: Storage) -> None:
    def entry(outcome: Outcome) -> LogEntry:
        return LogEntry("sevi", outcome, START, "00" * 32)

    storage.log.append([entry(Outcome.DUPLICATE), entry(Outcome.IGNORED)])
    storage.log.append([entry(Outcome.DUPLICATE)])
    (row, *_) = storage.log.deliveries(list(Outcome), None, 1)
    minute = row.recorded_at.replace(second=0, microsecond=0)

    def lately(now: datetime, minutes: int) -> list[Minute]:
        return Rates(storage.access, lambda: now).lately(minutes)

    found = lately(row.recorded_at, 60)
    assert {each.at for each in found} <= {minute, minute - MINUTE}
    counts: dict[str, int] = {}
    for each in found:
        counts[each.outcome] = counts.get(each.outcome, 0) + each.deliveries
    assert counts == {"duplicate": 2, "ignored": 1}
    assert lately(minute + 59 * MINUTE, 60)[-1].at == minute
    assert lately(minute + 60 * MINUTE, 60) == []
