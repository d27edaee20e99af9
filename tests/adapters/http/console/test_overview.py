"""The overview: how the ledger stands, and what a person should see to."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from adapters.http.console.charts import HEIGHT, WIDTH, per_minute
from adapters.http.console.diagram import LAYOUTS, machine
from adapters.http.console.overview import matters_of
from adapters.queries import overview
from adapters.queries.overview import Kept, Overviews
from adapters.storage.rates import Minute, Rates
from domain.order import OrderStatus
from domain.transitions import edges
from tests.adapters.http.console.browser import Browser, parts_in, text_of
from tests.adapters.http.local import LocalService

NOW = datetime(2026, 1, 5, 7, 30, 20, tzinfo=UTC)


def minute(ago: int, outcome: str, count: int) -> Minute:
    return Minute(NOW.replace(second=0) - timedelta(minutes=ago), outcome, count)


def test_a_new_ledger_is_well(operator: Browser) -> None:
    told = text_of(operator.open("/console/"))
    assert "All is well" in told
    assert "Nothing came in." in told
    assert "0 orders" in told


def test_figures_are_those_of_the_ledger(local: LocalService, browser: Browser) -> None:
    for n, status in enumerate(("PAID", "PAID", "PENDING", "FAILED")):
        local.tell(str(n), status)
    local.tell("0", "PAID")
    local.tell("0", "DISPUTED")
    local.deliver(b"{broken")
    local.settle()
    html = browser.sign_in().open("/console/")
    told = text_of(html)
    assert "4 orders" in told
    assert re.search(r"AWAITING PAYMENT 1 PAYMENT FAILED 1 DELIVERED 2", told)
    assert "5 recorded" in told
    assert "1 duplicate" in told
    assert "1 quarantined" in told
    assert "1 order to review." in told
    assert "1 delivery in the quarantine." in told
    assert html.count('<rect class="fill-recorded" x=') in (1, 2), "a minute, or two"
    assert 'data-live="/console/overview/live"' in html
    (part,) = parts_in(browser.get("/console/overview/live").text)
    assert "1 order to review." in text_of(part)
    assert "<html" not in part


def test_the_worst_stands_first_and_read_models_are_called_as_on_their_cards(
    local: LocalService,
) -> None:
    found = Overviews(local.service).overview(None)
    assert found.whole is not None
    found.whole.projections[0].rebuild_due = "its fold changed"
    found.whole.projections[1].parked_at = "0-7"
    found.whole.evidence.problem = "the key is gone"
    found.reviews = 1
    matters = matters_of(found, keeper_is_alive=True)
    assert [(matter.kind, matter.says) for matter in matters] == [
        ("bad", "The read model audit history stands still before 0-7."),
        ("bad", "The log is not sealed: the key is gone"),
        ("odd", "A rebuild of the read model order status is due."),
        ("odd", "1 order to review."),
    ]


def test_bars_stand_on_each_other_and_within_the_chart() -> None:
    told = [minute(0, "recorded", 5000), minute(0, "conflict", 1), minute(59, "duplicate", 7)]
    chart = per_minute([*told, minute(60, "recorded", 9)], 60, NOW)
    assert len(chart.columns) == 60
    assert chart.totals == {"recorded": 5000, "duplicate": 7, "conflict": 1}
    below, above = chart.columns[-1].bars
    assert (below.kind, above.kind) == ("recorded", "conflict")
    assert above.y + above.height == below.y
    assert above.height >= 1, "one among thousands is seen"
    assert chart.columns[-1].says == "07:30: 5,000 recorded, 1 conflict"
    for column in chart.columns:
        for bar in column.bars:
            assert 0 <= bar.x <= bar.x + bar.width <= WIDTH
            assert 0 <= bar.y <= bar.y + bar.height <= HEIGHT


@pytest.mark.parametrize(
    ("count", "top"), [(0, "2"), (2, "2"), (3, "4"), (11, "20"), (4001, "6,000")]
)
def test_the_axis_ends_at_a_round_number(count: int, top: str) -> None:
    assert per_minute([minute(3, "recorded", count)], 60, NOW).up[-1].text == top


@pytest.mark.parametrize("number", range(len(LAYOUTS)))
def test_every_way_of_the_table_has_its_shape(number: int) -> None:
    layout = LAYOUTS[number]
    assert {(edge.start, edge.end) for edge in edges()} == set(layout.shapes)
    drawn = machine([])
    drawing = drawn.drawings[number]
    assert {state.name for state in drawing.states} == set(OrderStatus)
    assert [way.lines for way in drawing.ways] == [edge.words for edge in edges()]
    assert drawn.path == ("AWAITING_PAYMENT",)


def test_a_figure_is_kept_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = iter(range(1, 10))
    kept = Kept(lambda: next(counted))
    assert [kept.get(), kept.get()] == [1, 1]
    monkeypatch.setattr(overview, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(overview, "SHARE_MAX", 0)
    kept = Kept(lambda: next(counted))
    assert [kept.get(), kept.get()] == [2, 3]


def test_deliveries_are_counted_by_minute_and_outcome(local: LocalService) -> None:
    local.tell("1", "PAID")
    local.tell("1", "PAID")
    rows = Rates(local.service.storage.access).lately(60)
    assert sum(row.deliveries for row in rows) == 2
    assert {row.outcome for row in rows} == {"recorded", "duplicate"}
    assert all(row.at.second == 0 and row.at.tzinfo is UTC for row in rows)
    later = datetime.now(UTC) + timedelta(hours=2)
    assert Rates(local.service.storage.access, lambda: later).lately(60) == []
