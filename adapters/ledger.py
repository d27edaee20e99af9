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
    StoredEvent,
)
from eventsourcing.utils import Environment, EnvType

from adapters.held_orders import HeldOrder, HeldOrders
from adapters.mapper import EventMapper
from adapters.storage.log import EventLog, LogEntry, StoredAt, VersionConflict
from domain.log import Position, Recorded, stream_of
from domain.order import ImpossibleHistory, Order, OrderEvent, decide
from domain.payment import Origin, Outcome, PaymentNotice

CONFLICT_TRIES = 5
# The outcome of a delivery that tells of several orders is its weightiest one: the last here.
WEIGHTS = (Outcome.DUPLICATE, Outcome.STALE, Outcome.RECORDED, Outcome.CONFLICT)


@dataclass(slots=True)
class Delivery:
    """An authentic delivery, translated: it holds a notice or several, or says why there is none.

    Its notices are recorded together or not at all. `key_id` names the secret that verified it,
    `replay_of` the delivery that it takes in again, and `context` is what besides the body is
    needed to read it (JSON).

    Like all that is made once per delivery it is not frozen, which would cost three times as much;
    nobody changes it.
    """

    provider: str
    received_at: datetime
    body: bytes = field(repr=False)
    body_sha256: str
    notices: tuple[PaymentNotice, ...] = ()
    outcome: Outcome = Outcome.RECORDED
    reason: str | None = None
    address: str | None = None
    key_id: str | None = None
    origin: Origin = Origin.WEBHOOK
    replay_of: int | None = None
    context: str | None = None


@dataclass(slots=True)
class Receipt:
    """What became of a delivery, once it is on disk. It names an order where it told of one."""

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

    def foresee(self, deliveries: Sequence[Delivery]) -> list[Receipt]:
        """What `record` would make of a batch now; nothing is appended, so nothing has a position.

        Raises `StorageUnavailable`.
        """
        batch = _Batch(self.mapper, self._take(deliveries))
        for delivery in deliveries:
            batch.add(delivery)
        return [
            Receipt(entry.outcome, order, None, entry.reason)
            for entry, order in zip(batch.entries, batch.orders, strict=True)
        ]

    def history(self, stream: str) -> list[Recorded[OrderEvent]]:
        """The events of one order, oldest first; empty for an order that nobody told of."""
        return [self._decode(stored) for stored in self.event_log.load([stream]).get(stream, ())]

    def _take(self, deliveries: Sequence[Delivery]) -> dict[str, HeldOrder | str]:
        """The orders of a batch, or what is wrong with them. They come back when it is stored."""
        streams = {
            stream_of(notice.store, notice.order_id)
            for delivery in deliveries
            for notice in delivery.notices
        }
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
        """Decide a delivery. One that tells of an order whose history is damaged is quarantined."""
        held: list[HeldOrder] = []
        for notice in delivery.notices:
            taken = self._taken[stream_of(notice.store, notice.order_id)]
            if isinstance(taken, str):
                self._append(_entry(delivery, Outcome.QUARANTINED, taken), None)
                return
            held.append(taken)
        if held:
            entry = self._decide(delivery, held)
            self._append(entry, held[0].order if len(held) == 1 else None)
        else:
            self._append(_entry(delivery, delivery.outcome, delivery.reason), None)

    def close(self, positions: Sequence[Position | None]) -> list[HeldOrder]:
        """The orders as they are now, each knowing where its new events stand."""
        for entry, position in zip(self.entries, positions, strict=True):
            if position is not None:
                first = position.index - len(entry.events) + 1
                for index, event in enumerate(entry.events, first):
                    held = self._taken[str(event.originator_id)]
                    assert isinstance(held, HeldOrder)
                    held.indexes.append(index)
        return [held for held in self._taken.values() if isinstance(held, HeldOrder)]

    def _append(self, entry: LogEntry, order: Order | None) -> None:
        self.entries.append(entry)
        self.orders.append(order)

    def _decide(self, delivery: Delivery, orders: Sequence[HeldOrder]) -> LogEntry:
        events: list[StoredEvent] = []
        outcomes: list[Outcome] = []
        is_kept = True
        for notice, held in zip(delivery.notices, orders, strict=True):
            decision = decide(held.order, notice)
            outcomes.append(decision.outcome)
            is_duplicate = decision.outcome is Outcome.DUPLICATE
            is_kept = is_kept and is_duplicate and _holds(held.order, notice)
            for event in decision.events:
                held.advance(event)
                held.pending[event.originator_version] = len(self.entries)
                events.append(self._mapper.to_stored_event(event))
        original = decision.original_version  # of the last: where all repeat, it says where
        return _entry(
            delivery,
            outcomes[0] if len(outcomes) == 1 else max(outcomes, key=WEIGHTS.index),
            stream=orders[0].order.id if len(orders) == 1 else None,
            is_kept=is_kept,
            events=events,
            position=held.position(original) if original else None,
            duplicate_of=held.pending.get(original) if original else None,
        )


def _holds(order: Order, notice: PaymentNotice) -> bool:
    """Whether these very bytes are kept with an earlier delivery of the order."""
    known = order.deliveries[notice.provider, notice.delivery_key]
    return any(k.news.body_sha256 == notice.body_sha256 for k in known)


def _entry(
    delivery: Delivery,
    outcome: Outcome,
    reason: str | None = None,
    *,
    stream: str | None = None,
    is_kept: bool = False,
    events: Sequence[StoredEvent] = (),
    position: Position | None = None,
    duplicate_of: int | None = None,
) -> LogEntry:
    """A delivery as the log keeps it, with its body unless that is kept already."""
    return LogEntry(
        delivery.provider,
        outcome,
        delivery.received_at,
        delivery.body_sha256,
        stream,
        reason,
        None if is_kept or delivery.replay_of is not None else delivery.body,
        events,
        position,
        duplicate_of,
        len(delivery.body),
        delivery.address,
        delivery.key_id,
        delivery.origin,
        delivery.replay_of,
        delivery.context,
    )
