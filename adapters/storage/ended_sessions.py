"""The sessions of the console that somebody signed out of, beside the read models.

There every process of a service knows them, and the next start. Whoever deletes the read models
forgets them: then a copy of such a cookie is good again, for what is left of its hours.
"""

from datetime import datetime

from adapters.storage.log import unavailable
from adapters.storage.sqlite import to_microseconds
from adapters.storage.views import Views


class EndedSessions:
    """The ended sessions. Every method blocks and raises `StorageUnavailable`."""

    def __init__(self, views: Views) -> None:
        self._views = views

    def add(self, session: str, now: datetime, until: datetime) -> None:
        """Keep a session until it would have ended by itself; those that did by now go."""
        with unavailable(), self._views.transaction(commit=True) as c:
            c.execute("DELETE FROM ended_sessions WHERE until <= ?", (to_microseconds(now),))
            c.execute(
                "INSERT INTO ended_sessions (session, until) VALUES (?, ?) "
                "ON CONFLICT (session) DO NOTHING",
                (session, to_microseconds(until)),
            )

    def has(self, session: str) -> bool:
        """Whether somebody signed out of a session."""
        with unavailable(), self._views.transaction(commit=False) as c:
            c.execute("SELECT 1 FROM ended_sessions WHERE session = ?", (session,))
            return c.fetchone() is not None
