"""The webhook to a shop: signed as the standard says, bounded, and judged by its answer."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from adapters.effects import webhook
from adapters.effects.base import Effect, Verdict, excerpt
from adapters.effects.webhook import Webhook, WebhookSettings
from adapters.queries.queries import OrderDetail, order_after
from domain.log import Position, Recorded
from domain.order import Delivered, Disposition, PaymentReceived
from domain.payment import PaymentStatus
from tests.adapters.effects.ledgers import SECRET, Ledger
from tests.contract.logs import START
from tests.web import DIE, DRIP, HANG, FakeServer, Reply

PAID = PaymentReceived(
    originator_id="default/42",
    originator_version=1,
    provider="sevi",
    delivery_key="k",
    status=PaymentStatus.PAID,
    raw_status="PAID",
    received_at=START,
    body_hash="00" * 32,
    references=("ORD-1",),
    amount=Decimal("902.1"),
    currency="KES",
    disposition=Disposition.APPLIED,
)
DELIVERED = Delivered(originator_id="default/42", originator_version=2, caused_by=1)
HISTORY = [
    Recorded(Position(0, index), START, event) for index, event in enumerate((PAID, DELIVERED), 1)
]


def _order() -> OrderDetail:
    found = order_after(HISTORY)
    assert found is not None
    return found


ORDER = _order()
EFFECT = Effect(
    id="69231dc3-a700-57ad-8960-001d53de4e88",
    event="Delivered",
    position="0-2",
    version=2,
    recorded_at=START,
    order=ORDER,
)


@pytest.fixture
def shop() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


@pytest.fixture
def sender(shop: FakeServer) -> Iterator[Webhook]:
    settings = WebhookSettings.model_validate(
        {"kind": "webhook", "url": shop.url, "secret": SECRET}
    )
    made = Webhook(settings)
    yield made
    made.close()


def test_the_standards_own_verifier_takes_it(shop: FakeServer, sender: Webhook) -> None:
    answer = sender.send(EFFECT)
    assert (answer.verdict, answer.said, answer.excerpt) == (Verdict.SENT, "HTTP 204", None)
    (came,) = shop.came
    headers = dict(came.headers)
    told = Verifier(SECRET).verify(came.body, headers)
    assert headers["webhook-id"] == EFFECT.id
    assert headers["content-type"] == "application/json"
    assert told == {
        "type": "order.delivered",
        "timestamp": "2026-01-05T07:30:00Z",
        "data": json.loads(ORDER.model_dump_json()),
    }
    now = datetime.now(UTC).timestamp()
    assert abs(now - int(headers["webhook-timestamp"])) < 60, "the attempt's time, not the event's"


@pytest.mark.parametrize("status", [200, 201, 202, 299])
def test_every_2xx_is_sent(shop: FakeServer, sender: Webhook, status: int) -> None:
    shop.otherwise = Reply(status, b"thank you")
    assert sender.send(EFFECT).verdict is Verdict.SENT


@pytest.mark.parametrize("status", [302, 400, 401, 404, 409, 500, 502])
def test_everything_else_is_tried_again(shop: FakeServer, sender: Webhook, status: int) -> None:
    shop.otherwise = Reply(status, b"no", {"Location": shop.url, "Retry-After": "60"})
    answer = sender.send(EFFECT)
    assert (answer.verdict, answer.said, answer.excerpt) == (
        Verdict.RETRY,
        f"HTTP {status}",
        "no",
    )
    assert answer.wait_seconds is None
    assert len(shop.came) == 1, "nobody is followed anywhere"


def test_gone_stops(shop: FakeServer, sender: Webhook) -> None:
    shop.otherwise = Reply(410)
    assert sender.send(EFFECT).verdict is Verdict.STOP


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        ("99999999999999999999", 3600),
        ("Tue, 01 Jan 2999 00:00:00 GMT", 3600),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_who_asks_for_time_gets_it_within_bounds(
    shop: FakeServer, sender: Webhook, status: int, text: str, seconds: int | None
) -> None:
    shop.otherwise = Reply(status, b"", {"Retry-After": text})
    answer = sender.send(EFFECT)
    assert (answer.verdict, answer.wait_seconds) == (Verdict.RETRY, seconds)


@pytest.mark.parametrize("how", [HANG, DRIP, DIE])
def test_a_server_that_hangs_or_dies_holds_nobody(
    shop: FakeServer, sender: Webhook, how: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "SECONDS", 0.3)
    settings = WebhookSettings.model_validate(
        {"kind": "webhook", "url": shop.url, "secret": SECRET}
    )
    quick = Webhook(settings)
    shop.otherwise = Reply(how)
    answer = quick.send(EFFECT)
    assert answer.verdict is Verdict.RETRY
    assert answer.said == ("RemoteProtocolError" if how == DIE else "no answer within 0.3 s")
    shop.otherwise = Reply()
    assert quick.send(EFFECT).verdict is Verdict.SENT
    quick.close()


def test_nobody_there_is_a_failed_try(sender: Webhook, shop: FakeServer) -> None:
    shop.close()
    assert sender.send(EFFECT).said == "ConnectError"


def test_of_a_long_answer_only_the_beginning_is_read(shop: FakeServer, sender: Webhook) -> None:
    shop.otherwise = Reply(500, b"x" * 5_000_000)
    answer = sender.send(EFFECT)
    assert answer.excerpt == "x" * 200


def test_a_refusal_is_kept_without_what_looks_personal() -> None:
    said = excerpt(
        b"no customer amina@example.com,\n"
        b"+254 700 000000 card 4111-1111-1111-1111;\x00 order 42\xff"
    )
    assert said == "no customer …, … card …; order 42\ufffd"
    assert excerpt(b" \n ") is None


def test_the_secret_is_shown_nowhere(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    settings = ledger.service.settings
    key = base64.b64decode(SECRET.removeprefix("whsec_")).decode()
    for text in (repr(settings), str(settings.effects), settings.model_dump_json(), caplog.text):
        assert SECRET not in text
        assert key not in text


def test_a_shop_that_was_down_gets_what_happened_meanwhile_in_order(
    ledger: Ledger, shop: FakeServer
) -> None:
    ledger.close()
    ledger.targets["shop"]["url"] = shop.url
    ledger.open()
    (worker,) = ledger.service.dispatch()._workers.values()
    shop.replies = [Reply(500), Reply(DIE)]
    ledger.hears("a", "FAILED")
    ledger.hears("a", "PAID")
    for _ in range(3):
        while worker.step() == 0:
            pass
        ledger.clock.advance(seconds=5)
    ids = [came.headers["webhook-id"] for came in shop.came]
    assert [came.json["type"] for came in shop.came] == [
        "order.payment_failed",
        "order.payment_failed",
        "order.payment_failed",
        "order.delivered",
    ]
    assert len(set(ids[:3])) == 1
    assert worker._sender is not None
    worker._sender.close()
