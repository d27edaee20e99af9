"""The read models' tables and their positions, in SQL that both databases read.

Every projection has generations of its tables, `<table>__g<number>`. One of them is live.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from eventsourcing.persistence import IntegrityError, Tracking, TrackingRecorder

from adapters.storage import generations
from adapters.storage.columns import KINDS, create_indexes, create_table, from_database
from adapters.storage.generations import TABLES, Cursor, Watched, tracking_name
from adapters.storage.log import StorageUnavailable, unavailable
from domain.log import Position
from projections.model import AnyTable, Generation, Key, Projection, Row, RowT, State, Table
from projections.runner import Changed, Changes, CheckpointMoved, Followed, Poison

KEYS_MAX = 100  # that one statement looks for
T = TypeVar("T")
Kept = tuple[Any, ...]  # the values of a row, as the database keeps them

INSERT_TRACKING = (
    "INSERT INTO tracking VALUES (?, ?) ON CONFLICT (application_name) DO UPDATE "
    "SET notification_id = excluded.notification_id "
    "WHERE tracking.notification_id < excluded.notification_id RETURNING notification_id"
)
PARK = (
    "INSERT INTO poisons VALUES (?, ?, ?, ?, ?) ON CONFLICT (projection, generation) DO UPDATE "
    "SET position = excluded.position, event = excluded.event, error = excluded.error"
)


class GenerationGone(StorageUnavailable):
    """The generation that was read page by page has been dropped meanwhile."""

    def __init__(self, projection: str) -> None:
        super().__init__(
            f"{projection} was made anew, and the rows that were being read are dropped: ask again"
        )


class Pin:
    """Keeps a reading of many pages with the generations that were live at its first: what is read
    later of another would be rows of two folds in one answer."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] | None = None

    def hold(self, c: Cursor, live: dict[str, Generation]) -> dict[str, Generation]:
        """The generations to read. Raises `GenerationGone` where one is dropped."""
        if self._numbers is None:
            self._numbers = {name: generation.number for name, generation in live.items()}
            return live
        held: dict[str, Generation] = {}
        for name, number in self._numbers.items():
            generation = generations.one(c, name, number)
            if generation is None:
                raise GenerationGone(name)
            held[name] = generation
        return held


class Reader:
    """The live generations at one moment: whatever is asked through it belongs together. A pin
    holds it to those of an earlier reading."""

    def __init__(self, c: Cursor, pin: Pin | None = None) -> None:
        self._c = c
        live = generations.live_of(c)
        self.live = pin.hold(c, live) if pin is not None else live
        self._of_table = {
            table: generation for generation in self.live.values() for table in generation.columns
        }

    def position(self, projection: str) -> Position | None:
        """The position of the last event that the live generation has taken in."""
        generation = self.live.get(projection)
        return generation.position if generation else None

    def rows(self, table: Table[RowT], keys: Sequence[Key]) -> list[RowT]:
        """The rows that exist under these keys."""
        return rows_of(self._c, table, self.relation(table), keys)

    def select(self, table: Table[RowT], clauses: str, params: Sequence[Any] = ()) -> list[RowT]:
        """The rows of a table, called `t`, that the clauses choose."""
        return select(self._c, table, self.relation(table), clauses, params)

    def count(
        self, table: AnyTable, columns: Sequence[str], clauses: str, params: Sequence[Any] = ()
    ) -> list[tuple[Any, ...]]:
        """How often each combination of values stands in these columns of the chosen rows, the
        values as the database keeps them, the number last."""
        listed = ", ".join(f't."{column}"' for column in columns)
        self._c.execute(
            f"SELECT {listed}, count(*) FROM {self.relation(table)} AS t {clauses} "
            f"GROUP BY {listed}",
            params,
        )
        return [tuple(row) for row in self._c.fetchall()]

    def orders(self, table: AnyTable, after: Key, limit: int) -> list[tuple[str, str]]:
        """The next orders, as (store, order_id), that a table has rows of."""
        self._c.execute(
            f'SELECT DISTINCT "store", "order_id" FROM {self.relation(table)} AS t '
            'WHERE ("store", "order_id") > (?, ?) ORDER BY "store", "order_id" LIMIT ?',
            (*after, limit),
        )
        return [(row[0], row[1]) for row in self._c.fetchall()]

    def first(
        self, table: AnyTable, columns: Sequence[str], clauses: str, params: Sequence[Any] = ()
    ) -> tuple[Any, ...] | None:
        """These columns of the first row that the clauses choose, as the database keeps them."""
        listed = ", ".join(f't."{column}"' for column in columns)
        self._c.execute(f"SELECT {listed} FROM {self.relation(table)} AS t {clauses}", params)
        row = self._c.fetchone()
        return None if row is None else tuple(row)

    def least(self, table: AnyTable, column: str, clauses: str, params: Sequence[Any] = ()) -> Any:
        """The least value of a column in the chosen rows; None where there is none."""
        chosen = f'SELECT t."{column}" FROM {self.relation(table)} AS t {clauses}'
        self._c.execute(f'SELECT min(c."{column}") FROM ({chosen}) AS c', params)
        return self._c.fetchone()[0]

    def stores(self, table: AnyTable) -> list[str]:
        """The stores that a table, whose key begins with the store, has rows of: a look into the
        index for each."""
        found: list[str] = []
        while True:
            where, params = ('WHERE "store" > ?', found[-1:]) if found else ("", [])
            self._c.execute(f'SELECT min("store") FROM {self.relation(table)} AS t {where}', params)
            store = self._c.fetchone()[0]
            if store is None:
                return found
            found.append(store)

    def relation(self, table: AnyTable) -> str:
        """What stands in SQL for the table. Columns that the live generation, another release's,
        does not have are NULL; a table that it does not have is empty."""
        generation = self._of_table.get(table.name)
        if generation is None:
            nulls = ", ".join(f'NULL AS "{column}"' for column in table.columns)
            return f"(SELECT {nulls} WHERE 1 = 0)"
        has = generation.columns[table.name]
        name = generation.name_of(table.name)
        if set(table.columns) <= set(has):
            return name
        columns = ", ".join(f'"{c}"' if c in has else f'NULL AS "{c}"' for c in table.columns)
        return f"(SELECT {columns} FROM {name})"


