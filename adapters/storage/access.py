"""Tokens and the operators' log, in SQL that both databases read."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Self

from eventsourcing.persistence import IntegrityError

from adapters.access.roles import Caller, Role
from adapters.storage.generations import Cursor
from adapters.storage.log import Clock, unavailable, utc_now

LIVE_TOKENS_MAX = 1000  # every process keeps them all in memory
USE_NOTED_EVERY = timedelta(minutes=1)
DONE = "done"


class TokenExists(Exception):
    """A token of this name was made before. Also a revoked one keeps its name: the operators' log
    speaks of it."""


class TooManyTokens(Exception):
    """There are as many live tokens as there may be."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One use of an operator's right: who did what to what, from where, why, and how it ended."""

    who: str
    origin: str
    action: str
    object: str
    reason: str | None = None
    outcome: str = DONE

    @classmethod
    def by(cls, caller: Caller, action: str, what: str, reason: str | None = None) -> Self:
        """What a caller did."""
        return cls(caller.who, caller.origin, action, what, reason)


class LoggedOperation(NamedTuple):
    """A row of the operators' log; `id` counts from 1 without a gap, `at` is UTC."""

    id: int
    at: datetime
    who: str
    origin: str
    action: str
    object: str
    reason: str | None
    outcome: str


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token that was made, without itself; times are UTC, `last_used_at` is up to a minute old.
    Without a store it is good for all."""

    name: str
    roles: frozenset[Role]
    store: str | None
    sha256: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    def is_live(self, now: datetime) -> bool:
        """Whether it still opens anything."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class AccessTables:
    """A database's tables of tokens and operations, as both stores below use them, those of what
    was refused, and the log's own, to be read."""

    tokens = "api_tokens"
    operations = "operator_log"
    refusals = "refusals"
    kept_refusals = "kept_refusals"
    refusal_rings = "refusal_rings"
    events = "stored_events"
    deliveries = "deliveries"
    minute = "recorded_at / 60000000"  # since 1970 in which a delivery was recorded

    def transaction(self, *, commit: bool) -> AbstractContextManager[Cursor]:
        """A transaction, to write with or to read with; errors are the library's."""
        raise NotImplementedError

    def lock(self, c: Cursor) -> None:
        """Keep other processes from writing these tables until the transaction ends."""

    def to_time(self, time: datetime | None) -> Any:
        """A time, or None, as the database keeps it."""
        return time

    def from_time(self, value: Any) -> Any:
        """The time, or None, that was kept as this value."""
        return value


class OperatorLog:
    """Every use of an operator's right, append-only. Every method blocks."""

    def __init__(self, tables: AccessTables, clock: Clock = utc_now) -> None:
        self._tables = tables
        self._clock = clock

    def append(self, *operations: Operation) -> None:
        """Log operations in a transaction of their own. Raises `StorageUnavailable`."""
        with unavailable(), self._tables.transaction(commit=True) as c:
            for operation in operations:
                self.append_in(c, operation)

    def append_in(self, c: Cursor, operation: Operation) -> None:
        """Log an operation in the transaction that does it; both are stored, or neither."""
        self._tables.lock(c)
        c.execute(
            f"INSERT INTO {self._tables.operations} "
            "SELECT coalesce(max(id), 0) + 1, ?, ?, ?, ?, ?, ?, ? "
            f"FROM {self._tables.operations}",
            (
                self._tables.to_time(self._clock()),
                operation.who,
                operation.origin,
                operation.action,
                operation.object,
                operation.reason,
                operation.outcome,
            ),
        )

    def page(self, before: int | None, limit: int) -> list[LoggedOperation]:
        """Operations, newest first, below an id. Raises `StorageUnavailable`."""
        where, params = ("WHERE id < ?", [before]) if before is not None else ("", [])
        with unavailable(), self._tables.transaction(commit=False) as c:
            c.execute(
                f"SELECT id, at, who, origin, action, object, reason, outcome "
                f"FROM {self._tables.operations} {where} ORDER BY id DESC LIMIT {limit:d}",
                params,
            )
            rows = c.fetchall()
        time = self._tables.from_time
        return [LoggedOperation(number, time(at), *rest) for number, at, *rest in rows]


class TokenStore:
    """The tokens that were made, by their hashes. Every method blocks."""

    def __init__(
        self, tables: AccessTables, operators: OperatorLog, clock: Clock = utc_now
    ) -> None:
        self._tables = tables
        self._operators = operators
        self._clock = clock

    def create(self, token: TokenRow, operation: Operation) -> None:
        """Keep a new token, and log who made it.

        Raises `TokenExists`, `TooManyTokens`, `StorageUnavailable`.
        """
        values = (
            token.name,
            ",".join(sorted(token.roles)),
            token.store,
            token.sha256,
            self._tables.to_time(token.created_at),
            self._tables.to_time(token.expires_at),
        )
        try:
            with unavailable(), self._tables.transaction(commit=True) as c:
                self._tables.lock(c)
                if len(self._live(c)) >= LIVE_TOKENS_MAX:
                    raise TooManyTokens
                c.execute(
                    f"INSERT INTO {self._tables.tokens} "
                    "(name, roles, store, sha256, created_at, expires_at) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    values,
                )
                self._operators.append_in(c, operation)
        except IntegrityError:
            raise TokenExists(token.name) from None

    def revoke(self, name: str, operation: Operation) -> bool:
        """Close a token for ever, and log who did; False where no live token has the name.

        Raises `StorageUnavailable`.
        """
        with unavailable(), self._tables.transaction(commit=True) as c:
            self._tables.lock(c)
            if all(token.name != name for token in self._live(c)):
                return False
            c.execute(
                f"UPDATE {self._tables.tokens} SET revoked_at = ? WHERE name = ?",
                (self._tables.to_time(self._clock()), name),
            )
            self._operators.append_in(c, operation)
            return True

    def all(self) -> list[TokenRow]:
        """Every token that was ever made, by name. Raises `StorageUnavailable`."""
        with unavailable(), self._tables.transaction(commit=False) as c:
            return self._select(c, "")

    def live(self) -> list[TokenRow]:
        """The tokens that open something now. Raises `StorageUnavailable`."""
        with unavailable(), self._tables.transaction(commit=False) as c:
            return self._live(c)

    def note_use(self, name: str) -> None:
        """Remember that a token was used, unless that is known to the minute."""
        now = self._clock()
        with unavailable(), self._tables.transaction(commit=True) as c:
            c.execute(
                f"UPDATE {self._tables.tokens} SET last_used_at = ? "
                "WHERE name = ? AND (last_used_at IS NULL OR last_used_at <= ?)",
                (self._tables.to_time(now), name, self._tables.to_time(now - USE_NOTED_EVERY)),
            )

    def _live(self, c: Cursor) -> list[TokenRow]:
        now = self._clock()
        return [
            token for token in self._select(c, "WHERE revoked_at IS NULL") if token.is_live(now)
        ]

    def _select(self, c: Cursor, where: str) -> list[TokenRow]:
        c.execute(
            "SELECT name, roles, store, sha256, created_at, expires_at, revoked_at, last_used_at "
            f"FROM {self._tables.tokens} {where} ORDER BY name"
        )
        return [self._token(*row) for row in c.fetchall()]

    def _token(self, name: str, roles: str, store: str | None, sha256: str, *at: Any) -> TokenRow:
        times = map(self._tables.from_time, at)
        # A role that a later release knows opens nothing in this one.
        known = frozenset(role for role in Role if role in roles.split(","))
        return TokenRow(name, known, store, sha256, *times)
