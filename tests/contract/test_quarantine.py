"""Replay and discard on both databases, beside another writer of the same ledger."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from adapters.access.roles import Caller
from adapters.deliveries.intake import delivery_of
from adapters.deliveries.quarantine import CannotSettle, Quarantine
from adapters.providers import Request, reading, sevi
from adapters.service import Service, providers
from adapters.settings import Settings
from adapters.storage.deliveries import DeliveryFilter
from domain.payment import Outcome

ALICE = Caller.with_every_role("user alice", "command line")
CUT = b'{"orderId": "42", "orderPayment": "PAID"'
PENDING = b'{"orderId": "42", "orderPayment": "PENDING"}'
SETTINGS: dict[str, Any] = {"providers": {"sevi": {"tokens": ["token"]}}}


@pytest.fixture
def service(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.chdir(tmp_path)
    opened = Service(Settings(database_url=url, **SETTINGS))
    yield opened
    opened.close()


@pytest.fixture
def quarantine(service: Service) -> Quarantine:
    senders = providers(service.settings)
    return Quarantine(service.ledger, service.bodies, senders, service.operators)


def hears(service: Service, *bodies: bytes) -> None:
    sender = providers(service.settings)["sevi"]
    now = datetime.now(UTC)
    requests = [Request([], body, now, client="192.0.2.7") for body in bodies]
    hashing = service.vault.hashing
    service.ledger.record([delivery_of(sender, each, "key", hashing) for each in requests])


def reads_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(body: bytes) -> Any:
        return reading.read_object(body if body.endswith(b"}") else body + b"}")

    monkeypatch.setattr(sevi, "read_object", read)


def test_a_replay_is_decided_anew_where_another_writer_was_first(
    url: str, service: Service, quarantine: Quarantine, monkeypatch: pytest.MonkeyPatch
) -> None:
    hears(service, CUT, PENDING)
    reads_again(monkeypatch)
    other = Service(Settings(database_url=url, **SETTINGS))
    hears(other, PENDING.replace(b"PENDING", b"FAILED"))  # this ledger still holds the order
    other.close()
    (done,) = quarantine.replay_many(ALICE, [1])
    assert done.receipt is not None
    assert (done.receipt.outcome, str(done.receipt.position)) == (Outcome.RECORDED, "0-5")
    row = service.ledger.event_log.delivery(4)
    assert row is not None
    assert (row.replay_of, row.origin, row.key_id, row.address) == (1, "replay", "key", None)
    assert (row.body_bytes, row.has_body) == (len(CUT), False)
    assert service.bodies.of_rows([row])[4].body == CUT
    (operation,) = service.operators.page(None, 10)
    assert (operation.object, operation.outcome) == ("delivery 1", "recorded at 0-5")
    assert quarantine.open_ids(DeliveryFilter()) == []
    with pytest.raises(CannotSettle, match="taken in already"):
        quarantine.replay(1)


def test_a_decision_settles_a_delivery_and_keeps_it(
    service: Service, quarantine: Quarantine
) -> None:
    hears(service, CUT, b"\x00\xff")
    service.ledger.record([quarantine.discard(2, "a test")])
    assert quarantine.open_ids(DeliveryFilter()) == [1]
    assert service.bodies.kept_with([2])[2].body == b"\x00\xff"
    settled = service.ledger.event_log.settled_by(2)
    assert settled is not None
    assert (settled.outcome, settled.reason, settled.body_bytes) == ("discarded", "a test", 2)
    with pytest.raises(CannotSettle, match="discarded already"):
        quarantine.replay(2)
