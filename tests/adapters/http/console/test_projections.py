"""Read models and the evidence on pages: a rebuild and a verification, from start to end."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from adapters.access.roles import Caller
from adapters.jobs import rebuild_of
from adapters.storage.jobs import Jobs
from tests.adapters.http.console.browser import Browser, text_of
from tests.adapters.http.local import LocalService

WAIT_SECONDS = 60.0
ORDER_STATUS = "/console/projections/order_status"


@pytest.fixture
def local(tmp_path: Path) -> LocalService:
    """A service that seals every second."""
    return LocalService(tmp_path, seal_seconds=1, ledger_name="ledger.example")


@pytest.fixture
def browser(local: LocalService) -> Iterator[Browser]:
    """Somebody who looks at it, when three orders are paid."""
    with local, Browser(local) as browser:
        for n in range(3):
            local.tell(str(n), "PAID")
        local.settle()
        yield browser


def ended(browser: Browser, path: str) -> str:
    """What a page shows once its job has ended."""
    deadline = time.monotonic() + WAIT_SECONDS
    while "data-live" in (html := browser.open(path)):
        assert time.monotonic() < deadline, html
        time.sleep(0.1)
    return html


def tamper(folder: Path, file: str, statement: str) -> None:
    with closing(sqlite3.connect(folder / file)) as connection:
        connection.execute(statement)
        connection.commit()


def test_every_read_model_is_listed_with_its_generations(operator: Browser) -> None:
    html = operator.open("/console/projections")
    for name in ("order_status", "audit_history", "money"):
        assert f'href="/console/projections/{name}"' in html
    assert text_of(html).count("live 0-6 0 ") == 3, "state, position, lag"
    assert operator.get("/console/projections/orders").status_code == 404


def test_a_rebuild_is_started_followed_switched_to_and_rolled_back(
    local: LocalService, operator: Browser, tmp_path: Path
) -> None:
    tamper(tmp_path, "ledger-views.db", "UPDATE order_status__g1 SET status = 'LOST'")
    operator.open(ORDER_STATUS)
    running = operator.send(f"{ORDER_STATUS}/rebuild")
    assert f'data-live="{ORDER_STATUS}/progress"' in running
    assert '<noscript><meta http-equiv="refresh"' in running
    assert "Drop" not in text_of(running), "nothing is done meanwhile"
    operator.open("/console/evidence")
    second = operator.send("/console/evidence/verify")
    assert "rebuild order_status is running, and there is one job at a time" in text_of(second)

    told = text_of(ended(operator, ORDER_STATUS))
    assert "3 rows differ between generation 1 and generation 2, both at 0-6" in told
    assert "rows that differ in" not in told, "all are shown"
    assert "Switch to generation 2" in told
    assert "Roll back" not in told
    assert "status LOST DELIVERED" in told
    assert "configured token" in text_of(operator.page.text)
    assert "data-final" in operator.get(f"{ORDER_STATUS}/progress").text

    operator.open(ORDER_STATUS)
    assert "Generation 2 is live." in text_of(operator.send(f"{ORDER_STATUS}/switch"))
    nothing = operator.send(f"{ORDER_STATUS}/switch")
    assert "nothing of order_status waits for a switch" in text_of(nothing)
    assert local.json("/orders/1")["status"] == "DELIVERED"
    assert "Generation 1 is live." in text_of(operator.send(f"{ORDER_STATUS}/rollback"))
    assert local.json("/orders/1")["status"] == "LOST"
    ahead = text_of(operator.open(ORDER_STATUS))
    assert "Roll back" not in ahead, "nothing earlier is kept"
    assert "Switch to generation 2" in ahead
    assert "Generation 2 is live." in text_of(operator.send(f"{ORDER_STATUS}/switch"))
    assert "Roll back to generation 1" in text_of(operator.open(ORDER_STATUS))
    assert "Generation 1 is live." in text_of(operator.send(f"{ORDER_STATUS}/rollback"))
    assert "Generation 2 is dropped." in text_of(operator.send(f"{ORDER_STATUS}/drop/2"))
    refused = text_of(operator.send(f"{ORDER_STATUS}/drop/1"))
    assert "generation 1 of order_status is live" in refused
    log = [(o["who"], o["action"], o["object"]) for o in local.json("/operator-log")["items"]]
    assert log[::-1] == [
        ("configured token", f"projections {action}", f"order_status, generation {number}")
        for action, number in (
            ("rebuild", 2),
            ("switch", 2),
            ("rollback", 1),
            ("switch", 2),
            ("rollback", 1),
            ("drop", 2),
        )
    ]


def test_a_job_that_failed_says_why(local: LocalService, operator: Browser) -> None:
    jobs, name = Jobs(local.service.views), rebuild_of("order_status")
    jobs.begin(name, Caller.with_every_role("token alice"))
    jobs.end(name, "the <disk> is full", is_done=False)
    told = text_of(operator.open(ORDER_STATUS))
    assert "by token alice, failed: the <disk> is full" in told


def test_a_verification_tells_a_sound_ledger_from_a_damaged_one(
    local: LocalService, operator: Browser, tmp_path: Path
) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while "Sealed up to 0-6" not in text_of(operator.open("/console/evidence")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert "data-live" in operator.send("/console/evidence/verify")
    told = text_of(ended(operator, "/console/evidence"))
    assert "sound Nothing in the ledger was changed, lost or added." in told
    assert "Events 6 Deliveries 3" in told

    tamper(tmp_path, "ledger.db", "DROP TRIGGER stored_events_no_update")
    later = "UPDATE stored_events SET recorded_at = recorded_at + 1 WHERE idx = 2"
    tamper(tmp_path, "ledger.db", later)
    operator.send("/console/evidence/verify")
    told = text_of(ended(operator, "/console/evidence"))
    assert "Something in the ledger is not what was sealed." in told
    assert "0-2" in told


def test_what_an_auditor_takes_home_is_what_the_api_gives(
    local: LocalService, operator: Browser
) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while local.get("/checkpoints/latest").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    size = local.json("/checkpoints")["items"][0]["size"]
    note = operator.get(f"/console/evidence/checkpoints/{size}.txt")
    assert note.text == local.get("/checkpoints/latest").text
    assert note.headers["content-disposition"] == f'attachment; filename="checkpoint-{size}.txt"'
    assert operator.get("/console/evidence/checkpoints/99.txt").status_code == 404
    (key,) = local.json("/public-keys")["items"]
    assert operator.get("/console/evidence/keys.txt").text == f"{key['public_key']}\n"
    assert key["fingerprint"] in operator.open("/console/evidence")
