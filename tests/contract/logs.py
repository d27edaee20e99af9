"""The databases that the contract is tested on, each with an empty log and a clock of ours."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from eventsourcing.persistence import StoredEvent

from adapters.storage import postgres_schema
from adapters.storage.log import EventLog, LogEntry
from adapters.storage.postgres import Database
from adapters.storage.postgres_log import PostgresLog
from adapters.storage.sqlite import Datastore
from adapters.storage.sqlite_log import SQLiteLog
from domain.payment import Outcome

START = datetime(2026, 1, 5, 7, 30, tzinfo=UTC)


class FakeClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)


@contextmanager
def sqlite_log(folder: Path, clock: Callable[[], datetime]) -> Iterator[EventLog]:
    log = SQLiteLog(Datastore(str(folder / "ledger.db"), "FULL"), clock=clock)
    log.create_table()
    yield log
    log.close()


@contextmanager
def postgres_log(url: str, clock: Callable[[], datetime]) -> Iterator[EventLog]:
    postgres_schema.init(url)
    log = PostgresLog(Database(url), clock)
    yield log
    log.close()


DATABASES = ("sqlite", "postgres")


def event(stream: str, version: int, topic: str = "PaymentReceived") -> StoredEvent:
    return StoredEvent(stream, version, topic, b'{"v":1}')


def entry(
    *events: StoredEvent,
    outcome: Outcome = Outcome.RECORDED,
    body: bytes | None = b"{}",
) -> LogEntry:
    return LogEntry(
        provider="sevi",
        outcome=outcome,
        received_at=START,
        body_hash="00" * 32,
        stream=str(events[0].originator_id) if events else None,
        body=body,
        events=events,
    )
