"""The log in PostgreSQL, as projections read it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from adapters.storage.events import FIRST_EVENTS_WITHIN, WHOLE, EventRow, Slice, last_upto
from adapters.storage.log import PARTITION, unavailable
from adapters.storage.postgres import Database
from domain.log import stream_of

SELECT = (
    "SELECT idx, originator_id, originator_version, topic, convert_to(state, 'UTF8'), recorded_at "
    "FROM order_ledger.stored_events WHERE partition = %s"
)
IN_SLICE = "AND (hashtext(originator_id) & 2147483647) %% %s = %s"
OF_STREAMS = (
    "SELECT e.idx, stream, e.originator_version, e.topic, convert_to(e.state, 'UTF8'), "
    "e.recorded_at "
    "FROM unnest(%s::text[]) AS wanted (stream) CROSS JOIN LATERAL ("
    "SELECT * FROM order_ledger.stored_events WHERE partition = %s AND originator_id = stream "
    "ORDER BY originator_version OFFSET 0) AS e"
)
HEAD = "SELECT idx FROM order_ledger.stored_events WHERE partition = %s ORDER BY idx DESC LIMIT 1"
# From the index on: where an event was deleted, that is for `verify` to tell.
RECORDED_AT = (
    "SELECT recorded_at FROM order_ledger.stored_events WHERE partition = %s AND idx >= %s "
    "ORDER BY idx LIMIT 1"
)
FIRST_EVENTS = (
    "SELECT idx, originator_id FROM order_ledger.stored_events WHERE partition = %s "
    "AND idx > %s AND idx <= %s AND originator_version = 1 "
    "AND (%s::text IS NULL OR starts_with(originator_id, %s::text)) ORDER BY idx LIMIT %s"
)
NEWEST = (
    "SELECT recorded_at FROM order_ledger.stored_events WHERE partition = %s "
    "ORDER BY idx DESC LIMIT 1"
)
# One look into the index for each stream: DISTINCT would read every event.
STREAMS = (
    "WITH RECURSIVE found AS ("
    "(SELECT originator_id FROM order_ledger.stored_events "
    "WHERE partition = %(p)s AND originator_id > %(after)s ORDER BY originator_id LIMIT 1) "
    "UNION ALL SELECT (SELECT e.originator_id FROM order_ledger.stored_events e "
    "WHERE e.partition = %(p)s AND e.originator_id > found.originator_id "
    "ORDER BY e.originator_id LIMIT 1) FROM found WHERE found.originator_id IS NOT NULL) "
    "SELECT originator_id FROM found WHERE originator_id IS NOT NULL LIMIT %(limit)s"
)


class PostgresEvents:
    """Events of a ledger in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def next(self, after: int, limit: int) -> Sequence[EventRow]:
        """The next events after an index (see `Events`)."""
        return self._rows(f"{SELECT} AND idx > %s ORDER BY idx LIMIT %s", (PARTITION, after, limit))

    def between(self, after: int, upto: int, part: Slice = WHOLE) -> Sequence[EventRow]:
        """The events of one slice after an index and up to another (see `Events`)."""
        sql, params = f"{SELECT} AND idx > %s AND idx <= %s", [PARTITION, after, upto]
        if part.of > 1:
            sql, params = f"{sql} {IN_SLICE}", [*params, part.of, part.number]
        return self._rows(f"{sql} ORDER BY idx", params)

    def of_streams(self, streams: Sequence[str]) -> Sequence[EventRow]:
        """The events of some orders (see `Events`)."""
        return self._rows(OF_STREAMS, (list(streams), PARTITION))

    def upto(self, instant: datetime) -> int:
        """The last event that was recorded at an instant or before (see `Events`)."""
        with unavailable(), self._database.reading() as connection:
            newest = connection.execute(NEWEST, (PARTITION,)).fetchone()
        if newest is None or newest[0] <= instant:
            # An event may be stamped already that is not committed yet: its writer holds the lock
            # of the log, which this takes once, looking for no event.
            with unavailable(), self._database.transaction(commit=True) as c:
                c.execute("SELECT idx FROM order_ledger.find_event(?, '', 0)", (PARTITION,))
        with unavailable(), self._database.reading() as connection:
            row = connection.execute(HEAD, (PARTITION,)).fetchone()
            head = row[0] if row else 0

            def recorded_at(index: int) -> datetime:
                row = connection.execute(RECORDED_AT, (PARTITION, index)).fetchone()
                assert row is not None, "the head is an event"
                at: datetime = row[0]
                return at

            return last_upto(instant, head, recorded_at)

    def first_events(
        self, after: int, upto: int, store: str | None, limit: int
    ) -> tuple[Sequence[tuple[int, str]], int]:
        """The next orders in the order of their first events (see `Events`)."""
        end = min(upto, after + FIRST_EVENTS_WITHIN)
        prefix = None if store is None else stream_of(store, "")
        with unavailable(), self._database.reading() as connection:
            params = (PARTITION, after, end, prefix, prefix, limit)
            found = connection.execute(FIRST_EVENTS, params).fetchall()
        return found, found[-1][0] if len(found) == limit else end

    def streams(self, after: str, limit: int) -> Sequence[str]:
        """The next orders that have events (see `Events`)."""
        with unavailable(), self._database.reading() as connection:
            params = {"p": PARTITION, "after": after, "limit": limit}
            return [row[0] for row in connection.execute(STREAMS, params).fetchall()]

    def _rows(self, sql: str, params: Sequence[Any]) -> list[EventRow]:
        with (
            unavailable(),
            self._database.reading() as connection,
            connection.cursor(binary=True) as cursor,
        ):
            cursor.execute(sql.encode(), params)
            return cursor.fetchall()
