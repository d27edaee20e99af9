"""The log in an SQLite file: append-only tables, one writer at a time, a commit is on disk."""

import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from itertools import groupby
from threading import Event
from typing import Any
from uuid import UUID

from eventsourcing.persistence import (
    ApplicationRecorder,
    IntegrityError,
    Notification,
    StoredEvent,
    Subscription,
)
from eventsourcing.sqlite import (
    SQLiteApplicationRecorder,
    SQLiteCursor,
    SQLiteFactory,
    SQLiteProcessRecorder,
)

from adapters.storage.deliveries import EVERYTHING, DeliveryFilter, conditions, waits
from adapters.storage.following import Following
from adapters.storage.log import (
    PARTITION,
    Announcing,
    Clock,
    DeliveryRow,
    LogEntry,
    MasterChanged,
    NamedOrder,
    SealedBody,
    StorageUnavailable,
    StoredAt,
    Tell,
    VersionConflict,
    unavailable,
    utc_now,
)
from adapters.storage.sqlite import (
    Datastore,
    from_microseconds,
    insert_many,
    to_microseconds,
)
from adapters.storage.sqlite_names import keep_names
from adapters.storage.sqlite_vault import change_keys
from domain.log import Position
from domain.payment import Origin, Outcome
from projections.traffic import Arrival

SCHEMA_VERSION = 4
SCHEMA = ("sqlite_log.sql", "sqlite_vault.sql")
# Before it was settled: bodies that are not sealed, and hashes that texts can be tried against.
UNSETTLED = (1, 2, 3)

Row = Mapping[str, Any]


