"""What a rebuild writes: a generation beside the live one, slice by slice, and then the switch.

Every step is one transaction, so whatever is killed in the middle goes on from its last step.
"""

from typing import NamedTuple

from adapters.storage import generations
from adapters.storage.columns import create_indexes, names
from adapters.storage.events import Slice
from adapters.storage.generations import Cursor, tracking_name
from adapters.storage.log import PARTITION, unavailable
from adapters.storage.views import Views, track
from domain.log import Position
from projections.model import Generation, Projection, State
from projections.runner import Changed, CheckpointMoved, Followed

LOOK_AGAIN = "`projections list` shows where each stands"


class Refused(Exception):
    """What was asked cannot be done with the generations that there are; the message says why."""


class Part(NamedTuple):
    """A slice of a generation that is being built, and the index up to which it is folded."""

    slice: Slice
    idx: int


class Rebuilds:
    """The steps of rebuilding, switching and dropping generations."""

    def __init__(self, views: Views) -> None:
        self._views = views

    def begin(self, projection: Projection, slices: int, target: int) -> Generation:
        """The generation that is being built: the one that was begun, or else a new one.

        What another fold began is dropped, since its rows are that fold's; so is what has gone
        beyond the target, the index of the live one: the two could not be compared.
        """
        with unavailable(), self._views.transaction(commit=True) as c:
            self._views.lock(c)
            for begun in generations.all_of(c, projection.name):
                if begun.state is State.BUILDING:
                    if begun.is_made_by(projection) and self._reached(c, begun) <= target:
                        return begun
                    self._drop(c, begun)
            number = self._views.create(c, projection, State.BUILDING)
            for n in range(slices):
                c.execute(
                    "INSERT INTO slices VALUES (?, ?, ?, ?, 0)",
                    (projection.name, number, n, slices),
                )
            made = generations.one(c, projection.name, number)
            assert made is not None
            return made

    def _reached(self, c: Cursor, begun: Generation) -> int:
        c.execute(
            "SELECT max(idx) FROM slices WHERE projection = ? AND generation = ?",
            (begun.projection, begun.number),
        )
        return max(c.fetchone()[0] or 0, _index(begun.position))

    def parts(self, generation: Generation) -> list[Part]:
        """The slices of a generation; none where they are put together already."""
        with unavailable(), self._views.transaction(commit=False) as c:
            c.execute(
                "SELECT number, slices, idx FROM slices "
                "WHERE projection = ? AND generation = ? ORDER BY number",
                (generation.projection, generation.number),
            )
            return [Part(Slice(row[0], row[1]), row[2]) for row in c.fetchall()]

    def write_part(self, followed: Followed, part: Part, upto: int, rows: Changed) -> None:
        """Write what a slice makes of the events after its index, up to another.

        Raises `CheckpointMoved` where somebody else did.
        """
        place = (followed.projection.name, followed.number, part.slice.number)
        with unavailable(), self._views.transaction(commit=True) as c:
            c.execute(
                "UPDATE slices SET idx = ? WHERE projection = ? AND generation = ? AND number = ? "
                "AND idx = ? RETURNING idx",
                (upto, *place, part.idx),
            )
            if c.fetchone() is None:
                raise CheckpointMoved
            for table, changes in rows.items():
                self._views.put(c, table, followed.name_of(table), changes)
            c.execute("DELETE FROM poisons WHERE projection = ? AND generation = ?", place[:2])

    def join(self, generation: Generation, projection: Projection, processors: int) -> None:
        """Put the slices together, which all have come to the same index, and make the indexes."""
        with unavailable(), self._views.transaction(commit=True) as c:
            self._views.unbound(c, processors)
            place = (generation.projection, generation.number)
            c.execute(
                "SELECT min(idx), max(idx) FROM slices WHERE projection = ? AND generation = ?",
                place,
            )
            least, most = c.fetchone()
            if least is None:  # dropped meanwhile; whoever goes on with it is told so
                return
            assert least == most
            for table in projection.tables:
                name = generation.name_of(table.name)
                if self._views.indexes_last and table.only_grows:
                    c.execute(f"ALTER TABLE {name} ADD PRIMARY KEY ({names(table.key)})")
                for statement in create_indexes(table, name):
                    c.execute(statement)
            c.execute("DELETE FROM slices WHERE projection = ? AND generation = ?", place)
            if most:
                track(c, tracking_name(*place), most)
        self._views.analyze([generation.name_of(table.name) for table in projection.tables])

    def settle(self, generation: Generation, report: str) -> None:
        """The generation is compared: from now on it is followed, and waits for the switch.

        Raises `Refused` where somebody switched to it, or dropped it, while it was compared.
        """
        with unavailable(), self._views.transaction(commit=True) as c:
            self._views.lock(c)
            self._one_of(c, generation.projection, generation.number, State.BUILDING, State.BUILT)
            generations.set_state(c, generation, State.BUILT)
            c.execute(
                "UPDATE generations SET report = ? WHERE projection = ? AND number = ?",
                (report, generation.projection, generation.number),
            )

    def report(self, generation: Generation) -> str | None:
        """The parity report that was made of a generation, as JSON."""
        with unavailable(), self._views.transaction(commit=False) as c:
            c.execute(
                "SELECT report FROM generations WHERE projection = ? AND number = ?",
                (generation.projection, generation.number),
            )
            row = c.fetchone()
            return row[0] if row else None

    def switch(
        self, projection: str, number: int, wanted: State | None = None, *, may_lag: bool = False
    ) -> None:
        """Make another generation the live one; the one that was is kept.

        Raises `CheckpointMoved` where it is behind the live one, unless it may lag; `Refused` where
        it is not there, or is being built, or not in the state any more in which it was chosen.
        """
        may_be = (State.BUILT, State.KEPT) if wanted is None else (wanted,)
        with unavailable(), self._views.transaction(commit=True) as c:
            self._views.lock(c)
            other = self._one_of(c, projection, number, *may_be)
            live = generations.live_of(c).get(projection)
            if live is not None:
                if not may_lag and _index(other.position) < _index(live.position):
                    raise CheckpointMoved
                generations.set_state(c, live, State.KEPT)
            generations.set_state(c, other, State.LIVE)
            c.execute("DELETE FROM drift WHERE projection = ?", (projection,))

    def drop(self, projection: str, number: int) -> None:
        """Remove a generation's tables. Raises `Refused` for the live one."""
        with unavailable(), self._views.transaction(commit=True) as c:
            self._views.lock(c)
            found = generations.one(c, projection, number)
            if found is None or found.state is State.LIVE:
                what = "is live" if found else "is not there"
                raise Refused(f"generation {number} of {projection} {what}")
            self._drop(c, found)

    def _one_of(self, c: Cursor, projection: str, number: int, *states: State) -> Generation:
        """A generation as it is now, in a transaction that holds the lock: what others did since it
        was chosen decides. Raises `Refused` where it is in none of these states."""
        found = generations.one(c, projection, number)
        if found is None or found.state not in states:
            raise Refused(f"generation {number} of {projection} {_standing(found)}: {LOOK_AGAIN}")
        return found

    def _drop(self, c: Cursor, generation: Generation) -> None:
        for table in generation.columns:
            c.execute(f"DROP TABLE IF EXISTS {generation.name_of(table)}")
        generations.set_state(c, generation, State.DROPPED)
        place = (generation.projection, generation.number)
        c.execute("DELETE FROM tracking WHERE application_name = ?", (tracking_name(*place),))
        for table in ("slices", "poisons"):
            c.execute(f"DELETE FROM {table} WHERE projection = ? AND generation = ?", place)


def _standing(generation: Generation | None) -> str:
    """Where a generation stands, as a refusal says it."""
    if generation is None:
        return "is not there any more"
    return {
        State.BUILDING: "is being built",
        State.BUILT: "waits for its switch",
        State.LIVE: "is live already",
        State.KEPT: "is not live any more, and kept",
    }[generation.state]


def _index(position: Position | None) -> int:
    return position.index if position else 0


def position_of(idx: int) -> Position | None:
    """The position that an index stands for; none where nothing is folded."""
    return Position(PARTITION, idx) if idx else None
