"""The eventsourcing library's own persistence test-suite, run against our recorders."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import pytest
from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    ProcessRecorder,
    TrackingRecorder,
)
from eventsourcing.sqlite import SQLiteAggregateRecorder, SQLiteTrackingRecorder
from eventsourcing.tests.persistence import (
    ApplicationRecorderTestCase,
    InfrastructureFactoryTestCase,
    NonInterleavingNotificationIDsBaseCase,
    ProcessRecorderTestCase,
    TrackingRecorderTestCase,
)
from eventsourcing.utils import Environment, get_topic

from adapters.storage import postgres_schema
from adapters.storage.postgres import Database
from adapters.storage.postgres_factory import Factory as PostgresFactory
from adapters.storage.postgres_factory import PostgresProcessLog
from adapters.storage.postgres_log import PostgresLog
from adapters.storage.postgres_views import PostgresViews
from adapters.storage.sqlite import Datastore
from adapters.storage.sqlite_log import Factory, SQLiteLog, SQLiteProcessLog
from adapters.storage.sqlite_views import SQLiteViews


class _InTemporaryFolder:
    """Gives each test a datastore in a folder of its own."""

    def setUp(self) -> None:
        self._folder = TemporaryDirectory()
        path = Path(self._folder.name) / "ledger.db"
        self.datastore = Datastore(str(path), "FULL", originator_id_type="uuid")

    def tearDown(self) -> None:
        self.datastore.close()
        self._folder.cleanup()


class TestApplicationRecorder(_InTemporaryFolder, ApplicationRecorderTestCase[Any]):
    def create_recorder(self) -> ApplicationRecorder:
        recorder = SQLiteLog(self.datastore)
        recorder.create_table()
        return recorder

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestNonInterleaving(_InTemporaryFolder, NonInterleavingNotificationIDsBaseCase):
    def create_recorder(self) -> ApplicationRecorder:
        recorder = SQLiteLog(self.datastore)
        recorder.create_table()
        return recorder


class TestTrackingRecorder(_InTemporaryFolder, TrackingRecorderTestCase):
    def create_recorder(self) -> TrackingRecorder:
        recorder = SQLiteViews(self.datastore)
        recorder.prepare(())
        return recorder


class TestProcessRecorder(_InTemporaryFolder, ProcessRecorderTestCase):
    def create_recorder(self) -> ProcessRecorder:
        recorder = SQLiteProcessLog(self.datastore)
        recorder.create_table()
        return recorder


class _InPostgres:
    """Gives each test an empty database, or a schema to itself."""

    @pytest.fixture(autouse=True)
    def _database(self, postgres_url: str) -> Iterator[None]:
        postgres_schema.init(postgres_url)
        self.database = Database(postgres_url)
        yield
        self.database.close()


class TestPostgresApplicationRecorder(_InPostgres, ApplicationRecorderTestCase[Any]):
    def create_recorder(self) -> ApplicationRecorder:
        return PostgresLog(self.database, originator_id_type=UUID)

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestPostgresNonInterleaving(_InPostgres, NonInterleavingNotificationIDsBaseCase):
    def create_recorder(self) -> ApplicationRecorder:
        return PostgresLog(self.database, originator_id_type=UUID)


class TestPostgresTrackingRecorder(_InPostgres, TrackingRecorderTestCase):
    def create_recorder(self) -> TrackingRecorder:
        recorder = PostgresViews(self.database)
        recorder.prepare(())
        return recorder


class TestPostgresProcessRecorder(_InPostgres, ProcessRecorderTestCase):
    def create_recorder(self) -> ProcessRecorder:
        return PostgresProcessLog(self.database, UUID)


class _PostgresViewsSubclass(PostgresViews):
    pass


class TestPostgresFactory(InfrastructureFactoryTestCase[PostgresFactory]):
    @pytest.fixture(autouse=True)
    def _database(self, postgres_url: str) -> None:
        self.postgres_url = postgres_url

    def setUp(self) -> None:
        self.env = Environment("Ledger")
        self.env["PERSISTENCE_MODULE"] = get_topic(PostgresFactory)
        self.env["POSTGRES_URL"] = self.postgres_url
        super().setUp()

    def expected_factory_class(self) -> type[PostgresFactory]:
        return PostgresFactory

    def expected_aggregate_recorder_class(self) -> type[AggregateRecorder]:
        return PostgresLog

    def expected_application_recorder_class(self) -> type[ApplicationRecorder]:
        return PostgresLog

    def expected_tracking_recorder_class(self) -> type[TrackingRecorder]:
        return PostgresViews

    def tracking_recorder_subclass(self) -> type[TrackingRecorder]:
        return _PostgresViewsSubclass

    def expected_process_recorder_class(self) -> type[ProcessRecorder]:
        return PostgresProcessLog


class _TrackingRecorderSubclass(SQLiteTrackingRecorder):
    pass


class TestFactory(InfrastructureFactoryTestCase[Factory]):
    def setUp(self) -> None:
        self._folder = TemporaryDirectory()
        self.env = Environment("Ledger")
        self.env["PERSISTENCE_MODULE"] = get_topic(Factory)
        self.env["SQLITE_DBNAME"] = str(Path(self._folder.name) / "ledger.db")
        super().setUp()

    def tearDown(self) -> None:
        super().tearDown()
        self._folder.cleanup()

    def expected_factory_class(self) -> type[Factory]:
        return Factory

    def expected_aggregate_recorder_class(self) -> type[AggregateRecorder]:
        return SQLiteAggregateRecorder

    def expected_application_recorder_class(self) -> type[ApplicationRecorder]:
        return SQLiteLog

    def expected_tracking_recorder_class(self) -> type[TrackingRecorder]:
        return SQLiteTrackingRecorder

    def tracking_recorder_subclass(self) -> type[TrackingRecorder]:
        return _TrackingRecorderSubclass

    def expected_process_recorder_class(self) -> type[ProcessRecorder]:
        return SQLiteProcessLog


# The bases are abstract: pytest must not collect them from this module.
del ApplicationRecorderTestCase, NonInterleavingNotificationIDsBaseCase
del TrackingRecorderTestCase, ProcessRecorderTestCase, InfrastructureFactoryTestCase
