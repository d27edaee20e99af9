"""Somebody signs in, and out again."""

from playwright.sync_api import expect

from tests.browser import shop
from tests.browser.conftest import Visitor


def test_a_stranger_is_asked_for_a_token_and_led_to_what_he_wanted(visitor: Visitor) -> None:
    page = visitor(None)
    page.goto("/console/")
    page.get_by_label("API token").fill("olt_not-a-token")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("API token").fill(shop.AUDITOR)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    expect(page.get_by_text("token audit-2026")).to_be_visible()


def test_who_signs_out_is_a_stranger_again(visitor: Visitor) -> None:
    page = visitor()
    page.get_by_role("button", name="Sign out").click()
    page.goto("/console/")
    expect(page.get_by_label("API token")).to_be_visible()
