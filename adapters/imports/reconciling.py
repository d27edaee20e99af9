"""A provider's own statement held against the ledger: what never arrived, and what disagrees.

A statement tells how things stand, each of its entries in the shape of the provider's webhook, so
that it is read by the very same translation. What is brought in goes through the very same decision
as a webhook, marked as reconciled.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import msgspec

from adapters.deliveries.intake import delivery_of
from adapters.imports.exported import Exported
from adapters.imports.importing import record_patiently
from adapters.ledger.application import Delivery, OrderLedger, Receipt
from adapters.providers import Provider, Request
from adapters.sevi_api import SeviApi
from adapters.storage.log import Clock, utc_now
from domain.money import amount_text
from domain.order import News, OrderStatus, project
from domain.payment import Origin, Outcome, PaymentNotice, PaymentStatus

S = PaymentStatus
# What a statement may say of money and the ledger must have heard.
MONEY_MOVED = frozenset({S.PAID, S.REFUNDED, S.PARTIALLY_REFUNDED, S.DISPUTED})
UNPAID = frozenset({S.PENDING, S.FAILED, S.CANCELLED, S.EXPIRED})


class Sort(StrEnum):
    """What an entry of a statement is to the ledger."""

    AGREES = "agrees"
    IGNORED = "ignored"  # it is about no order
    MISSING = "missing"  # the ledger never received it
    DIFFERS = "differs"  # the ledger knows it otherwise
    UNREADABLE = "unreadable"


class Difference(NamedTuple):
    """One thing that the statement says otherwise than the ledger."""

    what: str
    theirs: str
    ours: str | None


@dataclass(frozen=True, slots=True)
class Finding:
    """An entry that does not agree. `reason` says why it is missing or unreadable, `stream` is the
    order that it is about, in the ledger.

    What was brought in has the outcome of its delivery and the status that its order has by now;
    `is_settled` says whether the ledger and the statement agree by now.
    """

    sort: Sort
    line: int
    notice: PaymentNotice | None = None
    stream: str | None = None
    differences: tuple[Difference, ...] = ()
    reason: str | None = None
    outcome: Outcome | None = None
    order_status: str | None = None
    is_settled: bool = False


class Reconciliation:
    """Compares a statement entry by entry and, to apply it, brings in what does not agree."""

    def __init__(
        self, ledger: OrderLedger, provider: Provider, *, apply: bool, clock: Clock = utc_now
    ) -> None:
        self.tally: Counter[Sort] = Counter()
        self._ledger = ledger
        self._provider = provider
        self._apply = apply
        self._clock = clock

    def findings(self, entries: Iterable[Exported]) -> Iterator[Finding]:
        """What does not agree, entry by entry; what is brought in is on disk when it is told of.

        Raises `StorageUnavailable` and `VersionConflict`, and what reading the entries raises.
        """
        for entry in entries:
            request = Request([], entry.body, self._clock())
            hashing = self._ledger.vault.hashing
            delivery = delivery_of(self._provider, request, None, hashing, Origin.RECONCILE)
            found = self._judge(entry, delivery)
            self.tally.update(finding.sort for finding in found)
            bad = [f for f in found if f.sort not in (Sort.AGREES, Sort.IGNORED)]
            if self._apply and any(finding.notice is not None for finding in bad):
                (receipt,) = record_patiently(self._ledger, [delivery])
                bad = [self._applied(finding, receipt) for finding in bad]
            yield from bad

    def _judge(self, entry: Exported, delivery: Delivery) -> list[Finding]:
        problem = entry.problem
        if problem is None and delivery.outcome is Outcome.QUARANTINED:
            problem = delivery.reason
        if problem is not None:
            return [Finding(Sort.UNREADABLE, entry.line, reason=problem)]
        if not delivery.notices:
            return [Finding(Sort.IGNORED, entry.line)]
        streams = self._ledger.streams_of(delivery)
        return [
            self._compare(entry.line, notice, stream)
            for notice, stream in zip(delivery.notices, streams, strict=True)
        ]

    def _compare(self, line: int, notice: PaymentNotice, stream: str) -> Finding:
        history = self._ledger.history(stream)
        events = [recorded.event for recorded in history]
        news = [e for e in events if isinstance(e, News) and e.provider == notice.provider]
        if not news:
            why = "nothing was told of this order"
            return Finding(Sort.MISSING, line, notice, stream, reason=why)
        same = (notice.delivery_key, notice.body_hash)
        if any((n.delivery_key, n.bytes_hash) == same for n in news):
            return Finding(Sort.AGREES, line, notice, stream)
        payment = notice.payment
        if payment and all(n.payment is None or n.payment.ref != payment.ref for n in news):
            why = "nothing was told of this payment"
            return Finding(Sort.MISSING, line, notice, stream, reason=why)
        differences = tuple(_differences(notice, news))
        sort = Sort.DIFFERS if differences else Sort.AGREES
        return Finding(sort, line, notice, stream, differences)

    def _applied(self, finding: Finding, receipt: Receipt) -> Finding:
        notice, stream = finding.notice, finding.stream
        assert notice is not None, "what is unreadable is not brought in"
        assert stream is not None, "a notice is about an order"
        order = project(None, (recorded.event for recorded in self._ledger.history(stream)))
        again = self._compare(finding.line, notice, stream)
        # A PAID that was brought in and that the order's rules hold back is not settled.
        delivered = order is not None and order.status is OrderStatus.DELIVERED
        held = notice.status is S.PAID and not delivered
        return replace(
            finding,
            outcome=receipt.outcome,
            order_status=order.status.value if order else None,
            is_settled=again.sort is Sort.AGREES and not held,
        )


def _differences(notice: PaymentNotice, news: list[News]) -> Iterator[Difference]:
    """Where an entry and the news of the same order disagree; what one side does not say is no
    disagreement."""
    last = news[-1]
    told = {n.status for n in news}
    payment = notice.payment
    if notice.status in MONEY_MOVED and notice.status not in told:
        yield Difference("status", notice.status.value, last.status.value)
    elif payment is None and notice.status in UNPAID and S.PAID in told:
        yield Difference("status", notice.status.value, S.PAID.value)
    if payment is not None:
        ours = [n.payment for n in news if n.payment and n.payment.ref == payment.ref][-1]
        if payment.status is not ours.status:
            yield Difference("payment status", payment.status.value, ours.status.value)
        theirs, known = payment.amount, ours.amount
        if theirs is not None and known is not None and theirs != known:
            yield Difference("payment amount", amount_text(theirs), amount_text(known))
    amounts = [n.amount for n in news if n.amount is not None]
    if notice.amount is not None and amounts and notice.amount != amounts[-1]:
        yield Difference("amount", amount_text(notice.amount), amount_text(amounts[-1]))
    currencies = [n.currency for n in news if n.currency is not None]
    if notice.currency is not None and currencies and notice.currency != currencies[-1]:
        yield Difference("currency", notice.currency, currencies[-1])


class _Made(msgspec.Struct):
    createdAt: datetime | None = None  # noqa: N815  (Sevi's spelling)


def sevi_statement(api: SeviApi, since: datetime) -> Iterator[Exported]:
    """What Sevi lists from an instant on, its entries counted from 1. An entry whose time cannot be
    read is held against the ledger too. Raises `SeviRefused`."""
    for number, body in enumerate(api.transactions(), 1):
        try:
            made = msgspec.json.decode(body, type=_Made).createdAt
        except msgspec.MsgspecError:
            made = None
        if made is None or made.tzinfo is None or made >= since:
            yield Exported(number, body, 0)
