"""The library's infrastructure on our PostgreSQL, for applications that are made the library's way.

`PERSISTENCE_MODULE=adapters.storage.postgres_factory:Factory`, with the database's URL in
`POSTGRES_URL`.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    ProcessRecorder,
    StoredEvent,
    Tracking,
    TrackingRecorder,
)
from eventsourcing.utils import Environment, resolve_topic

from adapters.storage import postgres_schema
from adapters.storage.postgres import Database
from adapters.storage.postgres_log import PostgresLog
from adapters.storage.postgres_views import PostgresViews
from adapters.storage.views import track


class PostgresProcessLog(PostgresLog, ProcessRecorder):
    """The log, with the library's tracking recorded in the same transaction as its events."""

    def __init__(self, database: Database, originator_id_type: type = str) -> None:
        super().__init__(database, None, originator_id_type)
        self._views = PostgresViews(database)
        self._views.prepare(())

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        """Append events, and with them the position that they were made from."""
        tracking: Tracking | None = kwargs.get("tracking")
        with self._views.transaction(commit=True) as c:
            idxs = self._insert(c, stored_events) if stored_events else []
            if tracking is not None:
                track(c, tracking.application_name, tracking.notification_id)
        return idxs

    def insert_tracking(self, tracking: Tracking) -> None:
        """Record a position."""
        self._views.insert_tracking(tracking)

    def max_tracking_id(self, application_name: str) -> int | None:
        """The recorded position."""
        return self._views.max_tracking_id(application_name)


class Factory(InfrastructureFactory[TrackingRecorder]):
    """Makes recorders over one database."""

    POSTGRES_URL = "POSTGRES_URL"
    ORIGINATOR_ID_TYPE = "ORIGINATOR_ID_TYPE"

    def __init__(self, env: Environment) -> None:
        super().__init__(env)
        url = self.env.get(self.POSTGRES_URL)
        if not url:
            raise OSError(f"{self.POSTGRES_URL} is not set: the URL of a PostgreSQL database")
        postgres_schema.init(url)
        self.database = Database(url)
        is_text = self.env.get(self.ORIGINATOR_ID_TYPE, "uuid") == "text"
        self._originator_id_type = str if is_text else UUID

    def aggregate_recorder(self, purpose: str = "events") -> AggregateRecorder:
        """The log: there is one table of events, and snapshots are not kept."""
        return self.application_recorder()

    def application_recorder(self) -> ApplicationRecorder:
        """The log."""
        return PostgresLog(self.database, None, self._originator_id_type)

    def tracking_recorder(
        self, tracking_recorder_class: type[TrackingRecorder] | None = None
    ) -> TrackingRecorder:
        """The read models' tracking, of this class or of the one that the environment names."""
        topic = self.env.get(self.TRACKING_RECORDER_TOPIC)
        chosen: Any = tracking_recorder_class or (resolve_topic(topic) if topic else PostgresViews)
        recorder: PostgresViews = chosen(self.database)
        recorder.prepare(())
        return recorder

    def process_recorder(self) -> ProcessRecorder:
        """The log with tracking."""
        return PostgresProcessLog(self.database, self._originator_id_type)

    def close(self) -> None:
        """Close the connections."""
        self.database.close()
