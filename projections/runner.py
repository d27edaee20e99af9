"""The one runner of all read models: batches, positions, and what happens when a fold fails."""

import logging
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from threading import Event
from time import monotonic
from typing import Protocol

from domain.log import Position, Recorded
from domain.order import OrderEvent
from projections.model import AnyTable, Key, Place, Projection, Row

BATCH_SIZE_MAX = 1000
POLL_SECONDS = 1.0  # in case another process appended: its wake-up does not reach us
BUSY_EVENTS = 20  # in one go: more will come
GATHER_SECONDS = 0.05
CACHED_ROWS_MAX = 20_000  # of one projection; about 1 KB each
RETRY_SECONDS_MAX = 30.0

log = logging.getLogger("order_ledger.projections")


class Source(Protocol):
    """The log, as a runner reads it."""

    def recorded(
        self, after: Position | None, limit: int
    ) -> tuple[Sequence[Recorded[OrderEvent]], "Poison | None"]:
        """The next events after a position, up to the first that cannot be decoded."""


class CheckpointMoved(Exception):
    """Another runner advanced this projection; read its position again."""


class Sink(Protocol):
    """Where the rows of read models are kept, with the position up to which they are folded."""

    def checkpoint(self, projection: str) -> Position | None:
        """The position of the last event that the projection has taken in."""

    def rows(self, table: AnyTable, keys: Sequence[Key]) -> Iterable[Row]:
        """The rows that exist under these keys."""

    def write(
        self,
        projection: str,
        since: Position | None,
        upto: Position,
        rows: Mapping[AnyTable, Sequence[Row]],
    ) -> None:
        """Write rows and the new position in one transaction, or raise `CheckpointMoved`. A
        projection that was parked is so no more."""

    def park(self, projection: str, poison: "Poison") -> None:
        """Say at which event a projection stands still, and why."""


@dataclass(frozen=True)
class Poison:
    """An event that a projection cannot take in, and why."""

    position: Position
    event: str
    error: str


@dataclass
class _Parked:
    poison: Poison
    retry_at: float
    pause_seconds: float


class Cache:
    """The rows that a projection used last, as they stand at a position.

    A fold reads most of what it needs from here. Where the checkpoint is another than ours, another
    process was there, and everything is forgotten.
    """

    def __init__(self, projection: Projection) -> None:
        self._projection = projection
        self._rows: dict[Place, Row] = {}
        self._tables: set[AnyTable] = set()  # whose rows the fold asks for
        self._position: Position | None = None

    def load(
        self,
        batch: Sequence[Recorded[OrderEvent]],
        since: Position | None,
        fetch: Callable[[AnyTable, Sequence[Key]], Iterable[Row]],
    ) -> dict[Place, Row]:
        """The rows that the fold of a batch asks for, of which only the unknown are fetched. They
        are changed by `note` only."""
        if since != self._position:
            self._rows.clear()
            self._position = since
        missing: dict[AnyTable, dict[Key, None]] = {}
        for recorded in batch:
            # Where rows come from one order, none can be older than its first event.
            is_first = self._projection.by_order and recorded.event.originator_version == 1
            for place in self._projection.reads(recorded):
                self._tables.add(place[0])
                if place not in self._rows and not is_first:
                    missing.setdefault(place[0], {})[place[1]] = None
        for table, keys in missing.items():
            for row in fetch(table, list(keys)):
                self._rows[table, table.key_of(row)] = row
        return self._rows

    def note(self, place: Place, row: Row) -> None:
        """A row that the fold has made."""
        if place[0] in self._tables:
            self._rows.pop(place, None)  # so that the rows stand in the order of their last use
            self._rows[place] = row

    def forget(self) -> None:
        """What was noted is not written after all."""
        self._rows.clear()

    def advance(self, upto: Position) -> None:
        """What was noted is written, up to this position."""
        self._position = upto
        for place in list(islice(self._rows, max(0, len(self._rows) - CACHED_ROWS_MAX))):
            del self._rows[place]


