"""The parity report: how two generations of a projection differ, compared at the same position.

The database compares; only samples come here, each with the events that explain it.
"""

import csv
import io
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel

from adapters.queries.exports import harmless
from adapters.read_models.event_source import decoded
from adapters.storage import generations
from adapters.storage.columns import Kind as ColumnKind
from adapters.storage.columns import kinds, to_database
from adapters.storage.events import EventRow, Events
from adapters.storage.generations import Cursor
from adapters.storage.views import Views
from domain.log import Position, Recorded, stream_of
from domain.money import amount_text
from domain.order import News, OrderEvent, PaymentReceived, ReviewRequired
from projections.model import AnyTable, Generation, Place, Projection, Row
from projections.runner import CheckpointMoved

PAGE = 1000  # differing rows that are fetched at once
EVENTS_TOLD_MAX = 20  # of one sample, the newest

Kind = Literal["added", "gone", "changed"]
Value = str | None


class EventBrief(BaseModel):
    """An event that explains a difference. `sets` names the differing columns whose value in the
    new generation is this event's; of a row that is nothing but its key, what the event gave it."""

    position: str
    recorded_at: datetime
    type: str
    told: str | None
    sets: list[str]


class Difference(BaseModel):
    """A row that differs: of each differing column the old and the new value."""

    table: str
    kind: Kind
    key: dict[str, Value]
    store: Value
    order_id: Value
    columns: dict[str, tuple[Value, Value]]
    events: list[EventBrief] = []


class TableParity(BaseModel):
    """How one table differs. `columns` counts the changed rows by column. What only one of the two
    releases has, `columns_gone` and `columns_new`, is not compared and counts as no difference.
    """

    table: str
    rows_old: int
    rows_new: int
    added: int
    gone: int
    changed: int
    columns: dict[str, int]
    columns_gone: list[str] = []
    columns_new: list[str] = []
    samples: list[Difference]


class Parity(BaseModel):
    """The report of two generations at one position."""

    projection: str
    old: int
    new: int
    position: str | None
    tables: list[TableParity]

    @property
    def differences(self) -> int:
        """How many rows differ, all told."""
        return sum(table.added + table.gone + table.changed for table in self.tables)

    @property
    def by_column(self) -> dict[str, int]:
        """How many rows changed in each column, all tables together, and in `table.column`."""
        counts: dict[str, int] = {}
        for table in self.tables:
            for column, count in table.columns.items():
                counts[column] = counts.get(column, 0) + count
                counts[f"{table.table}.{column}"] = count
        return counts


