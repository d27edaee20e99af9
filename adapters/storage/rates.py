"""How many deliveries came in each minute lately, in SQL that both databases read."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from adapters.storage.access import AccessTables
from adapters.storage.log import Clock, unavailable, utc_now

ROWS_MAX = 100_000  # of the delivery log that are counted, the newest
MINUTE = timedelta(minutes=1)


class Minute(NamedTuple):
    """Deliveries of one outcome that were recorded within a minute, which begins at `at` (UTC)."""

    at: datetime
    outcome: str
    deliveries: int


class Rates:
    """Counts the newest rows of the delivery log. Every method blocks."""

    def __init__(self, tables: AccessTables, clock: Clock = utc_now) -> None:
        self._tables = tables
        self._clock = clock

    def lately(self, minutes: int) -> list[Minute]:
        """The deliveries of the last minutes, this one among them, as far as they are among the
        newest 100,000; oldest first. Raises `StorageUnavailable`."""
        now = self._clock().replace(second=0, microsecond=0)
        since = now - (minutes - 1) * MINUTE
        tables = self._tables
        with unavailable(), tables.transaction(commit=False) as c:
            c.execute(
                f"SELECT {tables.minute}, outcome, count(*) FROM (SELECT recorded_at, outcome "
                f"FROM {tables.deliveries} ORDER BY id DESC LIMIT {ROWS_MAX:d}) AS newest "
                "WHERE recorded_at >= ? GROUP BY 1, 2 ORDER BY 1, 2",
                (tables.to_time(since),),
            )
            rows = c.fetchall()
        return [
            Minute(datetime.fromtimestamp(int(minute) * 60, UTC), outcome, count)
            for minute, outcome, count in rows
        ]
