"""Somebody looks for an order, reads what happened to it, and decides about another one."""

import json
import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser import shop
from tests.browser.conftest import WAIT_MS, Visitor


def find(page: Page, name: str) -> None:
    """Find an order with the keyboard alone."""
    page.get_by_role("link", name="Orders", exact=True).click()
    page.keyboard.press("/")
    expect(page.get_by_label("Order id or reference")).to_be_focused()
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Order SO-")


def test_an_order_is_found_by_its_reference_and_its_timeline_read(visitor: Visitor) -> None:
    page = visitor(shop.AUDITOR, timezone_id="Africa/Nairobi")
    find(page, "SHOP-5512")
    expect(page.get_by_role("heading", level=1)).to_contain_text(shop.HERO)
    steps = page.locator("li.step")
    for step, says in enumerate(
        (
            "registered the order: 902.10 KES",
            "sevi says PENDING",
            "sevi says PAID",
            "sevi says PAID",
            "sevi sent the same again",
            "sevi says PENDING",
        )
    ):
        expect(steps.nth(step)).to_contain_text(says)
    expect(steps.nth(2)).to_contain_text("Delivered, because of the PAID")
    expect(steps.nth(4)).to_contain_text("Nothing was appended")
    expect(steps.nth(5)).to_contain_text("it came after a PAID")
    expect(steps.nth(1).locator("time").first).to_contain_text("GMT+3")
    expect(page.get_by_text("AWAITING PAYMENT → DELIVERED")).to_be_visible()


def test_who_goes_back_sees_what_was_known_then(visitor: Visitor) -> None:
    page = visitor(shop.AUDITOR)
    find(page, shop.HERO)
    for _ in range(20):
        if "AWAITING PAYMENT" in page.get_by_role("heading", level=1).inner_text():
            break
        page.get_by_role("link", name="One step back").click()
    expect(page.get_by_text("As it was known at")).to_be_visible()
    expect(page.locator("li.step").last).to_contain_text("sevi says PENDING")
    page.get_by_role("link", name="One step on").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("DELIVERED")


def test_the_proof_is_downloaded(visitor: Visitor, tmp_path: Path) -> None:
    page = visitor(shop.AUDITOR)
    find(page, shop.HERO)
    expect(page.get_by_text("sealed", exact=True)).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the proof").click()
    download.value.save_as(tmp_path / "bundle.json")
    bundle = json.loads((tmp_path / "bundle.json").read_text())
    assert bundle["order_id"] == shop.HERO
    assert all(event["inclusion_proof"] is not None for event in bundle["events"])


def test_a_review_is_decided_with_a_second_click_and_a_reason(visitor: Visitor) -> None:
    page = visitor(shop.OPERATOR, java_script_enabled=False)
    page.get_by_role("link", name=re.compile("orders? to review")).click()
    page.get_by_role("link", name=shop.UNDERPAID).click()
    expect(page.get_by_text("less than the registered amount").first).to_be_visible()
    page.get_by_text("Accept and deliver").first.click()
    page.get_by_label("Why?").first.fill("the rest came in cash")
    page.get_by_role("button", name="Accept and deliver").click()
    expect(page.get_by_role("status")).to_contain_text("the order is DELIVERED")
    last = page.locator("li.step").last
    expect(last).to_contain_text("token night-shift decided the review")
    expect(last).to_contain_text("the rest came in cash")


def test_the_overview_stays_fresh_by_itself(visitor: Visitor) -> None:
    page = visitor(shop.AUDITOR)
    told = page.locator("[data-live] time").last
    before = told.get_attribute("datetime")
    assert before is not None
    expect(told).not_to_have_attribute("datetime", before, timeout=WAIT_MS)
