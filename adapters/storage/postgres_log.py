"""The log in PostgreSQL: one function call appends a batch, in one transaction and one trip."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, groupby, zip_longest
from threading import Event, Thread
from typing import Any, LiteralString, TypeVar
from uuid import UUID

import psycopg
from eventsourcing.persistence import (
    ApplicationRecorder,
    IntegrityError,
    Notification,
    PersistenceError,
    StoredEvent,
    Subscription,
)

from adapters.storage.following import Following
from adapters.storage.log import (
    PARTITION,
    Announcing,
    Clock,
    LogEntry,
    MasterChanged,
    NamedOrder,
    StoredAt,
    Tell,
    VersionConflict,
    unavailable,
    utc_now,
)
from adapters.storage.postgres import Database
from adapters.storage.postgres_deliveries import PostgresDeliveries
from domain.log import Position
from domain.payment import Origin, Outcome

# The answer may be lost with the connection; each loss is resolved by reading back.
APPEND_TRIES = 3
T = TypeVar("T")
CHANNEL = "order_ledger"
MASTER_CHANGED = "55000"  # object_not_in_prerequisite_state
LISTEN_SECONDS = 1.0
PAUSE_SECONDS = 0.02  # a busy ledger tells of hundreds of commits a second, and one word is enough

# Typed and binary: the server neither guesses the arrays' types nor parses bodies as text.
APPEND = (
    "SELECT before_idx, before_delivery_id FROM order_ledger.append(%b::int, %b::timestamptz, "
    "%b::text[], %b::int[], %b::text[], %b::text[], %b::int[], %b::timestamptz[], %b::text[], "
    "%b::text[], %b::int[], %b::bigint[], %b::text[], %b::text[], %b::text[], %b::bigint[], "
    "%b::text[], %b::text[], %b::text[], %b::bigint[], %b::bytea[], "
    "%b::int, %b::int[], %b::bigint[], %b::bytea[], %b::bytea[])"
)
DESTROY_KEYS = "SELECT order_ledger.destroy_keys(%s::int, %s::bigint[])"
DESTROY_BODY_KEYS = "SELECT order_ledger.destroy_body_keys(%s::int, %s::bigint[])"
# The append before it holds the lock of the log, so what is there now stays until the commit.
REQUIRE_KEYS = "SELECT order_ledger.require_keys(%s::int, %s::bigint[])"
KEEP_NAMES = (
    "SELECT order_ledger.keep_names(%s::text, %s::text, %s::text[], %s::boolean, %s::boolean)"
)
EVENT = "idx, originator_id, originator_version, topic, state, recorded_at"
# One look into the index for each stream, also while the planner has no statistics yet; a plain
# `= ANY(...)` is then answered, and its plan kept, by reading the whole table.
LOAD = (
    f"SELECT {EVENT} FROM unnest(%s::text[]) AS wanted (stream) CROSS JOIN LATERAL ("
    "SELECT * FROM order_ledger.stored_events WHERE partition = %s AND originator_id = stream "
    "ORDER BY originator_version OFFSET 0) AS events"
)


class PostgresLog(PostgresDeliveries, ApplicationRecorder, Announcing):
    """The log of a ledger in PostgreSQL, and the library's recorder over the same tables."""

    def __init__(
        self,
        database: Database,
        clock: Clock | None = None,
        originator_id_type: type = str,
    ) -> None:
        super().__init__(database)
        Announcing.__init__(self)
        self._clock = clock
        self._originator_id_type = originator_id_type

    @property
    def recorder(self) -> ApplicationRecorder:
        """This same object, as the library knows it."""
        return self

    # ------------------------------------------------------------------------------ our contract

    def append(
        self, entries: Sequence[LogEntry], master: int | None = None
    ) -> Sequence[Position | None]:
        """Append a batch of deliveries in one transaction (see `EventLog.append`)."""
        arguments = self._arguments(entries, master)
        self._tell(self._on_wait)
        with unavailable():
            before_idx = self._append(entries, arguments)
        self._tell(self._on_append)
        return _positions(entries, before_idx)

    def _append(self, entries: Sequence[LogEntry], arguments: Sequence[Any]) -> int:
        for attempt in range(APPEND_TRIES):
            try:
                return self._append_once(entries, arguments)
            except IntegrityError as error:
                raise VersionConflict(str(error)) from error
            except PersistenceError as error:
                if getattr(error.__cause__, "sqlstate", None) == MASTER_CHANGED:
                    raise MasterChanged(str(error)) from error
                if not self._was_lost(error) or attempt == APPEND_TRIES - 1:
                    raise
                before_idx = self._read_back(entries)
                if before_idx is not None:
                    return before_idx
        raise AssertionError("unreachable: the last try returns or raises")

    def _append_once(self, entries: Sequence[LogEntry], arguments: Sequence[Any]) -> int:
        more = [statement for entry in entries for statement in _more(entry)]
        with self._database.writing() as connection:
            if not more:
                row = connection.execute(APPEND, arguments).fetchone()
            else:
                with connection.transaction():
                    row = connection.execute(APPEND, arguments).fetchone()
                    for sql, params in more:
                        connection.execute(sql, params)
            assert row is not None
            return int(row[0])

    @staticmethod
    def _was_lost(error: PersistenceError) -> bool:
        """Whether the connection broke, so that nobody told whether the batch was committed."""
        cause = error.__cause__
        return isinstance(cause, psycopg.OperationalError) and cause.sqlstate in (
            None,  # the client's own word: the server closed the connection
            "57P01",  # the server is going down, or somebody terminated the backend
            "57P02",
            "57P03",
        )

    def _read_back(self, entries: Sequence[LogEntry]) -> int | None:
        """The index that the log ended at before the batch, if the batch is stored after all.

        A batch is stored as a whole, so it is where its events follow each other with its new keys,
        and what came by a webhook has its row. One event says too little: another process may have
        registered the same order with the same words.
        """
        events = [event for entry in entries for event in entry.events]
        before_idx = self._ended_before(events)
        if events and (before_idx is None or not self._holds_keys(entries, before_idx)):
            return None
        # What is replayed was received before: its time and bytes would find the row of that. Where
        # nothing else is there, the batch is written again, and a row too many says no wrong thing.
        came = next((e for e in entries if e.origin is Origin.WEBHOOK and not e.is_command), None)
        if came is None:
            return before_idx
        row = self._one(
            "SELECT id FROM order_ledger.find_delivery(%s, %s, %s)",
            (PARTITION, came.received_at, came.body_hash),
        )
        return (before_idx or 0) if row else None  # without events no index is asked for

    def _ended_before(self, events: Sequence[StoredEvent]) -> int | None:
        """The index before these events, if they stand in the log one after the other."""
        if not events:
            return None
        row = self._one(
            "SELECT idx FROM order_ledger.find_event(%s, %s, %s)",
            (PARTITION, _text(events[0].originator_id), events[0].originator_version),
        )
        if row is None:
            return None
        stored = self._rows(
            "SELECT originator_id, originator_version, topic, state "
            "FROM order_ledger.stored_events WHERE partition = %s AND idx BETWEEN %s AND %s "
            "ORDER BY idx",
            (PARTITION, row[0], row[0] + len(events) - 1),
        )
        ours = [
            (_text(e.originator_id), e.originator_version, e.topic, e.state.decode())
            for e in events
        ]
        return row[0] - 1 if stored == ours else None

    def _holds_keys(self, entries: Sequence[LogEntry], before_idx: int) -> bool:
        """Whether the new keys of these entries are the ones that are stored."""
        _, numbers, idxs, wrapped = _keys(entries, None)
        every = zip_longest(numbers, idxs, wrapped)
        ours = {before_idx + n if n is not None else idx: key for n, idx, key in every}
        rows = self._rows(
            "SELECT id, wrapped FROM order_ledger.order_keys "
            "WHERE partition = %s AND id = ANY (%s::bigint[])",
            (PARTITION, list(ours)),
        )
        return dict(rows) == ours

    def _arguments(self, entries: Sequence[LogEntry], master: int | None) -> Sequence[Any]:
        numbers = accumulate(int(not entry.is_command) for entry in entries)
        numbered = [
            (None if entry.is_command else n, event)
            for n, entry in zip(numbers, entries, strict=True)
            for event in entry.events
        ]
        events = [event for _, event in numbered]
        places = zip(entries, *_places(entries), strict=True)
        last_events, idxs = [], []
        for entry, last_event, idx in places:
            if not entry.is_command:
                last_events.append(last_event)
                idxs.append(idx)
        every, entries = entries, [entry for entry in entries if not entry.is_command]
        return (
            PARTITION,
            self._clock() if self._clock else None,
            [_text(event.originator_id) for event in events],
            [event.originator_version for event in events],
            [event.topic for event in events],
            [event.state.decode() for event in events],
            [n for n, _ in numbered],
            [entry.received_at for entry in entries],
            [entry.provider for entry in entries],
            [entry.outcome.value for entry in entries],
            last_events,
            _seldom(idxs),
            [entry.stream for entry in entries],
            [entry.body_hash for entry in entries],
            _seldom([entry.reason for entry in entries]),
            [entry.body_bytes for entry in entries],
            [entry.address for entry in entries],
            [entry.key_id for entry in entries],
            _seldom([_other(entry.origin) for entry in entries]),
            _seldom([entry.replay_of for entry in entries]),
            [entry.body for entry in entries],
            *_keys(every, master),
            _seldom([entry.body_key for entry in entries]),
        )

    def load(self, streams: Iterable[str]) -> Mapping[str, Sequence[StoredAt]]:
        """The events of several orders in one query (see `EventLog.load`)."""
        self._tell(self._on_wait)
        with unavailable():
            rows = self._load((list(streams), PARTITION))
        stored = map(self._stored_at, rows)
        by_stream = groupby(stored, key=lambda at: str(at.event.originator_id))
        return {stream: list(events) for stream, events in by_stream}

    def _load(self, arguments: Sequence[Any]) -> list[tuple[Any, ...]]:
        try:
            with self._database.writing() as connection:
                return connection.execute(LOAD, arguments).fetchall()
        except PersistenceError as error:  # a connection that was cut while idle is no outage
            if not self._was_lost(error):
                raise
        with self._database.writing() as connection:
            return connection.execute(LOAD, arguments).fetchall()

    def stores_with_names(self) -> frozenset[str]:
        """The stores in which an order is registered, or news is parked."""
        rows = self._all("SELECT store FROM order_ledger.naming_stores", ())
        return frozenset(store for (store,) in rows)

    def named(self, names: Sequence[tuple[str, str]]) -> Sequence[NamedOrder]:
        """The orders that go by these names (see `EventLog.named`)."""
        stores, wanted = [store for store, _ in names], [name for _, name in names]
        rows = self._all(
            "SELECT n.* FROM unnest(%s::text[], %s::text[]) AS wanted (store, name) "
            "JOIN order_ledger.order_names AS n USING (store, name)",
            (stores, wanted),
        )
        return [NamedOrder(*row) for row in rows]

    def names_of(self, store: str, order_id: str) -> Sequence[str]:
        """The names of an order (see `EventLog.names_of`)."""
        rows = self._all(
            "SELECT name FROM order_ledger.order_names WHERE store = %s AND order_id = %s",
            (store, order_id),
        )
        return [name for (name,) in rows]

    def read(self, after: Position | None, limit: int) -> Sequence[StoredAt]:
        """The next events after a position (see `EventLog.read`)."""
        rows = self._all(
            f"SELECT {EVENT} FROM order_ledger.stored_events "
            "WHERE partition = %s AND idx > %s ORDER BY idx LIMIT %s",
            (PARTITION, after.index if after else 0, limit),
        )
        return [self._stored_at(row) for row in rows]

    def head(self) -> Position | None:
        """The position of the newest event."""
        with unavailable():
            last_idx = self.max_notification_id()
        return Position(PARTITION, last_idx) if last_idx else None

    def on_append_elsewhere(self, tell: Tell, stop: Event) -> None:
        """Call this at every append of any process, on a thread of its own."""
        Thread(target=self._listen, args=(tell, stop), name="listener", daemon=True).start()

    def _listen(self, tell: Tell, stop: Event) -> None:
        while not stop.is_set():
            try:
                with self._database.listening(CHANNEL) as connection:
                    tell()  # for what came before it listened
                    while not stop.is_set():
                        if any(connection.notifies(timeout=LISTEN_SECONDS, stop_after=1)):
                            tell()
                            stop.wait(PAUSE_SECONDS)
            except PersistenceError:
                stop.wait(LISTEN_SECONDS)

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    def _one(self, sql: str, params: Sequence[Any]) -> tuple[Any, ...] | None:
        return next(iter(self._rows(sql, params)), None)

    def _rows(self, sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self._database.writing() as connection:
            return connection.execute(sql, params).fetchall()

    def _stored_at(self, row: tuple[Any, ...]) -> StoredAt:
        idx, *event, recorded_at = row
        return StoredAt(Position(PARTITION, idx), recorded_at, self._event(*event))

    def _event(self, originator_id: str, version: int, topic: str, state: str) -> StoredEvent:
        return StoredEvent(self._originator_id_type(originator_id), version, topic, state.encode())

    # ----------------------------------------------------------------------------- the library's

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int] | None:
        """Append events that no delivery brought, as the library's `Application.save` does."""
        with self._database.writing() as connection, connection.cursor() as c:
            idxs = self._insert(c, stored_events)
        self._tell(self._on_append)
        return idxs

    def _insert(self, c: Any, stored_events: Sequence[StoredEvent]) -> list[int]:
        entry = LogEntry("", Outcome.RECORDED, utc_now(), "", events=stored_events, is_command=True)
        c.execute(APPEND, self._arguments([entry], None))
        before_idx = c.fetchone()[0]
        return [before_idx + n for n in range(1, len(stored_events) + 1)]

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """Events of one stream (see the library's `AggregateRecorder`)."""
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT {EVENT} FROM order_ledger.stored_events WHERE partition = %s "
                "AND originator_id = %s AND originator_version > %s "
                "AND originator_version <= coalesce(%s, 2147483647) "
                f"ORDER BY originator_version {'DESC' if desc else 'ASC'} LIMIT %s",
                (PARTITION, _text(originator_id), -1 if gt is None else gt, lte, limit),
            ).fetchall()
        return [self._stored_at(row).event for row in rows]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Events in the order of the log (see the library's `ApplicationRecorder`)."""
        first = 0 if start is None else start + (0 if inclusive_of_start else 1)
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT {EVENT} FROM order_ledger.stored_events WHERE partition = %s "
                "AND idx >= %s AND idx <= coalesce(%s, 9223372036854775807) "
                "AND (%s::text[] = '{}' OR topic = ANY(%s)) ORDER BY idx LIMIT %s",
                (PARTITION, first, stop, list(topics), list(topics), limit),
            ).fetchall()
        return [Notification(**vars(self._stored_at(row).event), id=row[0]) for row in rows]

    def max_notification_id(self) -> int | None:
        """The index of the newest event."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT nullif(last_idx, 0) FROM order_ledger.log_head WHERE partition = %s",
                (PARTITION,),
            ).fetchone()
        return row[0] if row else None

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        """Follow the log; what this process appends arrives at once, the rest by polling."""
        return Following(self, gt, topics)


def _places(entries: Sequence[LogEntry]) -> tuple[list[int | None], list[int | None]]:
    """Per entry the number of its last event in the batch, or the index that it has already."""
    last_events: list[int | None] = []
    count = 0
    for entry in entries:
        count += len(entry.events)
        if entry.events:
            last_events.append(count)
        else:
            same_batch = entry.duplicate_of
            last_events.append(None if same_batch is None else last_events[same_batch])
    return last_events, [entry.position.index if entry.position else None for entry in entries]


def _positions(entries: Sequence[LogEntry], before_idx: int) -> list[Position | None]:
    last_events, idxs = _places(entries)
    return [
        Position(PARTITION, before_idx + last)
        if last
        else Position(PARTITION, idx)
        if idx
        else None
        for last, idx in zip(last_events, idxs, strict=True)
    ]


def _keys(entries: Sequence[LogEntry], master: int | None) -> tuple[Any, ...]:
    """The number of the master key, and the new keys of orders: each by the number in the batch of
    its order's first event, or by the index of that, and wrapped."""
    numbers, idxs, wrapped = [], [], []
    count = 0
    for entry in entries:
        for key in entry.keys:
            numbers.append(None if key.event is None else count + key.event + 1)
            idxs.append(key.idx)
            wrapped.append(key.wrapped)
        count += len(entry.events)
    return master, numbers, _seldom(idxs), wrapped


def _seldom(values: Sequence[T | None]) -> Sequence[T | None]:
    """The values, or none where all are null: the driver takes its time over each."""
    return values if any(value is not None for value in values) else []


def _other(origin: Origin) -> str | None:
    return None if origin is Origin.WEBHOOK else origin.value


def _more(entry: LogEntry) -> Iterator[tuple[LiteralString, tuple[Any, ...]]]:
    """What an entry wants done besides, in the transaction that appends it."""
    for store, order_id, names, waits, anew in entry.names:
        yield KEEP_NAMES, (store, order_id, list(names), waits, anew)
    if entry.destroys:
        yield DESTROY_KEYS, (PARTITION, list(entry.destroys))
    if entry.destroys_body_key_of is not None:
        yield DESTROY_BODY_KEYS, (PARTITION, [entry.destroys_body_key_of])
    if entry.relies_on:
        yield REQUIRE_KEYS, (PARTITION, list(entry.relies_on))


def _text(originator_id: UUID | str) -> str:
    return originator_id.hex if isinstance(originator_id, UUID) else originator_id
