"""The contract of a log: what the ledger appends, and what projections and queries read."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event
from typing import NamedTuple, Protocol

from eventsourcing.persistence import (
    ApplicationRecorder,
    DataError,
    IntegrityError,
    PersistenceError,
    ProgrammingError,
    StoredEvent,
)

from adapters.storage.deliveries import EVERYTHING, DeliveryFilter
from domain.log import Position
from domain.payment import Origin, Outcome
from projections.traffic import Arrival

Clock = Callable[[], datetime]
Tell = Callable[[], None]
PARTITION = 0  # the only one until the log is split; every position carries it


class StorageUnavailable(Exception):
    """The database cannot be reached or written just now; nothing was acknowledged."""


class VersionConflict(Exception):
    """Another writer appended to one of the batch's orders first; nothing was appended."""


class MasterChanged(VersionConflict):
    """Another master key wraps by now; nothing was appended."""


class StoredAt(NamedTuple):
    """An event as stored, with its position in the log and the time of its append (UTC)."""

    position: Position
    recorded_at: datetime
    event: StoredEvent


class OrderNames(NamedTuple):
    """Names that an order goes by in its store, kept in the transaction of the events that give
    them: those of a registered order, each its alone, or those under which parked news `waits`.

    With `anew` they take the place of all that it had.
    """

    store: str
    order_id: str
    names: tuple[str, ...]
    waits: bool = False
    anew: bool = False


class NamedOrder(NamedTuple):
    """An order that goes by a name: registered, or with parked news that `waits`."""

    store: str
    name: str
    order_id: str
    waits: bool


class NewKey(NamedTuple):
    """A wrapped key of an order. It names the order's first event: by its number among those that
    its entry appends, from 0, or by the index that it has already."""

    event: int | None
    idx: int | None
    wrapped: bytes


@dataclass(slots=True)
class LogEntry:
    """One authentic delivery, or command, and the events that it appends: the unit of a batch.

    `body` is sealed, and None where the same bytes are kept already; `body_key` is its wrapped key
    where it has one of its own. A duplicate names where its original stands: a `position` of the
    log, or the number of an earlier entry of the same batch. What was kept before and is taken in
    again, or discarded, names that delivery in `replay_of`. A command (a shop's, an operator's)
    leaves no row in the delivery log.

    Orders whose key is destroyed with the entry's events are named in `destroys`, those whose key
    seals its body though it has no event of theirs in `relies_on`, each by the index of its first
    event; `destroys_body_key_of` is a delivery whose body had a key of its own.
    """

    provider: str
    outcome: Outcome
    received_at: datetime
    body_hash: str
    stream: str | None = None
    reason: str | None = None
    body: bytes | None = field(default=None, repr=False)
    events: Sequence[StoredEvent] = ()
    position: Position | None = None
    duplicate_of: int | None = None
    body_bytes: int = 0
    address: str | None = None
    key_id: str | None = None
    origin: Origin = Origin.WEBHOOK
    replay_of: int | None = None
    is_command: bool = False
    names: Sequence[OrderNames] = ()
    keys: Sequence[NewKey] = ()
    body_key: bytes | None = None
    relies_on: Sequence[int] = ()
    destroys: Sequence[int] = ()
    destroys_body_key_of: int | None = None


class DeliveryRow(NamedTuple):
    """One row of the delivery log; times are UTC, `has_body` says whether it kept its body.

    `body_bytes` is the size of the body that came, also where it is not kept. `key_id` names the
    secret that verified the delivery, `replay_of` the delivery that it takes in again. `body_hash`
    is a keyed hash.
    """

    id: int
    received_at: datetime
    recorded_at: datetime
    provider: str
    outcome: Outcome
    position: Position | None
    stream: str | None
    body_hash: str
    reason: str | None
    body_bytes: int | None
    address: str | None
    key_id: str | None
    origin: Origin
    replay_of: int | None
    has_body: bool


class SealedBody(NamedTuple):
    """A body as it is stored, with the event that its delivery's row names, if it names one, and
    its wrapped key, if it has one of its own."""

    delivery_id: int
    body_hash: str
    sealed: bytes
    own_key: bytes | None
    stream: str | None
    version: int | None
    topic: str | None


