"""Signing in to the console, and out: whose session it is, and who is not let in."""

from datetime import UTC, datetime
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest

from adapters.access import doorkeeper
from adapters.access.roles import Role
from adapters.http.console.session import SESSION_SECONDS, Box, Sessions
from adapters.storage.access import Operation
from adapters.storage.ended_sessions import EndedSessions
from tests.adapters.http.console.browser import Browser, headers_of, text_of
from tests.adapters.http.local import API_TOKEN, LocalService
from tests.adapters.http.test_access import ALICE, Holder


@pytest.fixture(autouse=True)
def always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorkeeper, "FRESH_SECONDS", 0.0)


def cookie_of(browser: Browser, name: str = "order-ledger-session") -> Any:
    told = SimpleCookie("; ".join(browser.page.headers.get_list("set-cookie")))
    return told[name]


@pytest.mark.parametrize("path", ["/", "/console"])
def test_the_root_leads_to_the_console(browser: Browser, path: str) -> None:
    response = browser.get(path)
    assert (response.status_code, response.headers["location"]) == (303, "/console/")


def test_whoever_is_not_signed_in_is_led_to_the_sign_in_and_back(browser: Browser) -> None:
    response = browser.get("/console/?a=1&b=%2F")
    assert response.status_code == 303
    assert response.headers["location"] == "/console/sign-in?then=%2Fconsole%2F%3Fa%3D1%26b%3D%252F"
    browser.open(response.headers["location"])
    browser.post(
        "/console/sign-in",
        token=API_TOKEN,
        then="/console/?a=1&b=%2F",
        form_secret=browser.form_secret,
    )
    assert (browser.page.status_code, browser.page.headers["location"]) == (
        303, "/console/?a=1&b=%2F",
    )  # fmt: skip
    assert "Overview" in text_of(browser.open("/console/"))


@pytest.mark.parametrize(
    "then", ["https://elsewhere.example", "//elsewhere.example", "/orders", "/console/\\x", "x", ""]
)
def test_nobody_is_led_elsewhere(browser: Browser, then: str) -> None:
    browser.open("/console/sign-in")
    secret = browser.form_secret
    response = browser.post("/console/sign-in", token=API_TOKEN, then=then, form_secret=secret)
    assert response.headers["location"] == "/console/"


def test_a_wrong_token_opens_nothing_and_is_not_repeated(browser: Browser) -> None:
    browser.open("/console/sign-in")
    response = browser.post("/console/sign-in", token="wr<o>ng", form_secret=browser.form_secret)
    assert response.status_code == 401
    assert "opens nothing" in text_of(response.text)
    assert "wr" not in text_of(response.text).replace("wrong", "")
    assert browser.get("/console/").status_code == 303


def test_an_address_that_fails_again_and_again_has_to_wait(browser: Browser) -> None:
    browser.open("/console/sign-in")
    for _ in range(20):
        browser.post("/console/sign-in", token="wrong", form_secret=browser.form_secret)
        assert browser.page.status_code == 401
    browser.post("/console/sign-in", token="wrong", form_secret=browser.form_secret)
    assert browser.page.status_code == 429
    assert int(browser.page.headers["retry-after"]) >= 1
    assert "Overview" in browser.sign_in().page.text, "who has a right token is let in all the same"


def test_the_cookie_is_the_consoles_own_and_holds_no_token(browser: Browser) -> None:
    browser.open("/console/sign-in")
    before = cookie_of(browser, "order-ledger-sign-in")
    browser.post("/console/sign-in", token=API_TOKEN, form_secret=browser.form_secret)
    cookie = cookie_of(browser)
    for one in (before, cookie):
        assert (one["httponly"], one["samesite"], one["path"]) == (True, "strict", "/console")
        assert one["max-age"] == str(SESSION_SECONDS)
        assert not one["secure"]
    assert cookie.value != before.value, "nobody can have put it there before"
    assert API_TOKEN not in cookie.value


@pytest.mark.parametrize(
    ("trusted", "told", "secure"),
    [([], "https", False), (["127.0.0.1/32"], "https", True), (["127.0.0.1/32"], "http", False)],
)
def test_behind_a_trusted_proxy_with_tls_the_cookie_is_secure(
    tmp_path: Any, trusted: list[str], told: str, secure: bool
) -> None:
    with LocalService(tmp_path, trusted_proxies=trusted) as local, Browser(local) as browser:
        browser.get("/console/sign-in", **{"X-Forwarded-Proto": told})
        assert bool(cookie_of(browser, "order-ledger-sign-in")["secure"]) is secure


def test_a_link_on_another_site_leaves_who_is_signed_in_signed_in(operator: Browser) -> None:
    held = dict(operator.http.cookies)
    operator.http.cookies.clear()  # a strict cookie is not sent with it
    operator.open("/console/order?id=1")
    assert "API token" in text_of(operator.page.text), "it leads to the form"
    told = dict(operator.http.cookies)
    assert told, "whose cookie the browser keeps"
    operator.http.cookies.clear()
    operator.http.cookies.update(held | told)
    assert operator.get("/console/").status_code == 200


def test_the_cookie_of_the_form_is_no_session_and_cannot_sign_out(browser: Browser) -> None:
    browser.open("/console/sign-in")
    form = cookie_of(browser, "order-ledger-sign-in").value
    browser.http.cookies.set("order-ledger-session", form, path="/console")
    assert browser.post("/console/sign-out", form_secret=browser.form_secret).status_code == 403
    assert browser.get("/console/").status_code == 303


def test_who_signs_out_is_out_also_with_a_copy_of_the_cookie(operator: Browser) -> None:
    copy = dict(operator.http.cookies)
    operator.open("/console/")
    operator.send("/console/sign-out")
    assert operator.get("/console/").status_code == 303
    operator.http.cookies.update(copy)
    assert operator.get("/console/").status_code == 303