class SQLiteLog(SQLiteApplicationRecorder, Announcing):
    """The log of an embedded ledger, and the library's application recorder over the same table."""

    def __init__(
        self,
        datastore: Datastore,
        events_table_name: str = "stored_events",
        clock: Clock = utc_now,
    ) -> None:
        super().__init__(datastore, events_table_name=events_table_name)
        Announcing.__init__(self)
        self._clock = clock

    @property
    def recorder(self) -> ApplicationRecorder:
        """This same object, as the library knows it."""
        return self

    def create_table(self) -> None:
        """Create what is missing. Raises `StorageUnavailable` for a file of another schema."""
        with unavailable():
            with self.datastore.transaction(commit=False) as c:
                c.execute("PRAGMA user_version")
                found = c.fetchone()[0]
            if found in UNSETTLED:
                raise StorageUnavailable(
                    f"the ledger file has schema {found}, from before the stored format was "
                    "settled and bodies were sealed: read it with the release that wrote it, name "
                    "a new file for this one, and bring the history in with order-ledger import"
                )
            if found not in (0, SCHEMA_VERSION):
                raise StorageUnavailable(
                    f"the ledger file has schema {found}, this release reads {SCHEMA_VERSION}: "
                    "open it with the release that wrote it, or name another file"
                )
            folder = resources.files(__package__)
            schema = "".join(folder.joinpath(name).read_text() for name in SCHEMA)
            assert isinstance(self.datastore, Datastore)
            self.datastore.run_script(f"{schema}\nPRAGMA user_version = {SCHEMA_VERSION};")
            super().create_table()  # for what subclasses add; its events table finds ours

    # ------------------------------------------------------------------------------ our contract

    def append(
        self, entries: Sequence[LogEntry], master: int | None = None
    ) -> Sequence[Position | None]:
        """Append a batch of deliveries in one transaction (see `EventLog.append`)."""
        with unavailable():
            try:
                with self.datastore.transaction(commit=True) as c:
                    positions = self._append(c, entries, master)
                    self._tell(self._on_wait)
            except IntegrityError as error:
                raise VersionConflict(str(error)) from error
        self._tell(self._on_append)
        return positions

    def _append(
        self, c: SQLiteCursor, entries: Sequence[LogEntry], master: int | None
    ) -> list[Position | None]:
        last_idx, recorded_at, last_id = self._ends(c, master)
        events: list[tuple[object, ...]] = []
        deliveries: list[tuple[object, ...]] = []
        bodies: list[tuple[object, ...]] = []
        order_keys: list[tuple[object, ...]] = []
        body_keys: list[tuple[object, ...]] = []
        positions: list[Position | None] = []
        for entry in entries:
            delivery_id = None if entry.is_command else last_id + 1
            for key in entry.keys:
                first = key.idx if key.event is None else last_idx + 1 + key.event
                order_keys.append((first, key.wrapped))
            for event in entry.events:
                last_idx += 1
                events.append(_event_row(last_idx, event, recorded_at, delivery_id))
            position = entry.position
            if entry.events:
                position = Position(PARTITION, last_idx)
            elif entry.duplicate_of is not None:
                position = positions[entry.duplicate_of]
            positions.append(position)
            if delivery_id is None:
                continue
            last_id = delivery_id
            deliveries.append(_delivery_row(delivery_id, entry, recorded_at, position))
            if entry.body is not None:
                bodies.append((delivery_id, entry.body))
            if entry.body_key is not None:
                body_keys.append((delivery_id, entry.body_key))
        insert_many(c, "stored_events", events)
        insert_many(c, "deliveries", deliveries)
        insert_many(c, "bodies", bodies)
        insert_many(c, "order_keys", order_keys)
        insert_many(c, "body_keys", body_keys)
        for names in (names for entry in entries for names in entry.names):
            keep_names(c, names)
        change_keys(c, entries)
        return positions

    def _ends(self, c: SQLiteCursor, master: int | None = None) -> tuple[int, int, int]:
        """The index of the newest event, a recording time that is not before its own, and the id of
        the newest delivery. Raises `MasterChanged` where the master key is not the newest."""
        c.execute(_SELECT_ENDS)
        idx, recorded_at, delivery_id, newest = c.fetchone()
        if master not in (None, newest):
            raise MasterChanged("the master key changed")
        return idx, max(to_microseconds(self._clock()), recorded_at), delivery_id

    def load(self, streams: Iterable[str]) -> Mapping[str, Sequence[StoredAt]]:
        """The events of several orders in one query (see `EventLog.load`)."""
        with unavailable(), self.datastore.transaction(commit=False) as c:
            c.execute(
                "SELECT * FROM stored_events WHERE originator_id IN "
                "(SELECT value FROM json_each(?)) ORDER BY originator_id, originator_version",
                (json.dumps(list(streams)),),
            )
            rows = map(_stored_at, c.fetchall())
            by_stream = groupby(rows, key=lambda at: str(at.event.originator_id))
            return {stream: list(stored) for stream, stored in by_stream}

    def stores_with_names(self) -> frozenset[str]:
        """The stores in which an order is registered, or news is parked."""
        with unavailable(), self.datastore.transaction(commit=False) as c:
            c.execute("SELECT store FROM naming_stores")
            return frozenset(row["store"] for row in c.fetchall())

    def named(self, names: Sequence[tuple[str, str]]) -> Sequence[NamedOrder]:
        """The orders that go by these names (see `EventLog.named`)."""
        with unavailable(), self.datastore.transaction(commit=False) as c:
            c.execute(
                "SELECT n.store, n.name, n.order_id, n.waits FROM json_each(?) AS wanted "
                "JOIN order_names AS n ON n.store = json_extract(wanted.value, '$[0]') "
                "AND n.name = json_extract(wanted.value, '$[1]')",
                (json.dumps(list(names)),),
            )
            return [NamedOrder(s, n, o, bool(waits)) for s, n, o, waits in map(tuple, c.fetchall())]

    def read(self, after: Position | None, limit: int) -> Sequence[StoredAt]:
        """The next events after a position (see `EventLog.read`)."""
        with unavailable(), self.datastore.transaction(commit=False) as c:
            c.execute(
                "SELECT * FROM stored_events WHERE idx > ? ORDER BY idx LIMIT ?",
                (after.index if after else 0, limit),
            )
            return [_stored_at(row) for row in c.fetchall()]

    def head(self) -> Position | None:
        """The position of the newest event."""
        with unavailable():
            last_idx = self.max_notification_id()
        return Position(PARTITION, last_idx) if last_idx else None

    def deliveries(
        self,
        outcomes: Sequence[Outcome],
        before: int | None,
        limit: int,
        wanted: DeliveryFilter = EVERYTHING,
    ) -> Sequence[DeliveryRow]:
        """Rows of the delivery log, newest first (see `EventLog.deliveries`)."""
        among = "outcome IN (SELECT value FROM json_each(?))"
        return self._deliveries(among, [json.dumps(outcomes)], before, limit, wanted)

    def set_aside(
        self, before: int | None, limit: int, wanted: DeliveryFilter = EVERYTHING
    ) -> Sequence[DeliveryRow]:
        """What was set aside and is not settled yet (see `EventLog.set_aside`)."""
        return self._deliveries(waits(), [], before, limit, wanted)

    def _deliveries(
        self,
        among: str,
        params: Sequence[object],
        before: int | None,
        limit: int,
        wanted: DeliveryFilter,
    ) -> Sequence[DeliveryRow]:
        also, more = conditions(wanted, _EVENTS_OF, to_microseconds)
        if before is not None:
            also, more = f"{also} AND id < ?", [*more, before]
        with unavailable(), self.datastore.transaction(commit=False) as c:
            c.execute(
                f"{_SELECT_DELIVERIES} WHERE {among}{also} ORDER BY id DESC LIMIT ?",
                (*params, *more, limit),
            )
            return [_delivery(row) for row in c.fetchall()]

    def settled_by(self, delivery_id: int) -> DeliveryRow | None:
        """What settled a delivery that was set aside (see `EventLog.settled_by`)."""
        with unavailable(), self.datastore.transaction(commit=False) as c:
            c.execute(
                f"{_SELECT_DELIVERIES} WHERE replay_of = ? "
                "AND outcome NOT IN ('quarantined', 'ignored') ORDER BY id LIMIT 1",
                (delivery_id,),
            )
            row = c.fetchone()
            return _delivery(row) if row else None

    def delivery(self, delivery_id: int) -> DeliveryRow | None:
        """One row of the delivery log."""
        with unavailable(), self.datastore.transaction(commit=False) as c:
            c.execute(f"{_SELECT_DELIVERIES} WHERE id = ?", (delivery_id,))
            row = c.fetchone()
            return _delivery(row) if row else None

    def bodies(self, delivery_ids: Sequence[int]) -> Sequence[SealedBody]:
        """The bodies that are kept with deliveries (see `EventLog.bodies`)."""
        rows = self._all(_SELECT_BODIES, delivery_ids)
        return [SealedBody(*row) for row in rows]

    def kept_with(self, idxs: Sequence[int]) -> Mapping[int, int]:
        """Where the bodies of events are (see `EventLog.kept_with`)."""
        return dict(self._all(_KEPT_WITH, idxs))

    def names_of(self, store: str, order_id: str) -> Sequence[str]:
        """The names of an order (see `EventLog.names_of`)."""
        with unavailable(), self.datastore.transaction(commit=False) as c:
            c.execute(
                "SELECT name FROM order_names WHERE store = ? AND order_id = ?", (store, order_id)
            )
            return [row["name"] for row in c.fetchall()]

    def keys(self, first: Sequence[int]) -> Mapping[int, bytes]:
        """The wrapped keys of orders (see `EventLog.keys`)."""
        wanted = "SELECT id, wrapped FROM order_keys WHERE id IN (SELECT value FROM json_each(?))"
        return dict(self._all(wanted, first))

    def _all(self, sql: str, wanted: Sequence[int]) -> list[tuple[Any, ...]]:
        with unavailable(), self.datastore.transaction(commit=False) as c:
            c.execute(sql, (json.dumps(list(wanted)),))
            return [tuple(row) for row in c.fetchall()]

    def arrivals(self, after: int, limit: int) -> Sequence[Arrival]:
        """The next rows of the delivery log (see `EventLog.arrivals`)."""
        with unavailable(), self.datastore.transaction(commit=False) as c:
            c.execute(
                "SELECT id, received_at, provider, key_id, "
                "origin = 'webhook' AND replay_of IS NULL AS called "
                "FROM deliveries WHERE id > ? ORDER BY id LIMIT ?",
                (after, limit),
            )
            return [
                Arrival(number, from_microseconds(at), provider, key_id, bool(called))
                for number, at, provider, key_id, called in c.fetchall()
            ]

    def on_append_elsewhere(self, tell: Tell, stop: Event) -> None:
        """SQLite tells nobody; who follows the file polls."""

    def close(self) -> None:
        """Close the file."""
        self.datastore.close()

    # ----------------------------------------------------------------------------- the library's

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        """Append events that no delivery brought, as the library's `Application.save` does."""
        idxs = super().insert_events(stored_events, **kwargs)
        self._tell(self._on_append)
        return idxs

    def _insert_events(
        self, c: SQLiteCursor, stored_events: Sequence[StoredEvent], **_: Any
    ) -> Sequence[int] | None:
        last_idx, recorded_at, _newest_delivery = self._ends(c)
        numbered = list(enumerate(stored_events, last_idx + 1))
        rows = [_event_row(idx, event, recorded_at, None) for idx, event in numbered]
        insert_many(c, "stored_events", rows)
        return [idx for idx, _ in numbered]

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
        with self.datastore.transaction(commit=False) as c:
            c.execute(
                "SELECT * FROM stored_events WHERE idx >= ?1 AND (?2 IS NULL OR idx <= ?2) AND "
                "(?3 = '[]' OR topic IN (SELECT value FROM json_each(?3))) ORDER BY idx LIMIT ?4",
                (first, stop, json.dumps(list(topics)), limit),
            )
            return [
                Notification(
                    id=row["idx"],
                    originator_id=self.convert_originator_id(row["originator_id"]),
                    originator_version=row["originator_version"],
                    topic=row["topic"],
                    state=row["state"],
                )
                for row in c.fetchall()
            ]

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        """Follow the log; what this process appends arrives at once, the rest by polling."""
        return Following(self, gt, topics)

    def _max_notification_id(self, c: SQLiteCursor) -> int:
        c.execute("SELECT max(idx) FROM stored_events")
        idx: int = c.fetchone()[0]
        return idx


