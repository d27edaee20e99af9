"""Orders that the writer has folded and keeps, so that a busy one is not read again each time.

Keeping them is safe for deliveries: what is appended is guarded by the order's version, so an order
that another process took further makes a conflict and is read anew; and what was seen once stays
seen. A command may be answered without an event (refused, or unchanged), so its order is read.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from adapters.storage.log import PARTITION
from adapters.vault.keys import OrderKey
from adapters.vault.sealing import Place
from domain.log import Position
from domain.order import Deliveries, Order, OrderEvent, advance

EVENTS_MAX = 2_000  # of all orders that are kept; few, so that they stay in the processor's cache


@dataclass(slots=True)
class HeldOrder:
    """An order, the indexes and the topics of its events, its key, if it has one, and the entries
    of a batch that add to it."""

    order: Order
    key: OrderKey | None = None
    indexes: list[int] = field(default_factory=list)
    topics: list[str] = field(default_factory=list)
    pending: dict[int, int] = field(default_factory=dict)  # version -> number of the entry
    deliveries: Deliveries = field(default_factory=dict)

    def advance(self, event: OrderEvent) -> None:
        """Take in one more event. Raises `ImpossibleHistory`."""
        self.order = advance(self.order, event, self.deliveries)
        self.topics.append(type(event).__name__)

    def place(self, version: int | None) -> Place:
        """The event of a version, as what is sealed is bound to it."""
        assert version is not None, "nothing was recorded"
        return Place(self.order.id, version, self.topics[version - 1])

    def position(self, version: int) -> Position | None:
        """Where an event stands, None while the batch that adds it is not stored."""
        stored = version <= len(self.indexes)
        return Position(PARTITION, self.indexes[version - 1]) if stored else None


class HeldOrders:
    """The orders used last, as many as have `EVENTS_MAX` events together, and in any case the last
    one: an order that is longer would be read as a whole for each delivery. For one thread."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, HeldOrder] = OrderedDict()
        self._events = 0

    def take(self, stream: str) -> HeldOrder | None:
        """An order, taken out: whoever changes it gives it back only when the change is stored."""
        held = self._held.pop(stream, None)
        if held is not None:
            self._events -= held.order.version
        return held

    def forget(self, streams: Iterable[str]) -> None:
        """Keep these no more, so that they are read."""
        for stream in streams:
            self.take(stream)

    def keep(self, orders: Iterable[HeldOrder]) -> None:
        """Keep these, and forget those that were not used for longest."""
        for held in orders:
            held.pending.clear()
            self._held[held.order.id] = held
            self._events += held.order.version
        while self._events > EVENTS_MAX and len(self._held) > 1:
            _, forgotten = self._held.popitem(last=False)
            self._events -= forgotten.order.version
