"""Whether stored events are histories that the rules could have made: versions without gaps, and
Delivered only after a PAID. `domain.order` decides that, and nothing here repeats a rule of it.

Most orders have one event or two, and what the domain says of those hangs on a few fields. So it is
asked once for each such beginning, and its answer is remembered; longer histories are folded whole.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from adapters.ledger.mapper import UnreadableEvent, decode
from adapters.storage.evidence import RawRow, StoredRow
from domain.order import Deliveries, ImpossibleHistory, Order, advance

Load = Callable[[Sequence[bytes]], Sequence[StoredRow]]


class Facts(msgspec.Struct, frozen=True):
    """What the verdict on the first events of an order hangs on, and what ties one to its body."""

    v: int = 0
    status: str | None = None
    disposition: str | None = None
    caused_by: int | None = None
    delivery_key: str | None = None
    body_hash: str | None = None
    body_digest: str | None = None


_read = msgspec.json.Decoder(Facts).decode
Kind = tuple[bytes, int, str | None, str | None, int | None]
Beginning = tuple[Kind, ...]


@dataclass(slots=True)
class _Folded:
    """An order as its events tell it so far; None once they contradict each other."""

    order: Order | None
    deliveries: Deliveries = field(default_factory=dict)


def read_all(rows: Sequence[RawRow]) -> Sequence[Facts | None]:
    """The facts of stored events; None of one that cannot be read."""
    try:
        return [_read(row[4]) for row in rows]
    except msgspec.MsgspecError:
        return [read_facts(row[4]) for row in rows]


def read_facts(state: bytes) -> Facts | None:
    """The facts of an event's state; None where it cannot be read."""
    try:
        return _read(state)
    except msgspec.MsgspecError:
        return None


class Orders:
    """Takes in events in the order of the log, from any index on."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._begun: dict[bytes, tuple[Beginning, list[RawRow]]] = {}
        self._folded: dict[bytes, _Folded] = {}
        self._verdicts: dict[Beginning, str | None] = {}

    def take(
        self, rows: Sequence[RawRow], facts: Sequence[Facts | None]
    ) -> Iterator[tuple[int, str]]:
        """The indexes of the events that cannot follow those before them, and why. An order of
        which that was said is not looked at again."""
        self._load_earlier(rows)
        begun, folded, verdicts = self._begun, self._folded, self._verdicts
        for row, fact in zip(rows, facts, strict=True):
            stream, version = row[1], row[2]
            if fact is None:
                begun.pop(stream, None)
                folded[stream] = _Folded(None)
                yield row[0], "its state cannot be read"
                continue
            kind = (row[3], fact.v, fact.status, fact.disposition, fact.caused_by)
            if version == 1 and stream not in begun and stream not in folded:
                beginning: Beginning = (kind,)
                history = [row]
            elif (
                version == 2
                and fact.caused_by == 1
                and len(found := begun.get(stream, ((), []))[0]) == 1
            ):
                beginning = (*found, kind)
                history = [*begun[stream][1], row]
            else:
                problem = self._fold(row)
                if problem is not None:
                    yield row[0], problem
                continue
            if beginning not in verdicts:
                verdicts[beginning] = _verdict(history)
            problem = verdicts[beginning]
            if problem is None:
                begun[stream] = (beginning, history)
            else:
                begun.pop(stream, None)
                folded[stream] = _Folded(None)
                yield row[0], problem

    def _load_earlier(self, rows: Sequence[RawRow]) -> None:
        """Fold what lies before these rows, of orders that did not begin among those taken in."""
        begun, folded = self._begun, self._folded
        firsts = {row[1]: row for row in reversed(rows)}
        strangers = {
            stream: row[0]
            for stream, row in firsts.items()
            if row[2] > 1 and stream not in begun and stream not in folded
        }
        if not strangers:
            return
        for stored in self._load(list(strangers)):
            if stored.idx < strangers[stored.stream]:
                self._fold(stored)

    def _fold(self, row: RawRow) -> str | None:
        """Fold one more event; why it cannot follow those before it, or None."""
        stream = row[1]
        known = self._folded.get(stream)
        if known is None:
            known = self._folded[stream] = _Folded(Order(stream.decode(errors="replace")))
            for earlier in self._begun.pop(stream, ((), []))[1]:
                _advance(known, earlier)
        return _advance(known, row)


def _advance(known: _Folded, row: RawRow) -> str | None:
    if known.order is None:
        return None
    _, stream, version, topic, state, _, _ = row
    try:
        event = decode(stream.decode(), version, topic.decode(), state)
        known.order = advance(known.order, event, known.deliveries)
    except (ImpossibleHistory, UnreadableEvent, UnicodeDecodeError) as error:
        known.order = None
        return str(error) if isinstance(error, ImpossibleHistory) else "it cannot be read"
    return None


def _verdict(history: Sequence[RawRow]) -> str | None:
    known = _Folded(Order(history[0][1].decode(errors="replace")))
    for row in history:
        problem = _advance(known, row)
    return problem
