"""Where evidence is kept: signed checkpoints and public keys, which are precious, and the tiles of
the tree, which can be made again. In SQL that both databases read."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Any, ClassVar, NamedTuple

from adapters.storage.generations import Cursor
from adapters.storage.log import PARTITION, Clock, unavailable, utc_now


class StoredRow(NamedTuple):
    """A stored event as the database holds it; `recorded_at` is microseconds since 1970 UTC."""

    idx: int
    stream: bytes
    version: int
    topic: bytes
    state: bytes
    recorded_at: int
    delivery_id: int | None


RawRow = tuple[int, bytes, int, bytes, bytes, int, int | None]


class Head(NamedTuple):
    """Where the log says that it ends: the last index, and the last delivery's id."""

    idx: int
    delivery_id: int


class LoggedDelivery(NamedTuple):
    """A row of the delivery log, as far as its body hangs on it."""

    delivery_id: int
    outcome: str
    replay_of: int | None
    body_hash: str
    idx: int | None


class EventName(NamedTuple):
    """Which event of an order stands at an index."""

    idx: int
    stream: bytes
    version: int
    topic: bytes


class Questions(NamedTuple):
    """What the log is asked, in the words of one database; see the methods of the same names."""

    names_at: str
    deliveries: str
    bodies: str
    body_keys: str
    strays: str
    head: str


class KnownKey(NamedTuple):
    """A public key that signs since a time. The keys before it go on signing until another time,
    so that whoever knows them has time to learn this one."""

    number: int
    public_key: bytes
    since: datetime
    earlier_until: datetime


class KeptCheckpoint(NamedTuple):
    """A signed checkpoint, numbered from 1 in its partition; `made_at` is not signed."""

    number: int
    size: int
    note: str
    made_at: datetime


