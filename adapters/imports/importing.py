"""News that webhooks lost: bodies of a provider's export, taken in like deliveries.

They go through the same translation and decision as webhooks, so what is known already is a
duplicate, and an import that was broken off is begun again from the start. What no order tells, it
knows by its bytes, as long as that is set aside and open, or was erased.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from time import sleep
from typing import NamedTuple

from adapters.deliveries.intake import delivery_of
from adapters.imports.exported import Exported
from adapters.ledger.application import Delivery, OrderLedger, Receipt
from adapters.providers import Provider, Request
from adapters.storage.deliveries import DeliveryFilter
from adapters.storage.log import Clock, VersionConflict, utc_now
from domain.payment import Origin, Outcome

BATCH_COUNT = 200
BATCH_BYTES = 4 * 1024 * 1024
UNREAD_LISTED_MAX = 1000
TRIES = 10
PAGE = 1000
PAUSE_SECONDS = 0.1


class Unread(NamedTuple):
    """A line that was quarantined, and why."""

    line: int
    reason: str | None


@dataclass
class Tally:
    """What became of the bodies so far; of the quarantined the first 1,000 by their lines."""

    bodies: int = 0
    last_line: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    unread: list[Unread] = field(default_factory=list)

    def __str__(self) -> str:
        told = [f"{count} {outcome}" for outcome, count in sorted(self.outcomes.items())]
        return ", ".join(told) or "nothing"


class Import:
    """Takes a provider's bodies into the ledger, or, dry, tells what would become of them.

    A dry run decides each batch against the ledger alone: what repeats an earlier batch of the same
    export counts as new.
    """

    def __init__(
        self, ledger: OrderLedger, provider: Provider, *, dry: bool, clock: Clock = utc_now
    ) -> None:
        self.tally = Tally()
        self._ledger = ledger
        self._hashing = ledger.vault.hashing
        self._provider = provider
        self._dry = dry
        self._clock = clock
        self._aside: set[str] | None = None  # what is set aside of the provider, by its hash

    def take(self, bodies: Iterable[Exported]) -> Iterator[int]:
        """Take all, in batches of bounded size; yields after each how far the export is read.

        Raises `StorageUnavailable` and `VersionConflict`; what was told of before that is done.
        """
        batch: list[Exported] = []
        size = 0
        for body in bodies:
            batch.append(body)
            size += len(body.body)
            if len(batch) >= BATCH_COUNT or size >= BATCH_BYTES:
                yield self._take_some(batch)
                batch, size = [], 0
        if batch:
            yield self._take_some(batch)

    def _take_some(self, batch: list[Exported]) -> int:
        read = [self._delivery(body) for body in batch]
        new = [(body, each) for body, each in zip(batch, read, strict=True) if self._is_new(each)]
        deliveries = [delivery for _, delivery in new]
        if self._dry:
            receipts = self._ledger.foresee(deliveries)
        else:
            receipts = record_patiently(self._ledger, deliveries)
        tally = self.tally
        if len(new) < len(batch):
            tally.bodies += len(batch) - len(new)
            tally.outcomes[Outcome.DUPLICATE] += len(batch) - len(new)
        for (body, _), receipt in zip(new, receipts, strict=True):
            tally.bodies += 1
            tally.outcomes[receipt.outcome] += 1
            is_unread = receipt.outcome is Outcome.QUARANTINED
            if is_unread and len(tally.unread) < UNREAD_LISTED_MAX:
                tally.unread.append(Unread(body.line, receipt.reason))
        tally.last_line = batch[-1].line
        return batch[-1].read

    def _is_new(self, delivery: Delivery) -> bool:
        """Whether it tells of an order, or is not set aside already: the same bytes, and open, or
        erased, which an import does not bring back."""
        if delivery.notices:
            return True
        if self._aside is None:
            self._aside = set(self._set_aside())
        if delivery.body_hash in self._aside:
            return False
        self._aside.add(delivery.body_hash)
        return True

    def _set_aside(self) -> Iterator[str]:
        yield from self._ledger.vault.tables.destroyed_of(self._provider.name)
        wanted = DeliveryFilter(provider=self._provider.name)
        before: int | None = None
        while rows := self._ledger.event_log.set_aside(before, PAGE, wanted):
            yield from (row.body_hash for row in rows)
            before = rows[-1].id

    def _delivery(self, exported: Exported) -> Delivery:
        now, body = self._clock(), exported.body
        if exported.problem is None:
            request = Request([], body, now)
            return delivery_of(self._provider, request, None, self._hashing, Origin.IMPORT)
        return Delivery(
            self._provider.name,
            now,
            body,
            self._hashing.body(body),
            outcome=Outcome.QUARANTINED,
            reason=exported.problem,
            origin=Origin.IMPORT,
        )


def record_patiently(ledger: OrderLedger, deliveries: Sequence[Delivery]) -> list[Receipt]:
    """Record deliveries beside a running server.

    Raises `StorageUnavailable` and `VersionConflict`.
    """
    for _ in range(TRIES - 1):
        try:
            return ledger.record(deliveries)
        except VersionConflict:  # the server is busy with the same orders
            sleep(PAUSE_SECONDS)
    return ledger.record(deliveries)
