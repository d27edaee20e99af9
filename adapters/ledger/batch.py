"""A batch of commands, decided one after the other, as the ledger appends it in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from eventsourcing.persistence import Mapper, StoredEvent

from adapters.ledger.held_orders import HeldOrder
from adapters.ledger.names import Directory
from adapters.ledger.protecting import Protection
from adapters.storage.log import LogEntry, OrderNames, utc_now
from adapters.vault.keys import OrderKey
from adapters.vault.sealing import Place
from adapters.vault.vault import Vault
from domain.erasure import Erasure, erase
from domain.events import Disposition, OrderEvent, PaymentReceived
from domain.log import Position, stream_of
from domain.order import Order, Unregistered, decide, repeats
from domain.payment import Origin, Outcome, PaymentNotice
from domain.registration import Placement, Refused, Resolution, move, place, resolve

# The outcome of a delivery that tells of several orders is its weightiest one: the last here.
WEIGHTS = (Outcome.DUPLICATE, Outcome.STALE, Outcome.RECORDED, Outcome.CONFLICT)


@dataclass(slots=True)
class Delivery:
    """An authentic delivery, translated: it holds a notice or several, or says why there is none.

    Its notices are recorded together or not at all. `key_id` names the secret that verified it,
    `replay_of` the delivery that it takes in again, whose body the keys in `opens` open, each by
    its order (one of its own: ""); `context` is what besides the body is needed to read it (JSON).

    Like all that is made once per delivery it is not frozen, which would cost three times as much;
    nobody changes it.
    """

    provider: str
    received_at: datetime
    body: bytes = field(repr=False)
    body_hash: str
    notices: tuple[PaymentNotice, ...] = ()
    outcome: Outcome = Outcome.RECORDED
    reason: str | None = None
    address: str | None = None
    key_id: str | None = None
    origin: Origin = Origin.WEBHOOK
    replay_of: int | None = None
    context: str | None = None
    opens: Mapping[str, OrderKey] | None = field(default=None, repr=False)
    body_bytes: int | None = None  # where the body is not read again


@dataclass(slots=True)
class Receipt:
    """What became of a delivery, once it is on disk. It names an order where it told of one."""

    outcome: Outcome
    order: Order | None
    position: Position | None
    reason: str | None = None
    is_first: bool = False  # it registered the order, which was not registered before


Command = Delivery | Placement | Resolution | Erasure
Taken = HeldOrder | str  # an order, or what is wrong with its history


class Batch:
    """Commands decided one after the other, each seeing what those before it will append."""

    def __init__(
        self,
        mapper: Mapper[str],
        taken: Mapping[str, Taken],
        directory: Directory,
        naming: frozenset[str],
        registered_only: bool,
        vault: Vault,
    ) -> None:
        self.protection = Protection(vault)
        self.entries: list[LogEntry] = []
        self.naming = naming
        self._orders: list[Order | Refused | None] = []
        self._first_placed: set[int] = set()  # the numbers of entries
        self._mapper = mapper
        self._taken = taken
        self._directory = directory
        self._otherwise = Unregistered.PARK if registered_only else Unregistered.TAKE

    def add(self, command: Command) -> None:
        """Decide a command."""
        if isinstance(command, Delivery):
            self._deliver(command)
            return
        held = self._taken[stream_of(command.store, command.order_id)]
        try:
            if isinstance(held, str):
                raise Refused(held)
            match command:
                case Placement():
                    entry = self._place(command, held)
                case Resolution():
                    entry = _command(held, self._advance(resolve(held.order, command)))
                case Erasure():
                    entry = self._erase(command, held)
            self._append(entry, held.order)
        except Refused as refused:
            self._append(_command(None, ()), refused)

    def close(self, positions: Sequence[Position | None]) -> list[HeldOrder]:
        """The orders as they are now, each knowing where its new events stand."""
        for entry, position in zip(self.entries, positions, strict=True):
            if position is not None:
                first = position.index - len(entry.events) + 1
                for index, event in enumerate(entry.events, first):
                    held = self._taken[str(event.originator_id)]
                    assert isinstance(held, HeldOrder)
                    held.indexes.append(index)
        held_orders = [held for held in self._taken.values() if isinstance(held, HeldOrder)]
        return [held for held in held_orders if held.order.version]

    def receipts(self, positions: Sequence[Position | None]) -> list[Receipt | Refused]:
        """What became of each command, its events being stored at these positions."""
        return [
            order
            if isinstance(order, Refused)
            else Receipt(entry.outcome, order, position, entry.reason, number in self._first_placed)
            for number, (entry, order, position) in enumerate(
                zip(self.entries, self._orders, positions, strict=True)
            )
        ]

    def _append(self, entry: LogEntry, order: Order | Refused | None) -> None:
        entry.keys = self.protection.new_keys()
        self.entries.append(entry)
        self._orders.append(order)
        for names in entry.names:
            self._directory.take(names)
            self.naming |= {names.store}

    def _advance(self, events: Sequence[OrderEvent], before: int = 0) -> list[StoredEvent]:
        """Take in events of an entry that has some before these."""
        stored: list[StoredEvent] = []
        for number, event in enumerate(events, before):
            held = self._taken[event.originator_id]
            assert isinstance(held, HeldOrder)
            if not held.order.version:
                self.protection.begin(held, number)
            held.advance(event)
            held.pending[event.originator_version] = len(self.entries)
            stored.append(self._mapper.to_stored_event(event))
        return stored

    # -------------------------------------------------------------------------------- deliveries

    def _deliver(self, delivery: Delivery) -> None:
        """Decide a delivery. One that tells of an order whose history is damaged is quarantined."""
        told: list[tuple[PaymentNotice, HeldOrder, Unregistered]] = []
        names: list[OrderNames] = []
        for notice in delivery.notices:
            named = notice.store in self.naming or notice.is_typed
            meant = self._meant(notice, names) if named else None
            news, unregistered = meant or (notice, self._otherwise)
            taken = self._taken[stream_of(news.store, news.order_id)]
            if isinstance(taken, str):
                self._set_aside(delivery, Outcome.QUARANTINED, taken)
                return
            told.append((news, taken, unregistered))
        if told:
            entry = self._decide(delivery, told, names)
            entry.names = names
            self._append(entry, told[0][1].order if len(told) == 1 else None)
        else:
            self._set_aside(delivery, delivery.outcome, delivery.reason)

    def _set_aside(self, delivery: Delivery, outcome: Outcome, reason: str | None) -> None:
        entry = _entry(delivery, outcome, reason)
        if delivery.replay_of is None:
            self.protection.keep_alone(entry, delivery.body, delivery.context)
        self._append(entry, None)

    def _meant(
        self, notice: PaymentNotice, names: list[OrderNames]
    ) -> tuple[PaymentNotice, Unregistered]:
        """The notice as news of the registered order that it is about, if it is about one.

        The provider's own id becomes a name of that order: later news may tell nothing else. News
        of an order that news was applied to already stays there, so that none is told twice. What a
        payer typed is a name only where an order goes by it; else the news waits for one.
        """
        store, order_id = notice.store, notice.order_id
        if not is_open(self._taken[stream_of(store, order_id)]):
            return notice, Unregistered.PARK if notice.is_typed else self._otherwise
        found = self._directory.registered(store, names_of(notice))
        if not found and notice.is_typed and notice.personal is not None:
            (typed,) = notice.personal.references
            known = self._taken[stream_of(store, typed)]
            if isinstance(known, str) or known.order.version:
                return replace(notice, order_id=typed), self._otherwise
            return notice, Unregistered.PARK
        if len(found) != 1:
            return notice, Unregistered.HOLD if found else self._otherwise
        if notice.is_typed:
            return replace(notice, order_id=found[0]), self._otherwise
        if found[0] != order_id:
            if not self._directory.registered(store, (order_id,)):
                names.append(OrderNames(store, found[0], (order_id,)))
            references = tuple(dict.fromkeys((*notice.references, order_id)))
            notice = replace(notice, order_id=found[0], references=references)
        return notice, self._otherwise

    def _decide(
        self,
        delivery: Delivery,
        told: Sequence[tuple[PaymentNotice, HeldOrder, Unregistered]],
        names: list[OrderNames],
    ) -> LogEntry:
        events: list[StoredEvent] = []
        outcomes: list[Outcome] = []
        is_kept = True
        untouched: list[int] = []
        opens = self.protection.keys_of([held for _, held, _ in told])
        salting = opens if delivery.opens is None else delivery.opens
        for notice, held, unregistered in told:
            if not repeats(held.order, notice):
                self.protection.protect(notice, held, salting)
            decision = decide(held.order, notice, unregistered)
            outcomes.append(decision.outcome)
            is_duplicate = decision.outcome is Outcome.DUPLICATE
            if is_duplicate:
                untouched += held.indexes[:1]
            is_kept = is_kept and is_duplicate and _holds(held.order, notice)
            told_so = self.protection.protected(decision.events, notice, held)
            events += self._advance(told_so, len(events))
            if decision.events and _is_parked(decision.events[0]):
                waits_under = (notice.order_id, *notice.references, *notice.hidden_references)
                names.append(OrderNames(notice.store, notice.order_id, waits_under, waits=True))
        original = decision.original_version  # of the last: where all repeat, it says where
        entry = _entry(
            delivery,
            outcomes[0] if len(outcomes) == 1 else max(outcomes, key=WEIGHTS.index),
            stream=held.order.id if len(told) == 1 else None,
            events=events,
            position=held.position(original) if original else None,
            duplicate_of=held.pending.get(original) if original else None,
        )
        if opens is None:
            entry.destroys_body_key_of = delivery.replay_of
        elif not is_kept and delivery.replay_of is None:
            place = Place.of(events[-1]) if events else held.place(original)
            self.protection.keep(entry, delivery.body, delivery.context, opens, place)
            # Where an event is appended, another process's erasure makes a conflict of versions.
            entry.relies_on = untouched
        return entry

    # ---------------------------------------------------------------------------------- erasures

    def _erase(self, erasure: Erasure, held: HeldOrder) -> LogEntry:
        """Destroy the key of an order with the event that says so."""
        events = erase(held.order, erasure)
        if events and not held.indexes:  # its key is being stored by an entry before
            raise Refused("the first news of this order came this very moment: try again")
        entry = _command(held, self._advance(events))
        entry.destroys = held.indexes[:1]
        held.key = None
        return entry

    # -------------------------------------------------------------------------------- placements

    def _place(self, placement: Placement, held: HeldOrder) -> LogEntry:
        """Register an order under its names, and take in what was parked under them."""
        store, order_id = placement.store, placement.order_id
        names = tuple(dict.fromkeys((order_id, *placement.references)))
        for name in names:
            for other in self._directory.registered(store, (name,)):
                if other != order_id:
                    raise Refused(
                        f"the registered order {other} goes by the name {name} already: "
                        "register this one without it, or under an id of its own"
                    )
        hashes = map(self.protection.hashing.reference, names)
        waiting = [
            (other, taken)
            for other in self._directory.waiting(store, (*names, *hashes))
            if other != order_id
            and isinstance(taken := self._taken[stream_of(store, other)], HeldOrder)
        ]
        if held.order.placed is None:
            self._first_placed.add(len(self.entries))
        elsewhere = [news for _, taken in waiting for news in taken.order.parked]
        placed = place(held.order, placement, elsewhere)
        events = self._advance(self.protection.moved(placed, held, [t for _, t in waiting]))
        if not events:
            return _command(held, ())
        for _, taken in waiting:
            events += self._advance(move(taken.order, order_id))
        entry = _command(held, events)
        entry.names = [
            *(OrderNames(store, other, (), anew=True) for other, _ in waiting),
            OrderNames(store, order_id, (*names, *(other for other, _ in waiting)), anew=True),
        ]
        return entry


def is_open(taken: Taken) -> bool:
    """Whether news about this order may be news of another one: it is not registered, and no news
    was applied to it."""
    if isinstance(taken, str):
        return False
    order = taken.order
    return order.placed is None and order.provider is None


def _is_parked(event: OrderEvent) -> bool:
    return isinstance(event, PaymentReceived) and event.disposition is Disposition.PARKED


def _command(held: HeldOrder | None, events: Sequence[StoredEvent]) -> LogEntry:
    """What a shop or an operator decided, as the log keeps it."""
    return LogEntry(
        "",
        Outcome.RECORDED if events else Outcome.DUPLICATE,
        utc_now(),
        "",
        held.order.id if held else None,
        events=events,
        position=held.position(held.order.version) if held and not events else None,
        is_command=True,
    )


def _holds(order: Order, notice: PaymentNotice) -> bool:
    """Whether these very bytes are kept with an earlier delivery of the order."""
    known = order.deliveries[notice.provider, notice.delivery_key]
    return any(k.news.bytes_hash == notice.body_hash for k in known)


def names_of(told: PaymentNotice | Placement) -> tuple[str, ...]:
    """The names, in clear, by which what was told may find a registered order."""
    typed: tuple[str, ...] = ()
    if isinstance(told, PaymentNotice) and told.personal is not None:
        typed = told.personal.references
    return (told.order_id, *told.references, *typed)


def _entry(
    delivery: Delivery,
    outcome: Outcome,
    reason: str | None = None,
    *,
    stream: str | None = None,
    events: Sequence[StoredEvent] = (),
    position: Position | None = None,
    duplicate_of: int | None = None,
) -> LogEntry:
    """A delivery as the log keeps it, without its body."""
    return LogEntry(
        delivery.provider,
        outcome,
        delivery.received_at,
        delivery.body_hash,
        stream,
        reason,
        None,
        events,
        position,
        duplicate_of,
        len(delivery.body) if delivery.body_bytes is None else delivery.body_bytes,
        delivery.address,
        delivery.key_id,
        delivery.origin,
        delivery.replay_of,
    )
