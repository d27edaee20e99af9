"""Which doors are closed: every query needs a token of the query API, and errors tell nothing."""

import re
from typing import Any

import pytest

from adapters.storage.log import StorageUnavailable
from tests.adapters.http.local import API_TOKEN, TOKENS, LocalService, problem

QUERIES = [
    "/orders",
    "/orders/1",
    "/orders/nobody",
    "/orders/1/history",
    "/diff?from=2026-01-05T00:00:00Z&to=2026-01-06T00:00:00Z",
    "/payments",
    "/payments?format=csv",
    "/payments?format=jsonl",
    "/totals",
    "/operator-log",
    "/deliveries",
    "/deliveries/1",
    "/quarantine",
    "/quarantine/1",
    "/refusals",
    "/refusals/kept",
    "/providers",
    "/metrics",
    "/effects",
    "/orders/1/bundle",
    "/checkpoints",
    "/checkpoints/latest",
    "/public-keys",
]


def get(local: LocalService, path: str, **headers: str) -> Any:
    return local.run(local.http.get(path, headers=headers))


def test_every_query_is_listed_here(shared: LocalService) -> None:
    paths = get(shared, "/openapi.json").json()["paths"]
    queries = {path for path, item in paths.items() if "get" in item and "health" not in path}
    patterns = [re.sub(r"{[^}]*}", "[^/]+", path) for path in queries]
    assert all(
        any(re.fullmatch(p, path.partition("?")[0]) for path in QUERIES) for p in patterns
    ), queries


@pytest.mark.parametrize("path", QUERIES)
@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        f"Bearer {API_TOKEN}x",
        f"Bearer {API_TOKEN[:-1]}",
        f"Bearer {API_TOKEN.upper()}",
        f"Bearer {TOKENS['sevi']}",
        f"Basic {API_TOKEN}",
        API_TOKEN,
    ],
)
def test_a_query_without_a_token_of_the_query_api_is_401(
    shared: LocalService, path: str, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    response = get(shared, path, **headers)
    problem(response, 401)
    assert response.headers["www-authenticate"] == "Bearer"


def test_a_token_in_the_url_opens_nothing(shared: LocalService) -> None:
    for name in ("token", "api_token", "access_token"):
        problem(get(shared, f"/orders?{name}={API_TOKEN}"), 401)


@pytest.mark.parametrize("path", QUERIES)
def test_a_parameter_that_a_query_does_not_take_is_named(shared: LocalService, path: str) -> None:
    query = "&" if "?" in path else "?"
    headers = {"Authorization": f"Bearer {API_TOKEN}"}
    told = problem(get(shared, f"{path}{query}nobody=1", **headers), 422)
    assert told.startswith("nobody: no parameter here; ")
    problem(get(shared, f"{path}{query}nobody=1"), 401)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/orders?statsu=PAID", "statsu: no parameter here; did you mean status?"),
        ("/payments?since=2026-01-05T07:30:00Z", "since: no parameter here; it takes after, "),
        ("/payments?FROM=", "FROM: no parameter here; it takes after, "),
        ("/metrics?a", "a: no parameter here; it takes none"),
        (f"/orders?{'x' * 300}=", f"{'x' * 100}: no parameter here; it takes after, "),
    ],
)
def test_what_was_meant_is_said_where_it_can_be_guessed(
    shared: LocalService, path: str, told: str
) -> None:
    answer = get(shared, path, Authorization=f"Bearer {API_TOKEN}")
    assert problem(answer, 422).startswith(told)


def test_commands_take_no_parameter_that_they_do_not_know(local: LocalService) -> None:
    headers = {"Authorization": f"Bearer {API_TOKEN}"}
    body = {"amount": "1.00", "currency": "KES"}
    refused = local.run(local.http.put("/orders/1?stor=uganda", json=body, headers=headers))
    assert problem(refused, 422) == "stor: no parameter here; did you mean store?"
    assert local.deliveries == []
    assert local.service.ledger.event_log.head() is None


def test_without_a_token_an_order_that_exists_looks_like_one_that_does_not(
    local: LocalService,
) -> None:
    local.tell("1", "PAID")
    local.settle()
    known, unknown = get(local, "/orders/1"), get(local, "/orders/2")
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)
    invalid = get(local, "/orders/1?min_position=x")
    assert invalid.status_code == 401, "what is asked is looked at only once the token is right"


@pytest.mark.parametrize("path", ["/nothing", "/orders/../etc/passwd/x", "/docs", "/redoc"])
def test_what_is_not_there_is_a_404(shared: LocalService, path: str) -> None:
    headers = {"Authorization": f"Bearer {API_TOKEN}"}
    problem(get(shared, path, **headers), 404)


@pytest.mark.parametrize(
    ("path", "method"),
    [
        (path, method)
        for path in ("/orders", "/orders/1", "/payments", "/health/live")
        for method in ("POST", "PUT", "PATCH", "DELETE")
        if (path, method) != ("/orders/1", "PUT")  # that registers an order
    ],
)
def test_nothing_can_be_changed_through_the_query_api(
    shared: LocalService, path: str, method: str
) -> None:
    headers = {"Authorization": f"Bearer {API_TOKEN}"}
    response = shared.run(shared.http.request(method, path, headers=headers))
    problem(response, 405)


# ----------------------------------------------------------------------------------------- health


def test_anyone_may_ask_whether_the_service_lives_and_is_ready(local: LocalService) -> None:
    local.tell("1", "PAID")
    for path in ("/health/live", "/health/ready"):
        response = get(local, path)
        assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_only_a_token_shows_the_details_of_readiness(local: LocalService) -> None:
    local.tell("1", "PAID")
    local.settle()
    details = local.json("/health/ready")["details"]
    assert details["head"] == "0-2"
    for reached in details["projections"].values():
        assert reached == {
            "generation": 1,
            "position": "0-2",
            "lag": 0,
            "parked_at": None,
            "rebuild_due": None,
            "orders_checked": 0,
            "orders_drifting": 0,
        }
    response = get(local, "/health/ready", Authorization=f"Bearer {TOKENS['sevi']}")
    assert "details" not in response.json()


def test_a_service_without_its_storage_is_not_ready_but_alive(
    local: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unusable() -> None:
        raise StorageUnavailable("the disk is gone")

    monkeypatch.setattr(local.service.ledger.event_log, "head", unusable)
    response = local.get("/health/ready")
    assert response.status_code == 503
    assert response.json()["status"] == "unavailable"
    assert "disk" not in response.text
    assert get(local, "/health/live").status_code == 200
