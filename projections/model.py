"""What a projection is: a name, a version, tables, and a pure fold from events to rows."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Any, Generic, TypeVar

from domain.log import Recorded
from domain.order import OrderEvent

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
Fold = Callable[[Mapping[Place, Row], Recorded[OrderEvent]], Iterable[tuple[AnyTable, Row]]]


@dataclass(frozen=True)
class Projection:
    """A read model. `fold` gets the rows that `reads` asked for, as they stand after the events
    before, and returns the rows to write. A changed version means: make it anew from the log.

    `by_order` promises that every row comes from the events of one order, which its columns `store`
    and `order_id` name: then orders can be folded apart from each other.
    """

    name: str
    version: int
    tables: tuple[AnyTable, ...]
    reads: Callable[[Recorded[OrderEvent]], Iterable[Place]]
    fold: Fold
    by_order: bool = True
