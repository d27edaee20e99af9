"""Deliveries and the quarantine on pages: what is found, shown, taken in again, discarded."""

import asyncio
import json

import pytest

from adapters.access.roles import Role
from adapters.deliveries.views import READ_BODY
from tests.adapters.http.console.browser import Browser, text_of
from tests.adapters.http.local import LocalService
from tests.adapters.http.test_access import Holder
from tests.adapters.http.test_quarantine import reads_again

CUT = b'{"orderId": "42", "orderPayment": "PAID"'
PAGE = 50
TRIES = 200  # refusals are written once a second


def rows(html: str) -> int:
    """How many rows the list of a page has."""
    return html.count('<th scope="row"')


def test_deliveries_are_found_by_what_became_of_them(
    local: LocalService, operator: Browser
) -> None:
    local.tell("1", "PAID")
    local.tell("1", "PAID")
    local.tell("2", "PENDING", "sevi-uganda")
    local.deliver(CUT)
    every = operator.open("/console/deliveries")
    assert rows(every) == 4
    assert 'href="/console/order?id=1&amp;store=default"' in every
    for query, count in (
        ("outcome=duplicate", 1),
        ("outcome=quarantined", 1),
        ("provider=sevi-uganda", 1),
        ("store=uganda", 1),
        ("order_id=1", 2),
        ("order_id=1&outcome=recorded&provider=sevi&store=default", 1),
        ("from=2020-01-01T00:00", 4),
        ("to=2020-01-01T00:00", 0),
        ("outcome=&provider=&order_id=&store=&from=&to=", 4),
    ):
        assert rows(operator.open(f"/console/deliveries?{query}")) == count, query
    assert "No delivery is like that." in operator.open("/console/deliveries?outcome=stale")


def test_a_field_that_makes_no_sense_is_told_beside_the_others(
    local: LocalService, operator: Browser
) -> None:
    local.tell("1", "PAID")
    local.tell("1", "PAID")
    response = operator.get("/console/deliveries?from=yesterday&outcome=duplicate")
    assert response.status_code == 422
    assert "a time is wanted" in text_of(response.text)
    assert rows(response.text) == 1, "the other fields count"
    for path in ("deliveries?after=x", "quarantine?settled_too=x", "effects?state=lost"):
        assert operator.get(f"/console/{path}").status_code == 422


def test_a_long_list_is_read_page_by_page(local: LocalService, operator: Browser) -> None:
    for n in range(PAGE + 3):
        local.tell(str(n), "PAID")
    first = operator.open("/console/deliveries?provider=sevi")
    assert rows(first) == PAGE
    assert 'href="/console/deliveries?provider=sevi&amp;after=4" rel="next"' in first
    last = operator.open("/console/deliveries?provider=sevi&after=4")
    assert rows(last) == 3
    assert "Next page" not in last


def test_a_delivery_shows_both_its_times_and_its_body_to_operators(
    local: LocalService, operator: Browser
) -> None:
    local.tell("1", "PAID", note="<script>alert(1)</script>")
    shown = operator.open("/console/deliveries/1")
    assert "Received at the door" in shown
    assert "Recorded" in shown
    assert "alert(1)" not in shown
    told = operator.open("/console/deliveries/1?body=true")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in told
    (operation,) = local.json("/operator-log")["items"]
    assert (operation["action"], operation["object"]) == ("deliveries read body", "delivery 1")
    assert operator.get("/console/deliveries/9").status_code == 404


def test_what_cannot_be_read_stays_until_somebody_discards_it(
    local: LocalService, operator: Browser
) -> None:
    local.deliver(CUT)
    assert rows(operator.open("/console/quarantine")) == 1
    operator.open("/console/quarantine/1")
    again = text_of(operator.send("/console/quarantine/1/replay"))
    assert "Delivery 1: quarantined. the body is not JSON" in again, "it is still cut"
    assert rows(operator.open("/console/quarantine")) == 1

    operator.open("/console/quarantine/1")
    gone = text_of(operator.send("/console/quarantine/1/discard", reason="it was cut"))
    assert "Delivery 1: discarded. it was cut" in gone
    assert "Settled" in gone
    assert rows(operator.open("/console/quarantine")) == 0
    assert rows(operator.open("/console/quarantine?settled_too=true")) == 2

    operator.open("/console/quarantine/1")
    twice = operator.send("/console/quarantine/1/discard", reason="again")
    assert "was discarded already" in text_of(twice)
    assert 'class="flash problem"' in twice
    done = [o["action"] for o in local.json("/operator-log")["items"]]
    assert done == ["quarantine discard", "quarantine replay"]


