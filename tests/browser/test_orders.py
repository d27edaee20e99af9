"""An auditor has a question about an order, an operator decides about one."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser import shop
from tests.browser.conftest import Visitor


@pytest.mark.parametrize("has_script", [True, False], ids=["script", "no-script"])
def test_an_order_is_found_by_its_reference_and_its_timeline_is_read(
    visitor: Visitor, has_script: bool
) -> None:
    page = visitor(shop.AUDITOR, java_script_enabled=has_script)
    page.get_by_role("link", name="Orders", exact=True).click()
    if has_script:
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
