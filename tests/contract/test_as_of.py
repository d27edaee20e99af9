"""What was known at an instant that has passed never becomes more."""

from datetime import UTC, datetime
from threading import Event, Thread
from time import sleep
from typing import Any

import psycopg
import pytest

from adapters.service import Service
from adapters.storage.sqlite_log import SQLiteLog
from tests.notices import delivery, notice

SLOW_SECONDS = 0.5
SLOW_COMMIT = f"""
CREATE FUNCTION order_ledger.slow() RETURNS trigger LANGUAGE plpgsql
AS 'BEGIN PERFORM pg_sleep({SLOW_SECONDS}); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON order_ledger.deliveries
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION order_ledger.slow()
"""


def _commit_slowly(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on an append is stamped half a second before it is committed."""
    if service.settings.database_path is None:
        with psycopg.connect(service.settings.database_url, autocommit=True) as connection:
            connection.execute(SLOW_COMMIT.encode())
        return
    stamp = SQLiteLog._ends

    def slow(self: SQLiteLog, *args: Any) -> tuple[int, int, int]:
        stamped = stamp(self, *args)
        sleep(SLOW_SECONDS)
        return stamped

    monkeypatch.setattr(SQLiteLog, "_ends", slow)


def test_what_was_stamped_by_an_instant_and_is_committed_later_is_waited_for(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.ledger.record([delivery(notice(order_id="1"))])
    _commit_slowly(service, monkeypatch)
    begun = Event()

    def append() -> None:
        begun.set()
        service.ledger.record([delivery(notice(order_id="2"))])

    appending = Thread(target=append)
    appending.start()
    begun.wait()
    sleep(SLOW_SECONDS / 2)  # it is stamped by now, and not committed
    instant = datetime.now(UTC)
    at_once = service.storage.events.upto(instant)
    appending.join()
    assert at_once == service.storage.events.upto(instant)
