"""How the columns of a read model are kept, by the type that its row class declares."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from adapters.storage.sqlite import from_microseconds, to_microseconds
from domain.money import amount_text
from projections.model import AnyTable, Row, RowT, Table

Convert = Callable[[Any], Any]
TEXT = "TEXT"


@dataclass(frozen=True)
class Kind:
    """A column's SQL type, and the ways in and out; None where the value goes as it is."""

    sql: str
    to_database: Convert | None = None
    from_database: Convert | None = None


def _texts_to_json(texts: tuple[str, ...]) -> str:
    return msgspec.json.encode(texts).decode()


def _texts_from_json(value: str) -> tuple[str, ...]:
    return tuple(msgspec.json.decode(value))


KINDS: dict[object, Kind] = {
    str: Kind(TEXT),
    int: Kind("BIGINT"),
    bool: Kind("SMALLINT", int, bool),
    datetime: Kind("BIGINT", to_microseconds, from_microseconds),
    Decimal: Kind(TEXT, amount_text, Decimal),
    tuple: Kind(TEXT, _texts_to_json, _texts_from_json),
}


@cache
def kinds(table: AnyTable) -> tuple[Kind, ...]:
    """The kind of each column of a table, in order."""
    hints = get_type_hints(table.row_type)
    return tuple(KINDS[_plain(hints[column])] for column in table.columns)


def _plain(hint: Any) -> object:
    """The type without its `| None`, and without its parameters."""
    if NoneType in get_args(hint):
        (hint,) = (arg for arg in get_args(hint) if arg is not NoneType)
    return get_origin(hint) or hint


@cache
def _ways(table: AnyTable) -> tuple[Sequence[tuple[int, Convert]], Sequence[tuple[int, Convert]]]:
    """The columns that are not kept as they are, by number: their ways in, and their ways out."""
    numbered = list(enumerate(kinds(table)))
    return (
        [(n, k.to_database) for n, k in numbered if k.to_database],
        [(n, k.from_database) for n, k in numbered if k.from_database],
    )


def to_database(table: AnyTable, rows: Iterable[Row]) -> Iterator[Sequence[Any]]:
    """The values of rows as the database keeps them."""
    ways = _ways(table)[0]
    if not ways:
        yield from rows
        return
    for row in rows:
        values = list(row)
        for n, way in ways:
            value = values[n]
            if value is not None:
                values[n] = way(value)
        yield values


def from_database(table: Table[RowT], values: Sequence[Any]) -> RowT:
    """The row that was kept as these values."""
    made = list(values)
    for n, way in _ways(table)[1]:
        if made[n] is not None:
            made[n] = way(made[n])
    return table.row_type(*made)


def create_table(table: AnyTable, name: str, text: str, *, has_key: bool = True) -> str:
    """The statement that makes a table; `text` is the database's type of texts."""
    types = [text if kind.sql == TEXT else kind.sql for kind in kinds(table)]
    columns = [f'"{c}" {t}' for c, t in zip(table.columns, types, strict=True)]
    key = [f"PRIMARY KEY ({names(table.key)})"] if has_key else []
    return f"CREATE TABLE {name} ({', '.join([*columns, *key])})"


def create_indexes(table: AnyTable, name: str) -> list[str]:
    """The statements that make a table's indexes, where they are missing.

    One over a single column that may be null leaves out the rows where it is: nobody looks for
    those by it, and they are nearly all.
    """
    return [
        f"CREATE INDEX IF NOT EXISTS {name}_by_{'_'.join(index)} ON {name} ({names(index)})"
        + (f" WHERE {names(index)} IS NOT NULL" if _is_seldom(table, index) else "")
        for index in table.indexes
    ]


def _is_seldom(table: AnyTable, index: Sequence[str]) -> bool:
    return len(index) == 1 and NoneType in get_args(get_type_hints(table.row_type)[index[0]])


def insert_statement(table: AnyTable, name: str) -> str:
    """The beginning of a statement that writes rows; where they come from follows, and then
    `upsert_clause`."""
    return f"INSERT INTO {name} ({names(table.columns)})"


def upsert_clause(table: AnyTable) -> str:
    """The end of a statement that writes rows over whatever their keys held before."""
    updates = ", ".join(f'"{c}" = excluded."{c}"' for c in table.columns if c not in table.key)
    action = f"DO UPDATE SET {updates}" if updates else "DO NOTHING"
    return f"ON CONFLICT ({names(table.key)}) {action}"


def names(columns: Sequence[str]) -> str:
    """Columns as SQL lists them."""
    return ", ".join(f'"{column}"' for column in columns)
