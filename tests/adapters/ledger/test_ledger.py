"""The ledger: batches of deliveries, and the library's own ways to the same events."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from eventsourcing.application import AggregateNotFoundError
from eventsourcing.persistence import IntegrityError, StoredEvent

from adapters.ledger import held_orders
from adapters.ledger.application import SURE_AFTER, Delivery, OrderLedger
from adapters.storage.log import EventLog, LogEntry, StorageUnavailable, VersionConflict
from adapters.vault.bodies import Bodies
from domain.log import Position
from domain.order import Delivered, Order, OrderStatus, PaymentReceived, decide, project
from domain.payment import Outcome, PaymentStatus
from domain.registration import Placement
from tests.contract.logs import FakeClock, sqlite_log
from tests.notices import NOON, delivery, notice
from tests.vaults import ledger_of

S = PaymentStatus


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    with sqlite_log(tmp_path, FakeClock()) as opened:
        yield opened


@pytest.fixture
def ledger(log: EventLog) -> OrderLedger:
    return ledger_of(log)


def test_a_batch_is_decided_in_order_each_delivery_seeing_those_before(ledger: OrderLedger) -> None:
    pending, paid = notice(status=S.PENDING), notice(status=S.PAID)
    late = notice(status=S.PENDING)
    receipts = ledger.record([delivery(told) for told in (pending, paid, paid, late)])
    assert [(r.outcome, str(r.position)) for r in receipts] == [
        (Outcome.RECORDED, "0-1"),
        (Outcome.RECORDED, "0-3"),
        (Outcome.DUPLICATE, "0-3"),
        (Outcome.STALE, "0-4"),
    ]


def test_a_duplicate_of_an_earlier_batch_has_the_originals_position(ledger: OrderLedger) -> None:
    paid = delivery(notice())
    ledger.record([paid])
    ledger.record([delivery(notice(order_id="2"))])
    (receipt,) = ledger.record([paid])
    assert (receipt.outcome, receipt.position) == (Outcome.DUPLICATE, Position(0, 2))


def test_every_delivery_leaves_a_row_and_only_new_bytes_leave_a_body(ledger: OrderLedger) -> None:
    paid = delivery(notice(body=b"paid"))
    ignored = Delivery("sevi", NOON, b"else", "ab" * 32, (), Outcome.IGNORED, "not ours")
    ledger.record([paid, paid, ignored])
    rows = ledger.event_log.deliveries(list(Outcome), None, 10)[::-1]
    assert [(row.outcome, row.has_body) for row in rows] == [
        (Outcome.RECORDED, True),
        (Outcome.DUPLICATE, False),
        (Outcome.IGNORED, True),
    ]


def test_a_duplicate_in_other_bytes_keeps_its_own_body(ledger: OrderLedger) -> None:
    first, again = (notice(delivery_key="evt_1", body=body) for body in (b"one", b"two"))
    ledger.record([delivery(first)])
    (receipt,) = ledger.record([delivery(again)])
    assert receipt.outcome is Outcome.DUPLICATE
    (row,) = ledger.event_log.deliveries([Outcome.DUPLICATE], None, 1)
    opened = Bodies(ledger.event_log, ledger.vault).of_rows([row])
    assert opened[row.id].body == b"two"


def test_orders_of_two_stores_with_one_id_are_two_orders(ledger: OrderLedger) -> None:
    ledger.record([delivery(notice(store="kenya")), delivery(notice(store="uganda"))])
    assert len(ledger.history("kenya/1")) == len(ledger.history("uganda/1")) == 2


def test_news_of_a_damaged_order_is_quarantined_and_its_neighbours_are_recorded(
    ledger: OrderLedger, log: EventLog
) -> None:
    ledger.record([delivery(notice("damaged", S.PENDING))])
    forged = StoredEvent("default/damaged", 2, "Delivered", b'{"v":1,"caused_by":1}')
    log.recorder.insert_events([forged])
    good, bad = ledger.record([delivery(notice("good")), delivery(notice("damaged"))])
    assert good.outcome is Outcome.RECORDED
    assert bad.outcome is Outcome.QUARANTINED
    assert "damaged order" in (bad.reason or "")


def test_an_event_of_an_unknown_topic_quarantines_its_orders_news(
    ledger: OrderLedger, log: EventLog
) -> None:
    ledger.vault.open()
    log.recorder.insert_events([StoredEvent("default/1", 1, "FromTheFuture", b"{}")])
    (receipt,) = ledger.record([delivery(notice())])
    assert receipt.outcome is Outcome.QUARANTINED


class _RacedLog:
    """A log to which another writer appends just before our first try does."""

    def __init__(self, log: EventLog, raced: Delivery) -> None:
        self._log = log
        self._raced: Delivery | None = raced

    def __getattr__(self, name: str) -> object:
        return getattr(self._log, name)

    def append(
        self, entries: Sequence[LogEntry], master: int | None = None
    ) -> Sequence[Position | None]:
        if self._raced is not None:
            raced, self._raced = self._raced, None
            ledger_of(self._log).record([raced])
        return self._log.append(entries, master)


def test_where_another_writer_was_first_the_delivery_is_decided_anew(log: EventLog) -> None:
    raced = ledger_of(_RacedLog(log, delivery(notice())))
    (receipt,) = raced.record([delivery(notice())])
    assert receipt.outcome is Outcome.RECORDED
    types = [type(r.event) for r in raced.history("default/1")]
    assert types == [PaymentReceived, Delivered, PaymentReceived], "one Delivered, not two"


class _LostLog(_RacedLog):
    def append(
        self, entries: Sequence[LogEntry], master: int | None = None
    ) -> Sequence[Position | None]:
        raise VersionConflict


def test_a_conflict_that_does_not_end_is_told_and_stores_nothing(log: EventLog) -> None:
    lost = ledger_of(_LostLog(log, delivery(notice())))
    with pytest.raises(VersionConflict):
        lost.record([delivery(notice())])
    assert log.head() is None


def test_two_ledgers_that_take_turns_on_one_order_agree(log: EventLog) -> None:
    """Each holds the order as it last saw it, and is behind at every turn."""
    ledgers = [ledger_of(log), ledger_of(log)]
    told = [delivery(notice(status=status)) for status in (S.PENDING, S.FAILED, S.PAID) * 4]
    for turn, one in enumerate(told):
        (receipt,) = ledgers[turn % 2].record([one])
        assert receipt.position == log.head()
    types = [type(r.event) for r in ledgers[0].history("default/1")]
    assert types.count(Delivered) == 1
    for turn, one in enumerate(told):
        at_once, again = ledgers[turn % 2].record([one, one])
        assert at_once.outcome is again.outcome is Outcome.DUPLICATE
        assert at_once.position == again.position is not None
        (elsewhere,) = ledger_of(log).record([one])
        assert elsewhere.position == again.position, "as a ledger that read everything anew says"


def test_what_could_not_be_stored_is_not_held_as_if_it_were(
    ledger: OrderLedger, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.record([delivery(notice(status=S.PENDING))])
    paid = delivery(notice())
    with monkeypatch.context() as broken:
        broken.setattr(type(log), "append", _unavailable)
        with pytest.raises(StorageUnavailable):
            ledger.record([paid])
    (receipt,) = ledger.record([paid])
    assert (receipt.outcome, receipt.position) == (Outcome.RECORDED, Position(0, 3))


def _unavailable(*_: object) -> None:
    raise StorageUnavailable("the disk is full")


def test_only_so_many_events_are_held(ledger: OrderLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_orders, "EVENTS_MAX", 10)
    paid = [delivery(notice(order_id=f"{n}")) for n in range(20)]
    for one in paid:
        ledger.record([one])
    assert len(ledger._orders._held) == 5
    positions = [ledger.record([one])[0].position for one in paid]
    assert positions == [Position(0, 2 * n) for n in range(1, 21)]


def test_an_order_of_any_length_is_not_read_again_for_each_delivery(
    ledger: OrderLedger, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_orders, "EVENTS_MAX", 10)
    asked = _asked(log, monkeypatch)
    for n in range(30):
        ledger.record([delivery(notice(status=S.PENDING, delivery_key=f"d{n}"))])
    assert len(asked) == 1


def _asked(log: EventLog, monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """The orders that the log is asked for from now on."""
    asked: list[Sequence[str]] = []
    load = log.load

    def noting(streams: Sequence[str]) -> object:
        asked.append(list(streams))
        return load(streams)

    monkeypatch.setattr(log, "load", noting)
    return asked


def _tell_new_orders(ledger: OrderLedger, prefix: str, batches: int = SURE_AFTER) -> None:
    for n in range(batches):
        ledger.record([delivery(notice(order_id=f"{prefix}{n}"))])


def test_while_only_new_orders_come_the_log_is_not_asked_for_them(
    ledger: OrderLedger, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = _asked(log, monkeypatch)
    _tell_new_orders(ledger, "a")
    assert len(asked) == SURE_AFTER
    _tell_new_orders(ledger, "b")
    assert len(asked) == SURE_AFTER


def test_an_order_that_was_taken_for_new_and_is_not_is_read_and_decided_anew(
    log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, new = delivery(notice(order_id="known")), delivery(notice(order_id="new"))
    ledger_of(log).record([known])
    ledger = ledger_of(log)  # of another process: it holds nothing
    _tell_new_orders(ledger, "a")
    asked = _asked(log, monkeypatch)
    receipts = ledger.record([new, known])
    assert [(r.outcome, str(r.position)) for r in receipts] == [
        (Outcome.RECORDED, f"0-{2 * SURE_AFTER + 4}"),
        (Outcome.DUPLICATE, "0-2"),
    ]
    assert sorted(asked[0]) == ["default/known", "default/new"]
    assert len(ledger.history("default/known")) == len(ledger.history("default/new")) == 2
    ledger.record([delivery(notice(order_id="next"))])  # it is not so sure any more
    assert len(asked) == 2 + 2  # two were histories


def test_what_is_only_foreseen_is_read(ledger: OrderLedger, log: EventLog) -> None:
    known = delivery(notice(order_id="known"))
    ledger_of(log).record([known])
    _tell_new_orders(ledger, "a")
    (foreseen,) = ledger.foresee([known])
    assert foreseen.outcome is Outcome.DUPLICATE


def test_where_orders_have_names_they_are_read(
    ledger: OrderLedger, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms: Any = {"store": "default", "amount": Decimal(1), "currency": "KES", "by": "shop"}
    ledger.execute([Placement(order_id="registered", **terms)])
    _tell_new_orders(ledger, "a")
    asked = _asked(log, monkeypatch)
    _tell_new_orders(ledger, "b", 3)
    assert len(asked) == 3


def test_the_librarys_repository_folds_an_order(ledger: OrderLedger) -> None:
    ledger.record([delivery(notice())])
    order = ledger.repository.get("default/1", projector_func=project)
    assert isinstance(order, Order)
    assert (order.status, order.version) == (OrderStatus.DELIVERED, 2)
    with pytest.raises(AggregateNotFoundError):
        ledger.repository.get("default/unknown", projector_func=project)


def test_the_librarys_save_appends_events_and_guards_their_versions(ledger: OrderLedger) -> None:
    events = decide(Order("default/1"), notice()).events
    recordings = ledger.save(*events)
    assert [recording.notification.id for recording in recordings] == [1, 2]
    assert [r.event for r in ledger.history("default/1")] == list(events)
    with pytest.raises(IntegrityError):
        ledger.save(*events)


def test_the_librarys_notification_log_reads_the_stream(ledger: OrderLedger) -> None:
    ledger.record([delivery(notice())])
    topics = [n.topic for n in ledger.notification_log.select(start=1, limit=10)]
    assert topics == ["PaymentReceived", "Delivered"]
