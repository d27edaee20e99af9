"""The ledger: an `eventsourcing` application over our log, and the batch append of deliveries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from eventsourcing.application import Application
from eventsourcing.persistence import (
    ApplicationRecorder,
    InfrastructureFactory,
    Mapper,
    MapperDeserialisationError,
)
from eventsourcing.utils import Environment, EnvType

from adapters.held_orders import HeldOrder, HeldOrders
from adapters.mapper import EventMapper
from adapters.storage.log import EventLog, LogEntry, StoredAt, VersionConflict
from domain.log import Position, Recorded, stream_of
from domain.order import ImpossibleHistory, Order, OrderEvent, decide
from domain.payment import Outcome, PaymentNotice
from projections.runner import Poison

CONFLICT_TRIES = 5


@dataclass(slots=True)
class Delivery:
    """An authentic delivery, translated: it holds a notice, or says why there is none.

    Like all that is made once per delivery it is not frozen, which would cost three times as much;
    nobody changes it.
    """

    provider: str
    received_at: datetime
    body: bytes = field(repr=False)
    body_sha256: str
    notice: PaymentNotice | None = None
    outcome: Outcome = Outcome.RECORDED
    reason: str | None = None


@dataclass(slots=True)
class Receipt:
    """What became of a delivery, once it is on disk."""

    outcome: Outcome
    order: Order | None
    position: Position | None
    reason: str | None = None


class OrderLedger(Application[str]):
    """Orders, their events, and the log that holds them.

    `record` is the way in for deliveries. Besides it the library's own ways work on the same
    stored events: `repository.get(stream, projector_func=project)`, `save(*events)` and the
    notification log.
    """

    def __init__(self, log: EventLog) -> None:
        self.event_log = log
        self._orders = HeldOrders()
        super().__init__()

    def construct_env(self, name: str, env: EnvType | None = None) -> Environment:
        """An environment of its own: the process's variables must not choose a cipher here."""
        return Environment(name, dict(env or {}))

    def construct_factory(self, env: Environment) -> InfrastructureFactory[Any]:
        """A factory for what the library makes itself; the recorder and the mapper are ours."""
        return InfrastructureFactory.construct(env)

    def construct_recorder(self) -> ApplicationRecorder:
        """The recorder of the log that the ledger was given."""
        return self.event_log.recorder

    def construct_mapper(self) -> Mapper[str]:
        """Stable topics and readable JSON."""
        return EventMapper()

    def record(self, deliveries: Sequence[Delivery]) -> list[Receipt]:
        """Decide and append a batch of deliveries in one transaction, durable on return.

        Call it on one thread. Where another writer was first to one of the orders, everything is
        read and decided anew.
        Raises `StorageUnavailable` where nothing could be stored.
        """
        for _ in range(CONFLICT_TRIES):
            batch = _Batch(self.mapper, self._take(deliveries))
            for delivery in deliveries:
                batch.add(delivery)
            try:
                positions = self.event_log.append(batch.entries)
            except VersionConflict as error:
                conflict = error
                continue
            self._orders.keep(batch.close(positions))
            return [
                Receipt(entry.outcome, order, position, entry.reason)
                for entry, order, position in zip(
                    batch.entries, batch.orders, positions, strict=True
                )
            ]
        raise conflict

    def recorded(
        self, after: Position | None, limit: int
    ) -> tuple[list[Recorded[OrderEvent]], Poison | None]:
        """The next events of the log, up to the first that cannot be decoded."""
        events: list[Recorded[OrderEvent]] = []
        for stored in self.event_log.read(after, limit):
            try:
                events.append(self._decode(stored))
            except MapperDeserialisationError as error:
                name = f"{stored.event.topic} of {stored.event.originator_id}"
                return events, Poison(stored.position, name, str(error))
        return events, None

    def history(self, stream: str) -> list[Recorded[OrderEvent]]:
        """The events of one order, oldest first; empty for an order that nobody told of."""
        return [self._decode(stored) for stored in self.event_log.load([stream]).get(stream, ())]

    def _take(self, deliveries: Sequence[Delivery]) -> dict[str, HeldOrder | str]:
        """The orders of a batch, or what is wrong with them. They come back when it is stored."""
        notices = [delivery.notice for delivery in deliveries if delivery.notice]
        streams = {stream_of(notice.store, notice.order_id) for notice in notices}
        taken: dict[str, HeldOrder | str] = {}
        for stream in streams:
            held = self._orders.take(stream)
            if held is not None:
                taken[stream] = held
        missing = [stream for stream in streams if stream not in taken]
        stored = self.event_log.load(missing) if missing else {}
        for stream in missing:
            taken[stream] = self._fold(stream, stored.get(stream, ()))
        return taken

    def _fold(self, stream: str, stored: Sequence[StoredAt]) -> HeldOrder | str:
        held = HeldOrder(Order(stream))
        try:
            for at in stored:
                held.advance(self._decode(at).event)
                held.indexes.append(at.position.index)
        except ImpossibleHistory as error:
            return f"damaged order: {error}"
        except MapperDeserialisationError:
            return "damaged order: an event of it cannot be read"
        return held

    def _decode(self, stored: StoredAt) -> Recorded[OrderEvent]:
        event = self.mapper.to_domain_event(stored.event)
        assert isinstance(event, OrderEvent)
        return Recorded(stored.position, stored.recorded_at, event)


