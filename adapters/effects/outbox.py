"""From the log to the outbox: which events ask for an effect, and under which id."""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID, uuid5

from adapters.effects.configuration import EffectSettings
from adapters.ledger.application import OrderLedger
from adapters.read_models.event_source import decoded
from adapters.storage.effects import EffectStore, NewEffect
from adapters.storage.events import Events
from adapters.storage.log import PARTITION
from domain.log import Position, Recorded, split_stream
from domain.order import Consequence, News, OrderEvent
from domain.payment import Origin

EVENTS_MAX = 500  # that are taken in together
EFFECTS = UUID("5b0c8c1e-6f1f-5a55-9a3f-2f5c3c5f7f0d")  # the namespace of all effects' ids

log = logging.getLogger("order_ledger.effects")


def effect_id(ledger_id: str, stream: str, version: int, event: str, target: str) -> str:
    """The id of an event's effect: whoever computes it again, anywhere, gets the same."""
    return str(uuid5(EFFECTS, json.dumps([ledger_id, stream, version, event, target])))


class Outbox:
    """Follows the log for each target, apart from the others, and makes the rows of its effects.

    A target that was never configured before begins where the log ends when this is made, or where
    its table says.
    """

    def __init__(
        self,
        ledger: OrderLedger,
        events: Events,
        store: EffectStore,
        targets: Mapping[str, EffectSettings],
    ) -> None:
        self._events = events
        self._store = store
        self._targets = targets
        self._ledger_id: str | None = None
        known = {target.name for target in store.targets()} if targets else set()
        for name in targets.keys() - known:
            begin = targets[name].begin_after
            first = Position.parse(begin) if begin else ledger.event_log.head()
            store.register(name, first.index if first else 0)

    def follow(self, target: str) -> bool:
        """Take in the next events for a target; whether there were any."""
        at = self._store.target(target)
        assert at is not None, "it was registered"
        events, poison = decoded(self._events.next(at.position, EVENTS_MAX))
        if events:
            asked = self._asked(target, events)
            self._store.enqueue(target, at.position, events[-1].position.index, asked)
        if poison is not None and not events:
            problem = f"the event at {poison.position} cannot be read"
            if at.problem != problem:
                log.error("effects of %s stand still: %s", target, problem)
                self._store.stand_still(target, problem)
        return bool(events)

    def _asked(self, target: str, events: Iterable[Recorded[OrderEvent]]) -> list[NewEffect]:
        settings = self._targets[target]
        candidates = [
            (recorded, recorded.event)
            for recorded in events
            if isinstance(recorded.event, Consequence)
            and type(recorded.event).__name__ in settings.on
        ]
        if not candidates:
            return []
        streams = self.histories({e.originator_id: e.originator_version for _, e in candidates})
        asked = []
        for recorded, event in candidates:
            store, order_id = split_stream(event.originator_id)
            history = streams[event.originator_id][: event.originator_version - 1]
            before = [earlier.event for earlier in history]
            cause = before[event.caused_by - 1] if event.caused_by <= len(before) else None
            news = cause if isinstance(cause, News) else None
            if not _is_history(before) and settings.wants(event, store, news):
                version, name = event.originator_version, type(event).__name__
                new_id = effect_id(self._name(), event.originator_id, version, name, target)
                index = recorded.position.index
                asked.append(NewEffect(new_id, store, order_id, version, index, name))
        return asked

    def histories(self, upto: Mapping[str, int]) -> Mapping[str, list[Recorded[OrderEvent]]]:
        """The events of orders up to a version of each: those beyond may be unreadable yet."""
        rows = self._events.of_streams(list(upto))
        events, _ = decoded(row for row in rows if row[2] <= upto[row[1]])
        found: dict[str, list[Recorded[OrderEvent]]] = {}
        for recorded in events:
            found.setdefault(recorded.event.originator_id, []).append(recorded)
        return found

    def _name(self) -> str:
        if self._ledger_id is None:
            self._ledger_id = self._store.ledger_id()
        return self._ledger_id


def _is_history(before: Sequence[OrderEvent]) -> bool:
    """Whether what set an event off was an import: nobody waits for what that tells of."""
    for event in reversed(before):
        if not isinstance(event, Consequence):
            return isinstance(event, News) and event.origin is Origin.IMPORT
    return False


def position_of(idx: int) -> str:
    """The position of an effect's event, as text."""
    return str(Position(PARTITION, idx))
