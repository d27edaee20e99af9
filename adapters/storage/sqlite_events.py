"""The log in an SQLite file, as projections read it."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zlib import crc32

from adapters.storage.events import FIRST_EVENTS_WITHIN, WHOLE, EventRow, Slice, last_upto
from adapters.storage.log import unavailable
from adapters.storage.sqlite import Datastore, from_microseconds
from domain.log import stream_of

SELECT = (
    "SELECT idx, originator_id, originator_version, topic, state, recorded_at FROM stored_events"
)


class SQLiteEvents:
    """Events of an SQLite file."""

    def __init__(self, datastore: Datastore) -> None:
        self._datastore = datastore

    def next(self, after: int, limit: int) -> Sequence[EventRow]:
        """The next events after an index (see `Events`)."""
        return _rows(self._all(f"{SELECT} WHERE idx > ? ORDER BY idx LIMIT ?", (after, limit)))

    def between(self, after: int, upto: int, part: Slice = WHOLE) -> Sequence[EventRow]:
        """The events of one slice after an index and up to another (see `Events`)."""
        found = self._all(f"{SELECT} WHERE idx > ? AND idx <= ? ORDER BY idx", (after, upto))
        if part.of > 1:
            found = [row for row in found if crc32(row[1].encode()) % part.of == part.number]
        return _rows(found)

    def of_streams(self, streams: Sequence[str]) -> Sequence[EventRow]:
        """The events of some orders (see `Events`)."""
        wanted = "originator_id IN (SELECT value FROM json_each(?))"
        order = "ORDER BY originator_id, originator_version"
        return _rows(self._all(f"{SELECT} WHERE {wanted} {order}", (json.dumps(list(streams)),)))

    def upto(self, instant: datetime) -> int:
        """The last event that was recorded at an instant or before (see `Events`)."""
        with unavailable(), self._datastore.transaction(commit=False) as c:
            c.execute("SELECT recorded_at FROM stored_events ORDER BY idx DESC LIMIT 1")
            row = c.fetchone()
        if row is None or from_microseconds(row[0]) <= instant:
            # An event may be stamped already that is not committed yet: its writer holds the lock.
            with unavailable(), self._datastore.transaction(commit=True):
                pass
        with unavailable(), self._datastore.transaction(commit=False) as c:
            c.execute("SELECT max(idx) FROM stored_events")
            head = c.fetchone()[0] or 0

            def recorded_at(index: int) -> datetime:
                # From the index on: where an event was deleted, that is for `verify` to tell.
                c.execute(
                    "SELECT recorded_at FROM stored_events WHERE idx >= ? ORDER BY idx LIMIT 1",
                    (index,),
                )
                return from_microseconds(c.fetchone()[0])

            return last_upto(instant, head, recorded_at)

    def first_events(
        self, after: int, upto: int, store: str | None, limit: int
    ) -> tuple[Sequence[tuple[int, str]], int]:
        """The next orders in the order of their first events (see `Events`)."""
        end = min(upto, after + FIRST_EVENTS_WITHIN)
        found = self._all(
            "SELECT idx, originator_id FROM stored_events WHERE idx > ?1 AND idx <= ?2 "
            "AND originator_version = 1 AND (?3 IS NULL OR substr(originator_id, 1, length(?3)) "
            "= ?3) ORDER BY idx LIMIT ?4",
            (after, end, None if store is None else stream_of(store, ""), limit),
        )
        return [(row[0], row[1]) for row in found], found[-1][0] if len(found) == limit else end

    def streams(self, after: str, limit: int) -> Sequence[str]:
        """The next orders that have events (see `Events`)."""
        found = self._all(
            "SELECT DISTINCT originator_id FROM stored_events WHERE originator_id > ? "
            "ORDER BY originator_id LIMIT ?",
            (after, limit),
        )
        return [row[0] for row in found]

    def _all(self, sql: str, params: Sequence[Any]) -> list[Any]:
        with unavailable(), self._datastore.transaction(commit=False) as c:
            c.execute(sql, params)
            found: list[Any] = c.fetchall()
            return found


def _rows(found: Sequence[Any]) -> list[EventRow]:
    return [
        (idx, stream, version, topic, state, from_microseconds(recorded_at))
        for idx, stream, version, topic, state, recorded_at in found
    ]
