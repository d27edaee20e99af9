"""The outbox: what follows from events outside of the ledger, in SQL that both databases read."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from adapters.effects.state import State
from adapters.storage.access import Operation, OperatorLog
from adapters.storage.generations import Cursor
from adapters.storage.log import Clock, unavailable, utc_now

COLUMNS = (
    "number, id, target, store, order_id, version, idx, event, created_at, state, attempts, "
    "next_at, last_at, sent_at, answer, excerpt"
)
# Only these are sent; a dead one is not, and holds back the later ones of its order all the same.
SENDABLE = "('pending', 'failed')"
OPEN = "('pending', 'failed', 'dead')"


class EffectRow(NamedTuple):
    """One event for one target; times are UTC. `idx` is the index of the event's position.

    `answer` is what the last attempt was answered, in a word or two; `excerpt` a piece of a
    refusal's text. `waits_for` is the id of an earlier effect of the same order and target that is
    not done.
    """

    number: int
    id: str
    target: str
    store: str
    order_id: str
    version: int
    idx: int
    event: str
    created_at: datetime
    state: State
    attempts: int
    next_at: datetime | None
    last_at: datetime | None
    sent_at: datetime | None
    answer: str | None
    excerpt: str | None
    waits_for: str | None = None


class NewEffect(NamedTuple):
    """An effect that an event asks for."""

    id: str
    store: str
    order_id: str
    version: int
    idx: int
    event: str


class TargetRow(NamedTuple):
    """A target: the index up to which it follows the log, why it is paused, at which event it
    stands still, and its breaker (failures in a row; nothing is tried before `open_until`, UTC)."""

    name: str
    position: int
    paused: str | None
    problem: str | None
    failures: int
    open_until: datetime | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """What an attempt makes of an effect, and of its target's breaker, whose failures were
    `failures_before` when it began."""

    state: State
    at: datetime
    answer: str
    excerpt: str | None
    next_at: datetime | None
    failures: int
    open_until: datetime | None
    paused: str | None = None
    failures_before: int = 0


@dataclass(frozen=True, slots=True)
class EffectFilter:
    """Which effects are wanted."""

    target: str | None = None
    state: State | None = None
    store: str | None = None
    order_id: str | None = None


class EffectTables:
    """A database's tables of the outbox."""

    targets = "effect_targets"
    effects = "effects"
    identity = "ledger_identity"
    events = "stored_events"
    here = ""  # the condition that an event `s` is of the one partition

    def transaction(self, *, commit: bool) -> AbstractContextManager[Cursor]:
        """A transaction, to write with or to read with; errors are the library's."""
        raise NotImplementedError

    def leads(self) -> bool:
        """Whether this process alone sends, or becomes the one that does."""
        raise NotImplementedError

    def close(self) -> None:
        """Let others lead."""

    def to_time(self, time: datetime | None) -> Any:
        """A time, or None, as the database keeps it."""
        return time

    def from_time(self, value: Any) -> Any:
        """The time, or None, that was kept as this value."""
        return value


