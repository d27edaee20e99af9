"""The generations of read models: which there are, where each stands, and which is live."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from adapters.storage.log import PARTITION, utc_now
from adapters.storage.sqlite import from_microseconds, to_microseconds
from domain.log import Position
from projections.model import Generation, Projection, State

TABLES = {
    "tracking": "application_name TEXT PRIMARY KEY, notification_id BIGINT NOT NULL",
    "generations": (
        "projection TEXT NOT NULL, number INTEGER NOT NULL, version INTEGER NOT NULL, "
        "state TEXT NOT NULL, fingerprint TEXT NOT NULL, followed_by TEXT NOT NULL, "
        "columns TEXT NOT NULL, created_at BIGINT NOT NULL, changed_at BIGINT, "
        "switched_at BIGINT, repairs INTEGER NOT NULL, report TEXT, "
        "PRIMARY KEY (projection, number)"
    ),
    # How far each slice of a generation that is being built is folded.
    "slices": (
        "projection TEXT NOT NULL, generation INTEGER NOT NULL, number INTEGER NOT NULL, "
        "slices INTEGER NOT NULL, idx BIGINT NOT NULL, PRIMARY KEY (projection, generation, number)"
    ),
    "poisons": (
        "projection TEXT NOT NULL, generation INTEGER NOT NULL, position TEXT NOT NULL, "
        "event TEXT NOT NULL, error TEXT NOT NULL, PRIMARY KEY (projection, generation)"
    ),
    "drift": (
        "projection TEXT NOT NULL, stream TEXT NOT NULL, found_at BIGINT NOT NULL, "
        "told TEXT NOT NULL, PRIMARY KEY (projection, stream)"
    ),
    # The last run of each job: what takes longer than a request.
    "jobs": (
        "name TEXT PRIMARY KEY, who TEXT NOT NULL, origin TEXT NOT NULL, began_at BIGINT NOT NULL, "
        "phase TEXT NOT NULL, done BIGINT NOT NULL, whole BIGINT NOT NULL, ended_at BIGINT, "
        "is_done INTEGER NOT NULL, told TEXT"
    ),
    # The sessions of the console that somebody signed out of, until they would have ended anyway.
    "ended_sessions": "session TEXT PRIMARY KEY, until BIGINT NOT NULL",
    "watched": "projection TEXT PRIMARY KEY, cursor TEXT NOT NULL, checked BIGINT NOT NULL",
}
COLUMNS = (
    "g.projection, g.number, g.version, g.state, g.fingerprint, g.followed_by, g.columns, "
    "g.created_at, t.notification_id, g.changed_at, g.switched_at, g.repairs"
)
SELECT = (
    f"SELECT {COLUMNS} FROM generations g LEFT JOIN tracking t "
    f"ON t.application_name = g.projection || '@' || CAST(g.number AS TEXT) || '/{PARTITION}'"
)


class Watched(NamedTuple):
    """How far the watch over a projection is: the stream that it checked last in this round, the
    orders that it checked so far, and what it found, by stream."""

    cursor: str
    checked: int
    drift: dict[str, str]


class Cursor(Protocol):
    """What a transaction offers; parameters are marked with `?`."""

    def execute(self, sql: str, params: Sequence[Any] = ()) -> Any:
        """Run a statement."""

    def fetchone(self) -> Any:
        """The next row, or None."""

    def fetchall(self) -> Any:
        """The rows that are left."""


def tracking_name(projection: str, number: int) -> str:
    """Under which name a generation's position is tracked in the library's way."""
    return f"{projection}@{number}/{PARTITION}"


def all_of(c: Cursor, projection: str | None = None) -> list[Generation]:
    """The generations that have tables, of one projection or of all, oldest first."""
    c.execute(
        f"{SELECT} WHERE g.state <> ? AND (g.projection = ? OR ? = 1) "
        "ORDER BY g.projection, g.number",
        (State.DROPPED, projection or "", 1 if projection is None else 0),
    )
    return [_generation(tuple(row)) for row in c.fetchall()]


def live_of(c: Cursor) -> dict[str, Generation]:
    """The live generation of each projection."""
    c.execute(f"{SELECT} WHERE g.state = ?", (State.LIVE,))
    return {row[0]: _generation(tuple(row)) for row in c.fetchall()}


def one(c: Cursor, projection: str, number: int) -> Generation | None:
    """A generation, if it has tables."""
    c.execute(
        f"{SELECT} WHERE g.projection = ? AND g.number = ? AND g.state <> ?",
        (projection, number, State.DROPPED),
    )
    row = c.fetchone()
    return _generation(tuple(row)) if row else None


def found(c: Cursor, projection: Projection, state: State) -> int:
    """Enter a new generation; returns its number."""
    c.execute("SELECT max(number) FROM generations WHERE projection = ?", (projection.name,))
    number = int(c.fetchone()[0] or 0) + 1
    columns = {table.name: table.columns for table in projection.tables}
    c.execute(
        "INSERT INTO generations VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, 0, NULL)",
        (
            projection.name,
            number,
            projection.version,
            state,
            projection.fingerprint,
            projection.fingerprint,
            json.dumps(columns),
            to_microseconds(utc_now()),
        ),
    )
    return number


def set_state(c: Cursor, generation: Generation, state: State) -> None:
    """Note that a generation stands elsewhere now; the time too, where it becomes live."""
    c.execute(
        "UPDATE generations SET state = ?, switched_at = coalesce(?, switched_at) "
        "WHERE projection = ? AND number = ?",
        (
            state,
            to_microseconds(utc_now()) if state is State.LIVE else None,
            generation.projection,
            generation.number,
        ),
    )


def set_follower(c: Cursor, generation: Generation, projection: Projection) -> None:
    """Note that another fold takes in what comes from now on; where nothing came yet, all of it."""
    place = (generation.projection, generation.number)
    if generation.position is None:
        c.execute(
            "UPDATE generations SET fingerprint = ?, followed_by = ? "
            "WHERE projection = ? AND number = ?",
            (projection.fingerprint, projection.fingerprint, *place),
        )
        return
    c.execute(
        "UPDATE generations SET followed_by = ?, changed_at = coalesce(changed_at, ?) "
        "WHERE projection = ? AND number = ?",
        (projection.fingerprint, generation.position.index, *place),
    )


def repaired(c: Cursor, generation: Generation) -> None:
    """Note that rows changed while the position did not: what others remember is old."""
    c.execute(
        "UPDATE generations SET repairs = repairs + 1 WHERE projection = ? AND number = ?",
        (generation.projection, generation.number),
    )


def watched(c: Cursor, projection: str) -> Watched:
    """How far the watch over a projection is."""
    c.execute("SELECT cursor, checked FROM watched WHERE projection = ?", (projection,))
    row = c.fetchone() or ("", 0)
    c.execute("SELECT stream, told FROM drift WHERE projection = ? ORDER BY stream", (projection,))
    return Watched(row[0], row[1], dict(map(tuple, c.fetchall())))


def watch(c: Cursor, projection: str, cursor: str, checked: int) -> None:
    """Note that the watch has checked so many orders more, up to this stream."""
    c.execute(
        "INSERT INTO watched VALUES (?, ?, ?) ON CONFLICT (projection) DO UPDATE "
        "SET cursor = excluded.cursor, checked = watched.checked + excluded.checked",
        (projection, cursor, checked),
    )


def note_drift(c: Cursor, projection: str, stream: str, told: str | None) -> None:
    """Note how an order differs from its events; None: it does not."""
    if told is None:
        place = (projection, stream)
        c.execute("DELETE FROM drift WHERE projection = ? AND stream = ?", place)
        return
    c.execute(
        "INSERT INTO drift VALUES (?, ?, ?, ?) ON CONFLICT (projection, stream) DO UPDATE "
        "SET told = excluded.told",
        (projection, stream, to_microseconds(utc_now()), told),
    )


def forget_drift_beyond(c: Cursor, projection: str, limit: int) -> None:
    """Keep so many orders only, those that were found first."""
    c.execute(
        "DELETE FROM drift WHERE projection = ? AND stream NOT IN (SELECT stream FROM drift "
        "WHERE projection = ? ORDER BY found_at, stream LIMIT ?)",
        (projection, projection, limit),
    )


def _generation(row: tuple[Any, ...]) -> Generation:
    (projection, number, version, state, fingerprint, followed_by, columns) = row[:7]
    created_at, index, changed_at, switched_at, repairs = row[7:]
    return Generation(
        projection=projection,
        number=number,
        version=version,
        state=State(state),
        fingerprint=fingerprint,
        followed_by=followed_by,
        columns={table: tuple(names) for table, names in json.loads(columns).items()},
        created_at=from_microseconds(created_at),
        position=_position(index),
        changed_at=_position(changed_at),
        switched_at=from_microseconds(switched_at) if switched_at else None,
        repairs=repairs,
    )


def _position(index: int | None) -> Position | None:
    return None if index is None else Position(PARTITION, index)
