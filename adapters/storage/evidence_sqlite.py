"""The evidence of an embedded ledger: checkpoints in the ledger's file, tiles in one of their own.

Apart, because a tile is 8 KiB and its commit would make the webhooks wait; a checkpoint is one
short row a minute, and belongs into the file that is backed up.
"""

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from importlib import resources
from typing import Any

from adapters.storage.evidence import EvidenceStore, Questions, RawRow, StoredRow
from adapters.storage.generations import Cursor
from adapters.storage.log import Clock, unavailable, utc_now
from adapters.storage.sqlite import Datastore, from_microseconds, to_microseconds

# As bytes: a name that was damaged may be no UTF-8, and is to be hashed and not refused.
SELECT = (
    "SELECT idx, CAST(originator_id AS BLOB), originator_version, CAST(topic AS BLOB), "
    "CAST(state AS BLOB), recorded_at, delivery_id FROM stored_events"
)
NAMES_AT = (
    "SELECT idx, CAST(originator_id AS BLOB), originator_version, CAST(topic AS BLOB) "
    "FROM stored_events WHERE idx IN (SELECT value FROM json_each(?))"
)
DELIVERIES = (
    "SELECT id, outcome, replay_of, body_hash, idx FROM deliveries "
    "WHERE id > ? AND id <= ? ORDER BY id"
)
BODIES = (
    "SELECT delivery_id, CAST(body AS BLOB) FROM bodies WHERE delivery_id > ? AND delivery_id <= ?"
)
BODY_KEYS = "SELECT id, wrapped FROM body_keys WHERE id > ? AND id <= ?"
STRAYS = "SELECT count(*) FROM stored_events WHERE idx < 1"
# A delivery names the last event that it appended: a second witness of where the log ended.
HEAD = (
    "SELECT max(coalesce((SELECT max(idx) FROM stored_events), 0), "
    "coalesce((SELECT max(idx) FROM deliveries WHERE id > "
    "(SELECT max(id) FROM deliveries) - 1000), 0)), "
    "max(coalesce((SELECT max(id) FROM deliveries), 0), "
    "coalesce((SELECT delivery_id FROM stored_events ORDER BY idx DESC LIMIT 1), 0), "
    "coalesce((SELECT max(delivery_id) FROM bodies), 0))"
)


class SQLiteEvidence(EvidenceStore):
    """The evidence in two SQLite files, and the log's rows as they are stored."""

    questions = Questions(NAMES_AT, DELIVERIES, BODIES, BODY_KEYS, STRAYS, HEAD)

    def __init__(self, ledger: Datastore, tree: Datastore, clock: Clock = utc_now) -> None:
        super().__init__(clock)
        self._ledger = ledger
        self._tree = tree

    def create(self) -> None:
        """Create what is missing."""
        with unavailable():
            for file, schema in ((self._ledger, "sqlite"), (self._tree, "tree")):
                script = resources.files(__package__).joinpath(f"evidence_{schema}.sql")
                file.run_script(script.read_text())

    def transaction(self, *, commit: bool) -> AbstractContextManager[Cursor]:
        """A transaction of the ledger's file."""
        return self._ledger.transaction(commit=commit)

    def tree_transaction(self, *, commit: bool) -> AbstractContextManager[Cursor]:
        """A transaction of the tree's file; one that writes has the only lock there is."""
        return self._tree.transaction(commit=commit)

    def raw_rows(self, after: int, limit: int) -> Sequence[RawRow]:
        """The next stored events (see `EvidenceStore.raw_rows`)."""
        return self.answers(
            f"{SELECT} WHERE idx > ? AND idx <= ? ORDER BY idx", (after, after + limit)
        )

    def rows_of(self, streams: Sequence[bytes]) -> Sequence[StoredRow]:
        """The stored events of some orders (see `EvidenceStore.rows_of`)."""
        names = json.dumps([stream.decode(errors="replace") for stream in streams])
        wanted = "originator_id IN (SELECT value FROM json_each(?))"
        found = self.answers(
            f"{SELECT} WHERE {wanted} ORDER BY originator_id, originator_version", (names,)
        )
        return [StoredRow._make(row) for row in found]

    def close(self) -> None:
        """Close the tree's file; the ledger's is the log's to close."""
        self._tree.close()

    def numbers(self, numbers: Sequence[int]) -> Any:
        """Some numbers as one parameter (see `EvidenceStore.numbers`)."""
        return json.dumps(list(numbers))

    def to_time(self, time: datetime) -> Any:
        """Whole microseconds since 1970-01-01 UTC."""
        return to_microseconds(time)

    def from_time(self, value: Any) -> datetime:
        """The time of whole microseconds."""
        return from_microseconds(value)

    def answers(self, question: str, params: Sequence[Any]) -> list[Any]:
        """The rows that a question gives (see `EvidenceStore.answers`)."""
        with unavailable(), self._ledger.transaction(commit=False) as c:
            c.sqlite_cursor.row_factory = None  # plain tuples are made in a third of the time
            c.execute(question, params)
            found: list[Any] = c.fetchall()
            return found
