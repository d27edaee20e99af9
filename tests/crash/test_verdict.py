"""The verdict sees each kind of damage in a ledger that was doctored."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.ledger.application import Delivery as Told
from adapters.service import Service
from adapters.settings import load_settings
from adapters.storage.log import LogEntry
from domain.order import Delivered, OrderEvent, PaymentReceived
from domain.payment import Outcome, PaymentStatus
from tests.crash.notebook import Acknowledged, Delivery
from tests.crash.verdict import Verdict, judge_service
from tests.notices import delivery, notice

PAID = Delivery("paid", b"a PAID")
PENDING = Delivery("pending", b"a PENDING")


class Ledger:
    """Two honest orders, open to be doctored."""

    def __init__(self, folder: Path) -> None:
        self.views_file = folder / "ledger-views.db"
        self.service = Service(load_settings(database_url=f"sqlite:///{folder / 'ledger.db'}"))
        told = [(PAID, PaymentStatus.PAID), (PENDING, PaymentStatus.PENDING)]
        receipts = self.service.ledger.record([self._came(*one) for one in told])
        self.acknowledged = [
            Acknowledged(sent, receipt.outcome.value, str(receipt.position))
            for (sent, _), receipt in zip(told, receipts, strict=True)
        ]
        self.service.runner.catch_up()

    def _came(self, sent: Delivery, status: PaymentStatus) -> Told:
        known_by = self.service.vault.hashing.body(sent.body)
        hashes = {"delivery_key": known_by, "body_hash": known_by}
        return delivery(notice(sent.order_id, status, sent.body, **hashes))

    def append(self, event: OrderEvent) -> None:
        """Append what no decision made."""
        stored = self.service.ledger.mapper.to_stored_event(event)
        entry = LogEntry("sevi", Outcome.RECORDED, datetime.now(UTC), "", events=[stored])
        self.service.ledger.event_log.append([entry])

    def judge(self) -> Verdict:
        """The verdict."""
        return judge_service(self.service, self.acknowledged)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path)
    yield ledger
    ledger.service.close()


def test_an_honest_ledger_is_well(ledger: Ledger) -> None:
    verdict = ledger.judge()
    assert verdict.is_well, verdict.findings
    assert (verdict.acknowledged, verdict.events) == (2, 3)


def test_a_delivery_that_was_acknowledged_and_is_not_there_is_lost(ledger: Ledger) -> None:
    ledger.acknowledged.append(Acknowledged(Delivery("paid", b"gone"), "recorded", "0-2"))
    ledger.acknowledged.append(Acknowledged(Delivery("nobody", b"gone"), "recorded", "0-9"))
    assert ledger.judge().lost == 2


def test_a_delivery_that_stands_elsewhere_is_misplaced(ledger: Ledger) -> None:
    ledger.acknowledged[0] = replace(ledger.acknowledged[0], position="0-3")
    verdict = ledger.judge()
    assert (verdict.lost, verdict.misplaced) == (0, 1)


def test_a_delivery_that_was_recorded_twice_is_doubled(ledger: Ledger) -> None:
    (first, _) = ledger.service.ledger.history("default/paid")
    assert isinstance(first.event, PaymentReceived)
    ledger.append(replace(first.event, originator_version=3))
    assert ledger.judge().doubled == 1


def test_an_order_that_was_delivered_twice_is_doubled(ledger: Ledger) -> None:
    ledger.append(Delivered(originator_id="default/paid", originator_version=3, caused_by=1))
    verdict = ledger.judge()
    assert (verdict.doubled, verdict.delivered_without_paid) == (1, 0)


@pytest.mark.parametrize("cause", [1, 2, 7])
def test_delivered_without_a_paid_is_found(ledger: Ledger, cause: int) -> None:
    ledger.append(Delivered(originator_id="default/pending", originator_version=2, caused_by=cause))
    assert ledger.judge().delivered_without_paid == 1


def test_a_version_that_is_missing_is_a_gap(ledger: Ledger) -> None:
    (only,) = ledger.service.ledger.history("default/pending")
    assert isinstance(only.event, PaymentReceived)
    ledger.append(replace(only.event, originator_version=4, body_hash="00" * 32))
    assert ledger.judge().gaps == 1


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE order_status__g1 SET status = 'DELIVERED' WHERE order_id = 'pending'",
        "DELETE FROM audit_history__g1 WHERE idx = 2",
        "UPDATE tracking SET notification_id = 2 WHERE application_name LIKE 'order_status@1/%'",
    ],
)
def test_a_read_model_that_is_not_what_the_log_says_is_found(ledger: Ledger, damage: str) -> None:
    connection = sqlite3.connect(ledger.views_file)
    connection.execute(damage)
    connection.commit()
    connection.close()
    if damage.startswith("UPDATE tracking"):
        assert ledger.judge().is_well, "a read model that is behind only has to catch up"
    else:
        assert ledger.judge().unequal_rows == 1
