"""Every kind of provider at the door: its URL, its credentials, its answer, and what is told."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.providers import Secret, make_provider
from adapters.providers.base import Outgoing
from adapters.providers.verifying import HmacHeader
from domain.order import PaymentReceived
from domain.payment import Outcome
from tests.adapters.http.local import LocalService, problem
from tests.adapters.providers.tables import KINDS, NEEDS, secret_of

TABLES: dict[str, Any] = {
    kind: {
        "kind": kind,
        **NEEDS[kind],
        "secrets": [{"name": "this-year", "value": secret_of(kind, "new")}, secret_of(kind, "old")],
    }
    for kind in KINDS
}
each_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[LocalService]:
    with LocalService(tmp_path, providers=TABLES) as running:
        yield running


def outgoing(
    shop: LocalService, kind: str, which: str = "new", status: str = "PAID"
) -> tuple[bytes, Outgoing]:
    """A sample as its sender would send it now."""
    settings = shop.service.settings.providers[kind]
    sender = make_provider(kind, settings, [Secret("sender", secret_of(kind, which))])
    now = datetime.now(UTC)
    body = sender.sample("1001", status, now)
    return body, sender.sign(body, now, "1001")


def post(shop: LocalService, kind: str, body: bytes, how: Outgoing) -> httpx.Response:
    path = f"{kind}/{how.path}" if how.path else kind
    path += f"?{how.query}" if how.query else ""
    return shop.run(shop.post(body, path, headers=how.headers))


def send(shop: LocalService, kind: str, which: str = "new", status: str = "PAID") -> httpx.Response:
    return post(shop, kind, *outgoing(shop, kind, which, status))


@each_kind
def test_a_paid_delivers_the_order(shop: LocalService, kind: str) -> None:
    response = send(shop, kind)
    assert response.status_code == 200, response.text
    if kind == "adyen":
        assert response.text == "[accepted]"
    elif kind == "mpesa":
        assert response.json() == {"ResultCode": 0, "ResultDesc": "Accepted"}
    else:
        assert response.json()["outcome"] == "recorded"
        assert response.json()["order_status"] == "DELIVERED"
    shop.settle()
    order = shop.json("/orders/1001")
    assert (order["status"], order["provider"]) == ("DELIVERED", kind)


@each_kind
def test_the_old_secret_still_lets_in_and_a_strangers_does_not(
    shop: LocalService, kind: str
) -> None:
    assert send(shop, kind, "old").status_code == 200
    recorded = len(shop.deliveries)
    assert problem(send(shop, kind, "stranger"), 401) == "the credentials are wrong or missing"
    assert len(shop.deliveries) == recorded


@each_kind
def test_the_event_tells_which_secret_verified(shop: LocalService, kind: str) -> None:
    for which in ("new", "old"):
        send(shop, kind, which, status="PENDING" if which == "new" else "PAID")
    events = [one.event for one in shop.service.ledger.history("default/1001")]
    new, old = (one.key_id for one in events if isinstance(one, PaymentReceived))
    assert new == "this-year"
    assert old is not None
    assert old.startswith("key-")


@each_kind
def test_the_same_delivery_twice_is_a_duplicate(shop: LocalService, kind: str) -> None:
    made = outgoing(shop, kind)
    assert [post(shop, kind, *made).status_code for _ in range(2)] == [200, 200]
    assert [row.outcome for row in shop.deliveries] == [Outcome.RECORDED, Outcome.DUPLICATE]


@each_kind
def test_a_word_that_nobody_knows_is_recorded_and_reviewed(shop: LocalService, kind: str) -> None:
    assert send(shop, kind, status="gone_fishing").status_code == 200
    shop.settle()
    order = shop.json("/orders/1001")
    assert (order["status"], order["review"]) == ("AWAITING_PAYMENT", "unrecognized_status")


# -------------------------------------------------------------------------------------- details


def test_a_push_without_an_order_is_quarantined_and_answered_all_the_same(
    shop: LocalService,
) -> None:
    body, how = outgoing(shop, "mpesa")
    response = post(shop, "mpesa", body, Outgoing({}, path=how.path))
    assert response.json()["ResultCode"] == 0
    (row,) = shop.deliveries
    assert row.outcome is Outcome.QUARANTINED
    assert "?order_id=" in str(row.reason)
    assert shop.kept_body(row) == body


def test_what_a_push_said_besides_its_body_is_kept_with_it(shop: LocalService) -> None:
    send(shop, "mpesa", status="gone_fishing")
    (row,) = shop.deliveries
    context = shop.service.bodies.kept_with([row.id])[row.id].context
    assert json.loads(str(context)) == {"query": "order_id=1001"}


@pytest.mark.parametrize("path", ["mpesa", "mpesa/", "mpesa/wrong-secret", "mpesa//x"])
def test_without_the_secret_in_the_url_nobody_is_let_in(shop: LocalService, path: str) -> None:
    body, _ = outgoing(shop, "mpesa")
    problem(shop.run(shop.post(body, path, headers={})), 401)


@pytest.mark.parametrize("path", ["stripe/x", "sevi/webhook", "adyen/a/b"])
def test_a_longer_url_than_the_providers_is_nobodys(shop: LocalService, path: str) -> None:
    body, how = outgoing(shop, path.partition("/")[0])
    problem(shop.run(shop.post(body, path, headers=how.headers)), 404)


def test_woocommerces_greeting_is_answered_and_not_recorded(shop: LocalService) -> None:
    response = shop.run(shop.post(b"webhook_id=3", "woocommerce", headers={}))
    assert (response.status_code, response.content) == (200, b"")
    assert shop.deliveries == []


def test_a_batch_is_recorded_whole_and_answered_once(shop: LocalService) -> None:
    response = post_items(shop, ("1001", "PAID"), ("1002", "FAILED"), ("1003", "PAID"))
    assert response.text == "[accepted]"
    (row,) = shop.deliveries
    assert (row.outcome, row.stream, row.key_id) == (Outcome.RECORDED, None, "this-year")
    shop.settle()
    told = {n: shop.json(f"/orders/{n}")["status"] for n in ("1001", "1002", "1003")}
    assert told == {"1001": "DELIVERED", "1002": "PAYMENT_FAILED", "1003": "DELIVERED"}


def test_a_batch_of_which_one_item_cannot_be_attributed_is_quarantined_whole(
    shop: LocalService,
) -> None:
    assert post_items(shop, ("1001", "PAID"), ("", "PAID")).text == "[accepted]"
    (row,) = shop.deliveries
    assert row.outcome is Outcome.QUARANTINED
    shop.settle()
    assert shop.get("/orders/1001").status_code == 404


def post_items(shop: LocalService, *told: tuple[str, str]) -> httpx.Response:
    """A batch of Adyen's with an item for each order and status."""
    sender = make_provider(
        "adyen",
        shop.service.settings.providers["adyen"],
        [Secret("sender", secret_of("adyen", "new"))],
    )
    now = datetime.now(UTC)
    samples = [json.loads(sender.sample(*one, now)) for one in told]
    items = [item for sample in samples for item in sample["notificationItems"]]
    body = json.dumps({"live": "false", "notificationItems": items}).encode()
    return shop.run(shop.post(body, "adyen", headers={}))


