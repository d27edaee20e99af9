"""The vault of a ledger: it seals what may name a person, and opens it while its key lives."""

import hmac
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from threading import RLock

from adapters.storage.vault import HASH_KEY, VaultTables
from adapters.vault import Unopened, VaultTrouble
from adapters.vault.dictionaries import Dictionaries
from adapters.vault.keys import KEY_BYTES, Hashing, Master, OrderKey, master_of
from adapters.vault.masters import Masters, MasterSource, proof_of
from adapters.vault.sealing import (
    Kept,
    Place,
    ToSeal,
    dictionary_of,
    open_alone,
    open_body,
    seal_alone,
    seal_bodies,
)

KEYS_ARE_MISSING = (
    "this ledger's keys are missing, and no others are made: it looks like the file of events of "
    "a backup by itself, or a restore that broke off. Restore both files of the backup to where "
    "there is no ledger, with order-ledger db restore EVENTS KEYS"
)


class Vault:
    """What seals and opens, for all threads of a process.

    It is opened with its first use, or by `open`; then the master key has to be there.
    """

    def __init__(self, tables: VaultTables, source: MasterSource) -> None:
        self.tables = tables
        self.source = source
        self._lock = RLock()
        self._masters: Masters | None = None
        self._hashing: Hashing | None = None
        self._unproven: OrderKey | None = None
        self._dictionaries = Dictionaries()

    def open(self) -> None:
        """Have the keys at hand; those of a new ledger are made here. Raises `VaultTrouble`."""
        with self._lock:
            if self._masters is not None:
                return
            masters = Masters(self.tables, self.source)
            if not self.tables.masters():
                self._begin(masters)
            masters.open()
            wrapped = self.tables.ledger_key(HASH_KEY)
            if wrapped is None:
                raise VaultTrouble("the ledger's hash key is missing: its tables were damaged")
            try:
                master = masters.of(master_of(wrapped))
                raw = master.unwrap(wrapped, about_ledger(HASH_KEY))
            except Unopened as error:
                raise VaultTrouble(f"the ledger's hash key was damaged: {error}") from error
            self._hashing = Hashing(raw)
            self._unproven = OrderKey(hmac.digest(raw, b"order-ledger unproven", "sha256"))
            self._masters = masters
            self.learn()

    def _begin(self, masters: Masters) -> None:
        """Make the first master key known, and the keys of the whole ledger. Once: who comes second
        finds them. Never where anything is: with another hash key nothing would be known again."""
        with self.tables.transaction(commit=True) as c:
            self.tables.lock(c)
            if self.tables.masters_in(c):
                return
            if not self.tables.is_of_a_new_ledger(c):
                raise VaultTrouble(KEYS_ARE_MISSING)
            self.source.make()
            keys = self.source.keys()
            if not keys:
                raise VaultTrouble(f"{self.source.where} holds no master key: delete it")
            number, raw = 1, keys[0]
            self.tables.add_master(c, number, *proof_of(number, raw, masters.ledger_id))
            first = Master(number, raw, masters.ledger_id)
            key = first.wrap(os.urandom(KEY_BYTES), about_ledger(HASH_KEY))
            self.tables.add_ledger_key(c, HASH_KEY, key)

    @property
    def hashing(self) -> Hashing:
        """The keyed hashes of the ledger."""
        if self._hashing is None:
            self.open()
            assert self._hashing is not None
        return self._hashing

    @property
    def masters(self) -> Masters:
        """The master keys of the ledger."""
        if self._masters is None:
            self.open()
            assert self._masters is not None
        return self._masters

    def refresh(self) -> None:
        """Learn of a master key that another process made. Raises `VaultTrouble`."""
        with self._lock:
            self.masters.open()

    def learn(self) -> None:
        """Learn of dictionaries that were trained meanwhile."""
        with self._lock:
            for each in self.tables.dictionaries(self._dictionaries.newest):
                self._dictionaries.add(each)

    # ---------------------------------------------------------------------------------------- keys

    def unwrap(self, wrapped: bytes, stream: str) -> OrderKey:
        """The key of an order that was stored. Raises `Unopened` and `VaultTrouble`."""
        return OrderKey(self.masters.of(master_of(wrapped)).unwrap(wrapped, about_order(stream)))

    def keys_of(self, streams: Iterable[str]) -> Mapping[str, OrderKey]:
        """The keys of orders, of those that have one which was not changed."""
        keys = {}
        for stream, wrapped in self.tables.keys_of(list(streams)).items():
            with suppress(Unopened):
                keys[stream] = self.unwrap(wrapped, stream)
        return keys

    def unwrap_own(self, wrapped: bytes, body_hash: str) -> OrderKey:
        """The key of such a body that was stored. Raises `Unopened` and `VaultTrouble`."""
        return OrderKey(self.masters.of(master_of(wrapped)).unwrap(wrapped, about_body(body_hash)))

    # -------------------------------------------------------------------------------------- bodies

    def seal(self, bodies: Sequence[ToSeal]) -> list[bytes]:
        """Bodies as they are stored."""
        return seal_bodies(bodies, self._dictionaries)

    def open_body(self, sealed: bytes, place: Place, key: OrderKey) -> Kept:
        """A body that was stored. Raises `Unopened`."""
        if not self._dictionaries.knows(dictionary_of(sealed)):
            self.learn()  # another process trained it
        return open_body(sealed, place, key, self._dictionaries)

    def seal_unproven(self, body: bytes, about: str) -> bytes:
        """A body that nobody proved to have sent, which is kept for a while."""
        return seal_alone(body, about, self._unproven_key())

    def open_unproven(self, sealed: bytes, about: str) -> bytes:
        """Such a body that was stored. Raises `Unopened`."""
        return open_alone(sealed, about, self._unproven_key())

    def _unproven_key(self) -> OrderKey:
        self.open()
        assert self._unproven is not None
        return self._unproven


def about_order(stream: str) -> bytes:
    """What the key of an order is bound to, when it is wrapped."""
    return b"order " + stream.encode()


def about_body(body_hash: str) -> bytes:
    """What the key of a body that tells of no order is bound to, when it is wrapped."""
    return b"body " + body_hash.encode()


def about_ledger(name: str) -> bytes:
    """What a key of the whole ledger is bound to, when it is wrapped."""
    return b"ledger " + name.encode()
