"""Another master key takes the place of the one before it: every key is wrapped anew, in batches.

Events and bodies are not touched. While it goes on both keys open; a service learns of the new one
where it wraps the next key. Who is interrupted begins again: what is wrapped anew is passed over.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from adapters.storage.vault import HASH_KEY, WrappedKey
from adapters.vault import Unopened
from adapters.vault.keys import Master, master_of
from adapters.vault.masters import proof_of
from adapters.vault.vault import Vault, about_body, about_ledger, about_order

BATCH = 500
Tell = Callable[[int], None]


class Rotation:
    """Wraps the keys of a ledger with a new master key. Every method blocks, and raises
    `StorageUnavailable` and `VaultTrouble`."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._tables = vault.tables

    def begin(self) -> Master:
        """Make a new master key known, which wraps from now on. Where a rotation was interrupted,
        the one that it made."""
        masters = self._vault.masters
        masters.open()
        with self._tables.transaction(commit=True) as c:
            self._tables.lock(c)  # of the file as well: of two at once, one would lose its key
            rows = self._tables.masters_in(c)
            if len([row for row in rows if row.retired_at is None]) == 1:
                number, raw = rows[-1].number + 1, masters.with_new(rows)
                self._tables.add_master(c, number, *proof_of(number, raw, masters.ledger_id))
        self._vault.refresh()
        return masters.current()

    def run(self, tell: Tell = lambda done: None) -> int:
        """Wrap every key anew, and retire the master keys before; returns how many keys there are.
        `tell` hears how many are done."""
        new = self.begin()
        done = 0
        for table in ("order_keys", "body_keys"):
            for batch in self._batches(table):
                about = self._about(table, [key.id for key in batch])
                anew = [
                    (key, self._anew(key.wrapped, about[key.id], new))
                    for key in batch
                    if master_of(key.wrapped) < new.number and key.id in about
                ]
                if anew:
                    self._tables.rewrap(table, anew)
                done += len(batch)
                tell(done)
        self._seal_refused_anew()
        before = self._tables.ledger_key(HASH_KEY)
        if before is not None and master_of(before) < new.number:
            wrapped = self._anew(before, about_ledger(HASH_KEY), new)
            self._tables.rewrap_ledger_key(HASH_KEY, before, wrapped)
        with self._tables.transaction(commit=True) as c:
            self._tables.retire(c, new.number)
        return done

    def _seal_refused_anew(self) -> None:
        anew = []
        for each in self._tables.unproven():
            with suppress(Unopened):  # it was changed, so nobody reads it any more
                body = self._vault.open_unproven(each.sealed, each.body_hash)
                anew.append((each, self._vault.seal_unproven(body, each.body_hash)))
        self._tables.reseal(anew)

    def _batches(self, table: str) -> Iterator[Sequence[WrappedKey]]:
        after = 0
        while batch := self._tables.keys_after(table, after, BATCH):
            yield batch
            after = batch[-1].id

    def _about(self, table: str, ids: Sequence[int]) -> dict[int, bytes]:
        if table == "order_keys":
            return {n: about_order(name) for n, name in self._tables.streams_of(ids).items()}
        return {n: about_body(told) for n, told in self._tables.hashes_of(ids).items()}

    def _anew(self, wrapped: bytes, about: bytes, new: Master) -> bytes:
        try:
            key = self._vault.masters.of(master_of(wrapped)).unwrap(wrapped, about)
        except Unopened:
            return wrapped  # it was changed: `verify` tells of it
        return new.wrap(key, about)
