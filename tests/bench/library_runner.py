"""The eventsourcing library's own runner over our log: one transaction an event."""

from time import perf_counter, sleep
from typing import Any

from eventsourcing.application import Application
from eventsourcing.persistence import Mapper, Tracking
from eventsourcing.projection import Projection, ProjectionRunner

from adapters.ledger.mapper import EventMapper
from adapters.storage.columns import create_table, insert_statement, to_database, upsert_clause
from adapters.storage.log import PARTITION
from adapters.storage.postgres import Database
from adapters.storage.postgres_views import PostgresViews
from adapters.storage.sqlite import EPOCH
from adapters.storage.views import rows_of, track
from domain.log import Position, Recorded
from domain.order import OrderEvent
from projections.order_status import ORDER_STATUS

POLL_SECONDS = 0.01


class Ledger(Application[str]):
    """Our log as the library knows it."""

    def construct_mapper(self) -> Mapper[str]:
        """Our stored form."""
        return EventMapper()


class View(PostgresViews):
    """The read model `order_status` in tables of its own."""

    def make(self) -> None:
        """Make the tables."""
        with self.transaction(commit=True) as c:
            for table in ORDER_STATUS.tables:
                c.execute(create_table(table, f"library_{table.name}", self.text))

    def take_in(self, event: OrderEvent, tracking: Tracking) -> None:
        """Fold one event, in one transaction with its tracking."""
        recorded = Recorded(Position(PARTITION, tracking.notification_id), EPOCH, event)
        with self.transaction(commit=True) as c:
            rows = {
                (table, key): row
                for table, key in ORDER_STATUS.reads(recorded)
                for row in rows_of(c, table, f"library_{table.name}", [key])
            }
            for table, row in ORDER_STATUS.fold(rows, recorded):
                marks = ", ".join("?" * len(row))
                insert = insert_statement(table, f"library_{table.name}")
                statement = f"{insert} VALUES ({marks}) {upsert_clause(table)}"
                c.execute(statement, next(to_database(table, [row])))
            track(c, tracking.application_name, tracking.notification_id)


class OneByOne(Projection[View]):
    """Folds as the library hands events out."""

    name = "library"
    topics: tuple[str, ...] = ()

    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        """Take in one event."""
        self.view.take_in(domain_event, tracking)


def library_events_per_second(url: str, seconds: float, head: int) -> float:
    """The rate of the library's runner, in the first seconds of a log."""
    env = {"PERSISTENCE_MODULE": "adapters.storage.postgres_factory", "POSTGRES_URL": url}
    env["ORIGINATOR_ID_TYPE"] = "text"
    maker = View(Database(url))
    maker.prepare(())
    maker.make()
    maker.close()
    started = perf_counter()
    with ProjectionRunner(
        application_class=Ledger, projection_class=OneByOne, view_class=View, env=env
    ) as runner:
        done = 0
        while perf_counter() - started < seconds and done < head:
            sleep(POLL_SECONDS)
            done = runner.view.max_tracking_id("Ledger") or 0
        return done / (perf_counter() - started)
