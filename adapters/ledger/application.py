"""The ledger: an `eventsourcing` application over our log, and the batch append of deliveries."""

from collections.abc import Iterable, Mapping, Sequence
from time import monotonic
from typing import Any, cast

from eventsourcing.application import Application
from eventsourcing.persistence import (
    ApplicationRecorder,
    InfrastructureFactory,
    Mapper,
    MapperDeserialisationError,
)
from eventsourcing.utils import Environment, EnvType

from adapters.ledger.batch import Batch, Command, Delivery, Receipt, Taken, is_open, names_of
from adapters.ledger.held_orders import HeldOrder, HeldOrders
from adapters.ledger.mapper import EventMapper
from adapters.ledger.names import Directory
from adapters.storage.log import EventLog, MasterChanged, StoredAt, VersionConflict
from adapters.vault import Unopened
from adapters.vault.keys import Hashing
from adapters.vault.vault import Vault
from domain.log import Recorded, stream_of
from domain.order import ImpossibleHistory, Order, OrderEvent
from domain.payment import PaymentNotice
from domain.registration import Placement, Refused

__all__ = ["Command", "Delivery", "OrderLedger", "Receipt"]

CONFLICT_TRIES = 5
# Another process may register a store's first order: how soon that is known here.
LOOK_AGAIN_SECONDS = 0.2
# After so many batches in a row of which the log knew no order, the next one is taken for new, too.
SURE_AFTER = 16
LEARN_AGAIN_SECONDS = 30.0  # until a dictionary that was trained is used for new bodies


class OrderLedger(Application[str]):
    """Orders, their events, and the log that holds them.

    `execute` is the way in for commands: deliveries, a shop's placements, an operator's
    resolutions; `record` is the same for deliveries. Besides it the library's own ways work on the
    same stored events: `repository.get(stream, projector_func=project)`, `save(*events)` and the
    notification log.

    With `registered_only`, news of an order that nobody registered waits until somebody does. The
    vault seals what may name a person.
    """

    def __init__(self, log: EventLog, vault: Vault, registered_only: bool = False) -> None:
        self.event_log = log
        self.vault = vault
        self._registered_only = registered_only
        self._orders = HeldOrders()
        self._naming: frozenset[str] = frozenset()  # the stores that have names of orders
        self._look_again_at = 0.0
        self._new_in_a_row = 0  # batches
        self._learn_again_at = 0.0
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
        """Decide and append a batch of deliveries (see `execute`)."""
        return cast("list[Receipt]", self.execute(deliveries))

    def execute(self, commands: Sequence[Command]) -> list[Receipt | Refused]:
        """Decide and append a batch of commands in one transaction, durable on return.

        A placement or a resolution that its order does not allow gives `Refused` in its place; the
        others are stored. Call it on one thread. Where another writer was first to one of the
        orders, or one that was taken for new is not, everything is read and decided anew.
        Raises `StorageUnavailable` where nothing could be stored.
        """
        for _ in range(CONFLICT_TRIES):
            batch = self._decide(commands, may_guess=True)
            batch.protection.seal()
            try:
                positions = self.event_log.append(batch.entries, batch.protection.master)
            except VersionConflict as error:
                conflict = error
                self._new_in_a_row = 0
                if isinstance(error, MasterChanged):
                    self.vault.refresh()
                continue
            self._naming |= batch.naming
            self._orders.keep(batch.close(positions))
            return batch.receipts(positions)
        raise conflict

    def foresee(self, deliveries: Sequence[Delivery]) -> list[Receipt]:
        """What `record` would make of a batch now; nothing is appended, so nothing has a position.

        Raises `StorageUnavailable`.
        """
        foreseen = self._decide(deliveries).receipts([None] * len(deliveries))
        return cast("list[Receipt]", foreseen)

    def streams_of(self, delivery: Delivery) -> list[str]:
        """The orders that the notices of a delivery would be recorded on: one may be known here by
        another name. Raises `StorageUnavailable`."""
        if len(delivery.notices) == 1:
            (receipt,) = self.foresee([delivery])
            if receipt.order is not None:
                return [receipt.order.id]
        return [stream_of(notice.store, notice.order_id) for notice in delivery.notices]

    def history(self, stream: str) -> list[Recorded[OrderEvent]]:
        """The events of one order, oldest first; empty for an order that nobody told of."""
        return [self._decode(stored) for stored in self.event_log.load([stream]).get(stream, ())]

    def _decide(self, commands: Sequence[Command], may_guess: bool = False) -> Batch:
        """The batch that commands make, decided on the orders as they are now, or, if it may guess,
        as new ones are: its append then fails where one of them is not."""
        naming = self._stores_with_names(commands)
        may_guess = may_guess and self._new_in_a_row >= SURE_AFTER
        self._orders.forget(_judged(commands))
        taken = self._take(_streams(commands), may_guess and _would_conflict(commands, naming))
        hashing = self.vault.hashing
        names = _names_to_look_up(commands, naming, taken, hashing) if naming else []
        found = self.event_log.named(names) if names else ()
        if found:
            named = {stream_of(store, order_id) for store, _, order_id, _ in found}
            taken |= self._take(named - taken.keys())
        directory = Directory(found)
        batch = Batch(self.mapper, taken, directory, naming, self._registered_only, self.vault)
        for command in commands:
            batch.add(command)
        return batch

    def _stores_with_names(self, commands: Iterable[Command]) -> frozenset[str]:
        """The stores in which a delivery may be about an order that goes by another name."""
        now = monotonic()
        if now >= self._look_again_at:
            self._naming = self.event_log.stores_with_names()
            self._look_again_at = now + LOOK_AGAIN_SECONDS
        if now >= self._learn_again_at:
            self.vault.learn()
            self._learn_again_at = now + LEARN_AGAIN_SECONDS
        placed = [command.store for command in commands if isinstance(command, Placement)]
        return self._naming.union(placed) if placed else self._naming

    def _take(self, streams: Iterable[str], are_new: bool = False) -> dict[str, Taken]:
        """The orders of a batch, or what is wrong with them. They come back when it is stored.
        Those that are not held are read, or taken for new."""
        taken: dict[str, Taken] = {}
        missing: list[str] = []
        for stream in streams:
            held = self._orders.take(stream)
            if held is not None:
                taken[stream] = held
            else:
                missing.append(stream)
        stored: Mapping[str, Sequence[StoredAt]] = {}
        keys: Mapping[int, bytes] = {}
        if missing and not are_new:
            stored = self.event_log.load(missing)
            self._new_in_a_row = 0 if stored else self._new_in_a_row + 1
        if stored:
            keys = self.event_log.keys([at[0].position.index for at in stored.values()])
        for stream in missing:
            taken[stream] = self._fold(stream, stored.get(stream, ()), keys)
        return taken

    def _fold(self, stream: str, stored: Sequence[StoredAt], keys: Mapping[int, bytes]) -> Taken:
        held = HeldOrder(Order(stream))
        try:
            if stored and (wrapped := keys.get(stored[0].position.index)) is not None:
                held.key = self.vault.unwrap(wrapped, stream)
            for at in stored:
                held.advance(self._decode(at).event)
                held.indexes.append(at.position.index)
            if held.order.erased:  # a backup of keys may have brought its key back
                held.key = None
        except ImpossibleHistory as error:
            return f"damaged order: {error}"
        except MapperDeserialisationError:
            return "damaged order: an event of it cannot be read"
        except Unopened as error:
            return f"damaged order: {error}"
        return held

    def _decode(self, stored: StoredAt) -> Recorded[OrderEvent]:
        event = self.mapper.to_domain_event(stored.event)
        assert isinstance(event, OrderEvent)
        return Recorded(stored.position, stored.recorded_at, event)