class Views(TrackingRecorder):
    """The tables of the read models, and for each generation how far it is folded.

    A position is kept in the library's way of tracking, under `<projection>@<number>/<partition>`.
    """

    text: str  # the type of a text
    differs: str  # compares two values, of which either may be NULL
    chunk_events: int  # that a rebuild writes in one transaction
    indexes_last: bool  # whether a rebuild makes indexes when the rows are there

    @abstractmethod
    def transaction(self, *, commit: bool) -> AbstractContextManager[Cursor]:
        """A transaction, to write with or to read with; errors are the library's. One that reads
        sees everything as it was at one moment."""

    @abstractmethod
    def read(self, ask: Callable[[Reader], T], pin: Pin | None = None) -> T:
        """Ask something of the live generations, all of it at one moment. With a pin, of those that
        were live when it was asked first; raises `GenerationGone`."""

    @abstractmethod
    def put(self, c: Cursor, table: AnyTable, name: str, changes: Changes) -> None:
        """Write rows: the new ones as such, the others over whatever their keys held before."""

    @abstractmethod
    def leads(self, projection: str) -> bool:
        """Whether this process is the one that follows a projection, or becomes it now."""

    @abstractmethod
    def is_led(self, c: Cursor, name: str) -> bool:
        """Whether any process leads what is called so."""

    @abstractmethod
    def size(self, c: Cursor, names: Sequence[str]) -> int | None:
        """Bytes of tables with their indexes; None where the database cannot say."""

    @abstractmethod
    def close(self) -> None:
        """Release the connections."""

    def lock(self, c: Cursor) -> None:
        """Keep other processes from changing read models, until the transaction ends."""

    def unbound(self, c: Cursor, processors: int = 1) -> None:
        """Let a statement of this transaction take as long as it takes, and make an index on so
        many processors."""

    def analyze(self, names: Sequence[str]) -> None:
        """Let the planner learn what is in new tables, where it needs to."""

    def prepare(self, projections: Sequence[Projection]) -> None:
        """Create what is missing: a projection that has no generation gets its first, live."""
        with unavailable(), self.transaction(commit=True) as c:
            self.lock(c)
            for table, columns in TABLES.items():
                c.execute(f"CREATE TABLE IF NOT EXISTS {table} ({columns})")
            live = generations.live_of(c)
            for projection in projections:
                if projection.name not in live:
                    self.create(c, projection, State.LIVE)

    def create(self, c: Cursor, projection: Projection, state: State) -> int:
        """Make the tables of a new generation; returns its number."""
        number = generations.found(c, projection, state)
        generation = generations.one(c, projection.name, number)
        assert generation is not None
        for table in projection.tables:
            name = generation.name_of(table.name)
            has_key = state is State.LIVE or not self.indexes_last or not table.only_grows
            c.execute(create_table(table, name, self.text, has_key=has_key))
            if state is State.LIVE or not self.indexes_last:
                for statement in create_indexes(table, name):
                    c.execute(statement)
        return number

    # ------------------------------------------------------------------------------- to be read

    def checkpoint(self, projection: str) -> Position | None:
        """The position of the last event that the live generation has taken in."""
        return self.read(lambda reader: reader.position(projection))

    def rows(self, table: Table[RowT], keys: Sequence[Key]) -> list[RowT]:
        """The rows that exist under these keys, in the live generation."""
        return self.read(lambda reader: reader.rows(table, keys))

    def select(self, table: Table[RowT], clauses: str, params: Sequence[Any] = ()) -> list[RowT]:
        """The rows of a table, called `t`, that the clauses choose, in the live generation."""
        return self.read(lambda reader: reader.select(table, clauses, params))

    def param(self, value: Any) -> Any:
        """A value as it is compared with a column: the database's form of its type."""
        kind = KINDS.get(type(value))
        return kind.to_database(value) if kind and kind.to_database else value

    def generations(self, projection: str | None = None) -> list[Generation]:
        """The generations that have tables, of one projection or of all, oldest first."""
        with unavailable(), self.transaction(commit=False) as c:
            return generations.all_of(c, projection)

    def bytes_of(self, generation: Generation) -> int | None:
        """The size of a generation's tables with their indexes; None where it is not known."""
        with unavailable(), self.transaction(commit=False) as c:
            return self.size(c, [generation.name_of(table) for table in generation.columns])

    def watched(self, projection: str) -> Watched:
        """How far the watch over a projection is, and what it found."""
        with unavailable(), self.transaction(commit=False) as c:
            return generations.watched(c, projection)

    # -------------------------------------------------------------------------- to be followed

    def adopt(self, projection: Projection) -> None:
        """Take over the live generation for a changed fold of the same version and tables, so that
        queries go on being answered. The fold of a generation that is kept takes over nothing: it
        is an older release's, or the one that a person rolled back."""
        with unavailable(), self.transaction(commit=True) as c:
            self.lock(c)
            known = generations.all_of(c, projection.name)
            ours = {table.name: table.columns for table in projection.tables}
            for live in known:
                if live.state is not State.LIVE or live.followed_by == projection.fingerprint:
                    continue
                others = {g.fingerprint for g in known if g.state is State.KEPT}
                alike = live.version == projection.version and live.columns == ours
                if alike and projection.fingerprint not in others:
                    generations.set_follower(c, live, projection)

    def followed(self, projections: Sequence[Projection]) -> list[Followed]:
        """The generations that the folds of these projections keep up to date."""
        folds = {(p.name, p.version, p.fingerprint): p for p in projections}
        with unavailable(), self.transaction(commit=False) as c:
            found = generations.all_of(c)
        return [
            Followed(folds[key], generation.number, generation.position, generation.repairs)
            for generation in found
            if generation.state in (State.LIVE, State.BUILT)
            and (key := (generation.projection, generation.version, generation.followed_by))
            in folds
        ]

    def fetch(self, followed: Followed, table: AnyTable, keys: Sequence[Key]) -> Sequence[Row]:
        """The rows of a generation that exist under these keys."""
        with unavailable(), self.transaction(commit=False) as c:
            return rows_of(c, table, followed.name_of(table), keys)

    def write(self, followed: Followed, upto: Position, rows: Changed) -> None:
        """Write rows and the new position of a generation in one transaction.

        Raises `CheckpointMoved` where its position is another by now, or where it is not this
        fold's to keep any more; then nothing is written.
        """
        try:
            self._write(followed, upto, rows)
        except IntegrityError:  # rows stand there already: somebody has put the position back
            over = {table: Changes([], [*made.new, *made.over]) for table, made in rows.items()}
            self._write(followed, upto, over)

    def _write(self, followed: Followed, upto: Position, rows: Changed) -> None:
        with unavailable(), self.transaction(commit=True) as c:
            self.lock(c)
            self.write_in(c, followed, upto, rows)

    def write_in(self, c: Cursor, followed: Followed, upto: Position, rows: Changed) -> None:
        """`write`, in a transaction that holds the lock."""
        projection = followed.projection
        now = generations.one(c, projection.name, followed.number)
        if (
            now is None
            or (now.position, now.repairs) != (followed.position, followed.repairs)
            or now.followed_by != projection.fingerprint
        ):
            raise CheckpointMoved
        for table, changes in rows.items():
            self.put(c, table, followed.name_of(table), changes)
        track(c, tracking_name(projection.name, followed.number), upto.index)
        place = (projection.name, followed.number)
        c.execute("DELETE FROM poisons WHERE projection = ? AND generation = ?", place)

    def park(self, followed: Followed, poison: Poison) -> None:
        """Say at which event a generation stands still, and why."""
        place = (followed.projection.name, followed.number)
        values = (*place, str(poison.position), poison.event, poison.error)
        with unavailable(), self.transaction(commit=True) as c:
            c.execute(PARK, values)

    def parked(self) -> dict[str, Poison]:
        """The projections whose live generation stands still before an event."""
        every = self.poisons()
        live = {name: g.number for name, g in self.read(lambda reader: reader.live).items()}
        return {name: poison for (name, n), poison in every.items() if live.get(name) == n}

    def poisons(self) -> dict[tuple[str, int], Poison]:
        """The generations, by projection and number, that stand still before an event."""
        with unavailable(), self.transaction(commit=False) as c:
            c.execute("SELECT projection, generation, position, event, error FROM poisons")
            return {
                (projection, number): Poison(Position.parse(position), event, error)
                for projection, number, position, event, error in map(tuple, c.fetchall())
            }

    # ----------------------------------------------------------------------------- the library's

    def insert_tracking(self, tracking: Tracking) -> None:
        """Record a position. Raises `IntegrityError` where it is not beyond the recorded one."""
        with self.transaction(commit=True) as c:
            track(c, tracking.application_name, tracking.notification_id)

    def max_tracking_id(self, application_name: str) -> int | None:
        """The recorded position."""
        with self.transaction(commit=False) as c:
            c.execute(
                "SELECT notification_id FROM tracking WHERE application_name = ?",
                (application_name,),
            )
            row = c.fetchone()
            return row[0] if row else None


