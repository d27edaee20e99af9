"""The evidence of a ledger in PostgreSQL, in the ledger's schema."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from adapters.storage.evidence import EvidenceStore, Questions, RawRow, StoredRow
from adapters.storage.generations import Cursor
from adapters.storage.log import PARTITION, Clock, unavailable, utc_now
from adapters.storage.postgres import Database, PostgresCursor
from adapters.storage.postgres_locks import AdvisoryLock

# As the very bytes that are stored, which is also what costs the least: a time is sent as the
# microseconds since 2000-01-01 UTC.
COLUMNS = (
    "e.idx, textsend(e.originator_id), e.originator_version, textsend(e.topic), "
    "textsend(e.state), timestamptz_send(e.recorded_at), e.delivery_id"
)
YEAR_2000 = 946_684_800_000_000  # in microseconds since 1970-01-01 UTC
SELECT = f"SELECT {COLUMNS} FROM order_ledger.stored_events AS e WHERE e.partition = {PARTITION}"
OF_STREAMS = (
    f"SELECT {COLUMNS} FROM unnest(%s::text[]) AS wanted (stream) CROSS JOIN LATERAL ("
    f"SELECT * FROM order_ledger.stored_events WHERE partition = {PARTITION} "
    "AND originator_id = stream ORDER BY originator_version OFFSET 0) AS e"
)
NAMES_AT = (
    "SELECT idx, textsend(originator_id), originator_version, textsend(topic) "
    f"FROM order_ledger.stored_events WHERE partition = {PARTITION} AND idx = ANY (%s::bigint[])"
)
DELIVERIES = (
    "SELECT id, outcome, replay_of, body_hash, idx FROM order_ledger.deliveries "
    f"WHERE partition = {PARTITION} AND id > %s AND id <= %s ORDER BY id"
)
BODIES = (
    "SELECT delivery_id, body FROM order_ledger.bodies "
    f"WHERE partition = {PARTITION} AND delivery_id > %s AND delivery_id <= %s"
)
BODY_KEYS = (
    "SELECT id, wrapped FROM order_ledger.body_keys "
    f"WHERE partition = {PARTITION} AND id > %s AND id <= %s"
)
HASHES = (
    "SELECT id, body_hash FROM order_ledger.deliveries "
    f"WHERE partition = {PARTITION} AND id > %s AND id <= %s"
)
# Both sides of where events can be, as ranges of the key: nothing in between is looked at.
STRAYS = (
    "SELECT (SELECT count(*) FROM order_ledger.stored_events "
    f"WHERE (partition, idx) < ({PARTITION}, 1)) + "
    f"(SELECT count(*) FROM order_ledger.stored_events WHERE partition > {PARTITION})"
)
HEAD = (
    "SELECT greatest(h.last_idx, (SELECT max(idx) FROM order_ledger.stored_events "
    "WHERE partition = h.partition)), greatest(h.last_delivery_id, (SELECT max(id) "
    "FROM order_ledger.deliveries WHERE partition = h.partition)) "
    f"FROM order_ledger.log_head AS h WHERE h.partition = {PARTITION}"
)


class PostgresEvidence(EvidenceStore):
    """The tables that migration 0008 made."""

    schema = "order_ledger."
    questions = Questions(NAMES_AT, DELIVERIES, BODIES, BODY_KEYS, HASHES, STRAYS, HEAD)

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        super().__init__(clock)
        self._database = database

    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[Cursor]:
        """A transaction on a connection of the pool: sealing holds the one that writes. What is
        only read is read in one statement, which wants none."""
        with (
            self._database.reading() as connection,
            connection.transaction() if commit else nullcontext(),
            connection.cursor(binary=True) as cursor,
        ):
            yield PostgresCursor(cursor)

    @contextmanager
    def tree_transaction(self, *, commit: bool) -> Iterator[Cursor]:
        """A transaction; one that writes waits until no other process seals."""
        if not commit:
            with self.transaction(commit=False) as c:
                yield c
            return
        with (
            self._database.writing() as connection,
            connection.transaction(),
            connection.cursor(binary=True) as cursor,
        ):
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (AdvisoryLock.SEALING,))
            yield PostgresCursor(cursor)

    def lock(self, c: Cursor) -> None:
        """Keep other processes from making keys known until the transaction ends."""
        c.execute("SELECT pg_advisory_xact_lock(?)", (AdvisoryLock.SEAL_KEYS,))

    def raw_rows(self, after: int, limit: int) -> Sequence[RawRow]:
        """The next stored events (see `EvidenceStore.raw_rows`)."""
        # Both ends, not a LIMIT: a plan that does not know the limit would sort all that follows.
        return self._rows(
            f"{SELECT} AND e.idx > %s AND e.idx <= %s ORDER BY e.idx", (after, after + limit)
        )

    def rows_of(self, streams: Sequence[bytes]) -> Sequence[StoredRow]:
        """The stored events of some orders (see `EvidenceStore.rows_of`)."""
        names = [stream.decode() for stream in streams]
        return [StoredRow._make(row) for row in self._rows(OF_STREAMS, (names,))]

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    def _rows(self, sql: str, params: Sequence[Any]) -> list[RawRow]:
        number = int.from_bytes
        return [
            (idx, stream, version, topic, state, number(at, signed=True) + YEAR_2000, delivery)
            for idx, stream, version, topic, state, at, delivery in self.answers(sql, params)
        ]

    def answers(self, question: str, params: Sequence[Any]) -> list[Any]:
        """The rows that a question gives (see `EvidenceStore.answers`)."""
        with (
            unavailable(),
            self._database.reading() as connection,
            connection.cursor(binary=True) as cursor,
        ):
            return cursor.execute(question.encode(), params).fetchall()
