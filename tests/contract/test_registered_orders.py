"""Registered orders in the ledger, on both databases: names, parked news, shared batches."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adapters.ledger import application as module
from adapters.ledger.application import Command, OrderLedger, Receipt
from adapters.storage.log import EventLog
from domain.events import Verdict
from domain.order import (
    Delivered,
    OrderPlaced,
    OrderStatus,
    ParkedNewsMoved,
    PaymentReceived,
    ReviewReason,
    ReviewRequired,
    ReviewResolved,
)
from domain.payment import Origin, Outcome, Payment, PaymentStatus
from domain.registration import Placement, Refused, Resolution
from tests.contract.logs import DATABASES, FakeClock, postgres_log, sqlite_log
from tests.notices import delivery, notice
from tests.vaults import ledger_of

S = PaymentStatus


@pytest.fixture(params=DATABASES)
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventLog]:
    if request.param == "sqlite":
        opening = sqlite_log(tmp_path, FakeClock())
    else:
        opening = postgres_log(request.getfixturevalue("postgres_url"), FakeClock())
    with opening as opened:
        yield opened


@pytest.fixture
def ledger(log: EventLog) -> OrderLedger:
    return ledger_of(log)


@pytest.fixture
def strict(log: EventLog) -> OrderLedger:
    """A ledger in which every order has to be registered."""
    return ledger_of(log, registered_only=True)


def placement(order_id: str = "1", *references: str, **fields: Any) -> Placement:
    terms: dict[str, Any] = {
        "store": "default",
        "amount": Decimal("902.10"),
        "currency": "KES",
        "by": "token shop",
    }
    return Placement(order_id=order_id, references=references, **terms | fields)


def resolution(verdict: Verdict, order_id: str = "1") -> Resolution:
    return Resolution(
        store="default", order_id=order_id, verdict=verdict, by="token ann", reason="a discount"
    )


def told(order_id: str, *references: str, **fields: Any) -> Command:
    return delivery(notice(order_id, references=references, **fields))


def do(ledger: OrderLedger, *commands: Command) -> list[Receipt]:
    """The receipts, none of which is a refusal."""
    done = [one for one in ledger.execute(commands) if isinstance(one, Receipt)]
    assert len(done) == len(commands)
    return done


def refused(ledger: OrderLedger, command: Command) -> str:
    (answer,) = ledger.execute([command])
    assert isinstance(answer, Refused)
    return str(answer)


def types(ledger: OrderLedger, order_id: str) -> list[type]:
    return [type(recorded.event) for recorded in ledger.history(f"default/{order_id}")]


def status(receipt: Receipt) -> str:
    assert receipt.order is not None
    return receipt.order.status


def test_a_registered_order_is_paid_for_under_its_id(ledger: OrderLedger) -> None:
    placed, paid = do(ledger, placement(), told("1"))
    assert (placed.outcome, str(placed.position)) == (Outcome.RECORDED, "0-1")
    assert (status(paid), str(paid.position)) == (OrderStatus.DELIVERED, "0-3")
    again, other = do(ledger, placement(), told("1", amount=Decimal(1)))
    assert (again.outcome, str(again.position)) == (Outcome.DUPLICATE, "0-3")
    assert types(ledger, "1") == [OrderPlaced, PaymentReceived, Delivered, PaymentReceived]
    assert other.outcome is Outcome.RECORDED
    assert "of its own" in refused(ledger, placement(amount=Decimal(1)))


@pytest.mark.parametrize("together", [True, False])
def test_news_meets_the_shops_order_by_a_reference_and_then_by_the_providers_own_id(
    ledger: OrderLedger, together: bool
) -> None:
    part = Payment(ref="t", status=S.PAID, amount=Decimal(2))
    commands = [
        placement("SHOP-1", "REF-1"),
        told("SEVI-1", "REF-1", status=S.PENDING),
        told("SEVI-1", status=S.PARTIALLY_PAID, payment=part),
        told("SEVI-1", "SHOP-1"),
    ]
    if together:
        receipts = do(ledger, *commands)
    else:
        receipts = [do(ledger, command)[0] for command in commands]
    assert {receipt.order.id for receipt in receipts if receipt.order} == {"default/SHOP-1"}
    assert status(receipts[-1]) == OrderStatus.DELIVERED
    assert types(ledger, "SEVI-1") == []
    last = ledger.history("default/SHOP-1")[-2].event
    assert isinstance(last, PaymentReceived)
    assert last.references == ("SHOP-1", "SEVI-1")


def test_a_name_belongs_to_one_registered_order(ledger: OrderLedger) -> None:
    do(ledger, placement("1", "REF-1"))
    assert "order 1 goes by the name REF-1" in refused(ledger, placement("2", "REF-1"))
    assert "order 1 goes by the name REF-1" in refused(ledger, placement("REF-1"))
    do(ledger, placement("2", "REF-1", store="uganda"))
    do(ledger, placement("1", "REF-2"), placement("3", "REF-1"))  # the first is free again
    assert types(ledger, "2") == []


def test_a_name_that_another_process_gave_meanwhile_is_known_in_the_end(log: EventLog) -> None:
    ours, theirs = ledger_of(log), ledger_of(log)
    do(ours, placement("1"))
    do(theirs, placement("2", "REF-1"))
    assert "order 2 goes by the name REF-1" in refused(ours, placement("3", "REF-1"))


def test_the_first_registration_of_another_process_is_known_soon(
    log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_AGAIN_SECONDS", 0)
    ours, theirs = ledger_of(log), ledger_of(log)
    do(ours, told("9"))
    do(theirs, placement("1", "REF-1"))
    (receipt,) = do(ours, told("SEVI-1", "REF-1"))
    assert receipt.order is not None
    assert receipt.order.id == "default/1"


def test_a_store_that_registers_nothing_is_never_looked_up(
    log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = ledger_of(log)
    do(ledger, placement(store="uganda"))
    monkeypatch.setattr(type(log), "named", lambda *_: pytest.fail("looked up"))
    do(ledger, told("1", "REF-1"))


def test_news_that_two_registered_orders_could_mean_is_held_where_it_says(
    ledger: OrderLedger,
) -> None:
    do(ledger, placement("1", "REF-1"), placement("2", "REF-2"))
    (receipt,) = do(ledger, told("SEVI-1", "REF-1", "REF-2"))
    assert receipt.order is not None
    assert (receipt.order.id, receipt.order.review) == (
        "default/SEVI-1",
        ReviewReason.AMBIGUOUS_REFERENCE,
    )


def test_an_order_that_news_was_applied_to_keeps_its_news(ledger: OrderLedger) -> None:
    """Else one payment would deliver twice, under two names."""
    paid = told("SEVI-1", "SHOP-1")
    do(ledger, paid, placement("SHOP-1"))
    (again,) = do(ledger, paid)
    assert again.outcome is Outcome.DUPLICATE
    assert types(ledger, "SHOP-1") == [OrderPlaced]


def test_one_refusal_leaves_the_others_of_its_batch_alone(ledger: OrderLedger) -> None:
    answers = ledger.execute(
        [told("1"), resolution(Verdict.ACCEPTED, "7"), placement("2"), resolution(Verdict.ACCEPTED)]
    )
    assert [isinstance(answer, Refused) for answer in answers] == [False, True, False, True]
    assert types(ledger, "2") == [OrderPlaced]


def test_an_accepted_review_delivers(ledger: OrderLedger) -> None:
    do(ledger, placement(), told("1", amount=Decimal(900)))
    (accepted,) = do(ledger, resolution(Verdict.ACCEPTED))
    assert status(accepted) == OrderStatus.DELIVERED
    assert types(ledger, "1")[2:] == [ReviewRequired, ReviewResolved, Delivered]
    assert refused(ledger, resolution(Verdict.ACCEPTED)) == "no review of this order is open"


def test_what_another_process_registered_is_not_taken_for_unchanged(
    ledger: OrderLedger, log: EventLog
) -> None:
    other = ledger_of(log)
    do(ledger, placement(amount=Decimal(100)))
    do(other, placement(amount=Decimal(200)))
    (receipt,) = do(ledger, placement(amount=Decimal(100)))
    assert receipt.outcome is Outcome.RECORDED
    *_, last = ledger.history("default/1")
    assert isinstance(last.event, OrderPlaced)
    assert last.event.amount == 100


def test_a_review_that_another_process_opened_can_be_closed(
    ledger: OrderLedger, log: EventLog
) -> None:
    do(ledger, told("1", status=PaymentStatus.PAID))
    do(ledger_of(log), told("1", status=PaymentStatus.REFUNDED))
    (closed,) = do(ledger, resolution(Verdict.ACCEPTED))
    assert closed.order is not None
    assert closed.order.review is None


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(
    "parked",
    [told("SHOP-1"), told("REF-1"), told("SEVI-1", "SHOP-1"), told("SEVI-1", "X", "REF-1")],
    ids=["its id", "a reference", "naming its id", "sharing a reference"],
)
def test_parked_news_is_taken_in_when_its_order_is_registered(
    strict: OrderLedger, parked: Command, together: bool
) -> None:
    commands: Sequence[Command] = [parked, placement("SHOP-1", "REF-1")]
    if together:
        receipts = do(strict, *commands)
    else:
        receipts = [do(strict, command)[0] for command in commands]
    assert receipts[0].outcome is Outcome.RECORDED
    assert status(receipts[-1]) == OrderStatus.DELIVERED
    first, *_, news, last = [r.event for r in strict.history("default/SHOP-1")]
    assert isinstance(last, Delivered)
    assert isinstance(news, PaymentReceived)
    assert news.origin is Origin.REPLAY
    if isinstance(first, OrderPlaced):
        (stream,) = {"SEVI-1", "REF-1"} & {n.order_id for n in getattr(parked, "notices", ())}
        assert types(strict, stream) == [PaymentReceived, ParkedNewsMoved]
    (again,) = do(strict, parked)
    assert again.outcome is Outcome.DUPLICATE
    (paid_again,) = do(strict, told("SHOP-1"))
    assert status(paid_again) == OrderStatus.DELIVERED


def test_what_is_not_registered_waits_and_delivers_nothing(strict: OrderLedger) -> None:
    for receipt in do(strict, told("1"), told("1", status=S.PENDING), told("2", "REF-2")):
        assert (receipt.outcome, status(receipt)) == (Outcome.RECORDED, "AWAITING_PAYMENT")
    do(strict, placement("3"))
    assert types(strict, "1") == [PaymentReceived, PaymentReceived]


def test_news_of_a_registered_order_is_never_parked(strict: OrderLedger) -> None:
    (_, receipt) = do(strict, placement("1", "REF-1"), told("SEVI-1", "REF-1"))
    assert status(receipt) == OrderStatus.DELIVERED


def test_names_are_found_again_by_a_ledger_that_was_just_opened(log: EventLog) -> None:
    do(ledger_of(log), placement("1", "REF-1"))
    (receipt,) = do(ledger_of(log), told("SEVI-1", "REF-1"))
    assert receipt.order is not None
    assert receipt.order.id == "default/1"
    assert log.named([("default", "SEVI-1")])[0].order_id == "1"


def test_a_conflict_of_names_in_the_database_is_decided_anew(log: EventLog) -> None:
    """Another process takes the name between our look-up and our append."""

    class Raced:
        def __init__(self) -> None:
            self.first = True

        def __getattr__(self, name: str) -> Any:
            return getattr(log, name)

        _log = log

        def append(self, entries: Any, master: int | None) -> Any:
            if self.first:
                self.first = False
                do(ledger_of(log), placement("2", "REF-1"))
            return log.append(entries, master)

    raced = ledger_of(Raced())
    assert "order 2 goes by the name REF-1" in refused(raced, placement("1", "REF-1"))
