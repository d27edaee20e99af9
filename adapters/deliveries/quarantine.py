"""What was set aside: taken in again once it can be read, or, by a person's decision, discarded, or
erased: then nobody can read it any more.

A replay goes through the same translation and decision as the webhook did. That it was authentic
was found out when it came: the first verdict and its key id count, and its time of receipt stays.
Either is a row of the delivery log, and then a line of the operators' log: where the process dies
between the two, the row tells what was done, and not by whom. An erasure is that line alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from eventsourcing.persistence import MapperDeserialisationError
from pydantic import BaseModel

from adapters.access.roles import Caller
from adapters.deliveries.intake import delivery_of
from adapters.ledger.application import Delivery, OrderLedger, Receipt
from adapters.providers import Provider, replayed
from adapters.storage.access import Operation, OperatorLog
from adapters.storage.deliveries import DeliveryFilter
from adapters.storage.log import DeliveryRow, unavailable
from adapters.vault.bodies import Bodies, Opened
from domain.log import split_stream
from domain.order import PaymentReceived
from domain.payment import Origin, Outcome, PaymentNotice, PaymentStatus

SET_ASIDE = (Outcome.QUARANTINED, Outcome.IGNORED)
PAGE = 1000
ERASE = "quarantine erase"  # as the operators' log calls it
BATCH_COUNT = 100
BATCH_BYTES = 8 * 1024 * 1024


class NoSuchDelivery(LookupError):
    """The delivery log has no such row."""


class CannotSettle(Exception):
    """The delivery cannot be taken in again, discarded or erased; the message says why."""


class Replayed(NamedTuple):
    """What became of a replay: of which delivery, and its receipt, or why it was not tried."""

    delivery_id: int
    receipt: Receipt | None
    problem: str | None = None


class ErasedBody(BaseModel):
    """A delivery that was set aside, and whose body nobody can read any more: `erased` now, or
    `unchanged` where it was before. `left_to_do` says what the database could not do by itself,
    or is null."""

    delivery_id: int
    outcome: Literal["erased", "unchanged"]
    left_to_do: str | None


class Quarantine:
    """What can be done with a delivery that was set aside. Every method blocks.

    `replay` and `discard` make the delivery that the ledger's writer has to record; whoever has the
    receipt calls `log`. Beside a running service `replay_many` does it all.
    """

    def __init__(
        self,
        ledger: OrderLedger,
        bodies: Bodies,
        providers: Mapping[str, Provider],
        operators: OperatorLog,
    ) -> None:
        self._ledger = ledger
        self._bodies = bodies
        self._providers = providers
        self._operators = operators

    def replay(self, delivery_id: int) -> Delivery:
        """What takes a delivery in again: one that was set aside, or recorded with a word that was
        not known. Raises `NoSuchDelivery` and `CannotSettle`."""
        row, kept = self._kept(delivery_id)
        provider = self._providers.get(row.provider)
        if provider is None:
            raise CannotSettle(
                f"the provider {row.provider} is not configured any more, so nobody can read its "
                "delivery: configure it again"
            )
        was_set_aside = row.outcome in SET_ASIDE
        if was_set_aside:
            self._require_open(row)
        request = replayed(kept.body, kept.context, row.received_at)
        hashing = self._ledger.vault.hashing
        delivery = delivery_of(
            provider, request, row.key_id, hashing, Origin.REPLAY, delivery_id, kept.opens
        )
        if not was_set_aside:
            self._require_news(row, delivery)
        return delivery

    def discard(self, delivery_id: int, reason: str) -> Delivery:
        """What settles a delivery that was set aside: a decision that it says nothing.

        Raises `NoSuchDelivery` and `CannotSettle`.
        """
        row = self._row(delivery_id)
        if row.outcome not in SET_ASIDE:
            raise CannotSettle(
                f"delivery {delivery_id} is {row.outcome}: only what was set aside is discarded"
            )
        self._require_open(row)
        return Delivery(
            row.provider,
            row.received_at,
            b"",
            row.body_hash,
            outcome=Outcome.DISCARDED,
            reason=reason,
            key_id=row.key_id,
            origin=Origin.REPLAY,
            replay_of=delivery_id,
            body_bytes=row.body_bytes,
        )

    def erasable(self, delivery_id: int) -> DeliveryRow:
        """A delivery whose body is no order's. Raises `NoSuchDelivery` and `CannotSettle`."""
        row = self._row(delivery_id)
        if row.replay_of is not None:
            raise CannotSettle(
                f"delivery {row.id} has no body, it names delivery {row.replay_of}: erase that one"
            )
        if row.outcome not in SET_ASIDE:
            raise CannotSettle(f"the body of delivery {row.id} belongs to {_owner(row)}")
        settled = self._ledger.event_log.settled_by(row.id)
        if settled is not None and settled.outcome is not Outcome.DISCARDED:
            raise CannotSettle(
                f"delivery {row.id} was taken in as delivery {settled.id}, and its body belongs to "
                f"{_owner(settled)}"
            )
        return row

    def erase(self, caller: Caller, delivery_id: int, reason: str) -> ErasedBody:
        """Destroy the key of a body that was set aside, and log who did, in one transaction; the
        delivery's row stays. Told again, do what is left.

        Raises `NoSuchDelivery`, `CannotSettle` and `StorageUnavailable`.
        """
        tables = self._ledger.vault.tables
        told = Operation.by(caller, ERASE, f"delivery {delivery_id}", reason)
        with unavailable(), tables.transaction(commit=True) as c:
            tables.lock(c)  # from here on nobody takes it in
            self.erasable(delivery_id)
            outcome: Literal["erased", "unchanged"] = "unchanged"
            if tables.with_own_key([delivery_id]):
                outcome = "erased"
                tables.destroy_body_keys(c, [delivery_id])
            self._operators.append_in(c, replace(told, outcome=outcome))
        return ErasedBody(delivery_id=delivery_id, outcome=outcome, left_to_do=tables.scrub())

    def log(
        self, caller: Caller, action: str, delivery_id: int, receipt: Receipt, reason: str | None
    ) -> None:
        """Tell the operators' log what was done. Raises `StorageUnavailable`."""
        self._operators.append(_operation(caller, action, delivery_id, receipt, reason))

    def open_ids(self, wanted: DeliveryFilter) -> list[int]:
        """The deliveries that are quarantined, the oldest first, as their news happened. What is
        ignored was read, and says nothing of an order: it is replayed only by its number."""
        rows = self._open(wanted)
        return [row.id for row in rows if row.outcome is Outcome.QUARANTINED][::-1]

    def replay_many(
        self, caller: Caller, ids: Sequence[int], reason: str | None = None
    ) -> Iterator[Replayed]:
        """Take several in again, in batches of bounded size, in the order that is given.

        Raises `StorageUnavailable`; what was told of before that is done.
        """
        for start in range(0, len(ids), BATCH_COUNT):
            yield from self._replay_some(caller, ids[start : start + BATCH_COUNT], reason)

    def _replay_some(
        self, caller: Caller, ids: Sequence[int], reason: str | None
    ) -> Iterator[Replayed]:
        batch: list[tuple[int, Delivery]] = []
        for delivery_id in ids:
            try:
                batch.append((delivery_id, self.replay(delivery_id)))
            except (NoSuchDelivery, CannotSettle) as error:
                yield Replayed(delivery_id, None, str(error))
            if sum(len(delivery.body) for _, delivery in batch) > BATCH_BYTES:
                yield from self._record(caller, batch, reason)
                batch = []
        yield from self._record(caller, batch, reason)

    def _record(
        self, caller: Caller, batch: Sequence[tuple[int, Delivery]], reason: str | None
    ) -> list[Replayed]:
        if not batch:
            return []
        receipts = self._ledger.record([delivery for _, delivery in batch])
        done = [
            Replayed(delivery_id, receipt)
            for (delivery_id, _), receipt in zip(batch, receipts, strict=True)
        ]
        self._operators.append(
            *(
                _operation(caller, "quarantine replay", one.delivery_id, receipt, reason)
                for one, receipt in zip(done, receipts, strict=True)
            )
        )
        return done

    def _open(self, wanted: DeliveryFilter) -> Iterator[DeliveryRow]:
        before: int | None = None
        while True:
            rows = self._ledger.event_log.set_aside(before, PAGE, wanted)
            yield from rows
            if len(rows) < PAGE:
                return
            before = rows[-1].id

    def _row(self, delivery_id: int) -> DeliveryRow:
        row = self._ledger.event_log.delivery(delivery_id)
        if row is None:
            raise NoSuchDelivery(f"there is no delivery {delivery_id}")
        return row

    def _kept(self, delivery_id: int) -> tuple[DeliveryRow, Opened]:
        """A delivery, with the body that it or the one it replays was kept with."""
        row = self._row(delivery_id)
        if not row.has_body and row.replay_of is None:
            raise CannotSettle(
                f"delivery {delivery_id} is a {row.outcome} whose bytes are with an earlier "
                "delivery: replay that one"
            )
        kept = self._bodies.of_rows([row]).get(row.id)
        if kept is None:
            raise CannotSettle(
                f"the body of delivery {delivery_id} cannot be read any more: its key was destroyed"
            )
        return row, kept

    def _require_open(self, row: DeliveryRow) -> None:
        if row.replay_of is not None:
            raise CannotSettle(
                f"delivery {row.id} is a replay of delivery {row.replay_of}: name that one"
            )
        settled = self._ledger.event_log.settled_by(row.id)
        if settled is not None:
            done = "discarded" if settled.outcome is Outcome.DISCARDED else "taken in"
            raise CannotSettle(
                f"delivery {row.id} was {done} already, as delivery {settled.id}, which is "
                f"{settled.outcome}"
            )
        if self._ledger.vault.tables.destroyed([row.id]):
            raise CannotSettle(
                f"delivery {row.id} was erased: nobody can read it any more, or has to settle it"
            )

    def _require_news(self, row: DeliveryRow, delivery: Delivery) -> None:
        """Refuse to replay what was recorded, unless a word is known by now that was not then."""
        told = zip(delivery.notices, self._ledger.streams_of(delivery), strict=True)
        unknown = [notice for notice, stream in told if self._was_unknown(notice, stream)]
        if not unknown:
            raise CannotSettle(
                f"delivery {row.id} is {row.outcome}, and no word of it is unrecognized: there is "
                "nothing to replay"
            )
        if all(notice.status is PaymentStatus.UNRECOGNIZED for notice in unknown):
            raise CannotSettle(
                f"the status word of delivery {row.id} is still not known: add it to the "
                "provider's words first"
            )

    def _was_unknown(self, notice: PaymentNotice, stream: str) -> bool:
        """Whether these bytes stand on an order with a word that was not known."""
        try:
            history = self._ledger.history(stream)
        except MapperDeserialisationError:
            raise CannotSettle("the history of its order is damaged") from None
        told = [
            recorded.event.status
            for recorded in history
            if isinstance(recorded.event, PaymentReceived)
            and recorded.event.provider == notice.provider
            and recorded.event.bytes_hash == notice.body_hash
        ]
        return bool(told) and told[-1] is PaymentStatus.UNRECOGNIZED


def _owner(row: DeliveryRow) -> str:
    """Whose a body is, and with what it can be erased."""
    if row.stream is None:
        return "several orders: erase one of them"
    store, order_id = split_stream(row.stream)
    return f"order {order_id} of store {store}: erase that order"


def _operation(
    caller: Caller, action: str, delivery_id: int, receipt: Receipt, reason: str | None
) -> Operation:
    outcome = receipt.outcome.value
    if receipt.position is not None:
        outcome += f" at {receipt.position}"
    elif receipt.reason is not None and receipt.outcome is not Outcome.DISCARDED:
        outcome += f": {receipt.reason}"
    return Operation(caller.who, caller.origin, action, f"delivery {delivery_id}", reason, outcome)
