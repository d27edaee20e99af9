"""Group commit: deliveries that arrive while one batch commits make up the next one.

The batch forms on the event loop, without a timer. Each batch costs one hop to the writer's
thread and one transaction, however many deliveries share it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event

from adapters.ledger.batch import Command, Delivery, Receipt
from adapters.storage.log import StorageUnavailable
from adapters.telemetry.logs import discreetly
from adapters.telemetry.tally import Tally

log = logging.getLogger("order_ledger.writer")

CLOSE_SECONDS = 20.0
TURN_SECONDS = 0.03  # how long the event loop lets the writer go ahead
COMMAND_BYTES = 1024  # about what a command takes that no body came with
Commit = Callable[[Sequence[Command]], Sequence[Receipt | Exception]]


def _size(command: Command) -> int:
    return len(command.body) if isinstance(command, Delivery) else COMMAND_BYTES


class Overloaded(Exception):
    """The queue is full, or the service is stopping: the delivery was not taken."""


@dataclass(frozen=True)
class Limits:
    """Bounds of the queue and of one batch. Bytes count the raw bodies."""

    queue_count_max: int = 4096
    queue_bytes_max: int = 64 * 1024 * 1024
    batch_count_max: int = 256
    batch_bytes_max: int = 8 * 1024 * 1024


@dataclass(slots=True)
class _Waiting:
    command: Command
    future: asyncio.Future[Receipt]


class GroupCommit:
    """The queue in front of the ledger's writer. Lives on one event loop."""

    def __init__(
        self, commit: Commit, limits: Limits | None = None, tally: Tally | None = None
    ) -> None:
        self._commit = commit
        self._limits = limits or Limits()
        self._batches = (tally or Tally()).batches
        self._queue: deque[_Waiting] = deque()
        self._queue_bytes = 0
        self._writer_waits = Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger-writer")
        self._committing = False
        self._closing = False
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def depth(self) -> int:
        """The commands that wait for the writer."""
        return len(self._queue)

    def writer_waits(self) -> None:
        """Say that the writer has only to wait for the database by now, so that the event loop goes
        on. For any thread."""
        self._writer_waits.set()

    async def submit(self, command: Command) -> Receipt:
        """Wait until the command is on disk. Raises `Overloaded` at once where the queue is full,
        `StorageUnavailable` where the batch could not be stored, and `Refused` where the order does
        not allow a placement or a resolution."""
        size = _size(command)
        full = (
            len(self._queue) >= self._limits.queue_count_max
            or self._queue_bytes + size > self._limits.queue_bytes_max
        )
        if full or self._closing:
            raise Overloaded
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Receipt] = loop.create_future()
        self._queue.append(_Waiting(command, future))
        self._queue_bytes += size
        if not self._committing:
            self._committing = True
            self._idle.clear()
            loop.call_soon(self._start)  # whatever else arrives in this turn of the loop joins
        return await future

    async def close(self) -> None:
        """Take no more, commit what was taken, and stop the writer's thread.

        A database that hangs is waited for no longer than `CLOSE_SECONDS`: nothing of what still
        waits was acknowledged.
        """
        self._closing = True
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._idle.wait()
        except TimeoutError:
            log.error("stopping with %d deliveries that were not acknowledged", len(self._queue))
        self._thread.shutdown(wait=self._idle.is_set(), cancel_futures=True)

    def _start(self) -> None:
        batch = self._next_batch()
        self._writer_waits.clear()
        try:
            job = self._thread.submit(self._write, batch)
        except RuntimeError as error:  # no thread could be had
            self._resolve(batch, [error] * len(batch))
            return
        # One interpreter's lock for two busy threads: to take turns costs both of them a fifth.
        self._writer_waits.wait(TURN_SECONDS)
        running = asyncio.wrap_future(job)
        running.add_done_callback(lambda done: self._finish(batch, done))

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        batch_bytes = 0
        while self._queue and len(batch) < self._limits.batch_count_max:
            size = _size(self._queue[0].command)
            if batch and batch_bytes + size > self._limits.batch_bytes_max:
                break
            batch.append(self._queue.popleft())
            batch_bytes += size
        self._queue_bytes -= batch_bytes
        self._batches.note(len(batch))
        return batch

    def _write(self, batch: list[_Waiting]) -> list[Receipt | Exception]:
        """On the writer's thread: commit a batch, and let the event loop go on at its end."""
        try:
            return self._write_together(batch)
        finally:
            self._writer_waits.set()

    def _write_together(self, batch: list[_Waiting]) -> list[Receipt | Exception]:
        """Commit together, and one by one where that fails by itself."""
        commands = [waiting.command for waiting in batch]
        try:
            return list(self._commit(commands))
        except StorageUnavailable as error:
            return [error] * len(batch)
        except Exception as error:
            what = discreetly(error)
            log.error("a batch of %d could not be written together: %s", len(batch), what)
        return [self._write_alone(command) for command in commands]

    def _write_alone(self, command: Command) -> Receipt | Exception:
        try:
            return self._commit([command])[0]
        except Exception as error:
            return error

    def _finish(
        self, batch: list[_Waiting], done: asyncio.Future[list[Receipt | Exception]]
    ) -> None:
        error = RuntimeError("stopped") if done.cancelled() else done.exception()
        if error is not None:
            failure = RuntimeError(f"the writer failed: {discreetly(error)}")
            self._resolve(batch, [failure] * len(batch))
        else:
            results = done.result()
            if isinstance(results[0], StorageUnavailable):
                # What waits behind would wait as long for the same: its senders try again sooner.
                behind = list(self._queue)
                self._queue.clear()
                self._queue_bytes = 0
                batch = [*batch, *behind]
                results = [*results, *[results[0]] * len(behind)]
            self._resolve(batch, results)

    def _resolve(self, batch: list[_Waiting], results: Sequence[Receipt | Exception]) -> None:
        for waiting, result in zip(batch, results, strict=True):
            if waiting.future.done():  # its client has gone; the delivery is stored all the same
                continue
            if isinstance(result, Exception):
                waiting.future.set_exception(result)
            else:
                waiting.future.set_result(result)
        if self._queue:
            self._start()
        else:
            self._committing = False
            self._idle.set()
