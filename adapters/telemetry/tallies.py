"""What the web processes of one service count, added up: whichever of them is asked tells of all.

With several processes each writes its figures to a file of its own, once a second and off its
event loop, in a folder that the process made which started them.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp
from time import time

import msgspec

from adapters.telemetry.tally import Tally

FOLDER_VARIABLE = "_ORDER_LEDGER_TALLIES"  # from the process that starts others; no setting
TELL_SECONDS = 1.0
GONE_SECONDS = 10.0  # whose figures are older has ended: what it counted stays, nothing waits there
SUFFIX = ".tally"


class Figures(msgspec.Struct):
    """What a process counted since it started, or several together, and how many deliveries wait.

    Counts of histograms are by bucket, the last one for what is beyond every bound.
    """

    deliveries: dict[tuple[str, str], int]  # by provider and outcome
    refusals: dict[tuple[str, int], int]  # by provider and status
    ack_counts: list[int]
    ack_sum: float
    batch_counts: list[int]
    batch_sum: float
    waiting: int

    def add(self, other: "Figures") -> None:
        """Add what another process counted."""
        self.deliveries = dict(Counter(self.deliveries) + Counter(other.deliveries))
        self.refusals = dict(Counter(self.refusals) + Counter(other.refusals))
        self.ack_counts = _sums(self.ack_counts, other.ack_counts)
        self.ack_sum += other.ack_sum
        self.batch_counts = _sums(self.batch_counts, other.batch_counts)
        self.batch_sum += other.batch_sum
        self.waiting += other.waiting


class Tallies:
    """This process's tally, and those of the processes beside it where there is a folder."""

    def __init__(
        self, tally: Tally, waiting: Callable[[], int], folder: Path | None = None
    ) -> None:
        self._tally = tally
        self._waiting = waiting
        self._folder = folder
        self._own: Path | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Tell the others from now on. Call it on the event loop."""
        if self._folder is None:
            return
        descriptor, path = mkstemp(SUFFIX, dir=self._folder)
        os.close(descriptor)
        self._own = Path(path)
        self._task = asyncio.get_running_loop().create_task(self._tell_often())

    async def close(self) -> None:
        """Tell them a last time, and stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            await asyncio.to_thread(self._tell)

    def total(self) -> Figures:
        """The figures of all: this process's as they are, the others' as of a second ago."""
        figures = self._figures()
        for other in self._others():
            figures.add(other)
        return figures

    def _figures(self) -> Figures:
        tally = self._tally
        return Figures(
            dict(tally.deliveries),
            dict(tally.refusals),
            list(tally.ack_seconds.counts),
            tally.ack_seconds.sum,
            list(tally.batches.counts),
            tally.batches.sum,
            self._waiting(),
        )

    def _others(self) -> Iterator[Figures]:
        if self._folder is None:
            return
        for path in self._folder.glob(f"*{SUFFIX}"):
            if path == self._own:
                continue
            with suppress(OSError, msgspec.DecodeError):  # it has just started, and told nothing
                figures = msgspec.msgpack.decode(path.read_bytes(), type=Figures)
                if time() - path.stat().st_mtime > GONE_SECONDS:
                    figures.waiting = 0
                yield figures

    async def _tell_often(self) -> None:
        while True:
            await asyncio.to_thread(self._tell)
            await asyncio.sleep(TELL_SECONDS)

    def _tell(self) -> None:
        assert self._own is not None
        draft = self._own.with_suffix(".draft")
        with suppress(OSError):  # a full disk is no reason to stop taking deliveries
            draft.write_bytes(msgspec.msgpack.encode(self._figures()))
            draft.replace(self._own)  # whole, or not at all


def _sums(some: list[int], others: list[int]) -> list[int]:
    return [a + b for a, b in zip(some, others, strict=True)]