class EventLog(Protocol):
    """Append in batches, read in order. Every method blocks; call none on an event loop."""

    @property
    def recorder(self) -> ApplicationRecorder:
        """The library's view of the same log."""

    def load(self, streams: Iterable[str]) -> Mapping[str, Sequence[StoredAt]]:
        """The events of several orders in one query, each in the order of its versions."""

    def append(
        self, entries: Sequence[LogEntry], master: int | None = None
    ) -> Sequence[Position | None]:
        """Append a batch in one transaction, durable on return. `master` is the number of the
        master key that wrapped the batch's keys.

        Returns per entry the position of its last event, a duplicate's original's, or None.
        Raises `VersionConflict`, also where a name was taken meanwhile, another master key wraps by
        now, or a key that is relied on was destroyed, or `StorageUnavailable`; then nothing of the
        batch is stored.
        """

    def stores_with_names(self) -> frozenset[str]:
        """The stores in which an order is registered, or news is parked."""

    def named(self, names: Sequence[tuple[str, str]]) -> Sequence[NamedOrder]:
        """The orders that go by these names, each a store and a name in it, in one query."""

    def read(self, after: Position | None, limit: int) -> Sequence[StoredAt]:
        """The next events after a position, gapless and in order."""

    def head(self) -> Position | None:
        """The position of the newest event."""

    def deliveries(
        self,
        outcomes: Sequence[Outcome],
        before: int | None,
        limit: int,
        wanted: DeliveryFilter = EVERYTHING,
    ) -> Sequence[DeliveryRow]:
        """Rows of the delivery log, newest first, below an id."""

    def set_aside(
        self, before: int | None, limit: int, wanted: DeliveryFilter = EVERYTHING
    ) -> Sequence[DeliveryRow]:
        """What was quarantined or ignored, and neither taken in since, nor discarded, nor erased,
        newest first, below an id."""

    def settled_by(self, delivery_id: int) -> DeliveryRow | None:
        """The replay or the decision that settled what was set aside, if one did."""

    def delivery(self, delivery_id: int) -> DeliveryRow | None:
        """One row of the delivery log."""

    def bodies(self, delivery_ids: Sequence[int]) -> Sequence[SealedBody]:
        """The bodies that are kept with deliveries."""

    def kept_with(self, idxs: Sequence[int]) -> Mapping[int, int]:
        """By the index of events: the delivery that the body which they tell of came with first."""

    def names_of(self, store: str, order_id: str) -> Sequence[str]:
        """The names that a registered order goes by, or under which parked news of one waits."""

    def keys(self, first: Sequence[int]) -> Mapping[int, bytes]:
        """The wrapped keys of orders, by the index of their first event, as far as there are."""

    def arrivals(self, after: int, limit: int) -> Sequence[Arrival]:
        """The next rows of the delivery log after an id (0: from the first), gapless and in order,
        as far as they tell who called."""

    def on_wait(self, tell: Tell) -> None:
        """Call this in every append of this process as soon as all that is left is to wait for the
        database, and already where orders are loaded from one that may be far away; it must not
        block."""

    def on_append(self, tell: Tell) -> None:
        """Call this after every append of this process; it must not block."""

    def on_append_elsewhere(self, tell: Tell, stop: Event) -> None:
        """Call this soon after an append of another process, until told to stop, where the database
        can say so. Who must not miss any polls besides."""

    def close(self) -> None:
        """Release the connections."""


class Announcing:
    """What both logs have in common: they tell of the appends of this process."""

    def __init__(self) -> None:
        self._on_wait: list[Tell] = []
        self._on_append: list[Tell] = []

    def on_wait(self, tell: Tell) -> None:
        """Call this before every wait for the database (see `EventLog.on_wait`)."""
        self._on_wait.append(tell)

    def on_append(self, tell: Tell) -> None:
        """Call this after every append of this process."""
        self._on_append.append(tell)

    @staticmethod
    def _tell(listeners: Sequence[Tell]) -> None:
        for tell in tuple(listeners):
            tell()


def first_line(error: Exception) -> str:
    """An error in one line: what a database adds below it may repeat what it was given."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@contextmanager
def unavailable() -> Iterator[None]:
    """Tell a database that cannot be used from a value that it refuses: only the first is worth
    trying again with the same input."""
    try:
        yield
    except (DataError, IntegrityError, ProgrammingError):
        raise
    except PersistenceError as error:
        raise StorageUnavailable(first_line(error)) from error


def utc_now() -> datetime:
    """The clock of the log: aware, UTC."""
    return datetime.now(UTC)
