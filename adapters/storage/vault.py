"""Where the ledger's keys are kept, each wrapped by its master key, and the dictionaries that
bodies are compressed with. In SQL that both databases read."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, NamedTuple

from adapters.storage.generations import Cursor
from adapters.storage.log import PARTITION, Clock, unavailable, utc_now
from adapters.vault.dictionaries import Dictionary

HASH_KEY = "hash"  # the name of the key of keyed hashes


class MasterRow(NamedTuple):
    """A master key that wraps keys of the ledger, or did, without itself. `proof` is what it
    wrapped when it was made known; `retired_at` says since when it wraps nothing."""

    number: int
    key_id: str
    proof: bytes
    since: datetime
    retired_at: datetime | None


class WrappedKey(NamedTuple):
    """A key as it is stored: of the order whose first event has this index, or of the body that the
    delivery of this id was kept with."""

    id: int
    wrapped: bytes


class VaultTables:
    """The tables of a ledger's keys. Every method blocks and raises `StorageUnavailable`."""

    schema = ""  # in front of a table's name

    def __init__(self, clock: Clock = utc_now) -> None:
        self._clock = clock

    # ---------------------------------------------------------------- what the databases differ in

    def transaction(self, *, commit: bool) -> AbstractContextManager[Cursor]:
        """A transaction over the ledger's own tables; errors are the library's."""
        raise NotImplementedError

    def lock(self, c: Cursor) -> None:
        """Keep other processes from changing master keys or dictionaries until the transaction
        ends, and from wrapping with one that is not the newest."""

    def to_time(self, time: datetime) -> Any:
        """A time as the database keeps it."""
        return time

    def from_time(self, value: Any) -> Any:
        """The time, or None, that was kept as this value."""
        return value

    # --------------------------------------------------------------------------------- master keys

    def ledger_id(self) -> str:
        """The name that was made for the ledger once."""
        with unavailable(), self.transaction(commit=False) as c:
            c.execute(f"SELECT id FROM {self.schema}ledger_identity")
            return str(c.fetchone()[0])

    def masters(self) -> list[MasterRow]:
        """Every master key that was ever made known, oldest first."""
        with unavailable(), self.transaction(commit=False) as c:
            return self.masters_in(c)

    def masters_in(self, c: Cursor) -> list[MasterRow]:
        """The same, in a transaction."""
        c.execute(
            "SELECT number, key_id, proof, since, retired_at "
            f"FROM {self.schema}master_keys ORDER BY number"
        )
        time = self.from_time
        return [
            MasterRow(number, name, bytes(proof), time(since), time(retired))
            for number, name, proof, since, retired in c.fetchall()
        ]

    def is_of_a_new_ledger(self, c: Cursor) -> bool:
        """Whether nothing was ever told or sealed here: only then may first keys be made."""
        tables = ("stored_events", "deliveries", "order_keys", "body_keys", "ledger_keys")
        some = " OR ".join(f"EXISTS (SELECT 1 FROM {self.schema}{table})" for table in tables)
        c.execute(f"SELECT CASE WHEN {some} THEN 0 ELSE 1 END")
        return bool(c.fetchone()[0])

    def add_master(self, c: Cursor, number: int, key_id: str, proof: bytes) -> None:
        """Make a master key known: from now on it wraps."""
        c.execute(
            f"INSERT INTO {self.schema}master_keys VALUES (?, ?, ?, ?, NULL)",
            (number, key_id, proof, self.to_time(self._clock())),
        )

    def retire(self, c: Cursor, below: int) -> None:
        """Say that master keys below a number wrap nothing any more."""
        c.execute(
            f"UPDATE {self.schema}master_keys SET retired_at = ? "
            "WHERE number < ? AND retired_at IS NULL",
            (self.to_time(self._clock()), below),
        )

    # ---------------------------------------------------------------------------------------- keys

    def ledger_key(self, name: str) -> bytes | None:
        """A wrapped key of the whole ledger."""
        with unavailable(), self.transaction(commit=False) as c:
            c.execute(f"SELECT wrapped FROM {self.schema}ledger_keys WHERE name = ?", (name,))
            row = c.fetchone()
            return bytes(row[0]) if row else None

    def add_ledger_key(self, c: Cursor, name: str, wrapped: bytes) -> None:
        """Keep a key of the whole ledger."""
        c.execute(f"INSERT INTO {self.schema}ledger_keys VALUES (?, ?)", (name, wrapped))

    def keys_of(self, streams: Sequence[str]) -> Mapping[str, bytes]:
        """The wrapped keys of some orders, as far as they have one. None of an order that was
        erased: an older backup may have brought its key back."""
        if not streams:
            return {}
        marks = ", ".join("?" * len(streams))
        with unavailable(), self.transaction(commit=False) as c:
            # Looked up order by order: a join of a few hundred would read all keys there are.
            c.execute(
                f"SELECT e.originator_id, (SELECT k.wrapped FROM {self.schema}order_keys AS k "
                f"WHERE {self.here('k.')} AND k.id = e.idx) FROM {self.schema}stored_events AS e "
                f"WHERE {self.here('e.')} AND e.originator_version = 1 "
                f"AND e.originator_id IN ({marks}) AND (SELECT 1 "
                f"FROM {self.schema}stored_events AS erased WHERE {self.here('erased.')} "
                "AND erased.originator_id = e.originator_id "
                "AND erased.topic = 'PersonalDataErased' LIMIT 1) IS NULL",
                list(streams),
            )
            return {s: bytes(wrapped) for s, wrapped in c.fetchall() if wrapped is not None}

    def here(self, table: str = "") -> str:
        """The condition that rows of a table are of the one partition."""
        return f"{table}partition = {PARTITION}"

    def body_key(self, delivery_id: int) -> bytes | None:
        """The wrapped key of a body that has one of its own."""
        with unavailable(), self.transaction(commit=False) as c:
            c.execute(
                f"SELECT wrapped FROM {self.schema}body_keys WHERE {self.here()} AND id = ?",
                (delivery_id,),
            )
            row = c.fetchone()
            return bytes(row[0]) if row else None

    def destroy_body_keys(self, c: Cursor, delivery_ids: Sequence[int]) -> None:
        """Destroy the keys of bodies that have one of their own; then nobody reads these again, and
        no backup brings the keys back."""
        raise NotImplementedError

    def with_own_key(self, delivery_ids: Sequence[int]) -> list[int]:
        """Those of some deliveries whose body has a key of its own."""
        return self._among("body_keys", delivery_ids)

    def destroyed(self, delivery_ids: Sequence[int]) -> list[int]:
        """Those of some deliveries whose body had a key of its own that was destroyed."""
        return self._among("destroyed_body_keys", delivery_ids)

    def _among(self, table: str, delivery_ids: Sequence[int]) -> list[int]:
        if not delivery_ids:
            return []
        marks = ", ".join("?" * len(delivery_ids))
        with unavailable(), self.transaction(commit=False) as c:
            c.execute(
                f"SELECT id FROM {self.schema}{table} WHERE {self.here()} AND id IN ({marks}) "
                "ORDER BY id",
                list(delivery_ids),
            )
            return [row[0] for row in c.fetchall()]

    def destroyed_of(self, provider: str) -> list[str]:
        """The keyed hashes of a provider's bodies whose own key was destroyed."""
        with unavailable(), self.transaction(commit=False) as c:
            c.execute(
                f"SELECT d.body_hash FROM {self.schema}destroyed_body_keys AS gone "
                f"JOIN {self.schema}deliveries AS d ON {self.here('d.')} AND d.id = gone.id "
                f"WHERE {self.here('gone.')} AND d.provider = ?",
                (provider,),
            )
            return [row[0] for row in c.fetchall()]

    def scrub(self) -> str | None:
        """Let the database give up the bytes of what was destroyed. Returns what it could not do
        and who can, or None."""
        raise NotImplementedError

    def keys_after(self, table: str, after: int, limit: int) -> list[WrappedKey]:
        """The next wrapped keys of `order_keys` or `body_keys`, above an id, in order."""
        with unavailable(), self.transaction(commit=False) as c:
            c.execute(
                f"SELECT id, wrapped FROM {self.schema}{table} WHERE {self.here()} AND id > ? "
                f"ORDER BY id LIMIT {limit:d}",
                (after,),
            )
            return [WrappedKey(number, bytes(wrapped)) for number, wrapped in c.fetchall()]

    def rewrap(self, table: str, keys: Sequence[tuple[WrappedKey, bytes]]) -> None:
        """Put keys, wrapped anew, in place of what they were; one that was destroyed meanwhile
        stays so."""
        with unavailable(), self.transaction(commit=True) as c:
            for before, wrapped in keys:
                c.execute(
                    f"UPDATE {self.schema}{table} SET wrapped = ? "
                    f"WHERE {self.here()} AND id = ? AND wrapped = ?",
                    (wrapped, before.id, before.wrapped),
                )

    def rewrap_ledger_key(self, name: str, before: bytes, wrapped: bytes) -> None:
        """The same for a key of the whole ledger."""
        with unavailable(), self.transaction(commit=True) as c:
            c.execute(
                f"UPDATE {self.schema}ledger_keys SET wrapped = ? WHERE name = ? AND wrapped = ?",
                (wrapped, name, before),
            )

    def streams_of(self, first: Sequence[int]) -> Mapping[int, str]:
        """The orders whose first event has one of these indexes."""
        return self._by_number("SELECT idx, originator_id FROM {}stored_events", "idx", first)

    def hashes_of(self, deliveries: Sequence[int]) -> Mapping[int, str]:
        """The keyed hash of the bodies of some deliveries, by their id."""
        return self._by_number("SELECT id, body_hash FROM {}deliveries", "id", deliveries)

    def _by_number(self, select: str, column: str, wanted: Sequence[int]) -> Mapping[int, str]:
        """What a table holds under each of these numbers."""
        if not wanted:
            return {}
        marks = ", ".join("?" * len(wanted))
        with unavailable(), self.transaction(commit=False) as c:
            c.execute(
                f"{select.format(self.schema)} WHERE {self.here()} AND {column} IN ({marks})",
                list(wanted),
            )
            return dict(c.fetchall())

    # -------------------------------------------------------------------------------- dictionaries

    def dictionaries(self, after: int = 0) -> list[Dictionary]:
        """The dictionaries above a number, in order."""
        with unavailable(), self.transaction(commit=False) as c:
            c.execute(
                f"SELECT number, provider, content FROM {self.schema}dictionaries "
                "WHERE number > ? ORDER BY number",
                (after,),
            )
            return [Dictionary(n, name, bytes(content)) for n, name, content in c.fetchall()]

    def add_dictionary(self, provider: str, content: bytes, samples: int) -> int:
        """Keep a dictionary for ever; returns its number."""
        with unavailable(), self.transaction(commit=True) as c:
            self.lock(c)
            c.execute(f"SELECT coalesce(max(number), 0) + 1 FROM {self.schema}dictionaries")
            number = int(c.fetchone()[0])
            c.execute(
                f"INSERT INTO {self.schema}dictionaries VALUES (?, ?, ?, ?, ?)",
                (number, provider, content, samples, self.to_time(self._clock())),
            )
            return number