class _Batch:
    """Deliveries decided one after the other, each seeing what those before it will append."""

    def __init__(self, mapper: Mapper[str], taken: Mapping[str, HeldOrder | str]) -> None:
        self.entries: list[LogEntry] = []
        self.orders: list[Order | None] = []
        self._mapper = mapper
        self._taken = taken

    def add(self, delivery: Delivery) -> None:
        """Decide a delivery. One whose order's history is damaged is quarantined."""
        notice = delivery.notice
        if notice is None:
            self._append(_entry(delivery, delivery.outcome, delivery.reason), None)
            return
        held = self._taken[stream_of(notice.store, notice.order_id)]
        if isinstance(held, str):
            self._append(_entry(delivery, Outcome.QUARANTINED, held), None)
        else:
            entry = self._decide(delivery, notice, held)
            self._append(entry, held.order)

    def close(self, positions: Sequence[Position | None]) -> list[HeldOrder]:
        """The orders as they are now, each knowing where its new events stand."""
        for entry, position in zip(self.entries, positions, strict=True):
            if entry.events and entry.stream is not None and position is not None:
                held = self._taken[entry.stream]
                assert isinstance(held, HeldOrder)
                first = position.index - len(entry.events) + 1
                held.indexes.extend(range(first, position.index + 1))
        return [held for held in self._taken.values() if isinstance(held, HeldOrder)]

    def _append(self, entry: LogEntry, order: Order | None) -> None:
        self.entries.append(entry)
        self.orders.append(order)

    def _decide(self, delivery: Delivery, notice: PaymentNotice, held: HeldOrder) -> LogEntry:
        decision = decide(held.order, notice)
        is_kept = decision.outcome is Outcome.DUPLICATE and _holds(held.order, notice)
        for event in decision.events:
            held.advance(event)
            held.pending[event.originator_version] = len(self.entries)
        original = decision.original_version
        return LogEntry(
            provider=delivery.provider,
            outcome=decision.outcome,
            received_at=delivery.received_at,
            body_sha256=delivery.body_sha256,
            stream=held.order.id,
            body=None if is_kept else delivery.body,
            events=[self._mapper.to_stored_event(event) for event in decision.events],
            position=held.position(original) if original else None,
            duplicate_of=held.pending.get(original) if original else None,
        )


def _holds(order: Order, notice: PaymentNotice) -> bool:
    """Whether these very bytes are kept with an earlier delivery of the order."""
    known = order.deliveries[notice.provider, notice.delivery_key]
    return any(k.news.body_sha256 == notice.body_sha256 for k in known)


def _entry(delivery: Delivery, outcome: Outcome, reason: str | None) -> LogEntry:
    """A delivery that touches no order."""
    return LogEntry(
        provider=delivery.provider,
        outcome=outcome,
        received_at=delivery.received_at,
        body_sha256=delivery.body_sha256,
        reason=reason,
        body=delivery.body,
    )
