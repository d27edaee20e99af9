"""One order's page: its timeline, its clocks, its way, its proof, and what can be done about it."""

import json
import re
from datetime import datetime
from time import monotonic, sleep
from typing import Any
from urllib.parse import quote

import pytest

from adapters.access import doorkeeper
from adapters.access.roles import Role
from tests.adapters.http.console.browser import Browser, text_of
from tests.adapters.http.local import LocalService
from tests.adapters.http.test_access import Holder


@pytest.fixture(autouse=True)
def always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorkeeper, "FRESH_SECONDS", 0.0)


def steps(html: str) -> list[str]:
    """What each step of the timeline says."""
    return [text_of(step) for step in re.findall(r'<li class="step.*?</details>', html, re.DOTALL)]


def page(browser: Browser, name: str, more: str = "") -> str:
    browser.local.settle()
    return browser.open(f"/console/order?id={name}{more}")


def test_the_timeline_says_what_came_and_what_it_did(
    local: LocalService, operator: Browser
) -> None:
    for status in ("FAILED", "PENDING", "PAID", "PAID", "EXPIRED"):
        local.tell("1", status)
    local.tell("1", "REFUNDED")
    told = steps(page(operator, "1"))
    said = [re.findall(r"sevi (says \w+|sent the same again)", step) for step in told]
    assert [one for (one,) in said] == [
        "says FAILED", "says PENDING", "says PAID", "sent the same again", "says EXPIRED",
        "says REFUNDED",
    ]  # fmt: skip
    assert "The payment failed" in told[0]
    assert "Delivered, because of the PAID" in told[2]
    assert "the same delivery as 0-4 came again. Nothing was appended" in told[3]
    assert "came after a PAID" in told[4]
    assert "the money went back" in told[5]
    assert all("By webhook from 127.0.0.1, verified with the secret key-" in step for step in told)


def test_a_conflict_a_hold_and_a_stale_word_are_told_apart(
    local: LocalService, operator: Browser
) -> None:
    local.tell("1", "PAID")
    local.tell("1", "PENDING")
    local.tell("1", "PAID", "second")
    told = steps(page(operator, "1"))
    assert ["applied" in told[0], "stale" in told[1], "held" in told[2]] == [True] * 3
    assert "another provider" in told[2]


def test_the_way_is_drawn_and_told_in_words(local: LocalService, operator: Browser) -> None:
    for status in ("FAILED", "PENDING", "PAID"):
        local.tell("1", status)
    html = page(operator, "1")
    words = "AWAITING PAYMENT → PAYMENT FAILED → AWAITING PAYMENT → DELIVERED"
    assert words in text_of(html)
    assert html.count('class="way taken"') == 2 * (1 + 3), "wide and tall"
    assert html.count('class="state current"') == 2
    assert "FAILED" in text_of(html)


def test_the_page_as_it_was_known(local: LocalService, operator: Browser) -> None:
    local.tell("1", "PENDING")
    local.tell("1", "PAID")
    local.settle()
    history = local.json("/orders/1/history")["events"]
    then = history[0]["recorded_at"].replace("Z", "")
    html = page(operator, "1", f"&as_of={then}")
    assert "AWAITING PAYMENT" in text_of(html)
    assert "As it was known at" in text_of(html)
    assert len(steps(html)) == 1
    (later,) = re.findall(r'href="([^"]+)" rel="next">', html)
    html = operator.open(later.replace("&amp;", "&"))
    assert "DELIVERED" in text_of(html)
    assert len(steps(html)) == 2
    (earlier,) = re.findall(r'href="([^"]+)" rel="prev">', html)
    assert len(steps(operator.open(earlier.replace("&amp;", "&")))) == 1
    html = page(operator, "1", "&as_of=2020-01-01T00:00")
    assert "nothing was known" in text_of(html)
    response = operator.get("/console/order?id=1&as_of=yesterday")
    assert response.status_code == 422
    assert "a time is wanted" in text_of(response.text)


def test_times_are_told_to_the_script_with_their_zone(
    local: LocalService, operator: Browser
) -> None:
    local.tell("1", "PAID")
    html = page(operator, "1")
    for told in re.findall(r'<time datetime="([^"]+)"', html):
        assert datetime.fromisoformat(told).tzinfo is not None
    assert re.search(r">\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC</time>", html)


def test_the_proof_is_told_and_downloaded(local: LocalService, operator: Browser) -> None:
    local.tell("1", "PAID")
    assert "not sealed yet" in text_of(page(operator, "1"))
    bundle = json.loads(operator.get("/console/bundle?id=1").content)
    assert bundle == local.json("/orders/1/bundle")
    named = 'attachment; filename="bundle-1.json"'
    assert operator.page.headers["content-disposition"] == named
    local.service.sealer.seal()
    told = text_of(page(operator, "1"))
    assert "sealed in checkpoint 1" in told


