"""Exports are read page by page, and hold the rows of one generation."""

import pytest

from adapters.queries import queries
from adapters.queries.order_search import OrderFilter
from adapters.queries.payment_search import PaymentFilter
from adapters.read_models.rebuilding import Rebuild
from adapters.service import Service
from adapters.storage.views import GenerationGone
from projections.audit_history import AUDIT_HISTORY
from projections.model import Projection
from projections.order_status import ORDER_STATUS
from tests.notices import delivery, notice

ORDERS = 6


def _quiet(done: int, whole: int) -> None:
    assert done <= whole


def _switched(service: Service, projection: Projection) -> None:
    """Somebody makes a read model anew and switches."""
    work = Rebuild(service.storage, projection)
    new = work.build(1, "", _quiet)
    work.steps.settle(new, work.compare(new, 0).model_dump_json())
    work.switch(new)


@pytest.fixture
def filled(service: Service, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A ledger whose read models hold what a wrong fold left, in pages of two."""
    monkeypatch.setattr(queries, "STREAM_PAGE_SIZE", 2)
    service.ledger.record([delivery(notice(order_id=f"{n}")) for n in range(ORDERS)])
    service.runner.catch_up()
    with service.views.transaction(commit=True) as c:
        c.execute("UPDATE order_status__g1 SET status = 'AWAITING_PAYMENT'")
        c.execute("UPDATE audit_history__g1 SET raw_status = 'old'")
    return service


def test_an_export_of_orders_is_of_the_generation_that_it_began_with(filled: Service) -> None:
    export = filled.queries.stream_orders(OrderFilter())
    told = [next(export)]
    _switched(filled, ORDER_STATUS)
    told += export
    assert [order.status for order in told] == ["AWAITING_PAYMENT"] * ORDERS
    assert {o.status for o in filled.queries.stream_orders(OrderFilter())} == {"DELIVERED"}


def test_an_export_of_payments_is_of_the_generation_that_it_began_with(filled: Service) -> None:
    export = filled.queries.stream_payments(PaymentFilter(), None, None)
    told = [next(export)]
    _switched(filled, AUDIT_HISTORY)
    told += export
    assert [event.raw_status for event in told] == ["old"] * ORDERS


def test_an_export_whose_generation_is_dropped_breaks_off(filled: Service) -> None:
    export = filled.queries.stream_orders(OrderFilter())
    next(export)
    _switched(filled, ORDER_STATUS)
    Rebuild(filled.storage, ORDER_STATUS).steps.drop("order_status", 1)
    with pytest.raises(GenerationGone, match="order_status was made anew"):
        list(export)
