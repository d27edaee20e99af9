"""How effects are carried out: order, pauses, the breaker, the end of trying, and one leader."""

from datetime import timedelta
from pathlib import Path
from threading import Event, Thread

import pytest

from adapters.effects.base import Answer, Effect, Verdict
from adapters.effects.dispatch import Pace
from adapters.storage.log import StorageUnavailable
from tests.adapters.effects.ledgers import REFUSED, SENT, Ledger


def test_the_first_retry_comes_within_two_seconds_and_the_pauses_grow() -> None:
    pace = Pace()
    for attempts, longest in [(1, 1), (2, 2), (3, 4), (10, 512), (40, 6 * 3600), (4000, 6 * 3600)]:
        pauses = [pace.retry(attempts) for _ in range(200)]
        assert longest / 2 <= min(pauses) <= max(pauses) <= longest
        assert len(set(pauses)) > 100, "they are spread, so that targets are not hit together"


def test_what_failed_is_tried_again_under_the_same_id_with_the_same_content(
    ledger: Ledger,
) -> None:
    ledger.hears("a", "PAID")
    ledger.sender.answer = lambda _: REFUSED
    ledger.works()
    row = ledger.row("a")
    assert (row.state, row.attempts, row.answer, row.excerpt) == (
        "failed",
        1,
        "HTTP 500",
        "oh no",
    )
    assert row.next_at is not None
    assert timedelta(0) < row.next_at - ledger.clock() <= timedelta(seconds=2)
    ledger.works()
    assert len(ledger.sender.sent) == 1, "not before its time"
    ledger.hears("a", "REFUNDED")
    ledger.clock.advance(seconds=2)
    ledger.sender.answer = lambda _: SENT
    ledger.works()
    first, again, review = ledger.sender.sent
    assert (first, again.message()) == (again, first.message())
    assert review.event == "ReviewRequired"
    assert [row.state for row in ledger.rows] == ["sent", "sent"]


def test_a_sender_that_breaks_counts_as_a_failed_try_and_tells_nothing(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: Effect) -> Answer:
        raise RuntimeError("card 4111 1111 1111 1111")

    ledger.hears("a", "PAID")
    ledger.sender.answer = broken
    ledger.works()
    assert ledger.row("a").answer == "the sender failed: RuntimeError"
    assert "4111" not in caplog.text


def test_after_its_last_try_an_effect_is_dead_and_holds_back_its_order_only(
    tmp_path: Path,
) -> None:
    ledger = Ledger(tmp_path, tries=3)
    ledger.hears("a", "PAID")
    ledger.hears("a", "REFUNDED")
    ledger.hears("b", "PAID")
    ledger.sender.answer = lambda e: REFUSED if e.order.order_id == "a" else SENT
    for _ in range(10):
        ledger.works()
        ledger.clock.advance(hours=7)
    assert ledger.sender.orders == ["a:Delivered", "b:Delivered", "a:Delivered", "a:Delivered"]
    dead, waiting = ledger.store.of_order("default", "a")
    assert (dead.state, dead.attempts, dead.next_at) == ("dead", 3, None)
    assert (waiting.state, waiting.waits_for) == ("pending", dead.id)
    ledger.sender.answer = lambda _: SENT
    ledger.store.retry([dead.id], ledger.operation("effects retry"))
    ledger.works()
    assert ledger.sender.orders[-2:] == ["a:Delivered", "a:ReviewRequired"]
    assert ledger.sender.sent[-2].id == dead.id
    ledger.close()