def test_the_proof_of_any_order_has_the_name_of_a_file(
    local: LocalService, operator: Browser
) -> None:
    local.tell('../"a b"\u2014' + "9" * 150, "PAID")
    local.settle()
    (order,) = local.json("/orders")["items"]
    operator.get(f"/console/bundle?id={quote(order['order_id'])}")
    named = f'attachment; filename="bundle-.._a_b_{"9" * 93}.json"'
    assert operator.page.headers["content-disposition"] == named


def test_the_body_is_masked_and_shown_to_operators_only(
    local: LocalService, operator: Browser
) -> None:
    local.tell("1", "PAID", secret_name="Wanjiku")
    html = page(operator, "1")
    assert "Wanjiku" not in html
    assert "/console/deliveries/1?body=true" in html
    with Browser(local) as browser:
        browser.sign_in(Holder(local, "books", Role.AUDITOR).token)
        html = page(browser, "1")
        assert "body=true" not in html
        assert "masked; operators may read it" in text_of(html)


# ----------------------------------------------------------------------------------------- reviews


@pytest.fixture
def held(local: LocalService) -> LocalService:
    """A registered order of which too little was paid."""
    terms = {"amount": "5000", "currency": "KES"}
    headers = {"Authorization": "Bearer api-token-5b1e"}
    assert local.run(local.http.put("/orders/1", json=terms, headers=headers)).status_code == 201
    body = json.dumps({"order": {"id": "1", "paymentStatus": "PAID"}})
    assert local.deliver(body.encode()).status_code == 200
    local.settle()
    return local


def version_on(html: str) -> str:
    """The order's version that a page's forms name."""
    (version,) = {match[1] for match in re.finditer(r'name="version" value="(\d+)"', html)}
    return version


def review(browser: Browser, decision: str, reason: str) -> str:
    fields = {"decision": decision, "reason": reason, "version": version_on(browser.page.text)}
    return browser.send("/console/order/review", id="1", **fields)


def test_a_review_is_accepted_with_a_reason(held: LocalService, operator: Browser) -> None:
    assert "accepting it delivers the order" in text_of(page(operator, "1"))
    told = text_of(review(operator, "accept", "paid in cash"))
    assert "The review is accepted; the order is DELIVERED." in told
    assert "configured token decided the review" in told
    assert "paid in cash" in told
    assert "The review is accepted" not in text_of(page(operator, "1")), "a message is told once"
    (row,) = [r for r in held.json("/operator-log")["items"] if r["action"] == "review accept"]
    assert (row["object"], row["reason"]) == ("default/1", "paid in cash")


def test_a_review_is_rejected(held: LocalService, operator: Browser) -> None:
    page(operator, "1")
    told = text_of(review(operator, "reject", "a mistake"))
    assert "the order is AWAITING_PAYMENT" in told
    assert "review rejected" in told


@pytest.mark.parametrize(
    ("decision", "reason"), [("accept", ""), ("maybe", "so"), ("accept", "x" * 256)]
)
def test_a_decision_without_a_reason_or_a_word_is_told_so(
    held: LocalService, operator: Browser, decision: str, reason: str
) -> None:
    page(operator, "1")
    html = review(operator, decision, reason)
    assert 'class="flash problem"' in html
    assert held.json("/orders/1")["review"] is not None


def test_a_review_that_is_closed_already_is_told_so(held: LocalService, operator: Browser) -> None:
    fields = {"version": version_on(page(operator, "1")), "form_secret": operator.form_secret}
    review(operator, "reject", "a mistake")
    held.settle()
    operator.post("/console/order/review", id="1", decision="accept", reason="again", **fields)
    assert 'class="flash problem"' in operator.open(operator.page.headers["location"])


def test_money_that_came_after_the_page_is_not_accepted(
    local: LocalService, operator: Browser
) -> None:
    terms = {"amount": "5000", "currency": "KES"}
    headers = {"Authorization": "Bearer api-token-5b1e"}
    local.run(local.http.put("/orders/1", json=terms, headers=headers))
    local.tell("1", "ODD")
    local.settle()
    assert "No PAID waits" in text_of(page(operator, "1"))
    local.tell("1", "PAID")
    assert "look at it again, then decide" in text_of(review(operator, "accept", "no harm"))
    assert local.json("/orders/1")["status"] == "AWAITING_PAYMENT"
    assert "A PAID waits" in text_of(operator.page.text)
    assert "the order is DELIVERED" in text_of(review(operator, "accept", "paid in cash"))


