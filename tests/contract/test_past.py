"""What was, on both databases: lists of orders as they were, and which orders changed between."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from adapters.queries import past as module
from adapters.queries.order_search import BadCursor, OrderFilter
from adapters.queries.past import UNBOUND, Clocks, OrderChange
from adapters.queries.queries import OrderView
from adapters.service import Service
from adapters.storage import events as storage_events
from adapters.storage import postgres_events, sqlite_events
from domain.payment import PaymentStatus
from tests.domain.harness import placement
from tests.notices import NOON, delivery, notice

S = PaymentStatus
STATUSES = (S.PENDING, S.PAID, S.FAILED, S.PENDING, S.DISPUTED, S.FAILED)
MOMENT = timedelta(microseconds=1)


@pytest.fixture
def lively(service: Service) -> Service:
    """Orders of two stores to which things happened in turn."""
    for n in range(24):
        order, store = str(n % 5), "shop-2" if n % 5 == 3 else "default"
        record(service, order, STATUSES[(n * 7 + n // 5) % 6], store=store)
        if n == 11:
            record(service, "0", S.PAID, provider="stripe")
    return service


def record(service: Service, order_id: str, status: PaymentStatus, **fields: Any) -> datetime:
    """Record news; returns when it was recorded."""
    told = notice(order_id, status, references=(f"R{order_id}", "shared"), **fields)
    service.ledger.record([delivery(told)])
    return service.ledger.history(f"{told.store}/{order_id}")[-1].recorded_at


def instants(service: Service) -> list[datetime]:
    """An instant before anything, and those of every event."""
    recorded = [at.recorded_at for at in service.ledger.event_log.read(None, 1000)]
    return [recorded[0] - MOMENT, *recorded]


def listed(
    service: Service, clocks: Clocks, limit: int = 1000, steps: int = UNBOUND, **wanted: Any
) -> list[OrderView]:
    """All orders as they were, page by page."""
    found: list[OrderView] = []
    after = None
    while True:
        page = service.past.orders(clocks, OrderFilter(**wanted), after, limit, steps)
        assert len(page.items) <= limit
        found += page.items
        if page.next is None:
            return found
        after = page.next


def changed(
    service: Service,
    since: datetime,
    until: datetime,
    limit: int = 1000,
    steps: int = UNBOUND,
    store: str | None = None,
) -> list[OrderChange]:
    """All changes, page by page."""
    found: list[OrderChange] = []
    after = None
    while True:
        page = service.past.changes(since, until, store, after, limit, steps)
        assert len(page.items) <= limit
        found += page.items
        if page.next is None:
            return found
        after = page.next


def is_wanted(
    order: OrderView,
    status: str | None = None,
    review_open: bool = False,
    parked: bool = False,
    store: str | None = None,
    reference: str | None = None,
    provider: str | None = None,
    amount: Decimal | None = None,
    until: datetime | None = None,
) -> bool:
    names = (order.order_id, *order.references)
    return (
        status in (None, order.status)
        and (order.review is not None or not review_open)
        and (order.parked_since is not None or not parked)
        and store in (None, order.store)
        and (reference is None or reference in names)
        and provider in (None, order.provider)
        and (amount is None or order.amount == str(amount))
        and (until is None or order.updated_at < until)
    )


def name(order: OrderView) -> tuple[str, str]:
    return order.store, order.order_id


# ------------------------------------------------------------------------------ lists of the past


def test_a_list_of_the_past_holds_each_order_as_it_was(lively: Service) -> None:
    for instant in instants(lively):
        orders = listed(lively, Clocks(as_of=instant))
        assert len({name(order) for order in orders}) == len(orders)
        every = [("default", n) for n in "0124"] + [("shop-2", "3")]
        alone = [lively.past.order(*one, Clocks(as_of=instant)) for one in every]
        told = [
            OrderView(**order.model_dump(exclude={"paid_amount"}))
            for order in alone
            if order is not None
        ]
        assert sorted(orders, key=name) == told


def test_as_of_now_it_holds_what_the_read_model_holds(lively: Service) -> None:
    lively.runner.catch_up()
    now = lively.queries.orders(OrderFilter()).items
    for clocks in (Clocks(as_of=instants(lively)[-1]), Clocks(None, NOON + timedelta(days=1))):
        assert sorted(listed(lively, clocks), key=name) == now


@pytest.mark.parametrize(
    "wanted",
    [
        {"status": "DELIVERED"},
        {"status": "PAYMENT_FAILED"},
        {"review_open": True},
        {"parked": True},
        {"store": "shop-2"},
        {"store": "shop"},
        {"reference": "R2"},
        {"reference": "shared", "store": "default"},
        {"reference": "3"},
        {"provider": "stripe"},
        {"provider": "sevi", "amount": Decimal("902.10")},
        {"amount": Decimal(1)},
        {"until": NOON},
    ],
    ids=str,
)
def test_orders_are_chosen_by_what_they_were(lively: Service, wanted: dict[str, Any]) -> None:
    lively.runner.catch_up()
    for instant in instants(lively)[::5]:
        every = listed(lively, Clocks(as_of=instant))
        expected = [order for order in every if is_wanted(order, **wanted)]
        found = listed(lively, Clocks(as_of=instant), **wanted)
        assert sorted(found, key=name) == sorted(expected, key=name)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("limit", [1, 2, 5])
def test_pages_of_any_size_together_hold_each_order_once(
    lively: Service, monkeypatch: pytest.MonkeyPatch, limit: int, steps: int
) -> None:
    lively.runner.catch_up()
    clocks = Clocks(as_of=instants(lively)[-4])
    whole = {tag: listed(lively, clocks, **tag_wanted) for tag, tag_wanted in WANTED.items()}
    monkeypatch.setattr(module, "ORDERS_AT_ONCE", 2)
    for events in (sqlite_events, postgres_events):
        monkeypatch.setattr(events, "FIRST_EVENTS_WITHIN", 3)
    for tag, wanted in WANTED.items():
        assert listed(lively, clocks, limit, steps, **wanted) == whole[tag], tag
        if not wanted:
            page = lively.past.orders(clocks, OrderFilter(), None, 5, 1)
            assert len(page.items) <= 2, "a page is bounded by what is looked at"


WANTED: dict[str, dict[str, Any]] = {
    "all": {},
    "delivered": {"status": "DELIVERED"},
    "shared": {"reference": "shared"},
}


def test_a_list_knows_both_clocks(service: Service) -> None:
    first = record(service, "1", S.PENDING, occurred_at=NOON, received_at=NOON)
    record(service, "1", S.PAID, occurred_at=NOON + timedelta(hours=2), received_at=NOON)
    record(service, "2", S.PAID, received_at=NOON + timedelta(hours=3))
    for hours, as_of, expected in [
        (0, None, []),
        (1, None, [("1", "AWAITING_PAYMENT")]),
        (3, None, [("1", "DELIVERED")]),
        (4, None, [("1", "DELIVERED"), ("2", "DELIVERED")]),
        (4, first, [("1", "AWAITING_PAYMENT")]),
    ]:
        clocks = Clocks(as_of, NOON + timedelta(hours=hours))
        orders = listed(service, clocks)
        assert [(order.order_id, order.status) for order in orders] == expected
        for order in orders:
            alone = service.past.order("default", order.order_id, clocks)
            assert alone is not None
            assert OrderView(**alone.model_dump(exclude={"paid_amount"})) == order


def test_a_list_of_an_empty_ledger_is_empty(service: Service) -> None:
    assert listed(service, Clocks(as_of=NOON)) == []
    assert listed(service, Clocks(occurred_before=NOON)) == []
    assert changed(service, NOON, NOON) == []


@pytest.mark.parametrize("after", ["", "0-", "x", "WyJhIiwiYiJd"])
def test_a_cursor_of_another_list_is_refused(service: Service, after: str) -> None:
    with pytest.raises(BadCursor):
        service.past.orders(Clocks(as_of=NOON), OrderFilter(), after, 10)
    with pytest.raises(BadCursor):
        service.past.changes(NOON, NOON, None, after, 10)


# ---------------------------------------------------------------------------------- which changed


def test_what_changed_is_what_the_two_lists_of_the_past_tell(lively: Service) -> None:
    moments = instants(lively)
    views = [{name(o): o for o in listed(lively, Clocks(as_of=at))} for at in moments]
    for i in range(0, len(moments), 3):
        for j in range(i, len(moments), 4):
            expected = {
                key: (_standing(views[i].get(key)), _standing(order))
                for key, order in views[j].items()
                if _standing(views[i].get(key)) != _standing(order)
            }
            changes = changed(lively, moments[i], moments[j])
            assert len(changes) == len(expected)
            for change in changes:
                before = change.before and (change.before.status, change.before.review)
                after = (change.after.status, change.after.review)
                assert expected[change.store, change.order_id] == (before, after)
                assert any(moments[i] < event.recorded_at for event in change.because)
                assert all(event.recorded_at <= moments[j] for event in change.because)


def _standing(order: OrderView | None) -> tuple[str, str | None] | None:
    return None if order is None else (order.status, order.review)


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("limit", [1, 2, 1000])
def test_changes_are_paged_by_what_was_recorded_between(
    lively: Service, monkeypatch: pytest.MonkeyPatch, limit: int, steps: int
) -> None:
    moments = instants(lively)
    since, until = moments[5], moments[-2]
    whole = changed(lively, since, until)
    assert len(whole) > 2
    monkeypatch.setattr(module, "ORDERS_AT_ONCE", 2)
    monkeypatch.setattr(module, "EVENTS_AT_ONCE", 3)
    assert changed(lively, since, until, limit, steps) == whole
    mine = changed(lively, since, until, limit, steps, store="shop-2")
    assert mine == [change for change in whole if change.store == "shop-2"]


def noted(method: Callable[..., Any], asked: list[Any]) -> Callable[..., Any]:
    """The method; what it is asked is noted."""

    def ask(*args: Any) -> Any:
        asked.append(args)
        return method(*args)

    return ask


def test_only_what_lies_between_and_the_orders_that_it_is_about_are_read(
    lively: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = instants(lively)
    until = record(lively, "1", S.REFUNDED)
    asked: list[Any] = []
    events = lively.storage.events
    for method in ("between", "of_streams"):
        monkeypatch.setattr(events, method, noted(getattr(events, method), asked))
    (change,) = changed(lively, moments[-1], until)
    head = lively.ledger.event_log.head()
    assert head is not None
    assert asked == [(len(moments) - 1, head.index), (["default/1"],)]
    assert change.after.review == "refunded"


def test_the_events_that_made_the_change_are_told_with_the_providers_word(
    service: Service,
) -> None:
    begin = record(service, "1", S.PENDING) - MOMENT
    record(service, "2", S.UNRECOGNIZED, raw_status="settled")
    paid = record(service, "1", S.PAID)
    service.ledger.execute([placement(order_id="3")])
    end = record(service, "3", S.PAID, amount=Decimal(1))
    (first, second, third) = changed(service, begin, end)
    assert first.before is None
    assert [(e.position, e.type, e.raw_status) for e in first.because] == [
        ("0-4", "PaymentReceived", "PAID"),
        ("0-5", "Delivered", None),
    ]
    assert (second.after.status, second.after.review) == ("AWAITING_PAYMENT", "unrecognized_status")
    assert [(e.type, e.raw_status, e.reason) for e in second.because] == [
        ("PaymentReceived", "settled", None),
        ("ReviewRequired", None, "unrecognized_status"),
    ]
    assert [e.type for e in third.because] == ["OrderPlaced", "PaymentReceived", "ReviewRequired"]
    (third,) = changed(service, paid, end)
    assert (third.order_id, third.after.review) == ("3", "underpaid")


def test_an_order_that_changed_and_changed_back_did_not_change(service: Service) -> None:
    since = record(service, "1", S.PENDING)
    between = record(service, "1", S.FAILED)
    until = record(service, "1", S.PENDING)
    assert changed(service, since, until) == []
    assert [change.after.status for change in changed(service, since, between)] == [
        "PAYMENT_FAILED"
    ]


def test_an_instant_is_found_among_events_of_one_batch(service: Service) -> None:
    told = [delivery(notice(str(n), S.PENDING)) for n in range(5)]
    service.ledger.record(told)
    at = instants(service)[-1]
    events = service.storage.events
    assert [events.upto(when) for when in (at - MOMENT, at, at + MOMENT)] == [0, 5, 5]
    assert storage_events.last_upto(at, 0, lambda _: at) == 0
