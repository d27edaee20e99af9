"""Makes the pictures of the README: `python -m tests.browser.screenshots`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, Page

from tests.browser import chromium, shop
from tests.browser.conftest import sign_in, watched
from tests.browser.shop import HERO, Shop
from tests.browser.test_rebuild import confirm

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
WIDTH, HEIGHT = 1280, 960


def main() -> None:
    """Make all of them."""
    IMAGES.mkdir(exist_ok=True)
    with chromium.started(chromium.path()) as browser, TemporaryDirectory() as folder:
        for number, opened, take in (
            (1, shop.opened, _of_a_day),
            (2, shop.with_a_mended_fold, _of_a_rebuild),
        ):
            at = Path(folder) / str(number)
            at.mkdir()
            with opened(at) as running:
                take(browser, running)


def _of_a_day(browser: Browser, opened: Shop) -> None:
    with _page(browser, opened) as page:
        _take(page, "/", "overview")
        _take(page, f"/order?id={HERO}", "order", height=1290)


def _of_a_rebuild(browser: Browser, opened: Shop) -> None:
    with _page(browser, opened, color_scheme="dark") as page:
        page.goto("/console/projections/order_status")
        confirm(page, "Rebuild")
        page.get_by_role("heading", name="Parity report").wait_for(timeout=60_000)
        page.locator("summary", has_text="changed in order_status").first.click()
        page.mouse.move(0, 0)
        _take(page, "", "rebuild", height=1160)


@contextmanager
def _page(browser: Browser, opened: Shop, **options: str) -> Iterator[Page]:
    size = {"width": WIDTH, "height": HEIGHT}
    with watched(browser, opened.server.url, viewport=size, **options) as context:
        page = context.new_page()
        sign_in(page, shop.OPERATOR)
        yield page


def _take(page: Page, path: str, name: str, height: int = HEIGHT) -> None:
    """Take a picture of a page, or of the one that is open."""
    if path:
        page.goto(f"/console{path}")
    page.set_viewport_size({"width": WIDTH, "height": height})
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=IMAGES / f"{name}.png", scale="css")


if __name__ == "__main__":
    main()
