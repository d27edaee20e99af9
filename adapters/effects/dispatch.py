"""Who carries effects out: one worker for each target, in the one process that leads."""

import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from threading import Event, Thread
from time import monotonic

from adapters.effects.base import Answer, Effect, Sender, Verdict
from adapters.effects.configuration import EffectSettings
from adapters.effects.outbox import Outbox, position_of
from adapters.effects.state import State
from adapters.queries.queries import order_after
from adapters.storage.effects import Attempt, EffectRow, EffectStore, TargetRow
from adapters.telemetry.logs import discreetly
from domain.log import Recorded, stream_of
from domain.order import Consequence, News, OrderEvent

POLL_SECONDS = 1.0  # in case another process appended: its wake-up may not reach us
STOP_SECONDS = 5.0  # for the attempts that are under way

log = logging.getLogger("order_ledger.effects")


@dataclass(frozen=True, slots=True)
class Pace:
    """How soon what failed is tried again, and when a target is left alone. Times in seconds."""

    first: float = 1.0
    longest: float = 6 * 3600.0
    breaker_failures: int = 5
    breaker_first: float = 5.0
    breaker_longest: float = 300.0

    def retry(self, attempts: int) -> float:
        """The pause after so many attempts: doubled each time, of which a random half to all."""
        return _jittered(self.first, attempts - 1, self.longest)

    def breaker(self, failures: int) -> float:
        """The pause of a target that failed so often in a row."""
        return _jittered(self.breaker_first, failures - self.breaker_failures, self.breaker_longest)


def _jittered(first: float, doublings: int, longest: float) -> float:
    pause = min(first * 2.0 ** min(doublings, 32), longest)
    return pause * random.uniform(0.5, 1.0)  # noqa: S311  (no secret)


class Worker:
    """Follows the log for one target and sends what is due, one effect at a time."""

    def __init__(
        self,
        target: str,
        settings: EffectSettings,
        make: Callable[[], Sender],
        outbox: Outbox,
        store: EffectStore,
        pace: Pace,
    ) -> None:
        self.target = target
        self.wake = Event()
        self._settings = settings
        self._make = make
        self._outbox = outbox
        self._store = store
        self._pace = pace
        self._sender: Sender | None = None

    def run(self, stop: Event) -> None:
        """Work until told to stop; an unreachable database only makes it wait."""
        while not stop.is_set():
            self.wake.clear()
            try:
                pause = self.step()
            except Exception as error:
                log.error("effects of %s wait: %s", self.target, discreetly(error))
                pause = POLL_SECONDS
            if pause > 0:
                self.wake.wait(min(pause, POLL_SECONDS))
        if self._sender is not None:
            self._sender.close()

    def step(self) -> float:
        """Take in what is new, and send one effect; returns the seconds until there may be more."""
        if not self._store.tables.leads():
            return POLL_SECONDS
        followed = self._outbox.follow(self.target)
        at = self._store.target(self.target)
        assert at is not None, "it was registered"
        now = self._store.clock()
        if at.paused is None and (at.open_until is None or at.open_until <= now):
            effect = self._store.due(self.target)
            if effect is not None:
                self._attempt(effect, at)
                return 0.0
        return 0.0 if followed else self._until_next(at)

    def _until_next(self, at: TargetRow) -> float:
        effect = self._store.next(self.target) if at.paused is None else None
        times = [t for t in (effect.next_at if effect else None, at.open_until) if t is not None]
        if effect is None or not times:
            return POLL_SECONDS
        # Never nothing: where the clock and the database's rounding disagree, this would spin.
        return max(0.001, (max(times) - self._store.clock()).total_seconds())

    def _attempt(self, row: EffectRow, at: TargetRow) -> None:
        answer = self._send(row)
        attempt = self._judge(row, at, answer)
        is_kept = self._store.settle(row, attempt)
        level = logging.INFO if attempt.state is State.SENT else logging.WARNING
        said = {"effect": row.id, "target": row.target, "attempt": row.attempts + 1}
        told = attempt.state.value if is_kept else "changed by an operator meanwhile"
        log.log(level, told, extra={**said, "event": row.event, "answer": answer.said})
        if attempt.paused is not None:
            log.error("%s is paused: %s", self.target, attempt.paused)

    def _send(self, row: EffectRow) -> Answer:
        try:
            effect = self._effect(row)
            if self._sender is None:
                self._sender = self._make()
            return self._sender.send(effect)
        except Exception as error:  # a defect, ours or a package's: this effect waits, others go on
            log.error("the sender of %s failed: %s", self.target, discreetly(error))
            return Answer(Verdict.RETRY, f"the sender failed: {type(error).__name__}")

    def _effect(self, row: EffectRow) -> Effect:
        stream = stream_of(row.store, row.order_id)
        history = self._outbox.histories({stream: row.version})[stream]
        order = order_after(history)
        assert order is not None, "the event is one of the order"
        return Effect(
            id=row.id,
            event=row.event,
            position=position_of(row.idx),
            version=row.version,
            recorded_at=history[-1].recorded_at,
            order=order,
            provider_order_id=_named_by_provider(history),
        )

    def _judge(self, row: EffectRow, at: TargetRow, answer: Answer) -> Attempt:
        """What an answer makes of the effect and of the target."""
        now, attempts = self._store.clock(), row.attempts + 1
        if answer.verdict is Verdict.SENT:
            return Attempt(State.SENT, now, answer.said, None, None, 0, None, None, at.failures)
        # An effect that failed before tells nothing new of the target, unless that is being tried.
        is_news = row.attempts == 0 or at.failures >= self._pace.breaker_failures
        failures = at.failures + (1 if is_news else 0)
        open_until = None
        if failures >= self._pace.breaker_failures:
            open_until = now + timedelta(seconds=self._pace.breaker(failures))
        pause = self._pace.retry(attempts)
        if answer.wait_seconds is not None:
            pause = max(pause, answer.wait_seconds)
            asked = now + timedelta(seconds=answer.wait_seconds)
            open_until = max(asked, open_until or asked)
        is_stop = answer.verdict is Verdict.STOP
        is_dead = attempts >= self._settings.tries and not is_stop
        return Attempt(
            State.DEAD if is_dead else State.FAILED,
            now,
            answer.said,
            answer.excerpt,
            None if is_dead else now + timedelta(seconds=pause),
            failures,
            open_until,
            f"it answered {answer.said}" if is_stop else None,
            at.failures,
        )


def _named_by_provider(history: Sequence[Recorded[OrderEvent]]) -> str | None:
    """How the provider calls the order whose last event this is, if what caused that told it."""
    event = history[-1].event
    assert isinstance(event, Consequence), "nothing else has an effect"
    cause = history[event.caused_by - 1].event
    return cause.provider_order_id if isinstance(cause, News) else None


class Dispatch:
    """The workers of all targets."""

    def __init__(self, workers: Mapping[str, Worker]) -> None:
        self._workers = workers
        self._threads: list[Thread] = []

    def wake(self) -> None:
        """Say that there may be something to do."""
        for worker in self._workers.values():
            worker.wake.set()

    def start(self, stop: Event) -> None:
        """Start the workers; they end when told to stop, after the attempt that is under way."""
        self._threads = [
            Thread(target=worker.run, args=(stop,), name=f"effects-{name}", daemon=True)
            for name, worker in self._workers.items()
        ]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait for the workers that were told to stop, but for none that hangs."""
        self.wake()
        deadline = monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - monotonic()))
