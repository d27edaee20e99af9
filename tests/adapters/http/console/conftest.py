"""Fixtures of the tests of the console."""

from collections.abc import Iterator

import pytest

from tests.adapters.http.console.browser import Browser
from tests.adapters.http.local import LocalService


@pytest.fixture
def browser(local: LocalService) -> Iterator[Browser]:
    """A browser in which nobody is signed in, on an empty ledger."""
    with Browser(local) as browser:
        yield browser


@pytest.fixture
def operator(browser: Browser) -> Browser:
    """A browser in which somebody is signed in who may do everything."""
    return browser.sign_in()