class SQLiteProcessLog(SQLiteLog, SQLiteProcessRecorder):
    """The log and the library's tracking in one file, for process applications."""

    def _insert_events(
        self, c: SQLiteCursor, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        idxs = super()._insert_events(c, stored_events, **kwargs)
        if kwargs.get("tracking") is not None:
            self._insert_tracking(c, kwargs["tracking"])
        return idxs


class Factory(SQLiteFactory):
    """The library's infrastructure factory over our recorders."""

    application_recorder_class: type[SQLiteApplicationRecorder] = SQLiteLog
    process_recorder_class: type[SQLiteProcessRecorder] = SQLiteProcessLog

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        stock = self.datastore
        self.datastore = Datastore(stock.pool.db_name, "FULL", stock.originator_id_type)
        stock.close()


_SELECT_ENDS = (  # one statement, since each lets go of the interpreter's lock
    "SELECT coalesce(max(idx), 0), coalesce(max(recorded_at), 0), "
    "(SELECT coalesce(max(id), 0) FROM deliveries), (SELECT max(number) FROM master_keys) "
    "FROM (SELECT idx, recorded_at FROM stored_events ORDER BY idx DESC LIMIT 1)"
)
_SELECT_BODIES = (
    "SELECT d.id, d.body_hash, b.body, k.wrapped, e.originator_id, e.originator_version, e.topic "
    "FROM json_each(?) AS wanted JOIN deliveries AS d ON d.id = wanted.value "
    "JOIN bodies AS b ON b.delivery_id = d.id LEFT JOIN body_keys AS k ON k.id = d.id "
    "LEFT JOIN stored_events AS e ON e.idx = d.idx"
)
_KEPT_WITH = (
    "SELECT e.idx, coalesce(d.replay_of, d.id) FROM json_each(?) AS wanted "
    "JOIN stored_events AS e ON e.idx = wanted.value JOIN deliveries AS d ON d.id = e.delivery_id"
)
_SELECT_DELIVERIES = (
    "SELECT *, EXISTS (SELECT 1 FROM bodies WHERE delivery_id = id) AS has_body "
    "FROM deliveries AS d"
)
_EVENTS_OF = "FROM stored_events WHERE originator_id = ?"


def _event_row(
    idx: int, event: StoredEvent, recorded_at: int, delivery_id: int | None
) -> tuple[object, ...]:
    originator_id = event.originator_id
    return (
        idx,
        originator_id.hex if isinstance(originator_id, UUID) else originator_id,
        event.originator_version,
        event.topic,
        event.state,
        recorded_at,
        delivery_id,
    )


def _delivery_row(
    delivery_id: int, entry: LogEntry, recorded_at: int, position: Position | None
) -> tuple[object, ...]:
    return (
        delivery_id,
        to_microseconds(entry.received_at),
        recorded_at,
        entry.provider,
        entry.outcome.value,
        position.index if position else None,
        entry.stream,
        entry.body_hash,
        entry.reason,
        entry.body_bytes,
        entry.address,
        entry.key_id,
        entry.origin.value,
        entry.replay_of,
    )


def _stored_at(row: Row) -> StoredAt:
    return StoredAt(
        Position(PARTITION, row["idx"]),
        from_microseconds(row["recorded_at"]),
        StoredEvent(row["originator_id"], row["originator_version"], row["topic"], row["state"]),
    )


def _delivery(row: Row) -> DeliveryRow:
    return DeliveryRow(
        id=row["id"],
        received_at=from_microseconds(row["received_at"]),
        recorded_at=from_microseconds(row["recorded_at"]),
        provider=row["provider"],
        outcome=Outcome(row["outcome"]),
        position=Position(PARTITION, row["idx"]) if row["idx"] else None,
        stream=row["originator_id"],
        body_hash=row["body_hash"],
        reason=row["reason"],
        body_bytes=row["body_bytes"],
        address=row["address"],
        key_id=row["key_id"],
        origin=Origin(row["origin"]),
        replay_of=row["replay_of"],
        has_body=bool(row["has_body"]),
    )
