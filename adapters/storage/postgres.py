"""PostgreSQL connections: a pool to read with, and one connection that writes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any

import psycopg
from eventsourcing import persistence
from psycopg import Connection
from psycopg_pool import ConnectionPool, PoolTimeout

CONNECT_SECONDS = 5
POOL_SIZE_MAX = 10
POOL_WAIT_SECONDS = 5.0
RECONNECT_SECONDS = 2.0
SERVICE_ROLE = "order_ledger_service"
# Dead peers are noticed in seconds and not in the hours that TCP takes by itself.
SETTINGS = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "application_name": "order-ledger",
    "client_encoding": "UTF8",
    "options": "-c timezone=UTC -c synchronous_commit=on",
}
# A held lock or a stuck server ends in an error that says so, and not in a service that hangs. What
# the database's owner set as its default must not change what a transaction sees.
BOUNDS = (
    "SET lock_timeout = '5s'; SET statement_timeout = '15s'; "
    "SET default_transaction_isolation = 'read committed'"
)


class PostgresCursor:
    """A psycopg cursor that takes `?` for a parameter, as SQLite does."""

    def __init__(self, cursor: psycopg.Cursor) -> None:
        self.raw = cursor
        self.fetchone = cursor.fetchone
        self.fetchall = cursor.fetchall

    def execute(self, sql: str, params: Sequence[Any] = ()) -> None:
        """Run a statement."""
        self.raw.execute(sql.replace("?", "%s").encode(), params)


class Database:
    """The connections of one process. Each works as the service role, whoever it signed in as."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool = ConnectionPool(
            url,
            kwargs={**SETTINGS, "autocommit": True},
            configure=_prepare,
            min_size=1,
            max_size=POOL_SIZE_MAX,
            timeout=POOL_WAIT_SECONDS,
            reconnect_timeout=RECONNECT_SECONDS,  # then the next caller tries anew, at once
            open=False,
            check=ConnectionPool.check_connection,
        )
        self._write_lock = Lock()
        self._writer: Connection | None = None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read with, in autocommit."""
        with translated_errors():
            self._pool.open()
            with self._pool.connection() as connection:
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """The connection that writes, one thread at a time; opened anew where it was lost."""
        with self._write_lock, translated_errors():
            if self._writer is None or self._writer.closed:
                self._writer = _open(self._url)
            yield self._writer

    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[PostgresCursor]:
        """A transaction: on the connection that writes where it is to be committed."""
        with (
            self.writing() if commit else self.reading() as connection,
            connection.transaction(),
            connection.cursor() as cursor,
        ):
            yield PostgresCursor(cursor)

    def connected(self) -> Connection:
        """A connection of its own, for the caller to close."""
        with translated_errors():
            return _open(self._url)

    @contextmanager
    def as_signed_in(self) -> Iterator[Connection]:
        """A connection of its own with every right of its login, for what the service may not do,
        and as long as it takes."""
        with translated_errors(), connect(self._url) as connection:
            yield connection

    @contextmanager
    def listening(self, channel: str) -> Iterator[Connection]:
        """A connection that hears the notifications of a channel."""
        with translated_errors(), connect(self._url) as connection:
            connection.execute(f"LISTEN {channel}".encode())
            yield connection

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()
        with self._write_lock:
            if self._writer is not None:
                self._writer.close()


def connect(url: str) -> Connection:
    """A connection in autocommit, with our settings."""
    options: Any = SETTINGS
    return psycopg.connect(url, autocommit=True, **options)


def _open(url: str) -> Connection:
    connection = connect(url)
    try:
        _prepare(connection)
    except BaseException:
        connection.close()  # it would work with every right of its login
        raise
    return connection


def _prepare(connection: Connection) -> None:
    become_service(connection)
    connection.execute(BOUNDS)


def become_service(connection: Connection) -> None:
    """Give up every right but the service's."""
    connection.execute(f"SET ROLE {SERVICE_ROLE}")


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn the driver's errors into the library's."""
    try:
        yield
    except psycopg.IntegrityError as error:
        raise persistence.IntegrityError(error) from error
    except psycopg.DataError as error:
        raise persistence.DataError(error) from error
    except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout) as error:
        raise persistence.OperationalError(error) from error
    except psycopg.Error as error:
        raise persistence.ProgrammingError(error) from error