def _would_conflict(commands: Iterable[Command], naming: frozenset[str]) -> bool:
    """Whether each command appends the first event of an order that is taken for new, so that the
    append fails where it is not. What may go elsewhere by a name, or be refused, does not."""
    return all(
        isinstance(command, Delivery)
        and all(n.store not in naming and not n.is_typed for n in command.notices)
        for command in commands
    )


def _judged(commands: Iterable[Command]) -> set[str]:
    """The orders that others than providers decide about. They may be answered without an event,
    which no version guards, so they are read as they are now."""
    return {stream_of(c.store, c.order_id) for c in commands if not isinstance(c, Delivery)}


def _streams(commands: Iterable[Command]) -> set[str]:
    """The orders that commands name."""
    streams: set[str] = set()
    for command in commands:
        if isinstance(command, Delivery):
            for notice in command.notices:
                streams.add(stream_of(notice.store, notice.order_id))
                if notice.is_typed and notice.personal is not None:
                    streams.update(stream_of(notice.store, n) for n in notice.personal.references)
        else:
            streams.add(stream_of(command.store, command.order_id))
    return streams


def _names_to_look_up(
    commands: Iterable[Command],
    naming: frozenset[str],
    taken: dict[str, Taken],
    hashing: Hashing,
) -> list[tuple[str, str]]:
    """The names by which what a batch tells may find a registered order, or parked news."""
    names: dict[tuple[str, str], None] = {}
    for command in commands:
        told: list[PaymentNotice | Placement] = []
        if isinstance(command, Placement):
            told.append(command)
            for name in names_of(command):  # what a payer typed waits under its hash
                names[command.store, hashing.reference(name)] = None
        elif isinstance(command, Delivery):
            for notice in command.notices:
                order = taken[stream_of(notice.store, notice.order_id)]
                if notice.store in naming and is_open(order):
                    told.append(notice)
        for one in told:
            for name in names_of(one):
                names[one.store, name] = None
    return list(names)
