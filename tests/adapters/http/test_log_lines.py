"""The log has one line for each delivery, and nothing that is secret or personal."""

import json
import logging
from collections.abc import Sequence
from typing import Any

import pytest
from eventsourcing.persistence import StoredEvent

from adapters.providers.sevi import Sevi
from adapters.storage.log import LogEntry, StorageUnavailable
from adapters.telemetry.logs import form
from tests.adapters.http.local import API_TOKEN, TOKENS, LocalService
from tests.adapters.providers.sevi_bodies import (
    ORDER_ID,
    PERSONAL,
    TRANSACTION_ID,
    bare,
    encode,
    linked_transaction,
    order_webhook,
    order_webhook_with_users,
)

WRONG_TOKEN = "a-wrong-token-4d1e"
CONFIDENTIAL = (
    *PERSONAL,
    *TOKENS.values(),
    API_TOKEN,
    WRONG_TOKEN,
    ORDER_ID,
    TRANSACTION_ID,
    "ORD-700431",
    "SHOP-5512",
)


class Log:
    """All that the service wrote: records with fields and tracebacks, and lines of its own."""

    def __init__(
        self, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
    ) -> None:
        caplog.set_level(logging.DEBUG)
        self._caplog, self._capsys = caplog, capsys
        self._written = ""

    @property
    def text(self) -> str:
        self._written += self._capsys.readouterr().err
        shown = logging.Formatter()
        ours = [r for r in self._caplog.records if r.name.startswith(("order_ledger", "uvicorn"))]
        records = [f"{shown.format(record)} {record.__dict__}" for record in ours]
        return "\n".join([self._written, *records])

    @property
    def deliveries(self) -> list[Any]:
        """The line of each delivery."""
        lines = [json.loads(line) for line in self.text.splitlines() if line.startswith("{")]
        return [line for line in lines if line["message"] == "delivery"]

    def refusals(self) -> list[Any]:
        return [r for r in self._caplog.records if r.getMessage() == "refused"]

    def is_discreet(self) -> bool:
        text = self.text
        assert [word for word in CONFIDENTIAL if word in text] == []
        return bool(text)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> Log:
    return Log(caplog, capsys)


def test_each_delivery_is_one_line_with_what_became_of_it(local: LocalService, log: Log) -> None:
    bodies = [order_webhook(), order_webhook(), order_webhook(paymentStatus="PENDING"), b"?"]
    for body in bodies:
        local.deliver(body)
    lines = log.deliveries
    assert [line["outcome"] for line in lines] == "recorded duplicate stale quarantined".split()
    assert [line["position"] for line in lines] == ["0-2", "0-2", "0-3", None]
    assert [line["body_bytes"] for line in lines] == [len(body) for body in bodies]
    assert {line["provider"] for line in lines} == {"sevi"}
    assert all(line["level"] == "INFO" and line["time"].endswith("Z") for line in lines)


def test_no_delivery_leaves_anything_personal_in_the_log(local: LocalService, log: Log) -> None:
    whole = order_webhook()
    for body in (
        whole,
        whole,
        order_webhook_with_users(paymentStatus="Wanjiru"),
        linked_transaction(),
        linked_transaction({"id": "Wanjiru"}),
        whole[:-20],
        whole + b"\xff",
        order_webhook(amount="Wanjiru"),
        order_webhook(id="Wanjiru\n"),
        encode({"customer": {"name": "Wanjiru"}}),
        encode({"Wanjiru": "Kamau"}),
    ):
        assert local.deliver(body).status_code == 200
    assert log.is_discreet()


def test_no_refusal_leaves_a_token_or_a_name_in_the_log(local: LocalService, log: Log) -> None:
    for path, token in (
        ("/webhooks/sevi", WRONG_TOKEN),
        ("/webhooks/sevi", f"Bearer {WRONG_TOKEN}"),
        (f"/webhooks/{ORDER_ID}", TOKENS["sevi"]),
        (f"/webhooks/sevi?token={TOKENS['sevi']}", WRONG_TOKEN),
        ("/webhooks/Wanjiru", TOKENS["sevi"]),
    ):
        local.run(local.http.post(path, content=bare(), headers={"Authorization": token}))
    assert log.is_discreet()


def test_many_refusals_leave_few_lines(local: LocalService, log: Log) -> None:
    for _ in range(200):
        local.run(local.post(b"", headers={"Authorization": WRONG_TOKEN}))
    lines = log.refusals()
    assert 1 <= len(lines) < 20
    assert lines[0].status == 401
    assert log.is_discreet()


def test_queries_leave_nothing_of_their_subject_in_the_log(local: LocalService, log: Log) -> None:
    local.deliver(order_webhook())
    local.settle()
    for path in (
        f"/orders/{ORDER_ID}",
        "/orders/ORD-700431/history",
        "/orders?reference=SHOP-5512",
    ):
        assert local.get(path).status_code == 200
    local.get("/payments", order_id=ORDER_ID, format="csv")
    local.get("/orders", after=ORDER_ID)
    assert log.is_discreet()


def test_an_adapter_that_fails_is_logged_without_what_it_failed_on(
    local: LocalService, monkeypatch: pytest.MonkeyPatch, log: Log
) -> None:
    def fails(_: Sevi, body: bytes, *__: object) -> None:
        raise ValueError(f"cannot read {body!r}")

    monkeypatch.setattr(Sevi, "translate", fails)
    assert local.deliver(order_webhook()).json()["outcome"] == "quarantined"
    assert "ValueError" in log.text, "enough to find the defect"
    assert log.is_discreet()


def test_why_the_storage_is_unavailable_is_logged(
    local: LocalService, monkeypatch: pytest.MonkeyPatch, log: Log
) -> None:
    def fails(_: Sequence[LogEntry], master: int | None) -> None:
        raise StorageUnavailable("no space left")

    monkeypatch.setattr(local.service.ledger.event_log, "append", fails)
    assert local.deliver(order_webhook()).status_code == 503
    assert "no space left" in log.text
    assert log.is_discreet()


def test_a_defect_while_storing_is_logged_without_what_was_stored(
    local: LocalService, monkeypatch: pytest.MonkeyPatch, log: Log
) -> None:
    def fails(entries: Sequence[LogEntry], master: int | None) -> None:
        raise ValueError(f"cannot write {entries[0].body!r} of {entries[0].stream}")

    monkeypatch.setattr(local.service.ledger.event_log, "append", fails)
    assert local.deliver(order_webhook()).status_code == 503
    assert "ValueError" in log.text
    assert log.is_discreet()


def test_news_of_a_damaged_order_is_logged_without_naming_the_order(
    local: LocalService, log: Log
) -> None:
    forged = StoredEvent(f"default/{ORDER_ID}", 1, "FromTheFuture", b'{"v":1,"name":"Wanjiru"}')
    local.service.ledger.event_log.recorder.insert_events([forged])
    assert local.deliver(order_webhook()).json()["outcome"] == "quarantined"
    assert log.is_discreet()


def test_every_line_has_the_same_form(local: LocalService, log: Log) -> None:
    local.deliver(order_webhook())
    (delivery,) = [line for line in log.text.splitlines() if line.startswith("{")]
    told = {"levelname": "INFO", "name": "order_ledger", "msg": "refused", "status": 401}
    for line in (delivery, form().format(logging.makeLogRecord(told))):
        assert line == json.dumps(json.loads(line), separators=(",", ":"), ensure_ascii=False)
        assert list(json.loads(line))[:3] == ["level", "logger", "message"]
        assert json.loads(line)["time"].endswith("Z")