class Comparison:
    """Two generations of a projection, seen in one snapshot of the database.

    Raises `CheckpointMoved` where they are not at the same position in it.
    """

    def __init__(
        self, views: Views, c: Cursor, projection: Projection, old: Generation, new: Generation
    ) -> None:
        views.unbound(c)
        self._c = c
        self._differs = views.differs
        self._projection = projection
        fresh = [generations.one(c, g.projection, g.number) for g in (old, new)]
        if fresh[0] is None or fresh[1] is None or fresh[0].position != fresh[1].position:
            raise CheckpointMoved
        self.old, self.new = fresh[0], fresh[1]

    def report(self, events: Events, samples: int) -> Parity:
        """The counts, and of each table and kind so many samples."""
        return Parity(
            projection=self._projection.name,
            old=self.old.number,
            new=self.new.number,
            position=str(self.new.position) if self.new.position else None,
            tables=[self._table(table, events, samples) for table in self._projection.tables],
        )

    def differences(self, events: Events) -> Iterator[Difference]:
        """Every row that differs, in the order of the keys."""
        for table in self._projection.tables:
            for kind in self._kinds(table):
                for page in self._pages(table, kind):
                    yield from _explained(self._projection, table, page, events, self.new.position)

    def _table(self, table: AnyTable, events: Events, samples: int) -> TableParity:
        old, new = self._rows(self.old, table), self._rows(self.new, table)
        counts: dict[Kind, int] = {"added": new}
        if self._is_comparable(table):
            both, changed = self._joined(table)
            counts = {"gone": old - both, "changed": changed, "added": new - both}
        found = [
            difference
            for kind, count in counts.items()
            if count and samples
            for difference in next(self._pages(table, kind, min(samples, PAGE)))
        ]
        has = self.old.columns.get(table.name, ())
        return TableParity(
            table=table.name,
            columns_gone=[c for c in has if c not in table.columns],
            columns_new=[c for c in table.columns if has and c not in has],
            rows_old=old,
            rows_new=new,
            added=counts["added"],
            gone=counts.get("gone", 0),
            changed=counts.get("changed", 0),
            columns=self._by_column(table) if counts.get("changed") else {},
            samples=list(_explained(self._projection, table, found, events, self.new.position)),
        )

    def _is_comparable(self, table: AnyTable) -> bool:
        """An old generation, of another release, may not have the table, or not with this key."""
        return set(table.key) <= set(self.old.columns.get(table.name, ()))

    def _kinds(self, table: AnyTable) -> list[Kind]:
        return ["gone", "changed", "added"] if self._is_comparable(table) else ["added"]

    def _shared(self, table: AnyTable) -> list[str]:
        has = self.old.columns.get(table.name, ())
        return [c for c in table.columns if c in has and c not in table.key]

    def _rows(self, generation: Generation, table: AnyTable) -> int:
        if table.name not in generation.columns:
            return 0
        self._c.execute(f"SELECT count(*) FROM {generation.name_of(table.name)}")
        return int(self._c.fetchone()[0])

    def _from(self, table: AnyTable, kind: Kind) -> str:
        """What follows FROM: `o` and `n` are the old and the new row."""
        new = f"{self.new.name_of(table.name)} AS n"
        if not self._is_comparable(table):
            return f"{new} WHERE 1 = 1"
        old = f"{self.old.name_of(table.name)} AS o"
        same = self._same(table)
        if kind == "added":
            return f"{new} WHERE NOT EXISTS (SELECT 1 FROM {old} WHERE {same})"
        if kind == "gone":
            return f"{old} WHERE NOT EXISTS (SELECT 1 FROM {new} WHERE {same})"
        return f"{old} JOIN {new} ON {same} WHERE ({self._differing(table)})"

    def _same(self, table: AnyTable) -> str:
        return " AND ".join(f'o."{c}" = n."{c}"' for c in table.key)

    def _differing(self, table: AnyTable) -> str:
        return " OR ".join(self._differ(c) for c in self._shared(table)) or "1 = 0"

    def _differ(self, column: str) -> str:
        return f'(o."{column}" {self._differs} n."{column}")'

    def _joined(self, table: AnyTable) -> tuple[int, int]:
        """How many rows both generations have, and how many of those differ: one join, whose
        neighbours then tell what is gone and what was added."""
        self._c.execute(
            f"SELECT count(*), sum(CASE WHEN {self._differing(table)} THEN 1 ELSE 0 END) "
            f"FROM {self.old.name_of(table.name)} AS o JOIN {self.new.name_of(table.name)} AS n "
            f"ON {self._same(table)}"
        )
        both, changed = self._c.fetchone()
        return int(both), int(changed or 0)

    def _by_column(self, table: AnyTable) -> dict[str, int]:
        """How many of the changed rows differ in each column that does."""
        columns = self._shared(table)
        sums = ", ".join(f"sum(CASE WHEN {self._differ(c)} THEN 1 ELSE 0 END)" for c in columns)
        self._c.execute(f"SELECT {sums} FROM {self._from(table, 'changed')}")
        counts = zip(columns, self._c.fetchone(), strict=True)
        return {column: int(count) for column, count in counts if count}

    def _pages(self, table: AnyTable, kind: Kind, size: int = PAGE) -> Iterator[list[Difference]]:
        has = {"o": self.old.columns.get(table.name, ()), "n": table.columns}
        sides = {"added": ("n",), "gone": ("o",), "changed": ("o", "n")}[kind]
        columns = ", ".join(
            f'{side}."{c}"' if c in has[side] else "NULL" for side in sides for c in table.columns
        )
        key = ", ".join(f'{sides[0]}."{c}"' for c in table.key)
        after: list[Any] = []
        while True:
            beyond = f" AND ({key}) > ({', '.join('?' * len(table.key))})" if after else ""
            self._c.execute(
                f"SELECT {columns} FROM {self._from(table, kind)}{beyond} "
                f"ORDER BY {key} LIMIT {size:d}",
                after,
            )
            found = [tuple(row) for row in self._c.fetchall()]
            yield [self._difference(table, kind, row) for row in found]
            if len(found) < size:
                return
            after = [found[-1][table.columns.index(c)] for c in table.key]

    def _difference(self, table: AnyTable, kind: Kind, values: Sequence[Any]) -> Difference:
        width = len(table.columns)
        one, other = values[:width], values[width:] or None
        old, new = shown_beside(table, *((other, one) if kind == "added" else (one, other)))
        either = new if kind == "added" else old
        whole = dict(zip(table.columns, either, strict=True))
        shared = set(self._shared(table)) if kind == "changed" else set(table.columns)
        return Difference(
            table=table.name,
            kind=kind,
            key={c: whole[c] for c in table.key},
            store=whole.get("store"),
            order_id=whole.get("order_id"),
            columns={
                c: (a, b)
                for c, a, b in zip(table.columns, old, new, strict=True)
                if a != b and c in shared and c not in table.key
            },
        )


def shown(value: Any) -> Value:
    """A value of a row as a report shows it."""
    match value:
        case None:
            return None
        case datetime():
            return f"{value:%Y-%m-%dT%H:%M:%S.%fZ}"
        case Decimal():
            return amount_text(value)
        case tuple():
            return json.dumps(value, ensure_ascii=False)  # joined, ("a b",) would look like two
        case bool():
            return "true" if value else "false"
    return str(value)


