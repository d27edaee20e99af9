"""The console's lists of orders and payments: found, paged, taken elsewhere."""

import csv
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from adapters.access import doorkeeper
from adapters.access.roles import Role
from adapters.http.console import orders, payments
from adapters.queries import order_search
from tests.adapters.http.console.browser import Browser, headers_of, text_of
from tests.adapters.http.local import LocalService
from tests.adapters.http.test_access import Holder

SCRIPT = "<script>alert(1)</script>"
FORMULA = "=cmd|' /C calc'!A0"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    """Orders of two stores, one named like a script, one like a formula. Nobody adds to them."""
    with LocalService(tmp_path_factory.mktemp("shop")) as local:
        for name, status in (("1", "PAID"), ("2", "PENDING"), ("3", "FAILED"), (SCRIPT, "PAID")):
            local.tell(name, status)
        local.tell(FORMULA, "PAID", "second")
        local.tell("1", "DISPUTED")
        local.tell("kampala-1", "PAID", "sevi-uganda")
        local.settle()
        yield local


@pytest.fixture
def reader(shop: LocalService) -> Iterator[Browser]:
    with Browser(shop) as browser:
        yield browser.sign_in()


def listed(html: str) -> list[str]:
    """The orders of a list."""
    return [text_of(cell).split(" ")[0] for cell in re.findall(r'<th scope="row".*?</th>', html)]


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def test_orders_are_listed_the_last_changed_first(reader: Browser) -> None:
    html = reader.open("/console/orders")
    found = listed(html)
    assert found[:2] == ["kampala-1", "1"]
    assert len(found) == 6
    assert "review: disputed" in text_of(html)


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ("status=PAYMENT_FAILED", ["3"]),
        ("needs=review", ["1"]),
        ("needs=registration", []),
        ("provider=second", [FORMULA.split(" ")[0]]),
        ("store=uganda", ["kampala-1"]),
        ("name=&status=&provider=&amount=&from=&to=&store=uganda", ["kampala-1"]),
        ("name=1&store=default", ["1"]),
        ("from=2020-01-01&to=2020-01-02", []),
        ("from=2020-01-01&provider=sevi-uganda", ["kampala-1"]),
        ("amount=902.10&name=1", []),
    ],
)
def test_orders_are_found_by_what_is_asked(reader: Browser, asked: str, wanted: list[str]) -> None:
    assert listed(reader.open(f"/console/orders?{asked}")) == wanted


def test_who_names_an_order_is_led_to_it(reader: Browser) -> None:
    response = reader.get("/console/orders?name=2&status=")
    assert (response.status_code, response.headers["location"]) == (
        303, "/console/order?id=2&store=default",
    )  # fmt: skip
    assert "Order 2" in text_of(reader.open(response.headers["location"]))


def test_what_was_written_by_others_is_text(reader: Browser) -> None:
    for path in ("/console/orders", f"/console/order?id={quote(SCRIPT)}", "/console/payments"):
        html = reader.open(path)
        assert SCRIPT not in html
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    html = reader.open(f"/console/orders?name={quote(SCRIPT + 'x')}&provider={quote(SCRIPT)}")
    assert SCRIPT not in html


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ("amount=much", "amount"),
        ("from=yesterday", "from"),
        ("to=9999-12-31", "to"),
        ("from=2026-02-02&to=2026-02-01", "to"),
        ("status=PAID", "status"),
        ("name=a%00b", "name"),
        ("after=" + "x" * 9000, "after"),
    ],
)
def test_what_cannot_be_asked_is_told_and_the_rest_is_answered(
    reader: Browser, asked: str, named: str
) -> None:
    response = reader.get(f"/console/orders?{asked}&store=uganda")
    assert response.status_code == 422
    assert named in text_of(response.text)
    assert listed(response.text) == ["kampala-1"]
    if named != "after":
        assert reader.get(f"/console/orders.csv?{asked}").status_code == 422


def test_a_cursor_that_is_none_leads_to_the_beginning(reader: Browser) -> None:
    html = reader.open("/console/orders?after=x&store=uganda")
    assert listed(html) == ["kampala-1"]
    assert orders.STALE_CURSOR in text_of(html)


def test_pages_together_hold_each_order_once(
    reader: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "PAGE_SIZE", 2)
    seen: list[str] = []
    path: str | None = "/console/orders?store=default"
    while path:
        html = reader.open(path)
        seen += listed(html)
        found = re.search(r'<a href="([^"]+)" rel="next">', html)
        path = found[1].replace("&amp;", "&") if found else None
    assert len(seen) == len(set(seen)) == 5
    assert "First page" in text_of(html)


def test_a_search_that_no_index_knows_goes_on_piece_by_piece(
    reader: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_search, "LOOKED_AT_MAX", 1)
    html = reader.open("/console/orders?provider=second")
    assert "only a part of all orders was looked at" in text_of(html)
    for _ in range(10):
        (path,) = re.findall(r'<a href="([^"]+)" rel="next">Search further</a>', html)
        html = reader.open(path.replace("&amp;", "&"))
        if listed(html):
            return
    pytest.fail("it was never found")