@pytest.mark.parametrize("reason", ["", "   ", "x" * 256, "a\x07bell"])
def test_to_discard_needs_a_reason(local: LocalService, operator: Browser, reason: str) -> None:
    local.deliver(CUT)
    operator.open("/console/quarantine/1")
    told = operator.send("/console/quarantine/1/discard", reason=reason)
    assert "A reason is wanted" in text_of(told)
    assert local.json("/quarantine/1")["settled_by"] is None


def test_a_body_that_names_a_person_is_erased(local: LocalService, operator: Browser) -> None:
    local.deliver(CUT)
    assert "Erase" in text_of(operator.open("/console/quarantine/1"))
    told = operator.send("/console/quarantine/1/erase", reason="request 7", sure="erase")
    assert "Erased: nobody can read what was sent any more" in text_of(told)
    assert "Settle it" not in told, "nothing is left to settle"
    assert CUT.decode() not in operator.open("/console/quarantine/1?body=true")
    assert local.json("/quarantine/1")["erased"] is True
    assert rows(operator.open("/console/quarantine")) == 0
    assert rows(operator.open("/console/quarantine?settled_too=true")) == 1
    (row,) = [o for o in local.json("/operator-log")["items"] if o["action"] != READ_BODY]
    assert (row["action"], row["reason"]) == ("quarantine erase", "request 7")


def test_what_was_discarded_is_erased_on_its_page_too(
    local: LocalService, operator: Browser
) -> None:
    local.deliver(CUT)
    operator.open("/console/quarantine/1")
    shown = operator.send("/console/quarantine/1/discard", reason="it was cut")
    assert "It names a person?" in text_of(shown)
    assert "Take in again" not in text_of(shown)
    told = operator.send("/console/quarantine/1/erase", reason="request 7", sure="erase")
    assert "Erased" in text_of(told)
    assert "It names a person?" not in text_of(told)


@pytest.mark.parametrize(("reason", "sure"), [("", "erase"), ("because", ""), ("because", "yes")])
def test_no_body_is_erased_without_a_reason_and_the_word(
    local: LocalService, operator: Browser, reason: str, sure: str
) -> None:
    local.deliver(CUT)
    operator.open("/console/quarantine/1")
    told = operator.send("/console/quarantine/1/erase", reason=reason, sure=sure)
    assert 'class="flash problem"' in told
    assert local.json("/quarantine/1")["erased"] is False


def test_a_body_that_an_order_took_in_is_not_erased_here(
    local: LocalService, operator: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.deliver(CUT)
    reads_again(monkeypatch)
    operator.open("/console/quarantine/1")
    assert "recorded; order 42 is" in text_of(operator.send("/console/quarantine/1/replay"))
    assert "It names a person?" not in operator.open("/console/quarantine/1")
    told = operator.send("/console/quarantine/1/erase", reason="request 7", sure="erase")
    assert "belongs to order 42 of store default: erase that order" in text_of(told)
    assert local.json("/deliveries/1", body="true")["body"] == CUT.decode()


def test_only_an_operator_erases_a_body(local: LocalService, browser: Browser) -> None:
    local.deliver(CUT)
    browser.sign_in(Holder(local, "books", Role.AUDITOR).token)
    assert "Erase" not in text_of(browser.open("/console/quarantine/1"))
    fields = {"reason": "mine", "sure": "erase"}
    browser.post("/console/quarantine/1/erase", form_secret=browser.form_secret, **fields)
    assert browser.page.status_code == 403
    assert local.json("/quarantine/1")["erased"] is False


def test_what_was_not_set_aside_is_no_business_of_the_quarantine(
    local: LocalService, operator: Browser
) -> None:
    local.tell("1", "PAID")
    assert operator.get("/console/quarantine/1").status_code == 404


def test_refusals_are_listed_with_their_reason(local: LocalService, operator: Browser) -> None:
    body = json.dumps({"orderId": "1", "orderPayment": "PAID"}).encode()
    local.run(local.post(body, headers={"Authorization": "wrong"}))
    for _ in range(TRIES):
        if "wrong token" in operator.open("/console/refusals"):
            return
        local.run(asyncio.sleep(0.05))
    raise AssertionError(operator.page.text)
