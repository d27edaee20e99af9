"""What did not authenticate, in rings of bounded size, in SQL that both databases read."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from adapters.storage.access import AccessTables
from adapters.storage.generations import Cursor
from adapters.storage.log import unavailable
from adapters.vault import Unopened
from adapters.vault.vault import Vault

RING_ROWS = 1000
KEPT_ROWS = 100
KEPT_BYTES_MAX = 64 * 1024

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class RefusalRow:
    """Deliveries of a provider that were refused for a reason, so many since the row before.

    Time (UTC), diagnosis, address and size are of the last of them; the size is what its headers
    announced where its body was not read, if they did. `id` is 0 until it is stored.
    """

    at: datetime
    provider: str
    reason: str
    diagnosis: str
    address: str | None
    body_bytes: int | None
    count: int = 1
    id: int = 0


@dataclass(frozen=True, slots=True)
class KeptRefusal:
    """A refused delivery, whole, to be verified again: the headers that its signature needs, and
    its body, which is sealed where it is stored. `received_at` is UTC; `id` is 0 until then."""

    received_at: datetime
    provider: str
    reason: str
    address: str | None
    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)
    id: int = 0


class Refusals:
    """The rings. Every method blocks, and raises `StorageUnavailable`."""

    def __init__(self, tables: AccessTables, vault: Vault) -> None:
        self._tables = tables
        self._vault = vault

    def add(self, rows: Sequence[RefusalRow], kept: Sequence[KeptRefusal] = ()) -> None:
        """Write rows over the oldest ones. The same body of a provider is kept once."""
        if kept:
            # With the newest master key; the first use makes keys, in a transaction of its own.
            self._vault.refresh()
        with unavailable(), self._tables.transaction(commit=True) as c:
            self._tables.lock(c)
            for row in rows:
                self._put(c, self._tables.refusals, RING_ROWS, self._values(row))
            for one in kept:
                if not self._is_kept(c, one):
                    self._put(c, self._tables.kept_refusals, KEPT_ROWS, self._kept_values(one))

    def page(
        self, before: int | None, limit: int, providers: Sequence[str] | None = None
    ) -> list[RefusalRow]:
        """Rows, newest first, below an id; only of these providers, where they are named."""
        where, params = "1 = 1", list[Any]()
        if before is not None:
            where += " AND id < ?"
            params.append(before)
        if providers is not None:
            where += f" AND provider IN ({', '.join('?' * len(providers)) or 'NULL'})"
            params += providers
        with unavailable(), self._tables.transaction(commit=False) as c:
            c.execute(
                "SELECT at, provider, reason, diagnosis, address, body_bytes, count, id "
                f"FROM {self._tables.refusals} WHERE {where} "
                f"ORDER BY id DESC LIMIT {limit:d}",
                params,
            )
            rows = c.fetchall()
        return [RefusalRow(self._tables.from_time(at), *rest) for at, *rest in rows]

    def kept(self) -> list[KeptRefusal]:
        """What is kept whole, the oldest first."""
        return self._kept("1 = 1", ())

    def one_kept(self, number: int) -> KeptRefusal | None:
        """One that is kept whole."""
        found = self._kept("id = ?", (number,))
        return found[0] if found else None

    def let_go(self, number: int) -> None:
        """Keep one no longer: it was taken in."""
        with unavailable(), self._tables.transaction(commit=True) as c:
            self.let_go_in(c, number)

    def let_go_in(self, c: Cursor, number: int) -> None:
        """The same, in a transaction."""
        c.execute(f"DELETE FROM {self._tables.kept_refusals} WHERE id = ?", (number,))

    def _kept(self, where: str, params: Sequence[Any]) -> list[KeptRefusal]:
        with unavailable(), self._tables.transaction(commit=False) as c:
            c.execute(
                "SELECT received_at, provider, reason, address, body_hash, headers, body, id "
                f"FROM {self._tables.kept_refusals} WHERE {where} "
                "ORDER BY received_at, id",
                params,
            )
            rows = c.fetchall()
        found = (self._kept_refusal(*row) for row in rows)
        return [kept for kept in found if kept is not None]

    def _kept_refusal(
        self,
        at: Any,
        provider: str,
        reason: str,
        address: str | None,
        body_hash: str,
        headers: str,
        sealed: bytes,
        number: int,
    ) -> KeptRefusal | None:
        try:
            body = self._vault.open_unproven(bytes(sealed), body_hash)
        except Unopened:  # it was changed, so it proves nothing any more
            return None
        received_at, signed = self._tables.from_time(at), _headers(headers)
        return KeptRefusal(received_at, provider, reason, address, signed, body, number)

    def _is_kept(self, c: Cursor, one: KeptRefusal) -> bool:
        c.execute(
            f"SELECT 1 FROM {self._tables.kept_refusals} WHERE provider = ? AND body_hash = ?",
            (one.provider, self._vault.hashing.body(one.body)),
        )
        return c.fetchone() is not None

    def _put(self, c: Cursor, table: str, size: int, values: Sequence[Any]) -> None:
        rings, ring = self._tables.refusal_rings, table.rpartition(".")[2]
        c.execute(f"UPDATE {rings} SET last_id = last_id + 1 WHERE ring = ?", (ring,))
        c.execute(f"SELECT last_id FROM {rings} WHERE ring = ?", (ring,))
        number = c.fetchone()[0]
        c.execute(f"DELETE FROM {table} WHERE slot = ?", (number % size,))
        marks = ", ".join("?" * (len(values) + 2))
        c.execute(f"INSERT INTO {table} VALUES ({marks})", (number % size, number, *values))

    def _values(self, row: RefusalRow) -> tuple[Any, ...]:
        at = self._tables.to_time(row.at)
        told = (row.provider, row.reason, row.diagnosis, row.address)
        return (at, *told, row.body_bytes, row.count)

    def _kept_values(self, one: KeptRefusal) -> tuple[Any, ...]:
        headers = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in one.headers]
        at = self._tables.to_time(one.received_at)
        body_hash = self._vault.hashing.body(one.body)
        told = (one.provider, one.reason, one.address, body_hash)
        sealed = self._vault.seal_unproven(one.body, body_hash)
        return (at, *told, json.dumps(headers), sealed)


def _headers(text: str) -> Headers:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in json.loads(text)]
