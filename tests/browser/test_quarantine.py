"""An operator takes in what could not be read, and lets go of what says nothing."""

from playwright.sync_api import Page, expect

from tests.browser import shop
from tests.browser.conftest import Visitor


def open_first_of(page: Page, provider: str) -> None:
    """Open the newest delivery of a provider that is set aside."""
    page.get_by_role("link", name="Quarantine", exact=True).click()
    page.get_by_label("Provider").select_option(provider)
    page.get_by_role("button", name="Search").click()
    row = page.get_by_role("row").filter(has_text=provider).first
    row.get_by_role("link").first.click()


def test_a_delivery_is_read_taken_in_again_and_becomes_an_order(visitor: Visitor) -> None:
    page = visitor(shop.OPERATOR)
    open_first_of(page, "till")
    expect(page.get_by_text("data.reference: it names no order")).to_be_visible()
    page.get_by_role("link", name="Show the body").click()
    expect(page.get_by_label("The body")).to_contain_text(shop.UNREADABLE_TILL[1])

    page.get_by_text("Take in again", exact=True).first.click()
    page.get_by_role("button", name="Take in again").click()
    told = page.get_by_role("status")
    expect(told).to_contain_text(f"order {shop.UNREADABLE_TILL[1]} is DELIVERED")
    expect(page.get_by_role("heading", name="Settled")).to_be_visible()
    expect(page.get_by_role("button", name="Take in again")).to_have_count(0)

    page = visitor(shop.AUDITOR)
    page.get_by_role("link", name="Operators", exact=True).click()
    log = page.get_by_role("table")
    expect(log.get_by_role("row").nth(1)).to_contain_text("quarantine replay")
    expect(log.get_by_role("row").nth(2)).to_contain_text("deliveries read body")


def test_to_discard_needs_a_reason_and_a_second_click(visitor: Visitor) -> None:
    page = visitor(shop.OPERATOR)
    open_first_of(page, "sevi")
    page.get_by_text("Discard", exact=True).first.click()
    button = page.get_by_role("button", name="Discard")
    button.click()
    expect(page.get_by_label("Reason")).to_be_focused()  # the browser asks for it
    page.get_by_label("Reason").fill("a test call of the provider")
    button.click()
    expect(page.get_by_role("status")).to_contain_text("discarded")
    expect(page.get_by_text("a test call of the provider").last).to_be_visible()


def test_a_body_is_erased_once_the_word_is_typed(visitor: Visitor) -> None:
    page = visitor(shop.OPERATOR)
    open_first_of(page, "sevi")
    page.get_by_text("Erase", exact=True).first.click()
    button = page.get_by_role("button", name="Erase")
    page.get_by_label("Why?").fill("request 2026-17")
    page.get_by_label("to say that you are sure").fill("yes")
    button.click()
    expect(page.get_by_role("status")).to_have_count(0)  # the browser wants the word
    page.get_by_label("to say that you are sure").fill("erase")
    button.click()
    expect(page.get_by_role("status")).to_contain_text("Erased: nobody can read what was sent")
    expect(page.get_by_role("button", name="Erase")).to_have_count(0)
    expect(page.get_by_text("Nobody can read it any more: its key was destroyed.")).to_be_visible()


def test_an_auditor_looks_and_can_do_nothing(visitor: Visitor) -> None:
    page = visitor(shop.AUDITOR)
    open_first_of(page, "till")
    expect(page.get_by_text("only operators read them")).to_be_visible()
    expect(page.get_by_role("button", name="Discard")).to_have_count(0)
    refused = page.goto(f"{page.url}?body=true")
    assert refused is not None
    assert refused.status == 403
