"""A rebuild: the next generation of a projection, folded beside the live one up to where it is.

The fold is the runner's, in larger batches, by one process or by several, each with its slice of
the orders. Nothing is kept in memory but a batch and the rows that were used last.
"""

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic, sleep

from eventsourcing.persistence import PersistenceError
from pydantic import BaseModel

from adapters.read_models.folding import (
    Job,
    Poisoned,
    fold_next,
    fold_or_park,
    fold_part,
    start,
)
from adapters.read_models.parity import Comparison, Difference, Parity
from adapters.storage.log import StorageUnavailable, unavailable
from adapters.storage.opening import Storage
from adapters.storage.rebuilds import LOOK_AGAIN, Part, Rebuilds, Refused, position_of
from domain.log import Position
from projections.model import Generation, Projection, State
from projections.runner import CheckpointMoved, Followed, Rows

POLL_SECONDS = 0.2
STEP_TRIES = 200
CATCH_UP_EVENTS = 2000
SAMPLE_EVENTS = 10_000

Process = subprocess.Popen[bytes]
Tell = Callable[[int, int], None]  # events that are folded, and that are to be folded


class WorkerLost(Exception):
    """A process that folded a slice has ended; what it wrote stays."""


class Plan(BaseModel):
    """What a rebuild will take: events, seconds by a timed sample, and bytes on disk."""

    events: int
    sampled: int
    seconds: float
    bytes: int | None