class EffectStore:
    """Targets and effects. Every method blocks and raises `StorageUnavailable`."""

    def __init__(
        self, tables: EffectTables, operators: OperatorLog, clock: Clock = utc_now
    ) -> None:
        self.tables = tables
        self.clock = clock
        self._operators = operators

    def ledger_id(self) -> str:
        """The ledger's own id, made once and kept with it."""
        with unavailable(), self.tables.transaction(commit=False) as c:
            c.execute(f"SELECT id FROM {self.tables.identity}")
            return str(c.fetchone()[0])

    # -------------------------------------------------------------------------------- following

    def register(self, target: str, position: int) -> None:
        """Begin a target that was never configured before at a position; another stays."""
        with unavailable(), self.tables.transaction(commit=True) as c:
            c.execute(
                f"INSERT INTO {self.tables.targets} (name, position) VALUES (?, ?) "
                "ON CONFLICT (name) DO NOTHING",
                (target, position),
            )

    def enqueue(self, target: str, since: int, upto: int, effects: Sequence[NewEffect]) -> bool:
        """Add effects and move the target's position, in one transaction; False, and nothing
        added, where the position is not `since` any more."""
        now = self.tables.to_time(self.clock())
        with unavailable(), self.tables.transaction(commit=True) as c:
            c.execute(
                f"UPDATE {self.tables.targets} SET position = ?, problem = NULL "
                "WHERE name = ? AND position = ? RETURNING name",
                (upto, target, since),
            )
            if c.fetchone() is None:
                return False
            for effect in effects:
                c.execute(
                    f"INSERT INTO {self.tables.effects} (target, id, store, order_id, version, "
                    "idx, event, created_at, next_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (target, *effect, now, now),
                )
        return True

    def stand_still(self, target: str, problem: str) -> None:
        """Say at which event a target cannot go on, and why."""
        with unavailable(), self.tables.transaction(commit=True) as c:
            c.execute(
                f"UPDATE {self.tables.targets} SET problem = ? WHERE name = ?", (problem, target)
            )

    # ---------------------------------------------------------------------------------- sending

    def due(self, target: str) -> EffectRow | None:
        """The effect to send now: of each order only the first that is not done."""
        return self._next(target, "AND e.next_at <= ?", self.tables.to_time(self.clock()))

    def next(self, target: str) -> EffectRow | None:
        """The effect to send next, be it due or not."""
        return self._next(target, "")

    def _next(self, target: str, more: str, *params: Any) -> EffectRow | None:
        clauses = (
            f"WHERE e.target = ? AND e.state IN {SENDABLE} {more} AND NOT EXISTS "
            f"({self._blockers('1')}) ORDER BY e.next_at, e.number LIMIT 1"
        )
        found = self._select(clauses, (target, *params))
        return found[0] if found else None

    def settle(self, effect: EffectRow, attempt: Attempt) -> bool:
        """Keep what an attempt came to. False where the effect is not as it was when the attempt
        began: then only that it was sent is kept. The breaker stays as an operator who resumed the
        target meanwhile set it."""
        time = self.tables.to_time
        values = (
            attempt.state,
            effect.attempts + 1,
            time(attempt.next_at),
            time(attempt.at),
            time(attempt.at if attempt.state is State.SENT else None),
            attempt.answer,
            attempt.excerpt,
        )
        unchanged = f"attempts = ? AND state IN {SENDABLE}"
        if attempt.state is State.SENT:
            unchanged = "(attempts = ? OR state <> 'sent')"
        with unavailable(), self.tables.transaction(commit=True) as c:
            c.execute(
                f"UPDATE {self.tables.effects} SET state = ?, attempts = ?, next_at = ?, "
                f"last_at = ?, sent_at = ?, answer = ?, excerpt = {self._unless_erased('?')} "
                f"WHERE id = ? AND {unchanged} RETURNING id",
                (*values, effect.id, effect.attempts),
            )
            is_kept = c.fetchone() is not None
            c.execute(
                f"UPDATE {self.tables.targets} SET failures = ?, open_until = ? "
                "WHERE name = ? AND failures = ?",
                (
                    attempt.failures,
                    time(attempt.open_until),
                    effect.target,
                    attempt.failures_before,
                ),
            )
            if attempt.paused is not None:
                c.execute(
                    f"UPDATE {self.tables.targets} SET paused = ? WHERE name = ?",
                    (attempt.paused, effect.target),
                )
        return is_kept

    # ---------------------------------------------------------------------------------- reading

    def target(self, name: str) -> TargetRow | None:
        """A target that is or was configured."""
        return next((target for target in self.targets() if target.name == name), None)

    def targets(self) -> list[TargetRow]:
        """The targets that are or were configured, by name."""
        with unavailable(), self.tables.transaction(commit=False) as c:
            c.execute(
                "SELECT name, position, paused, problem, failures, open_until "
                f"FROM {self.tables.targets} ORDER BY name"
            )
            rows = [TargetRow(*row) for row in c.fetchall()]
        return [row._replace(open_until=self.tables.from_time(row.open_until)) for row in rows]

    def count(self, target: str) -> dict[State, int]:
        """How many effects of a target are not done, by their state."""
        with unavailable(), self.tables.transaction(commit=False) as c:
            c.execute(
                f"SELECT state, count(*) FROM {self.tables.effects} "
                f"WHERE target = ? AND state IN {OPEN} GROUP BY state",
                (target,),
            )
            return {State(state): number for state, number in map(tuple, c.fetchall())}

    def get(self, effect_id: str) -> EffectRow | None:
        """An effect by its id."""
        found = self._select("WHERE e.id = ?", (effect_id,))
        return found[0] if found else None

    def of_order(self, store: str, order_id: str) -> list[EffectRow]:
        """What followed from an order's events, in their order."""
        clauses = "WHERE e.store = ? AND e.order_id = ? ORDER BY e.version, e.target"
        return self._select(clauses, (store, order_id))

    def page(self, wanted: EffectFilter, before: int | None, limit: int) -> list[EffectRow]:
        """Effects, newest first, below a number."""
        where, params = ["1 = 1"], []
        for column in ("target", "state", "store", "order_id"):
            value = getattr(wanted, column)
            if value is not None:
                where.append(f"e.{column} = ?")
                params.append(value)
        if before is not None:
            where.append("e.number < ?")
            params.append(before)
        clauses = f"WHERE {' AND '.join(where)} ORDER BY e.number DESC LIMIT {limit:d}"
        return self._select(clauses, params)

    # ------------------------------------------------------------------------------- operators

    def retry(self, effect_ids: Sequence[str], operation: Operation) -> list[str]:
        """Try effects that are not sent once more, from now on and with all their tries; returns
        the ids of those that are."""
        now = self.tables.to_time(self.clock())
        change = "SET state = 'pending', attempts = 0, next_at = ?"
        return self._change(effect_ids, change, (now,), "state <> 'sent'", operation)

    def skip(self, effect_ids: Sequence[str], operation: Operation) -> list[str]:
        """Never send effects that are not sent; returns the ids of those that are skipped."""
        change = "SET state = 'skipped', next_at = NULL"
        return self._change(effect_ids, change, (), f"state IN {OPEN}", operation)

    def pause(self, target: str, reason: str, operation: Operation) -> bool:
        """Send nothing to a target until it is resumed; False where there is no such target."""
        return self._change_target(target, "paused = ?", (reason,), operation)

    def resume(self, target: str, operation: Operation) -> bool:
        """Send to a target again, at once; False where there is no such target."""
        closed = "paused = NULL, failures = 0, open_until = NULL"
        return self._change_target(target, closed, (), operation)

    def _change(
        self,
        effect_ids: Sequence[str],
        change: str,
        params: tuple[Any, ...],
        condition: str,
        operation: Operation,
    ) -> list[str]:
        changed = []
        with unavailable(), self.tables.transaction(commit=True) as c:
            for effect_id in effect_ids:
                c.execute(
                    f"UPDATE {self.tables.effects} {change} WHERE id = ? AND {condition} "
                    "RETURNING id",
                    (*params, effect_id),
                )
                changed += [row[0] for row in c.fetchall()]
            if changed:
                self._operators.append_in(c, operation)
        return changed

    def _change_target(
        self, target: str, change: str, params: tuple[Any, ...], operation: Operation
    ) -> bool:
        with unavailable(), self.tables.transaction(commit=True) as c:
            c.execute(
                f"UPDATE {self.tables.targets} SET {change} WHERE name = ? RETURNING name",
                (*params, target),
            )
            is_there = c.fetchone() is not None
            if is_there:
                self._operators.append_in(c, operation)
        return is_there

    def forget_in(self, c: Cursor, store: str, order_id: str) -> None:
        """Forget what targets said about an order, in a transaction: it may repeat anything."""
        c.execute(
            f"UPDATE {self.tables.effects} SET excerpt = NULL "
            "WHERE store = ? AND order_id = ? AND excerpt IS NOT NULL",
            (store, order_id),
        )

    # ------------------------------------------------------------------------------------- rows

    def _unless_erased(self, value: str) -> str:
        """A value, or NULL for an effect of an order that was erased."""
        table = self.tables.effects
        return (
            f"CASE WHEN EXISTS (SELECT 1 FROM {self.tables.events} s WHERE {self.tables.here} "
            f"s.originator_id = {table}.store || '/' || {table}.order_id "
            f"AND s.topic = 'PersonalDataErased') THEN NULL ELSE {value} END"
        )

    def _blockers(self, what: str) -> str:
        """The earlier effects of an effect `e`'s order and target that are not done."""
        return (
            f"SELECT {what} FROM {self.tables.effects} b WHERE b.target = e.target "
            "AND b.store = e.store AND b.order_id = e.order_id AND b.version < e.version "
            f"AND b.state IN {OPEN}"
        )

    def _select(self, clauses: str, params: Sequence[Any]) -> list[EffectRow]:
        columns = ", ".join(f"e.{column}" for column in COLUMNS.split(", "))
        waits = f"{self._blockers('b.id')} AND e.state IN {OPEN} ORDER BY b.version LIMIT 1"
        with unavailable(), self.tables.transaction(commit=False) as c:
            c.execute(f"SELECT {columns}, ({waits}) FROM {self.tables.effects} e {clauses}", params)
            rows = c.fetchall()
        return [self._row(tuple(row)) for row in rows]

    def _row(self, row: tuple[Any, ...]) -> EffectRow:
        time: Callable[[Any], Any] = self.tables.from_time
        effect = EffectRow(*row)
        return effect._replace(
            state=State(effect.state),
            created_at=time(effect.created_at),
            next_at=time(effect.next_at),
            last_at=time(effect.last_at),
            sent_at=time(effect.sent_at),
        )
