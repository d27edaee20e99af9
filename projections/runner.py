"""The one runner of all read models: batches, positions, and what happens when a fold fails."""

import logging
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from threading import Event
from time import monotonic
from typing import NamedTuple, Protocol

from domain.log import Position, Recorded
from domain.order import OrderEvent
from projections.model import AnyTable, Key, Place, Projection, Row

BATCH_SIZE_MAX = 2000
POLL_SECONDS = 1.0  # in case another process appended: its wake-up does not reach us
BUSY_EVENTS = 20  # in one go: more will come
# How long more may come then, the longer the more come: in a larger batch each costs much less.
GATHER_SECONDS, GATHER_SECONDS_MAX = 0.05, 0.2
GATHER_SECONDS_EACH = 0.0002
CACHED_ROWS_MAX = 20_000  # of one projection; about 1 KB each
RETRY_SECONDS_MAX = 30.0

Mark = tuple[Position | None, int]  # where a generation stands, and how often it was repaired
Name = tuple[str, int]  # of a generation: its projection and number

log = logging.getLogger("order_ledger.projections")


class Source(Protocol):
    """The log, as a runner reads it."""

    def recorded(
        self, after: Position | None, limit: int
    ) -> tuple[Sequence[Recorded[OrderEvent]], "Poison | None"]:
        """The next events after a position, up to the first that cannot be decoded."""


class CheckpointMoved(Exception):
    """Another runner advanced this projection; read its position again."""


class Followed(NamedTuple):
    """A generation of a projection that this process's fold keeps, and how far it has come."""

    projection: Projection
    number: int
    position: Position | None
    repairs: int = 0

    def name_of(self, table: AnyTable) -> str:
        """What one of its tables is called in the database."""
        return f"{table.name}__g{self.number}"


class Sink(Protocol):
    """Where the rows of read models are kept, with the position up to which they are folded."""

    def leads(self, projection: str) -> bool:
        """Whether this process is the one that follows a projection, or becomes it now."""

    def adopt(self, projection: Projection) -> None:
        """Take over the live generation for a changed fold of the same version and tables."""

    def followed(self, projections: Sequence[Projection]) -> list[Followed]:
        """The generations that the folds of these projections keep up to date."""

    def fetch(self, followed: Followed, table: AnyTable, keys: Sequence[Key]) -> Iterable[Row]:
        """The rows of a generation that exist under these keys."""

    def write(self, followed: Followed, upto: Position, rows: "Changed") -> None:
        """Write rows and the new position in one transaction, or raise `CheckpointMoved`. A
        generation that was parked is so no more."""

    def park(self, followed: Followed, poison: "Poison") -> None:
        """Say at which event a generation stands still, and why."""


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


class Rows:
    """The rows that a projection made or asked for last, as they stand at a position.

    A fold reads most of what it needs from here. Where the generation stands elsewhere than we left
    it, another process was there, and everything is forgotten.
    """

    def __init__(self, projection: Projection) -> None:
        self._projection = projection
        self._asks = not all(table.only_grows for table in projection.tables)
        self.known: dict[Place, Row] = {}
        self._mark: Mark = (None, 0)

    def load(
        self,
        batch: Sequence[Recorded[OrderEvent]],
        since: Mark,
        fetch: Callable[[AnyTable, Sequence[Key]], Iterable[Row]],
    ) -> None:
        """See that the rows are known that the fold of a batch asks for."""
        if since != self._mark:
            self.known.clear()
            self._mark = since
        for table, keys in self._missing(batch).items():
            for row in fetch(table, list(keys)):
                self.known[table, table.key_of(row)] = row

    def _missing(
        self, batch: Sequence[Recorded[OrderEvent]]
    ) -> Mapping[AnyTable, Mapping[Key, None]]:
        """The keys that the fold of a batch asks for and that are not known, each once."""
        missing: dict[AnyTable, dict[Key, None]] = {}
        if not self._asks:
            return missing
        reads, known = self._projection.reads, self.known
        new: set[str] = set()
        for recorded in batch:
            stream = recorded.event.originator_id
            if self._projection.by_order:
                # Where rows come from one order, none can be older than its first event.
                if recorded.event.originator_version == 1:
                    new.add(stream)
                if stream in new:
                    continue
            for place in reads(recorded):
                if place not in known:
                    missing.setdefault(place[0], {})[place[1]] = None
        return missing

    def forget(self) -> None:
        """What was noted is not written after all."""
        self.known.clear()

    def advance(self, upto: Position) -> None:
        """What was noted is written, up to this position."""
        self._mark = (upto, self._mark[1])
        for place in list(islice(self.known, max(0, len(self.known) - CACHED_ROWS_MAX))):
            del self.known[place]


class Changes(NamedTuple):
    """The rows of one table that a batch makes: those that are new, and those that may replace
    others."""

    new: list[Row]
    over: list[Row]


Changed = Mapping[AnyTable, Changes]


def poison_at(recorded: Recorded[OrderEvent]) -> Poison:
    """What is told of an event whose fold has just raised an error."""
    name = f"{type(recorded.event).__name__} of {recorded.event.originator_id}"
    return Poison(recorded.position, name, traceback.format_exc())


