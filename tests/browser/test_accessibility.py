"""Every page is for everybody: axe-core finds nothing that keeps people out (WCAG 2.2 AA)."""

from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, ViewportSize, expect

from tests.browser import shop
from tests.browser.conftest import Visitor
from tests.browser.shop import HERO, UNDERPAID, Shop

# By the dark colours nothing differs but the contrast.
RULES = {
    "dark": {"runOnly": {"type": "rule", "values": ["color-contrast"]}},
    "light": {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
}
PAGES = (
    "/",
    "/orders",
    "/orders?status=DELIVERED&from=x",
    f"/order?id={HERO}",
    f"/order?id={UNDERPAID}",
    "/payments",
    f"/order?id={shop.HERO}",
    f"/order?id={shop.UNDERPAID}",
    f"/order?id={shop.CONFLICTING}&as_of=2020-01-01T00:00",
    "/deliveries",
    "/deliveries/1?body=true",
    "/refusals",
    "/quarantine",
    "/quarantine/172?body=true",
    "/effects",
    "/projections",
    "/projections/order_status",
    "/evidence",
    "/providers",
    "/operators",
    "/nowhere",
)
TELEPHONE: ViewportSize = {"width": 360, "height": 740}
LABELS = "row => [...row.children].map(each => each.dataset.label || '')"
CUT_OFF = """[...document.querySelectorAll('.table tbody :is(th, td)')].filter(each => {
  const { left, right } = each.getBoundingClientRect();
  return left < 0 || right > innerWidth || each.scrollWidth > each.clientWidth;
}).map(each => each.outerHTML)"""
OPEN_ALL = "for (const each of document.querySelectorAll('details')) each.open = true"


def open_page(page: Page, path: str) -> None:
    """Open a page that has to be there, unless it is one to try errors on."""
    answer = page.goto(f"/console{path}")
    assert answer is not None
    expected = {"/nowhere": 404, "/orders?status=DELIVERED&from=x": 422}.get(path, 200)
    assert answer.status == expected, (path, page.inner_text("main"))


def found_on(page: Page, scheme: str) -> list[str]:
    """What axe-core finds wrong with a page, whatever is folded in unfolded."""
    page.evaluate(OPEN_ALL)
    violations = Axe().run(page, options=RULES[scheme]).response["violations"]
    return [
        f"{each['id']}: {each['help']}: {node['html']} {node['failureSummary']}"
        for each in violations
        for node in each["nodes"]
    ]


@pytest.mark.parametrize(
    ("scheme", "size"),
    [("light", None), ("dark", None), ("light", {"viewport": TELEPHONE})],
    ids=["light", "dark", "telephone"],
)
def test_a_page_keeps_nobody_out(
    visitor: Visitor, past: Shop, scheme: Literal["light", "dark"], size: dict[str, Any] | None
) -> None:
    page = visitor(color_scheme=scheme, **(size or {}))
    found = {}
    for path in PAGES:
        open_page(page, path)
        found[path] = found_on(page, scheme)
    page.goto("/console/")
    page.get_by_role("button", name="Sign out").click()
    found["signed out"] = found_on(page, scheme)
    assert not any(found.values()), {path: problems for path, problems in found.items() if problems}


def test_no_page_is_wider_than_a_telephone(visitor: Visitor) -> None:
    page = visitor(viewport=TELEPHONE)
    wide = []
    for path in PAGES:
        open_page(page, path)
        if page.evaluate("document.documentElement.scrollWidth") > 360:
            wide.append(path)
    assert wide == []


def test_a_telephone_shows_every_cell_with_its_label(visitor: Visitor) -> None:
    page = visitor(viewport=TELEPHONE, java_script_enabled=False)
    for path, seen in (
        ("/quarantine", ("Outcome", "data.reference: it names no order")),
        ("/orders", ("Amount", "KES")),
        ("/effects", ("State", "Pause")),
    ):
        open_page(page, path)
        row = page.locator(".table tbody tr").filter(has_text=seen[1]).first
        assert seen[0] in row.evaluate(LABELS)
    for path in PAGES:
        open_page(page, path)
        assert page.evaluate(CUT_OFF) == [], path


def test_a_telephone_shows_the_whole_menu_drawing_and_axis(visitor: Visitor) -> None:
    page = visitor(viewport=TELEPHONE)
    for path, parts in (
        ("/operators", ".top nav a"),
        (f"/order?id={HERO}", ".machine .tall .state"),
        ("/", ".chart text[x]:not([text-anchor])"),
    ):
        open_page(page, path)
        found = [part.bounding_box() for part in page.locator(parts).all()]
        assert len(found) >= 3, path
        for box in found:
            assert box is not None, path
            assert 0 <= box["x"] <= box["x"] + box["width"] <= TELEPHONE["width"], path


def test_the_ring_around_the_token_is_clear_of_the_hint(visitor: Visitor) -> None:
    page = visitor(None)
    page.goto("/console/sign-in")
    field, hint = page.get_by_label("API token"), page.locator(".hint")
    expect(field).to_be_focused()
    boxes = field.bounding_box(), hint.bounding_box()
    assert boxes[0] is not None
    assert boxes[1] is not None
    assert boxes[1]["y"] - boxes[0]["y"] - boxes[0]["height"] > 5  # the ring: 2 and 3 pixels


@pytest.mark.parametrize(("scheme", "faint"), [("light", "#bbb"), ("dark", "#444")])
def test_what_keeps_people_out_is_found(
    visitor: Visitor, scheme: Literal["light", "dark"], faint: str
) -> None:
    page = visitor(color_scheme=scheme)
    page.evaluate(f"document.querySelector('h1').style.color = '{faint}'")
    assert [problem.partition(":")[0] for problem in found_on(page, scheme)] == ["color-contrast"]
