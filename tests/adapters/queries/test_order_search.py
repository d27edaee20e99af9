"""However many orders there are, a page of a list is read along an index."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adapters.queries.order_search import OrderFilter
from adapters.service import Service
from adapters.settings import load_settings
from adapters.storage import views

AT = datetime(2026, 1, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("plans")
    url = f"sqlite:///{folder / 'ledger.db'}"
    service = Service(load_settings(database_url=url, api_tokens=["a-token"]))
    yield service
    service.close()


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (OrderFilter(), "sqlite_autoindex"),
        (OrderFilter(store="default"), "sqlite_autoindex"),
        (OrderFilter(status="DELIVERED"), "by_status"),
        (OrderFilter(status="DELIVERED", store="default"), "by_status"),
        (OrderFilter(review_open=True), "by_review"),
        (OrderFilter(parked=True, store="default"), "by_parked_since"),
        (OrderFilter(amount=Decimal(5)), "by_amount"),
        (OrderFilter(amount=Decimal(5), store="default", newest=True), "by_amount"),
        (OrderFilter(newest=True), "by_updated_at"),
        (OrderFilter(newest=True, store="default", status="DELIVERED"), "by_updated_at"),
        (OrderFilter(newest=True, provider="sevi", store="default"), "by_updated_at"),
        (OrderFilter(since=AT, until=AT, status="DELIVERED"), "by_updated_at"),
        (OrderFilter(reference="1"), "sqlite_autoindex"),
        (OrderFilter(reference="1", newest=True, store="default"), "sqlite_autoindex"),
    ],
    ids=str,
)
def test_a_list_is_read_along_an_index(
    service: Service, monkeypatch: pytest.MonkeyPatch, wanted: OrderFilter, index: str
) -> None:
    plans: list[str] = []
    select = views.select

    def explained(c: Any, table: Any, relation: str, clauses: str, params: Any = ()) -> Any:
        c.execute(f"EXPLAIN QUERY PLAN SELECT t.* FROM {relation} AS t {clauses}", params)
        plans.extend(tuple(row)[-1] for row in c.fetchall())
        return select(c, table, relation, clauses, params)

    monkeypatch.setattr(views, "select", explained)
    service.queries.orders(wanted, None, 10)
    (of_orders,) = [line for line in plans if line.startswith(("SEARCH t ", "SCAN t "))]
    assert "USING INDEX" in of_orders or "USING COVERING INDEX" in of_orders, plans
    assert index in of_orders, plans