class EvidenceStore:
    """The evidence of a ledger. Every method blocks and raises `StorageUnavailable`."""

    schema = ""  # in front of a table's name
    questions: ClassVar[Questions]

    def __init__(self, clock: Clock = utc_now) -> None:
        self._clock = clock

    # ---------------------------------------------------------------- what the databases differ in

    @abstractmethod
    def transaction(self, *, commit: bool) -> AbstractContextManager[Cursor]:
        """A transaction over what is precious; durable on return. Errors are the library's."""

    @abstractmethod
    def tree_transaction(self, *, commit: bool) -> AbstractContextManager[Cursor]:
        """A transaction over the tiles. One that writes waits until no other process seals."""

    @abstractmethod
    def raw_rows(self, after: int, limit: int) -> Sequence[RawRow]:
        """The stored events of the next `limit` indexes after one, in order: fewer where the log
        ends or has a gap. They are tuples of the fields of a `StoredRow`, since naming those costs
        as much as reading them."""

    def rows(self, after: int, limit: int) -> Sequence[StoredRow]:
        """The same, with names."""
        return [StoredRow._make(row) for row in self.raw_rows(after, limit)]

    @abstractmethod
    def rows_of(self, streams: Sequence[bytes]) -> Sequence[StoredRow]:
        """The stored events of some orders, each order's in the order of its versions."""

    @abstractmethod
    def answers(self, question: str, params: Sequence[Any]) -> list[Any]:
        """The rows that a question gives, as plain tuples."""

    def numbers(self, numbers: Sequence[int]) -> Any:
        """Some numbers as one parameter."""
        return list(numbers)

    @abstractmethod
    def close(self) -> None:
        """Release the connections."""

    def to_time(self, time: datetime) -> Any:
        """A time as the database keeps it."""
        return time

    def from_time(self, value: Any) -> datetime:
        """The time that was kept as this value."""
        time: datetime = value
        return time

    # ---------------------------------------------------------------------------------- the log

    def names_at(self, idxs: Sequence[int]) -> Sequence[EventName]:
        """The events that stand at some indexes."""
        found = self.answers(self.questions.names_at, (self.numbers(idxs),))
        return [EventName._make(row) for row in found]

    def deliveries(self, after: int, upto: int) -> Sequence[LoggedDelivery]:
        """Deliveries after an id and up to another, in order."""
        found = self.answers(self.questions.deliveries, (after, upto))
        return [LoggedDelivery._make(row) for row in found]

    def bodies(self, after: int, upto: int) -> Mapping[int, bytes]:
        """The bodies that deliveries after an id and up to another kept, as they are stored."""
        return dict(self.answers(self.questions.bodies, (after, upto)))

    def body_keys(self, after: int, upto: int) -> Mapping[int, bytes]:
        """The wrapped keys of those bodies that have one of their own."""
        return dict(self.answers(self.questions.body_keys, (after, upto)))

    def strays(self) -> int:
        """How many events stand where none can: in no partition, or before its first index."""
        (found,) = self.answers(self.questions.strays, ())
        return int(found[0])

    def head(self) -> Head:
        """Where the log ends; also where its last rows are gone, as far as others tell of them."""
        return Head._make(self.answers(self.questions.head, ())[0])

    # ----------------------------------------------------------------------- the ledger's identity

    def ledger_id(self) -> str:
        """The name that was made for the ledger once."""
        return str(self._one(f"SELECT id FROM {self.schema}ledger_identity")[0])

    def known_keys(self) -> list[KnownKey]:
        """Every public key that ever signed, oldest first."""
        with unavailable(), self.transaction(commit=False) as c:
            return self._keys(c)

    @contextmanager
    def changing_keys(self) -> Iterator["KeyChange"]:
        """A time during which no other process makes a key known."""
        with unavailable(), self.transaction(commit=True) as c:
            self.lock(c)
            yield KeyChange(self, c, self._keys(c))

    def lock(self, c: Cursor) -> None:
        """Keep other processes from making keys known until the transaction ends."""

    def _keys(self, c: Cursor) -> list[KnownKey]:
        c.execute(
            "SELECT number, public_key, since, earlier_until "
            f"FROM {self.schema}seal_keys ORDER BY number"
        )
        time = self.from_time
        return [KnownKey(n, bytes(key), time(a), time(b)) for n, key, a, b in c.fetchall()]

    # -------------------------------------------------------------------------------- checkpoints

    def add_checkpoint(self, size: int, note: str) -> None:
        """Keep a signed checkpoint, durably."""
        with unavailable(), self.transaction(commit=True) as c:
            c.execute(
                f"INSERT INTO {self.schema}checkpoints SELECT {PARTITION}, "
                "coalesce(max(number), 0) + 1, ?, ?, ? "
                f"FROM {self.schema}checkpoints WHERE partition = {PARTITION}",
                (size, note, self.to_time(self._clock())),
            )

    def last_checkpoint(self) -> KeptCheckpoint | None:
        """The newest checkpoint."""
        found = self.checkpoints_before(None, 1)
        return found[0] if found else None

    def checkpoint_of(self, size: int) -> KeptCheckpoint | None:
        """The newest checkpoint of a tree of this size."""
        found = self._checkpoints("AND tree_size = ? ORDER BY number DESC LIMIT 1", (size,))
        return found[0] if found else None

    def checkpoint_over(self, index: int) -> KeptCheckpoint | None:
        """The first checkpoint of a tree that holds the event of this index."""
        found = self._checkpoints("AND tree_size >= ? ORDER BY tree_size, number LIMIT 1", (index,))
        return found[0] if found else None

    def checkpoints_before(self, number: int | None, limit: int) -> list[KeptCheckpoint]:
        """Checkpoints, newest first, below a number."""
        where, params = ("AND number < ?", (number,)) if number is not None else ("", ())
        return self._checkpoints(f"{where} ORDER BY number DESC LIMIT {limit:d}", params)

    def checkpoints_after(self, number: int, limit: int) -> list[KeptCheckpoint]:
        """Checkpoints, oldest first, above a number."""
        return self._checkpoints(f"AND number > ? ORDER BY number LIMIT {limit:d}", (number,))

    def _checkpoints(self, clauses: str, params: Sequence[Any]) -> list[KeptCheckpoint]:
        with unavailable(), self.transaction(commit=False) as c:
            c.execute(
                f"SELECT number, tree_size, note, made_at FROM {self.schema}checkpoints "
                f"WHERE partition = {PARTITION} {clauses}",
                params,
            )
            return [
                KeptCheckpoint(number, size, note, self.from_time(at))
                for number, size, note, at in c.fetchall()
            ]

    # --------------------------------------------------------------------------------------- tiles

    def tile(self, level: int, number: int) -> bytes:
        """The hashes of a tile that are there; none where it is not."""
        with unavailable(), self.tree_transaction(commit=False) as c:
            c.execute(
                f"SELECT hashes FROM {self.schema}tiles "
                f"WHERE partition = {PARTITION} AND level = ? AND number = ?",
                (level, number),
            )
            row = c.fetchone()
            return bytes(row[0]) if row else b""

    def tiles(self, level: int, first: int, count: int) -> dict[int, bytes]:
        """Neighbouring tiles, by number."""
        with unavailable(), self.tree_transaction(commit=False) as c:
            c.execute(
                f"SELECT number, hashes FROM {self.schema}tiles WHERE partition = {PARTITION} "
                "AND level = ? AND number >= ? AND number < ?",
                (level, first, first + count),
            )
            return {number: bytes(hashes) for number, hashes in c.fetchall()}

    @contextmanager
    def sealing(self) -> Iterator["Sealing"]:
        """A time during which no other process seals."""
        with unavailable(), self.tree_transaction(commit=True) as c:
            yield Sealing(self, c)

    def problem(self) -> str | None:
        """Why the sealer stands still, if it does."""
        with unavailable(), self.tree_transaction(commit=False) as c:
            c.execute(f"SELECT problem FROM {self.schema}sealer")
            row = c.fetchone()
            return row[0] if row else None

    def set_problem(self, problem: str | None) -> None:
        """Say why the sealer stands still, or that it does not."""
        with unavailable(), self.tree_transaction(commit=True) as c:
            c.execute(f"DELETE FROM {self.schema}sealer")
            c.execute(f"INSERT INTO {self.schema}sealer VALUES (?)", (problem,))

    def _one(self, sql: str) -> Any:
        with unavailable(), self.transaction(commit=False) as c:
            c.execute(sql)
            return c.fetchone()


class KeyChange:
    """Makes a key known, while no other process does."""

    def __init__(self, store: EvidenceStore, c: Cursor, known: Sequence[KnownKey]) -> None:
        self.known = known
        self._store = store
        self._c = c

    def add(self, public_key: bytes, since: datetime, earlier_until: datetime) -> None:
        """Add a key that signs from now on, and say until when those before it do."""
        times = (self._store.to_time(since), self._store.to_time(earlier_until))
        self._c.execute(
            f"INSERT INTO {self._store.schema}seal_keys VALUES (?, ?, ?, ?)",
            (len(self.known) + 1, public_key, *times),
        )


class Sealing:
    """Writes tiles while no other process does."""

    def __init__(self, store: EvidenceStore, c: Cursor) -> None:
        self._store = store
        self._c = c

    def put(self, tiles: Iterable[tuple[int, int, bytes]]) -> None:
        """Write tiles (level, number, hashes) over whatever was there before."""
        for level, number, hashes in tiles:
            self._c.execute(
                f"INSERT INTO {self._store.schema}tiles VALUES ({PARTITION}, ?, ?, ?) "
                "ON CONFLICT (partition, level, number) DO UPDATE SET hashes = excluded.hashes",
                (level, number, hashes),
            )
