"""Who may send webhooks, when each last did and with which secret, as auditors ask for it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.access.roles import Caller, Role
from adapters.secrets import new_api_token, token_sha256
from adapters.storage.access import Operation, TokenRow
from adapters.storage.log import LogEntry
from domain.payment import Outcome
from tests.adapters.http.local import LocalService, problem

PROVIDERS: dict[str, Any] = {
    "till": {
        "kind": "sevi",
        "secrets": [{"name": "new", "value": "till-new"}, {"name": "old", "value": "till-old"}],
        "silence_seconds": 1800,
    },
    "uganda": {"kind": "sevi", "store": "uganda", "secrets": ["uganda-secret"]},
    "push": {"kind": "mpesa", "secrets": [{"name": "url", "value": "push-secret"}]},
}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[LocalService]:
    with LocalService(tmp_path, providers=PROVIDERS) as running:
        yield running


def tell(shop: LocalService, provider: str, token: str) -> None:
    body = b'{"orderId": "1", "orderPayment": "PENDING"}'
    answer = shop.run(shop.post(body, provider, {"Authorization": token}))
    assert answer.status_code == 200


def listed(shop: LocalService) -> dict[str, Any]:
    shop.service.traffic.catch_up()
    return {item["name"]: item for item in shop.json("/providers")["items"]}


def remembered(shop: LocalService, key_id: str, ago: timedelta) -> None:
    """A delivery of the till that was taken some time ago."""
    at = datetime.now(UTC) - ago
    entry = LogEntry("till", Outcome.DUPLICATE, at, "00" * 32, key_id=key_id)
    shop.service.ledger.event_log.append([entry])


def test_each_live_secret_says_when_it_was_last_used(shop: LocalService) -> None:
    began = datetime.now(UTC)
    for token in ("till-old", "till-old", "till-new"):
        tell(shop, "till", token)
    till = listed(shop)["till"]
    new, old = till["secrets"]
    assert (new["key_id"], new["deliveries"]) == ("new", 1)
    assert (old["key_id"], old["deliveries"]) == ("old", 2)
    times = [datetime.fromisoformat(one["last_used_at"]) for one in (old, new)]
    assert began <= times[0] <= times[1] <= datetime.now(UTC)
    assert till["deliveries"] == 3
    assert till["last_delivery_at"] == new["last_used_at"]


def test_a_secret_that_was_never_used_says_so(shop: LocalService) -> None:
    (secret,) = listed(shop)["push"]["secrets"]
    assert secret == {"key_id": "url", "last_used_at": None, "deliveries": 0}


def test_a_secret_that_is_no_more_configured_is_shown_for_thirty_days(shop: LocalService) -> None:
    remembered(shop, "forgotten", timedelta(days=31))
    remembered(shop, "retired", timedelta(days=29))
    (former,) = listed(shop)["till"]["former_secrets"]
    assert former["key_id"] == "retired"


def test_a_secret_is_shown_nowhere_not_even_the_one_in_a_url(shop: LocalService) -> None:
    shown = shop.get("/providers").text
    for secret in ("till-new", "till-old", "uganda-secret", "push-secret"):
        assert secret not in shown
    assert listed(shop)["push"]["path"] == "/webhooks/push/{secret}"
    assert listed(shop)["till"]["path"] == "/webhooks/till"


def test_the_log_of_deliveries_names_the_same_key_id(shop: LocalService) -> None:
    tell(shop, "uganda", "uganda-secret")
    (secret,) = listed(shop)["uganda"]["secrets"]
    assert secret["key_id"] == shop.deliveries[-1].key_id


def test_a_token_of_one_store_sees_that_stores_providers(shop: LocalService) -> None:
    token = new_api_token()
    row = TokenRow(
        "books", frozenset({Role.AUDITOR}), "uganda", token_sha256(token.encode()),
        datetime.now(UTC),
    )  # fmt: skip
    made = Operation.by(Caller.with_every_role("test"), "tokens create", "books")
    shop.service.tokens.create(row, made)
    headers = {"Authorization": f"Bearer {token}"}
    answer = shop.run(shop.http.get("/providers", headers=headers)).json()
    assert [item["name"] for item in answer["items"]] == ["uganda"]


def test_a_stranger_sees_none(shop: LocalService) -> None:
    problem(shop.run(shop.http.get("/providers")), 401)


def test_who_is_quiet_for_no_longer_than_allowed_is_not_flagged(shop: LocalService) -> None:
    remembered(shop, "new", timedelta(minutes=29))
    assert not listed(shop)["till"]["silent"]
    assert not shop.json("/health/ready")["details"]["providers"]["till"]["silent"]


def test_a_silence_is_in_the_details_of_ready_which_stays_ready(shop: LocalService) -> None:
    remembered(shop, "new", timedelta(minutes=31))
    till = listed(shop)["till"]
    assert (till["silent"], till["allowed_gap_seconds"]) == (True, 1800)
    answer = shop.get("/health/ready")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    details = answer.json()["details"]["providers"]
    assert details["till"]["silent"]
    assert details["till"]["allowed_gap_seconds"] == 1800
    last = datetime.fromisoformat(details["till"]["last_delivery_at"])
    assert timedelta(minutes=31) <= datetime.now(UTC) - last < timedelta(minutes=36)
    assert details["push"] == {
        "last_delivery_at": None,
        "allowed_gap_seconds": None,
        "silent": False,
    }
    stranger = shop.run(shop.http.get("/health/ready")).json()
    assert stranger == {"status": "ok"}
