"""What is particular to a ledger in PostgreSQL: rights, triggers, migrations, lost answers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from eventsourcing.persistence import DataError, OperationalError

from adapters.ledger.batch import Receipt
from adapters.storage import postgres, postgres_schema
from adapters.storage.log import LogEntry, StorageUnavailable
from adapters.storage.opening import open_storage
from adapters.storage.postgres import Database, become_service, connect
from adapters.storage.postgres_log import PostgresLog
from domain.log import Position
from domain.payment import Origin, Outcome
from domain.registration import Placement
from projections.order_status import ORDER_STATUS
from tests.contract.logs import FakeClock, entry, event
from tests.notices import delivery, notice
from tests.vaults import ledger_of, vault_of

TABLES = ("stored_events", "deliveries", "bodies")
CHANGES = ("UPDATE {} SET partition = 1", "DELETE FROM {}", "TRUNCATE {}")


@pytest.fixture
def url(postgres_url: str) -> str:
    postgres_schema.init(postgres_url)
    return postgres_url


@pytest.fixture
def log(url: str) -> Iterator[PostgresLog]:
    opened = PostgresLog(Database(url), FakeClock())
    vault_of(opened).open()
    opened.append([entry(event("s/a", 1))])
    yield opened
    opened.close()


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("change", CHANGES)
def test_what_was_written_stays_whoever_asks(
    log: PostgresLog, url: str, change: str, table: str
) -> None:
    statement = change.format(f"order_ledger.{table}").encode()
    with connect(url) as owner, pytest.raises(psycopg.errors.RestrictViolation):
        owner.execute(statement)
    with connect(url) as service:
        become_service(service)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            service.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO order_ledger.stored_events VALUES (0, 9, 's/z', 1, 't', '{}', now(), NULL)",
        "UPDATE order_ledger.log_head SET last_idx = 0",
        "DROP TABLE order_ledger.stored_events",
        "DROP TRIGGER append_only ON order_ledger.stored_events",
        "ALTER TABLE order_ledger.stored_events DISABLE TRIGGER ALL",
        "CREATE TABLE order_ledger.mine (n int)",
    ],
)
def test_the_services_role_can_append_through_the_function_only(
    log: PostgresLog, url: str, statement: str
) -> None:
    with connect(url) as service:
        become_service(service)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            service.execute(statement.encode())


def test_the_schema_is_made_once_and_checked(postgres_url: str) -> None:
    assert postgres_schema.check(postgres_url) != []
    applied = postgres_schema.init(postgres_url)
    assert applied == [migration.name for migration in postgres_schema.migrations()]
    assert postgres_schema.init(postgres_url) == []
    assert postgres_schema.check(postgres_url) == []


def test_a_changed_a_missing_and_a_newer_migration_are_told(url: str) -> None:
    with connect(url) as owner:
        owner.execute("UPDATE order_ledger.migrations SET sha256 = 'x' WHERE number = 1")
        owner.execute("DELETE FROM order_ledger.migrations WHERE number = 2")
        owner.execute("INSERT INTO order_ledger.migrations VALUES (99, 'later', 'x')")
    assert postgres_schema.check(url) == [
        "0002_append_only.sql is missing",
        "0001_log.sql was applied in another form",
        "migration 99 is newer than this release",
    ]


def test_a_guard_that_was_taken_away_is_told(url: str) -> None:
    with connect(url) as owner:
        owner.execute("ALTER TABLE order_ledger.stored_events DISABLE TRIGGER append_only")
        owner.execute("GRANT DELETE ON order_ledger.deliveries TO order_ledger_service")
        owner.execute("GRANT UPDATE (body) ON order_ledger.bodies TO order_ledger_service")
    assert postgres_schema.check(url) == [
        "order_ledger_service may change bodies",
        "order_ledger_service may change deliveries",
        "trigger append_only of stored_events is switched off",
    ]


def test_a_service_does_not_start_on_a_newer_releases_schema(url: str) -> None:
    with connect(url) as owner:
        owner.execute("INSERT INTO order_ledger.migrations VALUES (99, 'later', 'x')")
    with pytest.raises(StorageUnavailable, match=r"has migration 99, and this release knows up to"):
        open_storage(url, ())


def test_a_user_who_may_not_create_the_schema_is_told_what_to_do(postgres_url: str) -> None:
    with connect(postgres_url) as owner:
        owner.execute("DROP ROLE IF EXISTS order_ledger_test_poor")
        owner.execute("CREATE ROLE order_ledger_test_poor LOGIN")
    poor = postgres_url.replace("://postgres@", "://order_ledger_test_poor@")
    if poor == postgres_url:
        pytest.skip("the named test server's user is not postgres: no second user to sign in as")
    with pytest.raises(StorageUnavailable, match="order-ledger db init"):
        postgres_schema.init(poor)
    with connect(postgres_url) as owner:
        owner.execute("DROP ROLE order_ledger_test_poor")


def test_a_server_that_is_not_there_is_one_line() -> None:
    with pytest.raises(StorageUnavailable) as told:
        postgres_schema.check("postgresql://nobody@127.0.0.1:9/nowhere")
    assert "\n" not in str(told.value)


class _LossyDatabase(Database):
    """A database whose connection breaks around the next append."""

    def __init__(self, url: str, *, committed: bool) -> None:
        super().__init__(url)
        self.committed = committed
        self.losses = 1

    def writing(self) -> Any:
        outer = super().writing()

        class _Broken:
            def __init__(broken) -> None:  # noqa: N805
                broken.connection: Any = None

            def __enter__(broken) -> Any:  # noqa: N805
                broken.connection = outer.__enter__()
                return broken

            def __exit__(broken, *error: Any) -> Any:  # noqa: N805
                return outer.__exit__(*error)

            def execute(broken, sql: Any, params: Any) -> Any:  # noqa: N805
                if ".append(" not in sql or not self.losses:
                    return broken.connection.execute(sql, params)
                self.losses -= 1
                if self.committed:
                    broken.connection.execute(sql, params)
                broken.connection.close()
                raise OperationalError from psycopg.OperationalError("the connection is closed")

        return _Broken()


@pytest.mark.parametrize("committed", [True, False])
def test_an_append_whose_answer_was_lost_is_resolved_by_reading_back(
    url: str, committed: bool
) -> None:
    log = PostgresLog(_LossyDatabase(url, committed=committed), FakeClock())
    batch = [entry(outcome=Outcome.IGNORED), entry(event("s/a", 1), event("s/a", 2))]
    assert log.append(batch) == [None, Position(0, 2)]
    assert len(log.read(None, 10)) == 2, "once, not twice"
    assert len(log.deliveries(list(Outcome), None, 10)) == 2
    log.close()


@pytest.mark.parametrize("committed", [True, False])
def test_so_is_one_that_appended_no_event(url: str, committed: bool) -> None:
    log = PostgresLog(_LossyDatabase(url, committed=committed), FakeClock())
    assert log.append([entry(outcome=Outcome.IGNORED)]) == [None]
    assert len(log.deliveries(list(Outcome), None, 10)) == 1
    log.close()


@pytest.mark.parametrize("committed", [True, False])
def test_a_replay_is_not_taken_for_the_delivery_that_it_replays(url: str, committed: bool) -> None:
    """They have the same time of receipt and the same bytes."""
    original = entry(outcome=Outcome.QUARANTINED)
    again = replace(original, body=None, origin=Origin.REPLAY, replay_of=1)
    other = replace(original, body_hash="11" * 32)
    log = PostgresLog(Database(url), FakeClock())
    log.append([original])
    log.close()
    log = PostgresLog(_LossyDatabase(url, committed=committed), FakeClock())
    assert log.append([again, other]) == [None, None]
    assert [row.body_hash[:2] for row in log.deliveries(list(Outcome), None, 9)] == [
        "11",
        "00",
        "00",
    ]
    log.close()
    log = PostgresLog(_LossyDatabase(url, committed=False), FakeClock())
    assert log.append([again]) == [None]
    assert [row.replay_of for row in log.deliveries(list(Outcome), None, 1)] == [1], "alone no less"
    log.close()


class _BeatenLog(PostgresLog):
    """A log whose first append is lost on its way, while another process writes something."""

    meanwhile: Callable[[], object] | None = None

    def _append_once(self, entries: Sequence[LogEntry], arguments: Sequence[Any]) -> int:
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
            raise OperationalError from psycopg.OperationalError("the connection is closed")
        return super()._append_once(entries, arguments)


def test_the_same_command_of_another_process_is_not_taken_for_the_lost_batch(url: str) -> None:
    amount = Decimal("902.10")
    placed = Placement(store="default", order_id="1", amount=amount, currency="KES", by="shop")
    others = PostgresLog(Database(url), FakeClock())
    theirs = ledger_of(others)
    log = _BeatenLog(Database(url), FakeClock())
    log.meanwhile = lambda: theirs.execute([placed])
    receipts = ledger_of(log).execute([placed, delivery(notice("77"))])
    assert [r.outcome for r in receipts if isinstance(r, Receipt)][-1] is Outcome.RECORDED
    stored = log.load(["default/1", "default/77"])
    assert [len(stored.get(stream, ())) for stream in ("default/1", "default/77")] == [1, 2]
    assert len(log.deliveries(list(Outcome), None, 10)) == 1
    others.close()
    log.close()


def test_a_backend_that_is_terminated_between_appends_is_replaced(
    log: PostgresLog, url: str
) -> None:
    with connect(url) as owner:
        owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'order-ledger' AND pid <> pg_backend_pid()"
        )
    assert log.append([entry(event("s/b", 1))]) == [Position(0, 2)]
    assert len(log.read(None, 10)) == 2


@pytest.mark.parametrize("inherits", ["INHERIT", "NOINHERIT"])
def test_a_login_that_was_granted_the_role_runs_a_ledger(url: str, inherits: str) -> None:
    login = f"order_ledger_test_{inherits.lower()}"
    theirs = url.replace("://postgres@", f"://{login}@")
    if theirs == url:
        pytest.skip("the named test server's user is not postgres: no second user to sign in as")
    with connect(url) as owner:
        owner.execute(f"DROP ROLE IF EXISTS {login}".encode())
        owner.execute(f"CREATE ROLE {login} LOGIN {inherits}".encode())
    with pytest.raises(StorageUnavailable, match="GRANT order_ledger_service"):
        open_storage(theirs, ())
    with connect(url) as owner:
        owner.execute(f"GRANT order_ledger_service TO {login}".encode())
    assert postgres_schema.check(theirs) == []
    storage = open_storage(theirs, (ORDER_STATUS,))
    assert storage.log.append([entry(event("s/a", 1))]) == [Position(0, 1)]
    assert storage.views.checkpoint("order_status") is None
    storage.close()
    with connect(url) as owner:
        owner.execute(f"DROP ROLE {login}".encode())


def test_a_reader_whose_connection_was_cut_while_idle_reads_all_the_same(
    log: PostgresLog, url: str
) -> None:
    ledger = ledger_of(log)
    ledger.record([delivery(notice("1"))])
    with connect(url) as owner:
        owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'order-ledger' AND pid <> pg_backend_pid()"
        )
    (receipt,) = ledger.record([delivery(notice("2"))])
    assert receipt.outcome is Outcome.RECORDED


def test_a_lock_that_somebody_holds_ends_in_an_error_and_not_in_waiting(
    log: PostgresLog, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "BOUNDS", "SET lock_timeout = '50ms'")
    with connect(url) as other, other.transaction():
        other.execute("SELECT 1 FROM order_ledger.log_head FOR UPDATE")
        fresh = PostgresLog(Database(url))
        with pytest.raises(StorageUnavailable, match="lock timeout"):
            fresh.append([entry(event("s/z", 1))])
    assert fresh.append([entry(event("s/z", 1))]) == [Position(0, 2)]
    fresh.close()


def test_a_load_says_before_it_waits_for_a_server_that_may_be_far_away(log: PostgresLog) -> None:
    told: list[str] = []
    log.on_wait(lambda: told.append("waits"))
    log.load(["s/a"])
    assert told == ["waits"]


def test_a_value_that_the_database_refuses_is_not_taken_for_an_outage(log: PostgresLog) -> None:
    with pytest.raises(DataError):
        log.append([replace(entry(outcome=Outcome.IGNORED), reason="\x00")])


def test_a_database_of_another_encoding_is_refused(postgres_server: str) -> None:
    with connect(postgres_server) as owner:
        owner.execute("DROP DATABASE IF EXISTS order_ledger_test_latin")
        owner.execute(
            "CREATE DATABASE order_ledger_test_latin ENCODING 'LATIN1' TEMPLATE template0 "
            "LC_COLLATE 'C' LC_CTYPE 'C'"
        )
    url = postgres_server.rpartition("/")[0] + "/order_ledger_test_latin"
    with pytest.raises(StorageUnavailable, match="ENCODING 'UTF8'"):
        postgres_schema.init(url)
    with connect(postgres_server) as owner:
        owner.execute("DROP DATABASE order_ledger_test_latin")


def test_the_time_of_recording_is_the_servers_and_taken_under_the_lock(url: str) -> None:
    log = PostgresLog(Database(url))
    log.append([entry(event("s/a", 1))])
    with connect(url) as owner:
        now = owner.execute("SELECT clock_timestamp()").fetchone()
    assert now is not None
    assert timedelta(0) <= now[0] - log.read(None, 1)[0].recorded_at < timedelta(minutes=1)
    log.close()