def test_a_batch_with_one_forged_item_is_refused_whole(shop: LocalService) -> None:
    first, _ = outgoing(shop, "adyen")
    second, _ = outgoing(shop, "adyen", "stranger")
    body = json.loads(first)
    body["notificationItems"] += json.loads(second)["notificationItems"]
    problem(shop.run(shop.post(json.dumps(body).encode(), "adyen", headers={})), 401)
    assert shop.deliveries == []


def test_a_verifier_that_fails_acknowledges_nothing(
    shop: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> Any:
        raise LookupError("a defect")

    monkeypatch.setattr(HmacHeader, "verify", fails)
    response = send(shop, "shopify")
    assert "try again" in problem(response, 503)
    assert response.headers["retry-after"]
    assert shop.deliveries == []


def test_the_log_says_why_and_repeats_no_secret(
    shop: LocalService, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    body, how = outgoing(shop, "stripe")
    post(shop, "stripe", json.dumps(json.loads(body)).encode(), how)
    send(shop, "mpesa")
    problem(shop.run(shop.post(b"{}", "mpesa/wrong-secret", headers={})), 401)
    send(shop, "sevi")
    reasons = {record.__dict__["provider"]: record.__dict__["reason"] for record in caplog.records}
    assert "a body that was changed on its way" in reasons["stripe"]
    assert "no live secret" in reasons["mpesa"]
    written = f"{caplog.text} {reasons} {capfd.readouterr()}"
    assert "invented-secret" not in written
    assert "wrong-secret" not in written
