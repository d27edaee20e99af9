"""News that webhooks lost: bodies of a provider's export, taken in like deliveries.

They go through the same translation and decision as webhooks, so what is known already is a
duplicate, and an import that was broken off is begun again from the start.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from time import sleep
from typing import NamedTuple

from adapters.exported import Exported
from adapters.intake import delivery_of
from adapters.ledger import Delivery, OrderLedger, Receipt
from adapters.providers import Provider, Request
from adapters.storage.log import Clock, VersionConflict, utc_now
from domain.payment import Origin, Outcome

BATCH_COUNT = 200
BATCH_BYTES = 4 * 1024 * 1024
UNREAD_LISTED_MAX = 1000
TRIES = 10
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
        deliveries = [self._delivery(body) for body in batch]
        if self._dry:
            receipts = self._ledger.foresee(deliveries)
        else:
            receipts = record_patiently(self._ledger, deliveries)
        tally = self.tally
        for body, receipt in zip(batch, receipts, strict=True):
            tally.bodies += 1
            tally.outcomes[receipt.outcome] += 1
            is_unread = receipt.outcome is Outcome.QUARANTINED
            if is_unread and len(tally.unread) < UNREAD_LISTED_MAX:
                tally.unread.append(Unread(body.line, receipt.reason))
        tally.last_line = batch[-1].line
        return batch[-1].read

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
