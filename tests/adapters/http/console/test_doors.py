"""Which doors of the console are closed to whom: every page and every form, none forgotten."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.routing import Mount

from adapters.access import doorkeeper
from adapters.access.roles import Role
from tests.adapters.http.console.browser import Browser, text_of
from tests.adapters.http.local import LocalService
from tests.adapters.http.test_access import Holder

# The console has no OpenAPI document, so it is nothing to anybody that GET and HEAD share an id.
pytestmark = pytest.mark.filterwarnings("ignore:Duplicate Operation ID")

VALUES = {
    "delivery_id": "1",
    "effect_id": "nobody",
    "target": "shop",
    "act": "pause",
    "name": "order_status",
    "generation": "1",
    "size": "1",
}
OPEN = ("/sign-in", "/static/order_status", "/sign-out")
OF_ALL_STORES = ("/projections", "/evidence", "/operators", "/effects/targets")
FOR_AUDITORS = ("/evidence/verify",)


def doors(local: LocalService) -> Iterator[tuple[str, str]]:
    """Every (method, path) of the console, without those of the sign-in."""
    (mounted,) = (route.app for route in local.app.routes if isinstance(route, Mount))
    assert isinstance(mounted, FastAPI)
    for pattern, methods in mounted.openapi()["paths"].items():
        path = re.sub(r"{(\w+)}", lambda found: VALUES.get(found[1], "x"), pattern)
        for method in methods:
            if not path.startswith(OPEN):
                yield method.upper(), f"/console{path}"


@pytest.fixture(autouse=True)
def always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorkeeper, "FRESH_SECONDS", 0.0)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    """A service of two stores with a delivery each."""
    effects = {"shop": {"kind": "command", "command": ["true"]}}
    with LocalService(tmp_path_factory.mktemp("doors"), effects=effects) as running:
        running.deliver(b"{")
        running.deliver(b"{", "sevi-uganda")
        yield running


def pages(local: LocalService) -> list[str]:
    return [path for method, path in doors(local) if method == "GET"]


def forms(local: LocalService) -> list[str]:
    return [path for method, path in doors(local) if method == "POST"]


def test_the_doors_are_seen(local: LocalService) -> None:
    assert "/console/projections/order_status/rebuild" in forms(local)
    assert "/console/quarantine/1/discard" in forms(local)
    assert len(pages(local)) > 12


def test_a_stranger_is_led_to_the_sign_in_whatever_he_asks(
    local: LocalService, browser: Browser
) -> None:
    for path in pages(local):
        response = browser.get(path)
        assert response.status_code == 303, path
        assert response.headers["location"].startswith("/console/sign-in"), path
        asked = browser.head(path)
        assert (asked.status_code, asked.headers["location"]) == (
            303, response.headers["location"],
        )  # fmt: skip
    for path in forms(local):
        response = browser.post(path)
        assert (response.status_code, response.headers["location"]) == (303, "/console/sign-in")


def test_a_form_of_another_site_does_nothing(local: LocalService, browser: Browser) -> None:
    browser.sign_in()
    for path in forms(local):
        for fields in ({}, {"form_secret": "x", "reason": "y"}):
            assert browser.post(path, **fields).status_code == 403, path
    assert local.json("/operator-log")["items"] == []


def test_who_only_looks_does_nothing(local: LocalService, browser: Browser) -> None:
    browser.sign_in(Holder(local, "auditor", Role.AUDITOR).token)
    browser.open("/console/deliveries")
    secret = browser.form_secret
    for path in forms(local):
        if not path.endswith(FOR_AUDITORS):
            response = browser.post(path, form_secret=secret, reason="why")
            assert response.status_code == 403, path
            assert "lacks the role operator" in text_of(response.text)
    assert browser.get("/console/deliveries/1?body=true").status_code == 403


def test_who_only_acts_reads_nothing(local: LocalService, browser: Browser) -> None:
    browser.sign_in(Holder(local, "operator", Role.OPERATOR).token)
    for path in pages(local):
        assert browser.get(path).status_code == 403, path
        assert browser.head(path).status_code == 403, path


def test_whoever_asks_for_the_head_alone_is_answered_as_for_the_page(
    local: LocalService, browser: Browser
) -> None:
    browser.sign_in(Holder(local, "looker", Role.AUDITOR).token)
    for path in pages(local):
        whole, head = browser.get(path), browser.head(path)
        assert head.status_code == whole.status_code, path
        assert head.headers["content-type"] == whole.headers["content-type"], path
    assert browser.head("/").status_code == browser.head("/console").status_code == 303
    assert browser.head("/console/sign-out").status_code == 405


def test_what_is_no_page_and_no_form_is_told_so(browser: Browser) -> None:
    told = text_of(browser.get("/console/sign-out").text)
    assert "405 Method Not Allowed /console/sign-out takes POST, not GET." in told
    told = text_of(browser.get("/console/nowhere").text)
    assert "404 Not Found There is no page /console/nowhere" in told


def test_a_token_of_one_store_opens_nothing_that_is_of_all(
    local: LocalService, browser: Browser
) -> None:
    holder = Holder(local, "uganda", Role.AUDITOR, Role.OPERATOR, store="uganda")
    browser.sign_in(holder.token)
    shown = browser.open("/console/deliveries/2")
    for label, path in (("Projections", "/projections"), ("Operators", "/operators")):
        assert label not in text_of(shown), "it is not even listed"
        assert browser.get(f"/console{path}").status_code == 403
    browser.open("/console/deliveries/2")
    secret = browser.form_secret
    for method, path in doors(local):
        if path.removeprefix("/console").startswith(OF_ALL_STORES):
            asks: dict[str, Any] = {"GET": browser.get, "HEAD": browser.head}
            ask = asks.get(method, browser.post)
            fields = {} if method in asks else {"form_secret": secret, "reason": "why"}
            assert ask(path, **fields).status_code == 403, path


def test_another_stores_deliveries_are_not_there(local: LocalService, browser: Browser) -> None:
    browser.sign_in(Holder(local, "ug", Role.AUDITOR, Role.OPERATOR, store="uganda").token)
    listed = browser.open("/console/quarantine")
    assert "/quarantine/2" in listed
    assert "/quarantine/1" not in listed
    for path in ("/deliveries/1", "/quarantine/1", "/quarantine/1?body=true"):
        assert browser.get(f"/console{path}").status_code == 404
    browser.open("/console/quarantine")
    secret = browser.form_secret
    for act in ("replay", "discard"):
        path = f"/console/quarantine/1/{act}"
        assert browser.post(path, form_secret=secret, reason="why").status_code == 404
    assert local.json("/quarantine/1")["settled_by"] is None