def test_the_csv_holds_what_is_asked_and_nothing_that_runs(reader: Browser) -> None:
    html = reader.open("/console/orders?store=default&status=DELIVERED")
    (path,) = re.findall(r'href="(/console/orders\.csv[^"]*)"', html)
    response = reader.get(path.replace("&amp;", "&"))
    assert headers_of(response)["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in response.headers["content-disposition"]
    names = [row["order_id"] for row in rows(response.text)]
    assert sorted(names) == sorted(["1", SCRIPT, f"'{FORMULA}"])


def test_a_long_csv_goes_on_page_by_page(reader: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.queries.queries.STREAM_PAGE_SIZE", 2)
    assert len(rows(reader.get("/console/orders.csv").text)) == 6
    assert len(rows(reader.get("/console/payments.csv").text)) == 7


# --------------------------------------------------------------------------------------- payments


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ("order_id=1", ["1", "1"]),
        ("status=DISPUTED", ["1"]),
        ("provider=sevi-uganda", ["kampala-1"]),
        ("store=uganda&from=2020-01-01", ["kampala-1"]),
        ("to=2020-01-01", []),
        ("from=2999-01-01", []),
    ],
)
def test_payments_are_found_by_what_is_asked(
    reader: Browser, asked: str, wanted: list[str]
) -> None:
    assert listed(reader.open(f"/console/payments?{asked}")) == wanted
    assert len(rows(reader.get(f"/console/payments.csv?{asked}").text)) == len(wanted)


def test_the_newest_payment_comes_first_and_pages_hold_each_once(
    reader: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payments, "PAGE_SIZE", 3)
    seen: list[str] = []
    path: str | None = "/console/payments"
    while path:
        html = reader.open(path)
        seen += re.findall(r'<td class="mono nowrap"[^>]*>0-(\d+)</td>', html)
        found = re.search(r'<a href="([^"]+)" rel="next">', html)
        path = found[1].replace("&amp;", "&") if found else None
    assert [int(n) for n in seen] == sorted(map(int, seen), reverse=True)
    assert len(seen) == len(set(seen)) == 7


# -------------------------------------------------------------------------------------- who may


@pytest.mark.parametrize(
    "page", ["", "orders", "orders.csv", "payments", "payments.csv", "order?id=1", "bundle?id=1"]
)
def test_only_auditors_read(shop: LocalService, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorkeeper, "FRESH_SECONDS", 0.0)
    name = re.sub(r"\W", "-", f"ops-{page}")
    with Browser(shop) as browser:
        assert browser.get(f"/console/{page}").status_code == 303
        browser.sign_in(Holder(shop, name, Role.OPERATOR, Role.STORE).token)
        assert browser.get(f"/console/{page}").status_code == 403


def test_who_has_a_store_sees_that_store_only(
    shop: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doorkeeper, "FRESH_SECONDS", 0.0)
    with Browser(shop) as browser:
        browser.sign_in(Holder(shop, "kampala", Role.AUDITOR, store="uganda").token)
        assert listed(browser.open("/console/orders")) == ["kampala-1"]
        assert 'value="sevi-uganda"' in browser.page.text
        assert 'value="second"' not in browser.page.text
        assert listed(browser.open("/console/orders?store=default")) == []
        assert [r["order_id"] for r in rows(browser.get("/console/orders.csv").text)] == [
            "kampala-1"
        ]
        assert listed(browser.open("/console/payments")) == ["kampala-1"]
        assert browser.get("/console/order?id=1&store=default").status_code == 404
        assert browser.get("/console/bundle?id=1&store=default").status_code == 404
        overview = text_of(browser.open("/console/"))
        assert "1 order " in overview
        assert "Evidence" not in overview
        assert "second" not in overview


@pytest.fixture(autouse=True)
def no_wait(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("adapters.http.api.MIN_POSITION_WAIT_SECONDS", 0.5)


HUGE = "9" * 23
ENDS_OF_TIME = ("9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59")


@pytest.mark.parametrize(
    "path",
    [
        "/console/orders.csv?to=9999-12-31",
        "/console/payments?to=9999-12-31",
        f"/console/evidence/checkpoints/{HUGE}.txt",
        *(f"/console/order?id=1&store=default&as_of={time}" for time in ENDS_OF_TIME),
        *(f"/console/deliveries?from={time}" for time in ENDS_OF_TIME),
    ],
)
def test_what_no_calendar_and_no_database_has_is_422(reader: Browser, path: str) -> None:
    assert reader.get(path).status_code == 422


def test_a_generation_that_no_database_can_number_is_422(reader: Browser) -> None:
    reader.open("/console/projections/money")
    path = f"/console/projections/money/drop/{HUGE}"
    assert reader.post(path, form_secret=reader.form_secret).status_code == 422


def test_the_last_days_that_can_be_asked_for_are_answered(reader: Browser) -> None:
    for path in ("orders?to=9999-12-30", "payments?from=0001-01-01", "orders.csv?to=9999-12-30"):
        assert reader.get(f"/console/{path}").status_code == 200