def test_only_an_operator_decides(held: LocalService, operator: Browser) -> None:
    with Browser(held) as browser:
        browser.sign_in(Holder(held, "books", Role.AUDITOR).token)
        assert "Operators decide it." in text_of(page(browser, "1"))
        fields = {"id": "1", "decision": "accept", "reason": "mine", "version": "3"}
        browser.post("/console/order/review", form_secret=browser.form_secret, **fields)
        assert browser.page.status_code == 403
    assert operator.post("/console/order/review", **fields).status_code == 403, "no form secret"
    assert held.json("/orders/1")["review"] is not None


@pytest.mark.parametrize(
    "path", ["order?id=nobody", "order", "order?id=%00", "bundle?id=nobody", "bundle"]
)
def test_an_order_that_is_not_there_is_a_page(operator: Browser, path: str) -> None:
    response = operator.get(f"/console/{path}")
    assert response.status_code == 404
    assert "Not Found" in text_of(response.text)


def test_effects_and_their_answers_stand_with_what_set_them_off(tmp_path: Any) -> None:
    effects = {"shop": {"kind": "command", "command": ["/bin/true"], "begin_after": "0-0"}}
    with LocalService(tmp_path, effects=effects) as local, Browser(local) as browser:
        browser.sign_in()
        local.tell("1", "PENDING")
        local.tell("1", "PAID")
        deadline = monotonic() + 30
        while "To shop : sent" not in (told := steps(page(browser, "1")))[1]:
            assert monotonic() < deadline, told
            sleep(0.05)
        assert "answer: exit 0" in told[1]
        assert "To shop" not in told[0]


def test_what_was_parked_elsewhere_is_told_without_a_delivery_of_its_own(tmp_path: Any) -> None:
    headers = {"Authorization": "Bearer api-token-5b1e"}
    with LocalService(tmp_path, require_registered_orders=True) as local, Browser(local) as browser:
        order = {"id": "sevi-7", "referenceNumber": "SHOP-7", "paymentStatus": "PENDING"}
        local.deliver(json.dumps({"order": order}).encode())
        terms = {"amount": "902.10", "currency": "KES", "references": ["SHOP-7"]}
        assert local.run(local.http.put("/orders/7", json=terms, headers=headers)).is_success
        local.deliver(json.dumps({"order": order | {"paymentStatus": "FAILED"}}).encode())
        browser.sign_in()
        registered, pending, failed = steps(page(browser, "7"))
        assert "registered the order" in registered
        assert "says PENDING" in pending
        assert "Delivery 2" not in pending
        assert "says FAILED" in failed
        assert "Delivery 2" in failed
        assert "<h1>Order 7" in page(browser, "sevi-7"), "which took in what waited there"


# ----------------------------------------------------------------------------------------- erasure


def test_a_person_is_erased_and_the_facts_stay(local: LocalService, operator: Browser) -> None:
    local.tell("1", "PAID", note="Wanjiku")
    page(operator, "1")
    told = text_of(
        operator.send("/console/order/erase", id="1", reason="she asked for it", sure="erase")
    )
    assert "Erased: nobody can read what was told of a person any more" in told
    assert "configured token erased what was told of a person" in told
    assert "she asked for it" in told
    assert "DELIVERED" in told
    assert "Erase personal data" not in told, "it is done"
    assert local.json("/orders/1")["erased"] is True
    assert "Wanjiku" not in operator.open("/console/deliveries/1?body=true")


@pytest.mark.parametrize(("reason", "sure"), [("", "erase"), ("because", ""), ("because", "yes")])
def test_nothing_is_erased_without_a_reason_and_the_word(
    local: LocalService, operator: Browser, reason: str, sure: str
) -> None:
    local.tell("1", "PAID")
    page(operator, "1")
    html = operator.send("/console/order/erase", id="1", reason=reason, sure=sure)
    assert 'class="flash problem"' in html
    assert local.json("/orders/1")["erased"] is False


def test_an_operator_looks_before_what_an_erasure_would_take(
    local: LocalService, operator: Browser
) -> None:
    local.tell("100017", "PAID")
    local.deliver(b'{"orderId": "100017", "name": "Wanjiku"')
    local.deliver(b'{"note": "about order 100017"}')
    page(operator, "100017")
    told = text_of(operator.send("/console/order/erase", id="100017", look="yes"))
    assert "become unreadable with it: 2." in told
    assert "may name it and stay: 3." in told
    assert local.json("/orders/100017")["erased"] is False


def test_only_an_operator_erases(local: LocalService, browser: Browser) -> None:
    local.tell("1", "PAID")
    browser.sign_in(Holder(local, "books", Role.AUDITOR).token)
    assert "Erase" not in text_of(page(browser, "1"))
    fields = {"id": "1", "reason": "mine", "sure": "erase"}
    browser.post("/console/order/erase", form_secret=browser.form_secret, **fields)
    assert browser.page.status_code == 403
    assert local.json("/orders/1")["erased"] is False
