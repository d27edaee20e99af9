"""Whether the live rows of orders are what their events make of them, and the repair of one order.

Orders are folded again one by one, so this needs no second generation, and finds a row that was
changed or lost behind the fold's back.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from adapters.read_models.event_source import decoded
from adapters.read_models.folding import Poisoned
from adapters.read_models.parity import Difference, shown_beside
from adapters.storage import generations
from adapters.storage.columns import to_database
from adapters.storage.events import EventRow
from adapters.storage.generations import Cursor
from adapters.storage.log import unavailable
from adapters.storage.opening import Storage
from adapters.storage.rebuilds import Refused
from adapters.storage.views import Kept, kept_by
from domain.log import Position, Recorded, split_stream, stream_of
from domain.order import OrderEvent
from projections.model import AnyTable, Generation, Place, Projection, Row
from projections.runner import Changes, poison_at

STREAMS_AT_ONCE = 200


class Drift(Difference):
    """A live row that is not what the events make of it. Of each column the live value, then the
    folded one. `agrees_upto` is the position of the last event up to which the fold makes the very
    row that is live, or None: no event does."""

    agrees_upto: str | None


class Verified(BaseModel):
    """What a verification found: how many orders were folded again, and the rows that differ."""

    projection: str
    orders: int
    drift: list[Drift]


@dataclass(frozen=True)
class _Live:
    """The rows of some orders as they are kept, when the live generation stood at a position."""

    position: Position | None
    rows: Mapping[str, Mapping[Place, Kept]]  # by stream


class Verifier:
    """Folds orders again and compares them with the live generation of a projection."""

    def __init__(self, storage: Storage, projection: Projection) -> None:
        self._views, self._events = storage.views, storage.events
        self._projection = projection

    def orders(self, sample: float | None, seed: int | None = None) -> Iterator[list[str]]:
        """The streams of all orders, or of a random share of them, some at a time."""
        chance = random.Random(seed)  # noqa: S311  (no secret)
        after = ""
        while True:
            streams = self._events.streams(after, STREAMS_AT_ONCE)
            if not streams:
                return
            after = streams[-1]
            yield [s for s in streams if sample is None or chance.random() < sample]

    def strays(self) -> Iterator[list[str]]:
        """The streams that live rows name and that no event is of, some at a time."""
        for table in self._projection.tables:
            after = ("", "")
            while found := self._next_orders(table, after):
                after = found[-1]
                streams = {stream_of(*order) for order in found}
                yield sorted(streams - {row[1] for row in self._events.of_streams(list(streams))})

    def _next_orders(self, table: AnyTable, after: tuple[str, str]) -> list[tuple[str, str]]:
        return self._views.read(lambda reader: reader.orders(table, after, STREAMS_AT_ONCE))

    def check(self, streams: Sequence[str]) -> list[Drift]:
        """The rows of these orders that are not what their events make of them. Raises `Poisoned`
        where an event cannot be folded, `Refused` where they are of another version."""
        if not streams:
            return []
        live = self._live(streams)
        histories = self._histories(streams, live.position)
        found: list[Drift] = []
        for stream in streams:
            mine = live.rows.get(stream, {})
            found += self._compare(stream, histories.get(stream, []), mine)
        return found

    def repair(self, stream: str, *, is_dry_run: bool) -> list[Drift]:
        """Fold one order again and write its rows anew; returns what differed.

        Raises `Refused` where the live generation is of another version: then all of it is due;
        `Poisoned`.
        """
        with unavailable(), self._views.transaction(commit=not is_dry_run) as c:
            if not is_dry_run:
                self._views.lock(c)
            live = self._of_this_version(c)
            rows = self._rows_of(c, live, [stream])
            history = self._histories([stream], live.position).get(stream, [])
            drift = self._compare(stream, history, rows.get(stream, {}))
            if drift and not is_dry_run:
                self._write(c, live, stream, _folded(self._projection, history))
            return drift

    def _write(self, c: Cursor, live: Generation, stream: str, rows: Mapping[Place, Row]) -> None:
        store, order_id = split_stream(stream)
        for table in self._projection.tables:
            name = live.name_of(table.name)
            c.execute(f'DELETE FROM {name} WHERE "store" = ? AND "order_id" = ?', (store, order_id))
            mine = [row for (t, _), row in rows.items() if t is table]
            if mine:
                self._views.put(c, table, name, Changes(mine, []))
        generations.repaired(c, live)
        c.execute(
            "DELETE FROM drift WHERE projection = ? AND stream = ?", (live.projection, stream)
        )

    def _live(self, streams: Sequence[str]) -> _Live:
        with unavailable(), self._views.transaction(commit=False) as c:
            live = self._of_this_version(c)
            return _Live(live.position, self._rows_of(c, live, streams))

    def _of_this_version(self, c: Cursor) -> Generation:
        """The live generation, whose rows are of the form that this release folds."""
        live = generations.live_of(c).get(self._projection.name)
        if live is None:
            raise Refused(f"no generation of {self._projection.name} is live")
        if live.version != self._projection.version:
            raise Refused(f"{live.projection} is live in version {live.version}: rebuild it")
        return live

    def _rows_of(
        self, c: Cursor, live: Generation, streams: Sequence[str]
    ) -> Mapping[str, Mapping[Place, Kept]]:
        rows: dict[str, dict[Place, Kept]] = {}
        keys = [split_stream(stream) for stream in streams]
        for table in self._projection.tables:
            for row in kept_by(c, table, live.name_of(table.name), ("store", "order_id"), keys):
                stream = stream_of(*_order_of(table, row))
                rows.setdefault(stream, {})[table, table.key_of(row)] = row
        return rows

    def _histories(
        self, streams: Sequence[str], position: Position | None
    ) -> dict[str, list[Recorded[OrderEvent]]]:
        stored: dict[str, list[EventRow]] = {}
        for row in self._events.of_streams(streams):
            if position is not None and row[0] <= position.index:
                stored.setdefault(row[1], []).append(row)
        return {stream: _readable(rows) for stream, rows in stored.items()}

    def _compare(
        self, stream: str, history: Sequence[Recorded[OrderEvent]], mine: Mapping[Place, Kept]
    ) -> list[Drift]:
        # Compared as they are kept: one that cannot be read differs, and so does one that would be
        # read as the same value.
        rows = _folded(self._projection, history)
        all_kept = [(table, _kept(table, row)) for (table, _), row in rows.items()]
        folded = {(table, table.key_of(kept)): kept for table, kept in all_kept}
        return [
            self._drift(place, stream, mine.get(place), folded.get(place), history)
            for place in folded.keys() | mine.keys()
            if mine.get(place) != folded.get(place)
        ]

    def _drift(
        self,
        place: Place,
        stream: str,
        live: Kept | None,
        folded: Kept | None,
        history: Sequence[Recorded[OrderEvent]],
    ) -> Drift:
        table, _ = place
        old, new = shown_beside(table, live, folded)
        whole = dict(zip(table.columns, new if live is None else old, strict=True))
        pairs = zip(table.columns, old, new, strict=True)
        store, order_id = split_stream(stream)
        return Drift(
            table=table.name,
            kind="gone" if live is None else "added" if folded is None else "changed",
            key={column: whole[column] for column in table.key},
            store=store,
            order_id=order_id,
            columns={c: (a, b) for c, a, b in pairs if a != b and c not in table.key},
            agrees_upto=self._agrees_upto(place, live, history),
        )

    def _agrees_upto(
        self, place: Place, live: Kept | None, history: Sequence[Recorded[OrderEvent]]
    ) -> str | None:
        rows: dict[Place, Row] = {}
        kept: dict[Place, Kept] = {}
        agreed = None
        for recorded in history:
            for table, row in self._projection.fold(rows, recorded):
                rows[table, table.key_of(row)] = row
                kept[table, table.key_of(_kept(table, row))] = _kept(table, row)
            if live is not None and kept.get(place) == live:
                agreed = str(recorded.position)
        return agreed


def _readable(rows: Sequence[EventRow]) -> list[Recorded[OrderEvent]]:
    history, poison = decoded(rows)
    if poison is not None:
        raise Poisoned(poison)
    return history


def _folded(projection: Projection, history: Sequence[Recorded[OrderEvent]]) -> dict[Place, Row]:
    rows: dict[Place, Row] = {}
    for recorded in history:
        try:
            changes = list(projection.fold(rows, recorded))
        except Exception:
            raise Poisoned(poison_at(recorded)) from None
        for table, row in changes:
            rows[table, table.key_of(row)] = row
    return rows


def _order_of(table: AnyTable, row: Kept) -> tuple[str, str]:
    columns = table.columns
    return row[columns.index("store")], row[columns.index("order_id")]


def _kept(table: AnyTable, row: Row) -> Kept:
    """A row as the database would keep it."""
    return tuple(*to_database(table, [row]))