def shown_beside(
    table: AnyTable, old: Sequence[Any] | None, new: Sequence[Any] | None
) -> tuple[list[Value], list[Value]]:
    """Two rows as a report shows them, from the values that the database keeps; None is no row."""
    none = (None,) * len(table.columns)
    pairs = [
        _beside(kind, pair)
        for kind, *pair in zip(kinds(table), old or none, new or none, strict=True)
    ]
    return [a for a, _ in pairs], [b for _, b in pairs]


def _beside(kind: ColumnKind, pair: Sequence[Any]) -> tuple[Value, Value]:
    """Two values of a column. They are shown as they are kept where one cannot be read, or where
    they differ and would look alike."""
    old, new = (None if kept is None else str(kept) for kept in pair)
    try:
        a, b = (shown(_read(kind, kept)) for kept in pair)
    except Exception:  # whatever stands there is no value of the column's type
        return old, new
    return (old, new) if a == b and old != new else (a, b)


def _read(kind: ColumnKind, kept: Any) -> Any:
    return kept if kept is None or kind.from_database is None else kind.from_database(kept)


def _explained(
    projection: Projection,
    table: AnyTable,
    differences: Sequence[Difference],
    events: Events,
    position: Position | None,
) -> Iterator[Difference]:
    """The differences, each with the events of its order up to the position."""
    if not projection.by_order:
        yield from differences
        return
    streams = {stream_of(d.store or "", d.order_id or "") for d in differences}
    stored: dict[str, list[EventRow]] = {}
    for row in events.of_streams(sorted(streams)) if streams else ():
        if position is not None and row[0] <= position.index:
            stored.setdefault(row[1], []).append(row)
    for difference in differences:
        rows = stored.get(stream_of(difference.store or "", difference.order_id or ""), [])
        told = _briefs(projection, table, difference, decoded(rows)[0])
        yield difference.model_copy(update={"events": told})


def _briefs(
    projection: Projection,
    table: AnyTable,
    difference: Difference,
    history: Sequence[Recorded[OrderEvent]],
) -> list[EventBrief]:
    rows: dict[Place, Row] = {}
    key = tuple(difference.key[c] for c in table.key)
    briefs: list[EventBrief] = []
    last_set: dict[str, int] = {}
    names = [c for c in table.key if c not in ("store", "order_id")]
    values: Mapping[str, Collection[Value]] = {}
    for number, recorded in enumerate(history):
        for changed, row in projection.fold(rows, recorded):
            rows[changed, changed.key_of(row)] = row
            if changed is table and tuple(shown(v) for v in table.key_of(row)) == key:
                if not difference.columns:  # a row that is nothing but its key: who made it?
                    for column in names:
                        last_set.setdefault(column, number)
                now = _forms(table, row)
                for column, (_, new) in difference.columns.items():
                    if new in now[column] and new not in values.get(column, ()):
                        last_set[column] = number
                values = now
        briefs.append(brief(recorded))
    for column, number in last_set.items():
        briefs[number].sets.append(column)
    sets = [b for b in briefs[:-EVENTS_TOLD_MAX] if b.sets]
    return sets + briefs[-EVENTS_TOLD_MAX:]


def _forms(table: AnyTable, row: Row) -> dict[str, Collection[Value]]:
    """The forms in which a report may show each value of a row: as it is read, and as kept."""
    (kept,) = to_database(table, [row])
    return {
        column: {shown(value), None if raw is None else str(raw)}
        for column, value, raw in zip(table.columns, row, kept, strict=True)
    }


def brief(recorded: Recorded[OrderEvent]) -> EventBrief:
    """An event in a line."""
    told: list[str] = []
    match recorded.event:
        case News() as news:
            told = [f"{news.provider}: {news.status.value}"]
            if news.amount is not None:
                told.append(f"{amount_text(news.amount)} {news.currency or ''}".strip())
            if isinstance(news, PaymentReceived):
                told.append(news.disposition.value)
        case ReviewRequired(reason=reason):
            told = [reason.value]
    return EventBrief(
        position=str(recorded.position),
        recorded_at=recorded.recorded_at,
        type=type(recorded.event).__name__,
        told=", ".join(told) or None,
        sets=[],
    )


def csv_lines(differences: Iterator[Difference]) -> Iterator[str]:
    """Differences as CSV: a line for each column of each row that differs, a heading first."""
    yield _csv(("table", "kind", "store", "order_id", "key", "column", "old", "new", "because_of"))
    for d in differences:
        key = " ".join(f"{column}={value}" for column, value in d.key.items())
        for column, (old, new) in d.columns.items() or [("", (None, None))]:
            because = [e.position for e in d.events if column in e.sets or (e.sets and not column)]
            place = (d.table, d.kind, d.store, d.order_id, key)
            yield _csv((*place, column, old, new, " ".join(because)))


def _csv(values: Sequence[Value]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(
        ["" if v is None else harmless(v) for v in values]
    )
    return line.getvalue()