def test_the_breaker_opens_after_five_fresh_failures_and_closes_with_a_success(
    ledger: Ledger,
) -> None:
    for number in range(8):
        ledger.hears(f"o-{number}", "PAID")
    ledger.sender.answer = lambda _: REFUSED
    ledger.works()
    assert len(ledger.sender.sent) == 5, "the other three were not tried"
    at = ledger.store.target("shop")
    assert at is not None
    assert at.open_until is not None
    assert timedelta(seconds=2) < at.open_until - ledger.clock() <= timedelta(seconds=5)
    ledger.clock.advance(seconds=5)
    ledger.works()
    assert len(ledger.sender.sent) == 6, "one try says that it is still down"
    again = ledger.store.target("shop")
    assert again is not None
    assert again.open_until is not None
    assert again.open_until - ledger.clock() > timedelta(seconds=4.9), "left alone for longer"
    ledger.sender.answer = lambda _: SENT
    for _ in range(3):
        ledger.clock.advance(seconds=60)
        ledger.works()
    assert [row.state for row in ledger.rows] == ["sent"] * 8
    closed = ledger.store.target("shop")
    assert closed is not None
    assert (closed.failures, closed.open_until) == (0, None)


def test_one_order_that_is_always_refused_does_not_open_the_breaker(ledger: Ledger) -> None:
    ledger.hears("bad", "PAID")
    ledger.sender.answer = lambda e: REFUSED if e.order.order_id == "bad" else SENT
    for number in range(12):
        ledger.clock.advance(hours=7)
        ledger.works()
        ledger.hears(f"o-{number}", "PAID")
        ledger.works()
        assert ledger.row(f"o-{number}").state == "sent"


def test_a_target_that_says_gone_is_paused_until_a_person_resumes_it(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, tries=1)
    ledger.hears("a", "PAID")
    ledger.hears("b", "PAID")
    ledger.sender.answer = lambda _: Answer(Verdict.STOP, "HTTP 410")
    ledger.works()
    at = ledger.store.target("shop")
    assert at is not None
    assert at.paused == "it answered HTTP 410"
    assert [row.state for row in ledger.rows] == ["failed", "pending"], "neither is given up"
    ledger.clock.advance(days=3)
    ledger.works()
    assert len(ledger.sender.sent) == 1
    ledger.sender.answer = lambda _: SENT
    ledger.store.resume("shop", ledger.operation("effects resume"))
    ledger.works()
    assert [row.state for row in ledger.rows] == ["sent", "sent"]
    ledger.close()


def test_a_target_that_asks_for_time_gets_it(ledger: Ledger) -> None:
    ledger.hears("a", "PAID")
    ledger.hears("b", "PAID")
    ledger.sender.answer = lambda _: Answer(Verdict.RETRY, "HTTP 429", wait_seconds=600)
    ledger.works()
    assert ledger.sender.orders == ["a:Delivered"]
    ledger.clock.advance(seconds=599)
    ledger.works()
    assert ledger.sender.orders == ["a:Delivered"]
    ledger.sender.answer = lambda _: SENT
    ledger.clock.advance(seconds=1)
    ledger.works()
    assert sorted(ledger.sender.orders) == ["a:Delivered", "a:Delivered", "b:Delivered"]


def test_of_two_processes_one_sends_and_the_other_takes_over(
    ledger: Ledger, tmp_path: Path
) -> None:
    other = Ledger(tmp_path)
    ledger.hears("a", "PAID")
    ledger.works()
    other.works()
    assert (ledger.sender.orders, other.sender.orders) == (["a:Delivered"], [])
    ledger.hears("b", "PAID")
    ledger.store.tables.close()  # what the end of a process does
    other.works()
    ledger.works()
    assert (ledger.sender.orders, other.sender.orders) == (["a:Delivered"], ["b:Delivered"])
    other.close()


def test_a_database_that_cannot_be_used_only_makes_it_wait(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = Event()

    def unusable(_: str) -> bool:
        tried.set()
        raise StorageUnavailable("the disk is gone")

    ledger.hears("a", "PAID")
    stop = Event()
    with monkeypatch.context() as broken:
        broken.setattr(ledger.service.outbox, "follow", unusable)
        thread = Thread(target=ledger.worker.run, args=(stop,))
        thread.start()
        assert tried.wait(10)
    for _ in range(1000):
        if ledger.sender.sent:
            break
        ledger.worker.wake.set()
        stop.wait(0.01)
    stop.set()
    ledger.worker.wake.set()
    thread.join()
    assert ledger.sender.orders == ["a:Delivered"]
