"""A fold was mended: the read model is made anew from a page, while somebody looks on."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import shop
from tests.browser.conftest import sign_in, watched
from tests.browser.shop import Shop

SLOW_MS = 60_000


@pytest.fixture(scope="module")
def mended(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop whose read models were folded with a bug, and whose release has mended it."""
    with shop.with_a_mended_fold(tmp_path_factory.mktemp("mended")) as opened:
        yield opened


def confirm(page: Page, name: str) -> None:
    """Click what asks again, and again."""
    page.locator("summary", has_text=name).first.click()
    page.get_by_role("button", name=name).first.click()


def state_of(page: Page, generation: int) -> str:
    """How a generation stands on the page that is open."""
    row = page.get_by_role("region", name="Generations of").get_by_role("row").nth(generation)
    return row.get_by_role("cell").nth(0).inner_text()


@pytest.mark.parametrize("has_script", [True, False], ids=["script", "no-script"])
def test_a_rebuild_is_watched_until_it_ends_and_then_switched_to(
    mended: Shop, browser: Browser, has_script: bool
) -> None:
    with watched(browser, mended.server.url, java_script_enabled=has_script) as context:
        page = context.new_page()
        sign_in(page, shop.ADMIN)
        page.get_by_role("link", name="Projections", exact=True).click()
        expect(page.get_by_text("the code of its fold changed").first).to_be_visible()
        page.get_by_role("link", name="Order status").click()
        confirm(page, "Rebuild")

        expect(page.get_by_role("progressbar")).to_be_visible()
        if has_script:
            expect(page.get_by_text(re.compile(r"Folding: \d+ of \d+ events"))).to_be_visible()
        report = page.get_by_role("heading", name="Parity report")
        report.wait_for(timeout=SLOW_MS)  # nobody loads the page anew

        expect(page.get_by_text("20 rows differ").last).to_be_visible()
        expect(page.get_by_text("The first 5 of the 20 rows that differ in")).to_be_visible()
        assert (state_of(page, 1)[:4], state_of(page, 2)) == ("live", "built")
        page.locator("summary", has_text="changed in order_status").first.click()
        expect(page.get_by_role("cell", name="PAYMENT_FAILED").first).to_be_visible()

        confirm(page, "Switch")
        expect(page.get_by_role("status")).to_have_text(re.compile(r"Generation \d is live\."))
        assert (state_of(page, 1), state_of(page, 2)) == ("kept", "live")
        confirm(page, "Roll back")
        expect(page.get_by_role("status")).to_contain_text("Generation 1 is live.")
        confirm(page, "Drop")
        expect(page.get_by_role("status")).to_contain_text("is dropped.")


def test_a_verification_is_watched_until_its_verdict(mended: Shop, browser: Browser) -> None:
    with watched(browser, mended.server.url) as context:
        page = context.new_page()
        sign_in(page, shop.AUDITOR)
        page.get_by_role("link", name="Evidence", exact=True).click()
        page.get_by_role("button", name="Verify everything").click()
        expect(page.get_by_role("progressbar")).to_be_visible()
        page.get_by_text("Nothing in the ledger was changed, lost or added.").wait_for()
        expect(page.get_by_text("asked by token audit-2026")).to_be_visible()