def select(
    c: Cursor, table: Table[RowT], relation: str, clauses: str, params: Sequence[Any] = ()
) -> list[RowT]:
    """The rows of a relation, called `t`, that the clauses choose."""
    return [from_database(table, row) for row in _kept(c, table, relation, clauses, params)]


def _kept(
    c: Cursor, table: AnyTable, relation: str, clauses: str, params: Sequence[Any]
) -> list[Kept]:
    columns = ", ".join(f't."{column}"' for column in table.columns)
    c.execute(f"SELECT {columns} FROM {relation} AS t {clauses}", params)
    return [tuple(row) for row in c.fetchall()]


def rows_of(c: Cursor, table: Table[RowT], relation: str, keys: Sequence[Key]) -> list[RowT]:
    """The rows of a relation that exist under these keys."""
    return rows_by(c, table, relation, table.key, keys)


def rows_by(
    c: Cursor, table: Table[RowT], relation: str, columns: Sequence[str], values: Sequence[Key]
) -> list[RowT]:
    """The rows of a relation whose columns, the first ones of an index, have these values."""
    return [from_database(table, row) for row in kept_by(c, table, relation, columns, values)]


def kept_by(
    c: Cursor, table: AnyTable, relation: str, columns: Sequence[str], values: Sequence[Key]
) -> list[Kept]:
    """The same, as the database keeps them: none is read, so none can be unreadable."""
    # Spelled out: `IN (VALUES ...)` is answered by SQLite, and by PostgreSQL while it has no
    # statistics, by reading the whole table.
    one = " AND ".join(f't."{column}" = ?' for column in columns)
    found: list[Kept] = []
    for start in range(0, len(values), KEYS_MAX):
        some = values[start : start + KEYS_MAX]
        clauses = f"WHERE {' OR '.join([f'({one})'] * len(some))}"
        found += _kept(c, table, relation, clauses, [value for key in some for value in key])
    return found


def track(c: Cursor, name: str, index: int) -> None:
    """Record a position. Raises `IntegrityError` where it is not beyond the recorded one."""
    c.execute(INSERT_TRACKING, (name, index))
    if c.fetchone() is None:
        raise IntegrityError(f"the recorded position of {name} is not before {index}")
