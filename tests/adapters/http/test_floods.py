"""Who keeps sending wrong credentials is refused; who sends right ones is served all the while."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.access.limiter import FAILURES_AT_ONCE, FailureLimiter
from adapters.http import webhooks
from tests.adapters.http.local import TOKENS, LocalService, problem

PAID = b'{"orderId": "1", "orderPayment": "PAID"}'
WRONG = {"Authorization": "wrong"}


@pytest.fixture(autouse=True)
def no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "FailureLimiter", partial(FailureLimiter, clock=lambda: 0.0))


@pytest.fixture
def behind_proxy(tmp_path: Path) -> Iterator[LocalService]:
    """A service whose only peer, 127.0.0.1, is a trusted proxy."""
    with LocalService(tmp_path, trusted_proxies=["127.0.0.1/32"]) as local:
        yield local


def forge(local: LocalService, times: int = 1, **headers: str) -> list[int]:
    """Deliver with wrong credentials."""
    wrong = WRONG | headers
    return [local.run(local.post(PAID, headers=wrong)).status_code for _ in range(times)]


def honest(local: LocalService, **headers: str) -> Any:
    return local.run(local.post(PAID, headers={"Authorization": TOKENS["sevi"]} | headers))


def test_after_some_failures_an_address_is_429_with_the_time_to_wait(local: LocalService) -> None:
    assert forge(local, FAILURES_AT_ONCE) == [401] * FAILURES_AT_ONCE
    refused = local.run(local.post(PAID, headers=WRONG))
    assert "wrong credentials" in problem(refused, 429)
    assert 1 <= int(refused.headers["retry-after"]) <= 3
    assert "www-authenticate" not in refused.headers
    assert local.deliveries == []


def test_an_authentic_delivery_from_the_same_address_is_served_all_the_same(
    local: LocalService,
) -> None:
    forge(local, FAILURES_AT_ONCE + 5)
    for outcome in ("recorded", "duplicate", "duplicate"):
        answer = honest(local)
        assert (answer.status_code, answer.json()["outcome"]) == (200, outcome)
        assert forge(local) == [429], "and opens no door for the others"


def test_no_other_failure_is_counted(local: LocalService) -> None:
    unknown = [local.run(local.http.post("/webhooks/nobody", content=PAID)) for _ in range(50)]
    assert {answer.status_code for answer in unknown} == {404}
    large = b"x" * (local.service.settings.body_bytes_max + 1)
    token = {"Authorization": TOKENS["sevi"]}
    assert local.run(local.post(large, headers=token)).status_code == 413
    assert forge(local) == [401]


def test_behind_a_trusted_proxy_each_client_has_its_own_failures(
    behind_proxy: LocalService,
) -> None:
    stranger = {"X-Forwarded-For": "203.0.113.5"}
    assert forge(behind_proxy, FAILURES_AT_ONCE + 1, **stranger)[-1] == 429
    assert forge(behind_proxy, 1, **{"X-Forwarded-For": "203.0.113.6"}) == [401]
    lying = {"X-Forwarded-For": "198.51.100.1, 203.0.113.5"}
    assert forge(behind_proxy, 1, **lying) == [429], "what he says of himself changes nothing"
    assert honest(behind_proxy, **stranger).status_code == 200


def test_the_delivery_log_and_the_lists_of_addresses_go_by_the_client_too(
    tmp_path: Path,
) -> None:
    sevi = {"sevi": {"tokens": [TOKENS["sevi"]], "addresses": ["203.0.113.5"]}}
    proxies = ["127.0.0.1/32"]
    with LocalService(tmp_path, providers=sevi, trusted_proxies=proxies) as local:
        assert honest(local).status_code == 401, "the proxy itself is not on the list"
        assert honest(local, **{"X-Forwarded-For": "203.0.113.6"}).status_code == 401
        assert honest(local, **{"X-Forwarded-For": "203.0.113.5"}).status_code == 200
        assert [row.address for row in local.deliveries] == ["203.0.113.5"]


def test_without_one_no_header_makes_a_stranger_another(local: LocalService) -> None:
    told = [
        forge(local, 1, **{"X-Forwarded-For": f"203.0.113.{number}"})[0]
        for number in range(FAILURES_AT_ONCE + 1)
    ]
    assert told[-1] == 429


def test_the_log_tells_of_a_flood_in_few_lines(
    local: LocalService, caplog: pytest.LogCaptureFixture
) -> None:
    forge(local, 200)
    told = [record for record in caplog.records if record.message == "refused"]
    assert {record.__dict__["status"] for record in told} == {401, 429}
    assert len(told) < 10


def test_the_document_says_that_it_may_be_429(local: LocalService) -> None:
    document: httpx.Response = local.get("/openapi.json")
    webhook = document.json()["paths"]["/webhooks/{provider}"]["post"]
    assert "429" in webhook["responses"]
