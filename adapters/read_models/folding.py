"""What a rebuild does again and again: the rows that a chunk of events makes, folded and written.

It is also a process of its own (`python -m adapters.folding`), which folds one slice for the one
that leads. It imports little: every process of a rebuild has all that it imports in memory.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from adapters import collector
from adapters.read_models.event_source import decoded
from adapters.storage.events import WHOLE
from adapters.storage.opening import Storage, open_storage
from adapters.storage.rebuilds import Part, Rebuilds, position_of
from projections.known import PROJECTIONS
from projections.model import Generation, Projection
from projections.runner import Changed, Folding, Followed, Poison, Rows

NICENESS = 10  # where processors are short, taking deliveries in comes first
PAGE = 500  # events that are decoded at once: what is made of them is folded while it is at hand


class Poisoned(Exception):
    """An event cannot be folded; the generation is parked there, and goes on when it can be."""

    def __init__(self, poison: Poison) -> None:
        super().__init__(f"{poison.event} at {poison.position} cannot be folded")
        self.poison = poison


class Job(NamedTuple):
    """What a process is to fold: a part of a generation, up to an index."""

    url: str
    projection: str
    generation: int
    part: int
    target: int


def be_nice() -> None:
    """Let the service go first, from now on, and collect garbage rarely."""
    os.nice(NICENESS)
    collector.relax()


def fold_part(
    storage: Storage, projection: Projection, generation: Generation, part: Part, target: int
) -> Iterator[int]:
    """Fold a slice up to an index, chunk by chunk; yields the index that each has come to."""
    rows = Rows(projection)
    steps = Rebuilds(storage.views)
    followed = Followed(projection, generation.number, None)
    idx = part.idx
    while idx < target:
        upto = min(target, idx + storage.views.chunk_events * part.slice.of)
        changed = fold_or_park(storage, followed, rows, idx, upto, part)
        steps.write_part(followed, Part(part.slice, idx), upto, changed)
        position = position_of(upto)
        assert position is not None
        rows.advance(position)
        idx = upto
        yield idx


def fold_or_park(
    storage: Storage, followed: Followed, rows: Rows, idx: int, upto: int, part: Part | None = None
) -> Changed:
    """`fold_next`, which notes what the generation stands still before. Raises `Poisoned`."""
    try:
        return fold_next(storage, followed, rows, idx, upto, part)
    except Poisoned as error:
        storage.views.park(followed, error.poison)
        raise


def fold_next(
    storage: Storage, followed: Followed, rows: Rows, idx: int, upto: int, part: Part | None = None
) -> Changed:
    """The rows that the events after an index and up to another make. Raises `Poisoned`."""
    stored = storage.events.between(idx, upto, part.slice if part else WHOLE)
    mark = (position_of(idx), followed.repairs)
    folding = Folding(followed.projection, rows)
    for first in range(0, len(stored), PAGE):
        batch, unreadable = decoded(stored[first : first + PAGE])
        rows.load(batch, mark, partial(storage.views.fetch, followed))
        poison = folding.take_in(batch) or unreadable
        if poison is not None:
            raise Poisoned(poison)
    return folding.changed()


def start(job: Job) -> "subprocess.Popen[bytes]":
    """Start a process that folds a part. What it is told goes through a pipe: a URL may hold a
    password, and others see a process's arguments."""
    # -P: modules of the working folder must not stand in for ours.
    command = [sys.executable, "-P", "-m", "adapters.read_models.folding"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)  # noqa: S603  (all ours)
    assert process.stdin is not None
    process.stdin.write(json.dumps(job).encode())
    process.stdin.close()
    return process


def main() -> None:
    """Fold the part that standard input names; end with the process that started this one."""
    parent = os.getppid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one that started it decides
    job = Job(*json.load(sys.stdin))
    storage = open_storage(job.url, ())
    collector.relax()
    try:
        (projection,) = (p for p in PROJECTIONS if p.name == job.projection)
        every = storage.views.generations(job.projection)
        (generation,) = (g for g in every if g.number == job.generation)
        part = Rebuilds(storage.views).parts(generation)[job.part]
        for _ in fold_part(storage, projection, generation, part, job.target):
            if os.getppid() != parent:
                return
    finally:
        storage.close()


if __name__ == "__main__":
    main()