class Folding:
    """Folds events, some at a time; the rows that they make come together in `changed`."""

    def __init__(self, projection: Projection, cache: Rows) -> None:
        self.upto: Position | None = None  # the last event that is folded
        self._fold = projection.fold
        self._known = cache.known
        self._grown: dict[AnyTable, list[Row]] = {table: [] for table in projection.tables}
        self._new: dict[AnyTable, dict[Key, Row]] = {table: {} for table in projection.tables}
        self._over: dict[AnyTable, dict[Key, Row]] = {table: {} for table in projection.tables}

    def take_in(self, batch: Sequence[Recorded[OrderEvent]]) -> Poison | None:
        """Fold the next events, up to one that cannot be."""
        fold, known, new = self._fold, self._known, self._new
        for recorded in batch:
            try:
                changes = list(fold(known, recorded))
            except Exception:
                return poison_at(recorded)
            for table, row in changes:
                if table.only_grows:
                    self._grown[table].append(row)
                    continue
                key = table.key_of(row)
                place = (table, key)
                if place not in known or key in new[table]:
                    new[table][key] = row
                else:
                    self._over[table][key] = row
                known[place] = row
            self.upto = recorded.position
        return None

    def changed(self) -> Changed:
        """The rows of all that was folded."""
        return {
            table: Changes([*grown, *self._new[table].values()], list(self._over[table].values()))
            for table, grown in self._grown.items()
            if grown or self._new[table] or self._over[table]
        }


class Runner:
    """Keeps read models up to date, on one thread.

    Rows and position are written in one transaction, so a crash repeats nothing and loses nothing.
    A poison event parks its generation alone, visibly, and is tried again with growing pauses.
    """

    def __init__(self, source: Source, sink: Sink, projections: Sequence[Projection]) -> None:
        self.wake = Event()
        self._source = source
        self._sink = sink
        self._projections = projections
        self._led: set[str] = set()
        self._parked: dict[Name, _Parked] = {}
        self._rows: dict[Name, Rows] = {}

    def run(self, stop: Event, idle: Callable[[], None] | None = None) -> None:
        """Follow the log until told to stop, with those projections that no other process follows;
        an unreachable database only makes it wait. `idle` is called now and then."""
        while not stop.is_set():
            self.wake.clear()
            try:
                events = self._follow(self._lead(), stop)
                if idle is not None:
                    idle()
            except Exception as error:
                log.error("projections wait, the database cannot be used: %s", error)
                events = BUSY_EVENTS
            if events >= BUSY_EVENTS:
                gathering = max(GATHER_SECONDS, events * GATHER_SECONDS_EACH)
                stop.wait(min(gathering, GATHER_SECONDS_MAX))
            self.wake.wait(POLL_SECONDS)

    def catch_up(self) -> int:
        """Take in every event that is there now; returns how many were read."""
        return self._follow(self._projections, None)

    @property
    def led(self) -> Sequence[str]:
        """The projections that this runner follows."""
        return sorted(self._led)

    def _lead(self) -> Sequence[Projection]:
        """The projections that are this process's to follow."""
        led = [p for p in self._projections if self._sink.leads(p.name)]
        for projection in led:
            if projection.name not in self._led:
                self._sink.adopt(projection)
        self._led = {projection.name for projection in led}
        return led

    def _follow(self, projections: Sequence[Projection], stop: Event | None) -> int:
        events = 0
        while (taken := self._step(projections)) is not None:
            events += taken
            if stop is not None and (stop.is_set() or taken < BATCH_SIZE_MAX):
                break  # what came meanwhile has set the wake-up, and is taken in together
        return events

    def _step(self, projections: Sequence[Projection]) -> int | None:
        """Take in one batch and return its size; None where there was nothing to do."""
        now = monotonic()
        followed = self._sink.followed(projections)
        by_position: dict[Position | None, list[Followed]] = {}
        for each in followed:
            if not self._is_parked(_name(each), now):
                by_position.setdefault(each.position, []).append(each)
        self._rows = {n: rows for n, rows in self._rows.items() if n in map(_name, followed)}
        events, progress = 0, False
        for position, together in by_position.items():
            batch, poison = self._source.recorded(position, BATCH_SIZE_MAX)
            events = max(events, len(batch))
            for each in together:
                try:
                    progress |= self._take_in(each, batch, poison)
                except CheckpointMoved:
                    progress = True
        return events if progress else None

    def _take_in(
        self, followed: Followed, batch: Sequence[Recorded[OrderEvent]], poison: Poison | None
    ) -> bool:
        name = _name(followed)
        rows = self._rows.setdefault(name, Rows(followed.projection))
        mark = (followed.position, followed.repairs)
        rows.load(batch, mark, partial(self._sink.fetch, followed))
        folding = Folding(followed.projection, rows)
        failed = folding.take_in(batch)
        upto = folding.upto
        if upto is not None:
            try:
                self._sink.write(followed, upto, folding.changed())
            except BaseException:
                rows.forget()
                raise
            rows.advance(upto)
            self._parked.pop(name, None)
        if failed or poison:
            self._park(followed._replace(position=upto), failed or poison)
        return upto is not None

    def _is_parked(self, name: Name, now: float) -> bool:
        parked = self._parked.get(name)
        return parked is not None and now < parked.retry_at

    def _park(self, followed: Followed, poison: Poison | None) -> None:
        assert poison is not None
        name = _name(followed)
        before = self._parked.get(name)
        pause = min(before.pause_seconds * 2, RETRY_SECONDS_MAX) if before else POLL_SECONDS
        self._parked[name] = _Parked(poison, monotonic() + pause, pause)
        self._sink.park(followed, poison)
        if before is None or before.poison.position != poison.position:
            # What failed is kept with the read models: it may name the order, so it is not logged.
            log.error("projection %s is parked at %s", name[0], poison.position)


def _name(followed: Followed) -> Name:
    return followed.projection.name, followed.number
