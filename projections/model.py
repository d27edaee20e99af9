"""What a projection is: a name, a version, tables, and a pure fold from events to rows."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from operator import itemgetter
from typing import Any, Generic, TypeVar

from domain.log import Position, Recorded
from domain.order import OrderEvent
from projections.fingerprint import fingerprint

Row = tuple[Any, ...]  # a NamedTuple in practice: its fields are the table's columns
Key = tuple[Any, ...]
RowT = TypeVar("RowT", bound=Row)


@dataclass(frozen=True, eq=False)
class Table(Generic[RowT]):
    """A table of a read model. Its columns are the fields of a `NamedTuple` class, typed by their
    annotations; the storage decides how each type is kept."""

    name: str
    row_type: type[RowT]
    key: tuple[str, ...]
    indexes: tuple[tuple[str, ...], ...] = ()
    only_grows: bool = False  # the fold writes a row once and never again

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        fields: tuple[str, ...] = self.row_type._fields  # type: ignore[attr-defined]
        return fields

    @cached_property
    def key_of(self) -> Callable[[Row], Key]:
        """What picks the primary key out of a row; every key has two columns or more."""
        assert len(self.key) > 1
        return itemgetter(*map(self.columns.index, self.key))


AnyTable = Table[Any]
Place = tuple[AnyTable, Key]
Change = tuple[AnyTable, Row]
Fold = Callable[[Mapping[Place, Row], Recorded[OrderEvent]], Iterable[Change]]


@dataclass(frozen=True)
class Projection:
    """A read model. `fold` gets the rows that `reads` asked for, as they stand after the events
    before, and returns the rows to write: of tables that do not only grow, rows that it asked for.
    A changed version means: make it anew from the log.

    `by_order` promises that every row comes from the events of one order, which its columns `store`
    and `order_id` name: then orders can be folded apart from each other.
    """

    name: str
    version: int
    tables: tuple[AnyTable, ...]
    reads: Callable[[Recorded[OrderEvent]], Iterable[Place]]
    fold: Fold
    by_order: bool = True

    @cached_property
    def fingerprint(self) -> str:
        """The digest of the tables and of the code that the fold runs."""
        return fingerprint(self.tables, self.reads, self.fold)


class State(StrEnum):
    """Where a generation of a projection stands."""

    BUILDING = "building"  # being folded from the first event on; a rebuild goes on with it
    BUILT = "built"  # compared, and followed; it waits for the switch
    LIVE = "live"  # queries are answered from it
    KEPT = "kept"  # it was live before; a rollback returns to it
    DROPPED = "dropped"  # its tables are gone; its number is not used again


@dataclass(frozen=True)
class Generation:
    """One making of a projection's tables, from the first event on. Times are aware UTC.

    `fingerprint` is that of the fold that made it, `followed_by` of the fold that takes in what
    comes now: a release with a changed fold takes over where it starts, from the position
    `changed_at` on, and from then a rebuild is due. `columns` are those of its tables, `repairs`
    counts the orders that were folded anew within it.
    """

    projection: str
    number: int
    version: int
    state: State
    fingerprint: str
    followed_by: str
    columns: Mapping[str, tuple[str, ...]]
    created_at: datetime
    position: Position | None = None
    changed_at: Position | None = None
    switched_at: datetime | None = None
    repairs: int = 0

    def is_made_by(self, projection: Projection) -> bool:
        """Whether this fold, and no other, made every row of it."""
        return self.is_followed_by(projection) and self.fingerprint == self.followed_by

    def is_followed_by(self, projection: Projection) -> bool:
        """Whether this fold takes in what comes now, whoever made the rows before."""
        return (self.version, self.followed_by) == (projection.version, projection.fingerprint)

    def rebuild_due(self, projection: Projection) -> str | None:
        """Why it should be made anew, if it should."""
        if self.version != projection.version:
            return f"version {projection.version} is this release's"
        if not self.is_made_by(projection):
            return "the code of its fold changed"
        return None

    def name_of(self, table: str) -> str:
        """What one of its tables is called in the database."""
        return f"{table}__g{self.number}"