def test_who_signs_out_is_out_in_every_process_and_after_a_restart(
    tmp_path: Path, operator: Browser
) -> None:
    with LocalService(tmp_path) as other, Browser(other) as browser:
        browser.http.cookies.update(dict(operator.http.cookies))
        assert browser.get("/console/").status_code == 200, "it is the same service"
        operator.open("/console/")
        operator.send("/console/sign-out")
        assert browser.get("/console/").status_code == 303


def test_a_revoked_token_loses_its_session(local: LocalService, browser: Browser) -> None:
    holder = Holder(local, "books", Role.AUDITOR)
    browser.sign_in(holder.token).open("/console/")
    assert "token books" in browser.page.text
    local.service.tokens.revoke("books", Operation.by(ALICE, "tokens revoke", "books"))
    assert browser.get("/console/").status_code == 303


def test_a_session_ends_by_itself_and_only_its_own_box_knows_it(local: LocalService) -> None:
    now, ended = [1_000.0], EndedSessions(local.service.views)
    sessions = Sessions(Box("key"), lambda: now[0], ended)
    session, cookie = sessions.begin("digest")
    now[0] += SESSION_SECONDS - 1
    assert sessions.known(cookie) == session
    assert Sessions(Box("other"), lambda: now[0], ended).known(cookie) is None
    now[0] += 1
    assert sessions.known(cookie) is None


CHANGES = {
    "cut": lambda cookie: cookie[:-2],
    "longer": lambda cookie: cookie + "A",
    "no ASCII": lambda _: "é",
    "far too long": lambda _: "A" * 9999,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_cookie_that_was_changed_is_none(local: LocalService, change: Any) -> None:
    sessions = Sessions(Box("key"), lambda: 0.0, EndedSessions(local.service.views))
    assert sessions.known(change(sessions.begin("digest")[1])) is None


def test_what_is_sealed_for_one_purpose_is_nothing_for_another() -> None:
    box = Box("key")
    assert box.opened("flash", box.seal("session", [1])) is None
    assert box.opened("flash", box.seal("flash", [1])) == [1]


@pytest.mark.parametrize("secret", [None, "", "another", "é"])
@pytest.mark.parametrize("path", ["/console/sign-in", "/console/sign-out"])
def test_a_form_that_no_page_of_the_session_sent_is_403(
    operator: Browser, path: str, secret: str | None
) -> None:
    fields = {} if secret is None else {"form_secret": secret}
    response = operator.post(path, token=API_TOKEN, **fields)
    assert response.status_code == 403
    assert operator.get("/console/").status_code == 200, "and nothing was done"


def test_a_token_without_the_role_may_sign_in_and_reads_what_it_lacks(
    local: LocalService, browser: Browser
) -> None:
    response = browser.sign_in(Holder(local, "till", Role.STORE).token).get("/console/")
    assert response.status_code == 403
    assert "lacks the role auditor" in text_of(response.text)
    assert "Orders" not in text_of(response.text)
    browser.send("/console/sign-out")


def test_an_expired_token_is_not_let_in(local: LocalService, browser: Browser) -> None:
    past = datetime(2020, 1, 1, tzinfo=UTC)
    holder = Holder(local, "old", Role.AUDITOR, expires_at=past)
    browser.open("/console/sign-in")
    response = browser.post("/console/sign-in", token=holder.token, form_secret=browser.form_secret)
    assert response.status_code == 401


def test_the_api_takes_no_cookie(operator: Browser) -> None:
    cookies = "; ".join(f"{name}={value}" for name, value in operator.http.cookies.items())
    assert operator.get("/orders", Cookie=cookies).status_code == 401


# ------------------------------------------------------------------------------------ every answer


@pytest.mark.parametrize("path", ["/console/", "/console/sign-in", "/console/nothing"])
def test_every_page_runs_and_loads_nothing_but_our_own_files(operator: Browser, path: str) -> None:
    headers = headers_of(operator.get(path))
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    html = operator.page.text
    assert "<style" not in html
    assert " style=" not in html
    assert "<script>" not in html
    assert "javascript:" not in html


def test_what_is_not_there_is_a_page_with_the_way_back(operator: Browser) -> None:
    response = operator.get("/console/nothing")
    assert response.status_code == 404
    assert "Not Found" in text_of(response.text)
    assert 'href="/console/"' in response.text
    assert operator.get("/nothing").headers["content-type"] == "application/problem+json"


def test_the_files_of_the_pages_may_be_kept_for_ever(browser: Browser) -> None:
    html = browser.open("/console/sign-in")
    for name, kind in (("console.css", "text/css"), ("console.js", "text/javascript")):
        (url,) = {part for part in html.split('"') if part.startswith(f"/console/static/{name}?v=")}
        headers = headers_of(browser.get(url))
        assert headers["content-type"].startswith(kind)
        assert headers["cache-control"] == "public, max-age=31536000, immutable"
    assert browser.get("/console/static/../app.py").status_code == 404


def test_without_storage_the_console_says_so(
    local: LocalService, operator: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    from adapters.storage.log import StorageUnavailable

    def unusable(*_: Any) -> None:
        raise StorageUnavailable("the disk is gone")

    monkeypatch.setattr(local.service.ledger.event_log, "head", unusable)
    response = operator.get("/console/")
    assert response.status_code in (200, 503)
    assert "disk" not in response.text


def test_what_was_written_by_others_is_shown_as_text(operator: Browser) -> None:
    response = operator.get("/console/sign-in?then=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
    assert "<script>" not in response.text
    response = operator.get("/console/static/<script>alert(1)")
    assert "<script>alert" not in response.text
    assert "&lt;script&gt;" in response.text
