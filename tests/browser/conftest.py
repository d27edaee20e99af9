"""A browser, a shop whose server runs, and people who are signed in."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser import chromium, shop
from tests.browser.shop import Shop

WAIT_MS = 30_000  # a busy machine is no reason to fail
Visitor = Callable[..., Page]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The Chromium of this machine."""
    expect.set_options(timeout=WAIT_MS)
    with chromium.started(chromium.path()) as started:
        yield started


@pytest.fixture(scope="package")
def past(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop to look at: no test changes anything in it that another looks for."""
    with shop.opened(tmp_path_factory.mktemp("shop")) as opened:
        yield opened


@pytest.fixture
def visitor(browser: Browser, past: Shop) -> Iterator[Visitor]:
    """Opens the console for somebody: `visitor(token, color_scheme="dark")` is his page, signed in;
    without a token it is a stranger's. At the end no page may have made the browser complain."""
    with ExitStack() as stack:

        def visit(token: str | None = shop.ADMIN, **options: Any) -> Page:
            context = stack.enter_context(watched(browser, past.server.url, **options))
            page = context.new_page()
            if token is not None:
                sign_in(page, token)
            return page

        yield visit


@contextmanager
def watched(browser: Browser, url: str, **options: Any) -> Iterator[BrowserContext]:
    """A browser of one person, whose pages may load nothing from elsewhere and break no rule of
    theirs (the Content-Security-Policy), nor fail in their script."""
    complaints: list[str] = []
    # Without motion a colour is at once what it stays: axe-core measured one on its way.
    context = browser.new_context(base_url=url, reduced_motion="reduce", **options)
    context.set_default_timeout(WAIT_MS)
    context.on("console", lambda message: _note(complaints, message.type, message.text))
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    context.on("request", lambda request: _stay_here(complaints, url, request.url))
    try:
        yield context
    finally:
        context.close()
    assert not complaints, "\n".join(complaints)


def _note(complaints: list[str], kind: str, text: str) -> None:
    # A refused page is told by its status, and looked at by the test that asked for it.
    if kind == "error" and "Failed to load resource" not in text:
        complaints.append(text)


def _stay_here(complaints: list[str], url: str, asked: str) -> None:
    if not asked.startswith(url):
        complaints.append(f"a page asks for {asked}")


def sign_in(page: Page, token: str) -> None:
    """Sign in as a person does."""
    page.goto("/console/")
    page.get_by_label("API token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Sign out").wait_for()
