"""SQLite connections as both files of an embedded ledger need them, on the library's pool."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import chain
from threading import Lock
from time import sleep
from typing import Literal

from eventsourcing import persistence
from eventsourcing.sqlite import (
    SQLiteConnection,
    SQLiteConnectionPool,
    SQLiteCursor,
    SQLiteDatastore,
)

BUSY_TIMEOUT_SECONDS = 5
CUT_TRIES, CUT_WAIT_MILLISECONDS, CUT_PAUSE_SECONDS = 20, 100, 0.1
CACHED_STATEMENTS = 128
CHECKPOINT_PAGES = 8192  # 32 MiB: a page that changes often is copied into the file once for all
WRITER_CACHE_KIB = 32 * 1024
PARAMETERS_MAX = 999  # of a statement, in every SQLite
ROWS_STEP = 8  # how much larger the next larger statement of many rows is
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

# FULL: a commit is on disk when it returns. NORMAL: a power cut may undo the last commits, but
# never leaves half of one; enough for what can be made again.
Durability = Literal["FULL", "NORMAL"]


def to_microseconds(time: datetime) -> int:
    """An aware time as whole microseconds since 1970-01-01 UTC, exactly."""
    return (time - EPOCH) // MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    """The aware UTC time of whole microseconds since 1970-01-01 UTC."""
    return EPOCH + microseconds * MICROSECOND


class Connection(SQLiteConnection):
    """A connection whose writing transactions take the write lock at once.

    A deferred one that reads before it writes fails as soon as another process wrote in between,
    whatever the busy timeout.
    """

    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[SQLiteCursor]:
        """A transaction; errors are the library's, so callers need not know the driver."""
        with translated_errors():
            self._sqlite_conn.execute("BEGIN IMMEDIATE" if commit else "BEGIN")
            try:
                with self.cursor() as cursor:
                    yield SQLiteCursor(cursor)
                if commit:
                    self.commit()
            finally:
                if self._sqlite_conn.in_transaction:
                    self.rollback()

    def widen(self) -> None:
        """Keep more of the file in memory, as a writer of keys in no order needs."""
        with translated_errors():
            self._sqlite_conn.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KIB}")

    def run_script(self, sql: str) -> None:
        """Run statements that create tables, in one transaction."""
        with translated_errors():
            try:
                self._sqlite_conn.executescript(f"BEGIN IMMEDIATE;\n{sql}\nCOMMIT;")
            finally:
                if self._sqlite_conn.in_transaction:
                    self.rollback()


def insert_many(c: SQLiteCursor, table: str, rows: Sequence[Sequence[object]]) -> None:
    """Insert rows with few statements of many rows each.

    The driver lets go of the interpreter's lock at every statement, and gets it back only after
    the other threads had their turn: a statement per row makes a busy service several times slower.
    A statement has as many rows as fit, in multiples of eight, and the last one the rest: so there
    are few different ones, and nearly each is prepared already.
    """
    start = 0
    while left := len(rows) - start:
        width = len(rows[start])
        size = min(left, PARAMETERS_MAX // width)
        size -= size % ROWS_STEP if size > ROWS_STEP else 0
        values = list(chain(*rows[start : start + size]))
        c.execute(_insert_statement(table, width, size), values)
        start += size


@cache
def _insert_statement(table: str, width: int, rows: int) -> str:
    row = f"({','.join('?' * width)})"
    return f"INSERT INTO {table} VALUES {','.join([row] * rows)}"


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn the driver's errors into the library's of the same name."""
    try:
        yield
    except sqlite3.Error as error:
        name = type(error).__name__
        raise getattr(persistence, name, persistence.PersistenceError)(error) from error


class Pool(SQLiteConnectionPool):
    """The library's pool with write-ahead log, an explicit durability and a statement cache."""

    def __init__(self, db_name: str, durability: Durability) -> None:
        self._durability = durability
        super().__init__(db_name=db_name, lock_timeout=BUSY_TIMEOUT_SECONDS)

    def _create_connection(self) -> Connection:
        return self.open()

    def put_connection(self, conn: SQLiteConnection) -> None:
        """Take a connection back; after `close`, close it."""
        with self._put_condition:
            if not self._closed:
                super().put_connection(conn)
                return
            self._in_use.pop(id(conn), None)
        conn.close()

    def close(self) -> None:
        """Close every connection that nobody uses; the others are closed when they come back.

        A connection that is closed under a running query takes the whole process with it.
        """
        with self._put_condition:
            self._closed = True
            while self._pool:
                self._pool.popleft().close()

    def open(self) -> Connection:
        """A new connection that the pool does not count."""
        with translated_errors():
            connection = sqlite3.connect(
                self.db_name,
                uri=self.db_name.startswith("file:"),
                check_same_thread=False,
                isolation_level=None,
                cached_statements=CACHED_STATEMENTS,
                timeout=BUSY_TIMEOUT_SECONDS,
            )
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = WAL")
            if self._durability == "FULL":  # not for what can be made again
                connection.execute("PRAGMA secure_delete = ON")  # a destroyed key leaves no bytes
            connection.execute(f"PRAGMA synchronous = {self._durability}")
            # A statement of many rows keeps the pages that it changes, to undo it alone: in memory.
            connection.execute("PRAGMA temp_store = MEMORY")
            connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        return Connection(connection, max_age=None)


class Datastore(SQLiteDatastore):
    """The library's datastore over our pool, with one connection of its own for writing.

    Readers that take up the whole pool cannot keep the writer waiting, and a connection that could
    not be opened leaves no lock behind.
    """

    def __init__(
        self,
        db_name: str,
        durability: Durability,
        originator_id_type: Literal["uuid", "text"] = "text",
    ) -> None:
        self.pool = pool = Pool(db_name, durability)
        self._open = pool.open
        self.single_row_tracking = True
        self.originator_id_type = originator_id_type
        self._write_lock = Lock()
        self._writer: Connection | None = None

    @contextmanager
    def get_connection(self, *, commit: bool) -> Iterator[SQLiteConnection]:
        """A connection to read with, or, one thread at a time, the one that writes."""
        if not commit:
            with super().get_connection(commit=False) as connection:
                yield connection
            return
        with self._write_lock:
            if self._writer is None:
                self._writer = self._open()
                self._writer.widen()
            yield self._writer

    def run_script(self, sql: str) -> None:
        """Run statements that create tables, in one transaction."""
        with self.get_connection(commit=True) as connection:
            assert isinstance(connection, Connection)
            connection.run_script(sql)

    def cut_log_ahead(self) -> bool:
        """Write all of the log ahead into the file and cut it to nothing, as soon as no reader
        looks at older pages; False where one did for too long. Writers wait but a moment."""
        connection = self._open()
        try:
            with translated_errors(), connection.cursor() as c:
                c.execute(f"PRAGMA busy_timeout = {CUT_WAIT_MILLISECONDS}")
                for _ in range(CUT_TRIES):
                    c.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                    if not c.fetchone()[0]:
                        return True
                    sleep(CUT_PAUSE_SECONDS)
            return False
        finally:
            connection.close()

    def close(self) -> None:
        """Close every connection."""
        with self._write_lock:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
        super().close()