class Runner:
    """Keeps read models up to date, on one thread.

    Rows and position are written in one transaction, so a crash repeats nothing and loses nothing.
    A poison event parks its projection alone, visibly, and is tried again with growing pauses.
    """

    def __init__(self, source: Source, sink: Sink, projections: Sequence[Projection]) -> None:
        self.wake = Event()
        self._source = source
        self._sink = sink
        self._projections = projections
        self._parked: dict[str, _Parked] = {}
        self._caches = {projection.name: Cache(projection) for projection in projections}

    def run(self, stop: Event) -> None:
        """Follow the log until told to stop; an unreachable database only makes it wait."""
        while not stop.is_set():
            self.wake.clear()
            try:
                busy = self.catch_up(stop) >= BUSY_EVENTS
            except Exception as error:
                log.error("projections wait, the database cannot be used: %s", error)
                busy = True
            if busy:  # a larger batch next time costs much less an event
                stop.wait(GATHER_SECONDS)
            self.wake.wait(POLL_SECONDS)

    def catch_up(self, stop: Event | None = None) -> int:
        """Take in every event that is there now; returns how many were read."""
        events = 0
        while (taken := self._step()) is not None and not (stop and stop.is_set()):
            events += taken
        return events

    def _step(self) -> int | None:
        """Take in one batch and return its size; None where there was nothing to do."""
        now = monotonic()
        active = [p for p in self._projections if not self._is_parked(p, now)]
        if not active:
            return None
        since = {p.name: self._sink.checkpoint(p.name) for p in active}
        behind = min(since.values(), key=lambda position: (position is not None, position))
        batch, poison = self._source.recorded(behind, BATCH_SIZE_MAX)
        progress = False
        for projection in active:
            start = since[projection.name]
            todo = [r for r in batch if start is None or r.position > start]
            try:
                progress |= self._take_in(projection, start, todo, poison)
            except CheckpointMoved:
                progress = True
        return len(batch) if progress else None

    def _take_in(
        self,
        projection: Projection,
        since: Position | None,
        batch: Sequence[Recorded[OrderEvent]],
        poison: Poison | None,
    ) -> bool:
        cache = self._caches[projection.name]
        rows = cache.load(batch, since, self._sink.rows)
        changed: dict[Place, Row] = {}
        upto = since
        for recorded in batch:
            try:
                changes = list(projection.fold(rows, recorded))
            except Exception:
                name = f"{type(recorded.event).__name__} of {recorded.event.originator_id}"
                poison = Poison(recorded.position, name, traceback.format_exc())
                break
            for table, row in changes:
                place = (table, table.key_of(row))
                changed[place] = row
                cache.note(place, row)
            upto = recorded.position
        if upto is not None and upto != since:
            try:
                self._write(projection, since, upto, changed)
            except BaseException:
                cache.forget()
                raise
            cache.advance(upto)
            self._parked.pop(projection.name, None)
        if poison is not None and (upto is None or poison.position > upto):
            self._park(projection, poison)
        return upto != since

    def _write(
        self,
        projection: Projection,
        since: Position | None,
        upto: Position,
        changed: Mapping[Place, Row],
    ) -> None:
        by_table: dict[AnyTable, list[Row]] = {}
        for (table, _), row in changed.items():
            by_table.setdefault(table, []).append(row)
        self._sink.write(projection.name, since, upto, by_table)

    def _is_parked(self, projection: Projection, now: float) -> bool:
        parked = self._parked.get(projection.name)
        return parked is not None and now < parked.retry_at

    def _park(self, projection: Projection, poison: Poison) -> None:
        before = self._parked.get(projection.name)
        pause = min(before.pause_seconds * 2, RETRY_SECONDS_MAX) if before else POLL_SECONDS
        self._parked[projection.name] = _Parked(poison, monotonic() + pause, pause)
        self._sink.park(projection.name, poison)
        if before is None or before.poison.position != poison.position:
            # What failed is kept with the read models: it may name the order, so it is not logged.
            log.error("projection %s is parked at %s", projection.name, poison.position)
