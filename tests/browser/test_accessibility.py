"""Every page is for everybody: axe-core finds nothing that keeps people out (WCAG 2.2 AA)."""

from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.conftest import Visitor

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
PAGES = ("/console/",)


def found_on(page: Page) -> list[str]:
    """What axe-core finds wrong with a page."""
    violations = Axe().run(page, options=RULES).response["violations"]
    return [
        f"{each['id']}: {each['help']}: {node['html']} {node['failureSummary']}"
        for each in violations
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_keeps_nobody_out(visitor: Visitor, scheme: Literal["light", "dark"]) -> None:
    page = visitor(color_scheme=scheme)
    for path in PAGES:
        page.goto(path)
        assert found_on(page) == [], path
    page.get_by_role("button", name="Sign out").click()
    assert found_on(page) == [], "signed out"
