"""Effects and providers on pages: what waits, what is dead, what a person does about it."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from adapters.access import doorkeeper
from adapters.access.roles import Role
from tests.adapters.http.console.browser import Browser, text_of
from tests.adapters.http.local import LocalService
from tests.adapters.http.test_access import Holder

WAIT_SECONDS = 30.0


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalService]:
    """A service that runs a command for each Delivered, which takes those of the default store and
    refuses Uganda's as long as a file is not there."""
    mended = tmp_path / "mended"
    code = (
        "import pathlib, sys; "
        f"sys.exit('uganda' in sys.stdin.read() and not pathlib.Path({str(mended)!r}).exists())"
    )
    command = {"kind": "command", "command": [sys.executable, "-c", code], "on": ["Delivered"]}
    with LocalService(tmp_path, effects={"shop": command | {"tries": 1}}) as running:
        running.tell("1", "PAID")
        running.tell("2", "PAID", "sevi-uganda")
        until(running, "sent", 1)
        until(running, "dead", 1)
        yield running


@pytest.fixture(autouse=True)
def always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorkeeper, "FRESH_SECONDS", 0.0)


def until(local: LocalService, state: str, count: int) -> str:
    """Wait until so many effects are in a state; returns the id of the newest of them."""
    deadline = time.monotonic() + WAIT_SECONDS
    while len(items := local.json("/effects", state=state)["items"]) != count:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return str(items[0]["id"]) if items else ""


def test_effects_are_found_by_state_target_and_order(operator: Browser) -> None:
    html = operator.open("/console/effects")
    assert "shop sends 0-4 0 0 1" in text_of(html), "position, pending, failed, dead"
    expected = {"state=dead": 1, "order_id=1": 1, "store=uganda": 1, "target=x": 0}
    for query, count in expected.items():
        found = operator.open(f"/console/effects?{query}")
        assert found.count('data-label="Event">Delivered ') == count, query


def test_a_dead_effect_is_tried_again_and_another_skipped(
    local: LocalService, operator: Browser, tmp_path: Path
) -> None:
    dead = until(local, "dead", 1)
    page = f"/console/effects/{dead}"
    assert "exit 1" in text_of(operator.open(page))
    assert "A reason is wanted" in text_of(operator.send(f"{page}/retry", reason=""))
    (tmp_path / "mended").touch()
    told = operator.send(f"{page}/retry", reason="the shop is back")
    assert "It will be tried again." in text_of(told)
    until(local, "sent", 2)
    refused = text_of(operator.send(f"{page}/retry", reason="once more"))
    assert f"{dead} is sent: the receiver has it" in refused
    assert "is sent already" in text_of(operator.send(f"{page}/skip", reason="no"))
    (operation,) = local.json("/operator-log")["items"]
    assert (operation["action"], operation["reason"]) == ("effects retry", "the shop is back")
    assert operator.get("/console/effects/nobody").status_code == 404


def test_an_orders_timeline_leads_to_what_failed_for_good_and_says_when(
    local: LocalService, operator: Browser
) -> None:
    dead = until(local, "dead", 1)
    (effect,) = local.json("/effects", state="dead")["items"]
    query = {"id": effect["order_id"], "store": effect["store"]}
    html = operator.open(f"/console/order?{urlencode(query)}")
    assert f'href="/console/effects/{dead}"' in html
    told = effect["last_attempt_at"][:19].replace("T", " ")
    assert f"To shop : dead, last tried {told} UTC" in text_of(html)


def test_a_target_is_paused_resumed_and_its_dead_are_retried(
    local: LocalService, operator: Browser, tmp_path: Path
) -> None:
    operator.open("/console/effects")
    target = "/console/effects/targets/shop"
    told = text_of(operator.send(f"{target}/pause", reason="the shop moves"))
    assert "shop is paused." in told
    assert "the shop moves" in told
    assert "shop goes on." in text_of(operator.send(f"{target}/resume", reason="it moved"))
    (tmp_path / "mended").touch()
    assert "1 will be tried again." in text_of(operator.send(f"{target}/retry", reason="mended"))
    until(local, "sent", 2)
    unknown = operator.send("/console/effects/targets/bank/pause", reason="why")
    assert "there is no target bank; there are: shop" in text_of(unknown)
    operator.post(f"{target}/sell", form_secret=operator.form_secret, reason="why")
    assert operator.page.status_code == 404


def test_another_stores_effects_are_not_there(local: LocalService, browser: Browser) -> None:
    dead, sent = until(local, "dead", 1), until(local, "sent", 1)
    browser.sign_in(Holder(local, "ug", Role.AUDITOR, Role.OPERATOR, store="uganda").token)
    html = browser.open("/console/effects")
    assert f"/effects/{dead}" in html
    assert f"/effects/{sent}" not in html
    assert "Targets" not in text_of(html), "they are all stores'"
    assert browser.get(f"/console/effects/{sent}").status_code == 404
    browser.open("/console/effects")
    secret = browser.form_secret
    path = f"/console/effects/{sent}/skip"
    assert browser.post(path, form_secret=secret, reason="why").status_code == 404


def test_providers_show_their_secrets_silence_and_quarantine(
    local: LocalService, operator: Browser
) -> None:
    local.deliver(b"{")
    deadline = time.monotonic() + WAIT_SECONDS
    while "50.0% of its deliveries" not in (told := text_of(operator.open("/console/providers"))):
        assert time.monotonic() < deadline, told
        time.sleep(0.05)
    for provider in local.json("/providers")["items"]:
        for secret in provider["secrets"]:
            assert secret["key_id"] in told
    assert "sevi-token" not in operator.page.text
    assert "/webhooks/sevi-uganda" in told
