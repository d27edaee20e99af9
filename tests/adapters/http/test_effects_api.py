"""GET /effects, and the effects in an order's history."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.access import doorkeeper
from adapters.access.roles import Role
from tests.adapters.http.local import LocalService, pages, problem
from tests.adapters.http.test_access import Holder
from tests.adapters.http.test_metrics import samples

WAIT_SECONDS = 30.0


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalService]:
    """A service of two stores that runs a command for each Delivered, which takes those of the
    default store and refuses Uganda's."""
    code = "import sys; sys.exit('uganda' in sys.stdin.read())"
    command = {"kind": "command", "command": [sys.executable, "-c", code], "on": ["Delivered"]}
    effects = {"shop": command | {"tries": 1}}
    with LocalService(tmp_path, effects=effects) as running:
        running.tell("1", "PAID")
        running.tell("2", "PAID")
        running.tell("1", "PAID", "sevi-uganda")
        _until_done(running, 3)
        running.settle()
        yield running


def _until_done(local: LocalService, count: int) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        items = local.json("/effects")["items"]
        if len(items) == count and all(item["state"] in ("sent", "dead") for item in items):
            return
        assert time.monotonic() < deadline, items
        time.sleep(0.02)


def told(page: Any) -> list[tuple[str, str, str]]:
    return [(item["store"], item["order_id"], item["state"]) for item in page["items"]]


def test_effects_are_listed_newest_first_with_their_targets(local: LocalService) -> None:
    page = local.json("/effects")
    assert sorted(told(page)) == [
        ("default", "1", "sent"),
        ("default", "2", "sent"),
        ("uganda", "1", "dead"),
    ]
    assert page["targets"] == [
        {
            "name": "shop",
            "position": "0-6",
            "pending": 0,
            "failed": 0,
            "dead": 1,
            "paused": None,
            "breaker_open_until": None,
            "problem": None,
        }
    ]
    assert page["items"] == pages(local, "/effects", limit=1)


def test_effects_are_found_by_what_is_asked(local: LocalService) -> None:
    assert told(local.json("/effects", state="dead")) == [("uganda", "1", "dead")]
    assert told(local.json("/effects", order_id="2")) == [("default", "2", "sent")]
    assert told(local.json("/effects", store="uganda")) == [("uganda", "1", "dead")]
    assert told(local.json("/effects", target="mail")) == []
    for wrong in ({"state": "lost"}, {"after": 0}, {"limit": 0}, {"limit": 1001}, {"order_id": ""}):
        problem(local.get("/effects", **wrong), 422)


def test_a_token_of_one_store_sees_that_stores_alone(
    local: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doorkeeper, "FRESH_SECONDS", 0.0)
    uganda = Holder(local, "uganda-books", Role.AUDITOR, store="uganda")
    page = uganda.json("/effects")
    assert (told(page), page["targets"]) == ([("uganda", "1", "dead")], [])
    assert told(uganda.json("/effects?store=default")) == []
    effects = uganda.json("/orders/1/history")["effects"]
    assert [effect["state"] for effect in effects] == ["dead"]


def test_what_is_not_done_is_counted_for_prometheus(local: LocalService) -> None:
    found = samples(local)
    assert found["order_ledger_effects"] == {
        ("pending", "shop"): 0,
        ("failed", "shop"): 0,
        ("dead", "shop"): 1,
    }
    assert found["order_ledger_effect_target_held"] == {("shop",): 0}


def test_the_history_of_an_order_has_what_followed_from_it(local: LocalService) -> None:
    history = local.json("/orders/1/history")
    (effect,) = history["effects"]
    delivered = history["events"][-1]
    assert (effect["position"], effect["version"], effect["event"]) == (
        delivered["position"],
        delivered["version"],
        delivered["type"],
    )
    assert (effect["answer"], effect["attempts"]) == ("exit 0", 1)
    assert effect["sent_at"] >= delivered["recorded_at"]