class Rebuild:
    """The rebuild of one projection."""

    def __init__(self, storage: Storage, projection: Projection) -> None:
        self.storage = storage
        self.projection = projection
        self.steps = Rebuilds(storage.views)
        self._views = storage.views

    @property
    def live(self) -> Generation:
        """The live generation. Raises `Refused` where there is none."""
        found = self._only(State.LIVE)
        if not found:
            raise Refused(
                f"no generation of {self.projection.name} is live: projections switch makes one "
                "live that is built or kept"
            )
        return found[0]

    @property
    def begun(self) -> Generation | None:
        """The generation that an earlier rebuild left unfinished and this fold can go on with."""
        found = self._only(State.BUILDING)
        return found[0] if found and found[0].is_made_by(self.projection) else None

    @property
    def built(self) -> Generation | None:
        """The generation that waits for the switch."""
        found = self._only(State.BUILT)
        return found[-1] if found else None

    @property
    def is_running(self) -> bool:
        """Whether a process is folding the next generation."""
        with unavailable(), self._views.transaction(commit=False) as c:
            return self._views.is_led(c, self._lease)

    @property
    def _lease(self) -> str:
        return f"{self.projection.name}-rebuild"

    def plan(self, workers: int) -> Plan:
        """Fold a sample in a transaction that is undone, and reckon from it."""
        events = _index(self.live.position)
        sampled = min(events, SAMPLE_EVENTS)
        if not sampled:
            return Plan(events=0, sampled=0, seconds=0, bytes=0)
        try:
            with unavailable(), self._views.transaction(commit=True) as c:
                number = self._views.create(c, self.projection, State.BUILDING)
                followed = Followed(self.projection, number, None)
                names = [followed.name_of(table) for table in self.projection.tables]
                before = self._views.size(c, names)
                began = monotonic()
                changed = fold_next(self.storage, followed, Rows(self.projection), 0, sampled)
                for table, changes in changed.items():
                    self._views.put(c, table, followed.name_of(table), changes)
                seconds = monotonic() - began
                after = self._views.size(c, names)
                raise _Undone
        except _Undone:
            pass
        share = events / sampled
        size = None if after is None or before is None else int(before + (after - before) * share)
        processors = min(workers, os.cpu_count() or 1)
        return Plan(
            events=events, sampled=sampled, seconds=seconds * share / processors, bytes=size
        )

    def build(self, workers: int, url: str, tell: Tell) -> Generation:
        """Fold every event up to where the live generation stands; an earlier rebuild's work is
        gone on with. Raises `Poisoned`, `WorkerLost`, `Refused`."""
        self.lead()
        slices = workers if self.projection.by_order else 1
        target = _index(self.live.position)
        generation = self.steps.begin(self.projection, slices, target)
        parts = self.steps.parts(generation)
        if workers == 1 or len(parts) == 1:
            done = {part.slice.number: part.idx for part in parts}
            for part in parts:
                for idx in self._fold(generation, part, target):
                    done[part.slice.number] = idx
                    tell(sum(done.values()) // len(parts), target)
        elif parts:
            self._build_together(generation, parts, min(workers, len(parts)), url, target, tell)
        if parts:
            self.steps.join(generation, self.projection, workers)
        return self.catch_up(generation)

    def lead(self) -> None:
        """Be the one rebuild of this projection, until the process ends. Raises `Refused`."""
        if not self._views.leads(self._lease):
            raise Refused(f"a rebuild of {self.projection.name} is running already")

    def catch_up(self, generation: Generation) -> Generation:
        """Fold what came meanwhile, up to where the live generation is by now.

        Raises `Poisoned`, `CheckpointMoved` where it never gets there, `Refused` where somebody
        dropped it or switched to it meanwhile.
        """
        rows = Rows(self.projection)
        for _ in range(STEP_TRIES):
            now = self._still(generation)
            live = self._only(State.LIVE)
            idx, target = _index(now.position), _index(live[0].position if live else None)
            if idx >= target:
                return now
            followed = Followed(self.projection, now.number, now.position, now.repairs)
            upto = min(target, idx + CATCH_UP_EVENTS)
            with self._if_it_is_there(generation):
                changed = fold_or_park(self.storage, followed, rows, idx, upto)
            position = position_of(upto)
            assert position is not None
            try:
                self._views.write(followed, position, changed)
                rows.advance(position)
            except CheckpointMoved:
                rows.forget()
        raise CheckpointMoved

    def compare(
        self,
        generation: Generation,
        samples: int,
        every: Callable[[Iterator[Difference]], None] | None = None,
    ) -> Parity:
        """Compare a generation with the live one, both at the same position: it catches up, and
        where the live one was faster, again. `every` gets all differences, one after the other.

        Raises `Refused` where the live one stands still and the other has gone on, and where
        somebody dropped the other or switched to it meanwhile.
        """
        live = self.live
        stands = not live.is_followed_by(self.projection)
        if stands and _index(generation.position) > _index(live.position):
            raise Refused(
                f"generation {live.number} stands at {live.position} and generation "
                f"{generation.number} has gone on: projections show has their report"
            )
        self._views.analyze([live.name_of(table) for table in live.columns])
        for _ in range(STEP_TRIES):
            now = self.catch_up(generation)
            try:
                with (
                    self._if_it_is_there(generation),
                    unavailable(),
                    self._views.transaction(commit=False) as c,
                ):
                    comparison = Comparison(self._views, c, self.projection, self.live, now)
                    report = comparison.report(self.storage.events, samples)
                    if every is not None:
                        every(comparison.differences(self.storage.events))
                    return report
            except CheckpointMoved:
                continue
        raise CheckpointMoved

    def switch(self, generation: Generation) -> None:
        """Make a generation live that has caught up, in one step for whoever reads.

        Raises `Refused` where it is another fold's, which cannot catch up here.
        """
        if not generation.is_followed_by(self.projection):
            raise Refused(
                f"generation {generation.number} is not of this release's fold, so it cannot catch "
                f"up: projections rebuild {self.projection.name} makes one that is"
            )
        wanted = State.KEPT if generation.state is State.KEPT else State.BUILT
        self._until_it_holds(
            generation,
            lambda: self.steps.switch(generation.projection, generation.number, wanted),
        )

    def roll_back(self) -> tuple[Generation, bool]:
        """Return to the generation that was live before, and say whether it has caught up: where
        this release does not have its fold, its rows are as they were when it was live.

        Raises `Refused` where none is kept that is earlier than the live one.
        """
        former = self.former
        if former is None:
            ahead = self.undone
            forward = f"; projections switch returns to generation {ahead.number}" if ahead else ""
            raise Refused(f"no earlier generation of {self.projection.name} is kept{forward}")
        if former.is_followed_by(self.projection):
            self.switch(former)
            return former, True
        self.steps.switch(self.projection.name, former.number, former.state, may_lag=True)
        return former, False

    @property
    def former(self) -> Generation | None:
        """The generation that a rollback returns to."""
        return self._kept(lambda number, live: number < live)

    @property
    def undone(self) -> Generation | None:
        """The generation that a rollback took back."""
        return self._kept(lambda number, live: number > live)

    def _kept(self, is_meant: Callable[[int, int], bool]) -> Generation | None:
        """Of the generations that are kept the one that was live last, by its number and that of
        the live one."""
        live = self.live.number
        kept = [g for g in self._only(State.KEPT) if is_meant(g.number, live)]
        return max(kept, key=lambda g: g.switched_at or g.created_at, default=None)

    def _until_it_holds(self, generation: Generation, step: Callable[[], None]) -> None:
        for _ in range(STEP_TRIES):
            self.catch_up(generation)
            try:
                step()
            except CheckpointMoved:  # the live one was faster
                continue
            return
        raise CheckpointMoved

    def _still(self, generation: Generation) -> Generation:
        """A generation as it is now. Raises `Refused` where it is gone, or live by now."""
        for now in self._views.generations(generation.projection):
            if now.number == generation.number and now.state is not State.LIVE:
                return now
        raise Refused(
            f"generation {generation.number} of {generation.projection} was dropped or made live "
            f"meanwhile: {LOOK_AGAIN}"
        )

    @contextmanager
    def _if_it_is_there(self, generation: Generation) -> Iterator[None]:
        """Tell tables that somebody dropped from a database that fails: the first is `Refused`."""
        try:
            yield
        except (PersistenceError, StorageUnavailable):
            self._still(generation)
            raise

    def _build_together(
        self,
        generation: Generation,
        parts: Sequence[Part],
        workers: int,
        url: str,
        target: int,
        tell: Tell,
    ) -> None:
        """Fold the slices side by side: one here, the others in processes of their own."""
        waiting = list(parts)
        running: list[Process] = []
        mine: Iterator[int] | None = None
        try:
            while waiting or running or mine:
                while waiting and len(running) < workers - 1:
                    number = waiting.pop().slice.number
                    job = Job(url, self.projection.name, generation.number, number, target)
                    running.append(start(job))
                if waiting and mine is None:
                    mine = self._fold(generation, waiting.pop(), target)
                if mine is None:
                    sleep(POLL_SECONDS)
                elif next(mine, None) is None:
                    mine = None
                done = sum(part.idx for part in self.steps.parts(generation))
                tell(done // len(parts), target)
                self._see_to_ended(generation, running)
                running = [worker for worker in running if worker.returncode is None]
        finally:
            for worker in running:
                worker.terminate()
                worker.wait()

    def _fold(self, generation: Generation, part: Part, target: int) -> Iterator[int]:
        return fold_part(self.storage, self.projection, generation, part, target)

    def _see_to_ended(self, generation: Generation, workers: Sequence[Process]) -> None:
        codes = [code for worker in workers if (code := worker.poll())]
        if codes:
            poison = self._views.poisons().get((generation.projection, generation.number))
            if poison is not None:
                raise Poisoned(poison)
            raise WorkerLost(f"a process that folds a slice ended with {codes[0]}")

    def _only(self, state: State) -> list[Generation]:
        every = self._views.generations(self.projection.name)
        return [generation for generation in every if generation.state is state]


class _Undone(Exception):
    """Ends a transaction that is not to be kept."""


def _index(position: Position | None) -> int:
    return position.index if position else 0
