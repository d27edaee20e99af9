"""Who calls, kept beside the read models, in SQL that both databases read.

Three small tables that can be deleted: they are made again from the delivery log.
"""

import json
from datetime import date, timedelta
from typing import Any

from eventsourcing.persistence import IntegrityError

from adapters.storage.generations import Cursor
from adapters.storage.log import PARTITION, unavailable
from adapters.storage.sqlite import from_microseconds, to_microseconds
from adapters.storage.views import Views, track
from projections.traffic import Rhythm, SecretUse, Traffic

TRACKING = f"traffic/{PARTITION}"
TABLES = {
    "traffic_rhythms": (
        "provider TEXT PRIMARY KEY, deliveries BIGINT NOT NULL, last_delivery_at BIGINT NOT NULL, "
        "longest_gaps TEXT NOT NULL"
    ),
    "traffic_secrets": (
        "provider TEXT NOT NULL, key_id TEXT NOT NULL, deliveries BIGINT NOT NULL, "
        "last_used_at BIGINT NOT NULL, PRIMARY KEY (provider, key_id)"
    ),
    "traffic_silent": "provider TEXT PRIMARY KEY",
}
PUT_RHYTHM = (
    "INSERT INTO traffic_rhythms VALUES (?, ?, ?, ?) ON CONFLICT (provider) DO UPDATE "
    "SET deliveries = excluded.deliveries, last_delivery_at = excluded.last_delivery_at, "
    "longest_gaps = excluded.longest_gaps"
)
PUT_USE = (
    "INSERT INTO traffic_secrets VALUES (?, ?, ?, ?) ON CONFLICT (provider, key_id) DO UPDATE "
    "SET deliveries = excluded.deliveries, last_used_at = excluded.last_used_at"
)


class TrafficTables:
    """What is known of who calls, up to a delivery's id. Every method blocks."""

    def __init__(self, views: Views) -> None:
        self._views = views

    def create(self) -> None:
        """Create what is missing."""
        with unavailable(), self._views.transaction(commit=True) as c:
            self._views.lock(c)
            for table, columns in TABLES.items():
                c.execute(f"CREATE TABLE IF NOT EXISTS {table} ({columns})")

    def read(self) -> tuple[int, Traffic]:
        """The id of the last delivery that is taken in, and what is known after it."""
        with unavailable(), self._views.transaction(commit=False) as c:
            upto = _upto(c)
            c.execute(
                "SELECT provider, deliveries, last_delivery_at, longest_gaps FROM traffic_rhythms"
            )
            rhythms = {
                provider: Rhythm(count, from_microseconds(at), _gaps(gaps))
                for provider, count, at, gaps in map(tuple, c.fetchall())
            }
            c.execute("SELECT provider, key_id, deliveries, last_used_at FROM traffic_secrets")
            secrets = {
                (provider, key_id): SecretUse(count, from_microseconds(at))
                for provider, key_id, count, at in map(tuple, c.fetchall())
            }
        return upto, Traffic(rhythms, secrets)

    def write(self, since: int, upto: int, before: Traffic, after: Traffic) -> bool:
        """Keep what is known after more deliveries; False, and nothing is kept, where another
        process was first."""
        try:
            with unavailable(), self._views.transaction(commit=True) as c:
                self._views.lock(c)
                if _upto(c) != since:
                    return False
                track(c, TRACKING, upto)
                for provider, rhythm in after.rhythms.items():
                    if before.rhythms.get(provider) != rhythm:
                        c.execute(PUT_RHYTHM, (provider, *_rhythm(rhythm)))
                for (provider, key_id), use in after.secrets.items():
                    if before.secrets.get((provider, key_id)) != use:
                        at = to_microseconds(use.last_used_at)
                        c.execute(PUT_USE, (provider, key_id, use.deliveries, at))
        except IntegrityError:
            return False
        return True

    def told_silent(self) -> set[str]:
        """The providers of which it was told that they are silent."""
        with unavailable(), self._views.transaction(commit=False) as c:
            c.execute("SELECT provider FROM traffic_silent")
            return {row[0] for row in c.fetchall()}

    def tell(self, provider: str, *, is_silent: bool) -> bool:
        """Remember that it was told; False where another process was first to tell."""
        sql = "INSERT INTO traffic_silent VALUES (?) ON CONFLICT DO NOTHING RETURNING provider"
        if not is_silent:
            sql = "DELETE FROM traffic_silent WHERE provider = ? RETURNING provider"
        with unavailable(), self._views.transaction(commit=True) as c:
            c.execute(sql, (provider,))
            return c.fetchone() is not None


def _upto(c: Cursor) -> int:
    c.execute("SELECT notification_id FROM tracking WHERE application_name = ?", (TRACKING,))
    row = c.fetchone()
    return row[0] if row else 0


def _rhythm(rhythm: Rhythm) -> tuple[Any, ...]:
    gaps = {str(day): gap // timedelta(microseconds=1) for day, gap in rhythm.longest_gaps.items()}
    return rhythm.deliveries, to_microseconds(rhythm.last_delivery_at), json.dumps(gaps)


def _gaps(text: str) -> dict[date, timedelta]:
    return {
        date.fromisoformat(day): timedelta(microseconds=gap)
        for day, gap in json.loads(text).items()
    }
