"""An auditor has a question about an order, an operator decides about one."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser import shop
from tests.browser.conftest import WAIT_MS, Visitor
from tests.browser.test_accessibility import found_on


@pytest.mark.parametrize("has_script", [True, False], ids=["script", "no-script"])
def test_an_order_is_found_by_its_reference_and_its_timeline_is_read(
    visitor: Visitor, has_script: bool
) -> None:
    page = visitor(shop.AUDITOR, java_script_enabled=has_script)
    page.get_by_role("link", name="Orders", exact=True).click()
    page.wait_for_url("**/console/orders")  # and its script, which knows the key
    if has_script:
        page.wait_for_load_state()
        page.keyboard.press("/")
        page.keyboard.type(shop.HERO_REFERENCE)
        page.keyboard.press("Enter")
    else:
        page.get_by_label("Order id or reference").fill(shop.HERO_REFERENCE)
        page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"Order {shop.HERO}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("DELIVERED")

    happened = page.get_by_role("region", name="What happened").inner_text()
    told = ["registered", "applied", "Delivered, because of the PAID", "duplicate", "stale"]
    places = [happened.find(word) for word in told]
    assert -1 not in places, happened
    assert places == sorted(places), "in the order in which it happened"
    assert "sent" in happened, "and what followed from it"


def test_who_goes_back_sees_what_was_known_then(visitor: Visitor) -> None:
    page = visitor(shop.AUDITOR, timezone_id="Africa/Nairobi")
    page.goto(f"/console/order?id={shop.HERO}")
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_contain_text("DELIVERED")
    for _ in range(20):
        if "AWAITING PAYMENT" in heading.inner_text():
            break
        page.get_by_role("link", name="One step back").click()
    expect(page.get_by_text("As it was known at")).to_be_visible()
    last = page.locator("li.step").last
    expect(last).to_contain_text("sevi says PENDING")
    expect(last.locator("time").first).to_contain_text("GMT+3")
    page.get_by_role("link", name="One step on").click()
    expect(heading).to_contain_text("DELIVERED")


def test_the_proof_of_an_order_is_taken_home(visitor: Visitor, tmp_path: Path) -> None:
    page = visitor(shop.AUDITOR)
    page.goto(f"/console/order?id={shop.HERO}")
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Download the proof").click()
    downloading.value.save_as(tmp_path / "bundle.json")
    assert shop.HERO in (tmp_path / "bundle.json").read_text()


def test_a_held_payment_is_accepted_and_delivers(visitor: Visitor) -> None:
    page = visitor(shop.OPERATOR)
    page.get_by_role("link", name=re.compile("to review")).click()
    page.get_by_role("link", name=shop.UNDERPAID).click()
    confirm(page, "Accept and deliver")
    expect(page.get_by_role("heading", level=1)).to_contain_text("DELIVERED")


def confirm(page: Page, name: str) -> None:
    """Click what asks again, give a reason, and click again."""
    page.locator("summary", has_text=name).click()
    page.get_by_label("Why?").locator("visible=true").fill("the rest was paid in cash")
    page.get_by_role("button", name=name).click()


def test_a_person_is_erased_with_a_reason_and_a_word(visitor: Visitor) -> None:
    page = visitor(shop.OPERATOR)
    page.goto(f"/console/order?id={shop.REFUNDED}")
    page.locator("summary", has_text="Erase").click()
    assert found_on(page, "light") == []
    page.get_by_label("It is kept for ever").fill("the customer asked for it")
    page.get_by_label("to say that you are sure").fill("erase")
    page.get_by_role("button", name="Erase").click()
    expect(page.get_by_role("status")).to_contain_text("nobody can read what was told of a person")
    expect(page.get_by_role("heading", level=1)).to_contain_text("erased")
    expect(page.locator("li.step").last).to_contain_text("token night-shift erased")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert found_on(page, scheme) == []


def test_effects_that_failed_for_good_are_tried_again(visitor: Visitor) -> None:
    page = visitor(shop.OPERATOR)
    page.get_by_role("link", name=re.compile("failed for good")).click()
    row = page.get_by_role("region", name="List of effects").get_by_role("row").nth(1)
    expect(row).to_contain_text(shop.REFUSED_BY_SHOP)
    expect(row).to_contain_text("HTTP 422")
    row.get_by_role("link").first.click()
    page.locator("summary", has_text="Retry").click()
    page.get_by_label("Reason").locator("visible=true").fill("the shop knows it now")
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_role("status")).to_have_text("It will be tried again.")


def test_the_overview_stays_fresh_by_itself(visitor: Visitor) -> None:
    page = visitor(shop.AUDITOR)
    told = page.locator("[data-live] time").last
    before = told.get_attribute("datetime")
    assert before is not None
    expect(told).not_to_have_attribute("datetime", before, timeout=WAIT_MS)
