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

from adapters.mapper import EventMapper
from adapters.storage.log import EventLog, LogEntry, StoredAt, VersionConflict
from domain.log import Position, Recorded, stream_of
from domain.order import ImpossibleHistory, Order, OrderEvent, decide, evolve, project
from domain.payment import Outcome, PaymentNotice
from projections.runner import Poison

CONFLICT_RETRIES_MAX = 5


@dataclass(frozen=True, slots=True)
class Delivery:
    """An authentic delivery, translated: it holds a notice, or says why there is none."""

    provider: str
    received_at: datetime
    body: bytes = field(repr=False)
    body_sha256: str
    notice: PaymentNotice | None = None
    outcome: Outcome = Outcome.RECORDED
    reason: str | None = None


@dataclass(frozen=True, slots=True)
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

        Where another writer was first to one of the orders, everything is read and decided anew.
        Raises `StorageUnavailable` where nothing could be stored.
        """
        for attempt in range(CONFLICT_RETRIES_MAX):
            batch = _Batch(self._load(deliveries), self.mapper)
            for delivery in deliveries:
                batch.add(delivery)
            try:
                positions = self.event_log.append(batch.entries)
            except VersionConflict:
                if attempt == CONFLICT_RETRIES_MAX - 1:
                    raise
                continue
            return [
                Receipt(entry.outcome, order, position, entry.reason)
                for entry, order, position in zip(
                    batch.entries, batch.orders, positions, strict=True
                )
            ]
        raise AssertionError("unreachable: the last attempt returns or raises")

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

    def _load(self, deliveries: Sequence[Delivery]) -> Mapping[str, Sequence[StoredAt]]:
        notices = [delivery.notice for delivery in deliveries if delivery.notice]
        return self.event_log.load({stream_of(notice.store, notice.order_id) for notice in notices})

    def _decode(self, stored: StoredAt) -> Recorded[OrderEvent]:
        event = self.mapper.to_domain_event(stored.event)
        assert isinstance(event, OrderEvent)
        return Recorded(stored.position, stored.recorded_at, event)


class _Batch:
    """Deliveries decided one after the other, each seeing what those before it will append."""

    def __init__(self, stored: Mapping[str, Sequence[StoredAt]], mapper: Mapper[str]) -> None:
        self.entries: list[LogEntry] = []
        self.orders: list[Order | None] = []
        self._stored = stored
        self._mapper = mapper
        self._current: dict[str, Order] = {}
        self._appended: dict[tuple[str, int], int] = {}  # (stream, version) -> entry that has it

    def add(self, delivery: Delivery) -> None:
        """Decide a delivery. One that its order's history makes undecidable is quarantined."""
        notice = delivery.notice
        if notice is None:
            self._append(_entry(delivery, delivery.outcome, delivery.reason), None)
            return
        stream = stream_of(notice.store, notice.order_id)
        try:
            entry, order = self._decide(delivery, notice, stream)
        except ImpossibleHistory as error:
            self._append(_entry(delivery, Outcome.QUARANTINED, f"damaged order: {error}"), None)
            return
        except MapperDeserialisationError:
            unread = "damaged order: an event of it cannot be read"
            self._append(_entry(delivery, Outcome.QUARANTINED, unread), None)
            return
        self._current[stream] = order
        for event in entry.events:
            self._appended[stream, event.originator_version] = len(self.entries)
        self._append(entry, order)

    def _append(self, entry: LogEntry, order: Order | None) -> None:
        self.entries.append(entry)
        self.orders.append(order)

    def _decide(
        self, delivery: Delivery, notice: PaymentNotice, stream: str
    ) -> tuple[LogEntry, Order]:
        order = self._order(stream)
        decision = decide(order, notice)
        for event in decision.events:
            order = evolve(order, event)
        original = decision.original_version
        same_batch = self._appended.get((stream, original)) if original else None
        is_kept = decision.outcome is Outcome.DUPLICATE and _holds(order, notice)
        entry = LogEntry(
            provider=delivery.provider,
            outcome=decision.outcome,
            received_at=delivery.received_at,
            body_sha256=delivery.body_sha256,
            stream=stream,
            body=None if is_kept else delivery.body,
            events=[self._mapper.to_stored_event(event) for event in decision.events],
            position=self._position(stream, original) if same_batch is None else None,
            duplicate_of=same_batch,
        )
        return entry, order

    def _order(self, stream: str) -> Order:
        if stream not in self._current:
            events = [self._mapper.to_domain_event(at.event) for at in self._stored.get(stream, ())]
            order = project(None, (event for event in events if isinstance(event, OrderEvent)))
            self._current[stream] = order or Order(stream)
        return self._current[stream]

    def _position(self, stream: str, version: int | None) -> Position | None:
        return self._stored[stream][version - 1].position if version else None


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
