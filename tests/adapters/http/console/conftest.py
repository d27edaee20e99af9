"""Fixtures of the tests of the console."""

from collections.abc import Iterator

import pytest

from adapters.http.console import live
from tests.adapters.http.console.browser import Browser
from tests.adapters.http.local import LocalService


@pytest.fixture(autouse=True)
def _streams_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that is kept fresh is sent once, and whoever reads to the end comes back."""
    monkeypatch.setattr(live, "STREAM_SECONDS", 0)


@pytest.fixture
def browser(local: LocalService) -> Iterator[Browser]:
    """A browser in which nobody is signed in, on an empty ledger."""
    with Browser(local) as browser:
        yield browser


@pytest.fixture
def operator(browser: Browser) -> Browser:
    """A browser in which somebody is signed in who may do everything."""
    return browser.sign_in()
