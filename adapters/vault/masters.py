"""The master key: where it lies, that it is the right one, and how another takes its place.

It comes from the configuration, by value or in a file, or from a file that is made once, with the
ledger. The ledger knows every master key by what it once wrapped (its proof), so it takes no other.
"""

import os
from base64 import b64decode, b64encode
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from adapters.files import draft_of, sync_folder
from adapters.storage.vault import MasterRow, VaultTables
from adapters.vault import Unopened, VaultTrouble
from adapters.vault.keys import KEY_BYTES, Master, key_id

PROOF = b"proof"


@dataclass(frozen=True)
class MasterSource:
    """Where master keys are looked for: those that are configured by value, newest first, else a
    file of one a line, newest first."""

    path: Path
    configured: Sequence[str] = ()

    @property
    def where(self) -> str:
        """The place, as people are told of it."""
        return "the configured master_keys" if self.configured else str(self.path)

    def keys(self) -> list[bytes]:
        """The master keys that are there, newest first. Raises `VaultTrouble`."""
        lines = list(self.configured)
        if not lines:
            if not self.path.exists():
                return []
            if self.path.stat().st_mode & 0o077:
                raise VaultTrouble(f"{self.path} can be read by others: chmod 600 it")
            lines = self.path.read_text().split()
        return [_read(line, self.where) for line in lines]

    def make(self) -> None:
        """Make the file with a first key, unless it is there or keys are configured."""
        if self.configured or self.path.exists():
            return
        draft = _draft(self.path, [os.urandom(KEY_BYTES)])
        with suppress(FileExistsError):
            os.link(draft, self.path)
        draft.unlink()
        sync_folder(self.path.parent)

    def write(self, keys: Sequence[bytes]) -> None:
        """Keep these keys, newest first, in place of what was there."""
        _draft(self.path, keys).replace(self.path)
        sync_folder(self.path.parent)


class Masters:
    """The master keys of a ledger that this process holds, by their numbers."""

    def __init__(self, tables: VaultTables, source: MasterSource) -> None:
        self.source = source
        self.ledger_id = tables.ledger_id()
        self._tables = tables
        self._held: dict[int, Master] = {}
        self.newest = 0

    def open(self) -> None:
        """Find the master keys that the ledger knows. Raises `VaultTrouble`."""
        rows = self._tables.masters()
        keys = self.source.keys()
        for row in rows:
            if row.number not in self._held:
                found = find(row, keys, self.ledger_id)
                if found is not None:
                    self._held[row.number] = found
                elif row.retired_at is None:
                    raise self._missing(row)
        self.newest = rows[-1].number if rows else 0

    def _missing(self, row: MasterRow) -> VaultTrouble:
        return VaultTrouble(
            f"the keys of this ledger are wrapped by the master key {row.key_id}, which is not in "
            f"{self.source.where}: put it back there, or name it in master_keys or "
            "master_key_file. Without it nothing that is sealed can be read, and no other is made"
        )

    def current(self) -> Master:
        """The one that wraps."""
        return self._held[self.newest]

    def of(self, number: int) -> Master:
        """The one of a number; another process may have made it since. Raises `Unopened` for a
        number that the ledger never gave, and `VaultTrouble`."""
        if number not in self._held:
            self.open()
        if number not in self._held:
            if all(row.number != number for row in self._tables.masters()):
                raise Unopened(f"a key was changed: no master key has the number {number}")
            raise VaultTrouble(
                f"a key is wrapped by the retired master key {number}, which is not in "
                f"{self.source.where}: put it back there"
            )
        return self._held[number]

    def with_new(self, rows: Sequence[MasterRow]) -> bytes:
        """The master key that is to wrap next: one that is configured by value and not known yet,
        or else one that is made, in front of the others in the file. To be called under the lock
        of the tables, with the rows that are there then. Raises `VaultTrouble`."""
        keys = self.source.keys()
        for row in rows:
            if row.retired_at is None and find(row, keys, self.ledger_id) is None:
                raise self._missing(row)  # what is written would lack it too
        known = [row.key_id for row in rows]
        if keys and key_id(keys[0]) not in known:  # also where making it known was interrupted
            return keys[0]
        if self.source.configured:
            raise VaultTrouble(
                "put the new master key in front of the others in master_keys, restart every "
                "service with both, and run this again"
            )
        new = os.urandom(KEY_BYTES)
        self.source.write([new, *keys])
        return new


def find(row: MasterRow, keys: Sequence[bytes], ledger_id: str) -> Master | None:
    """The master key of a row, if it is among some keys."""
    for key in keys:
        master = Master(row.number, key, ledger_id)
        with suppress(Unopened):
            master.unwrap(row.proof, PROOF)
            return master
    return None


def proof_of(number: int, key: bytes, ledger_id: str) -> tuple[str, bytes]:
    """What a ledger knows a master key by: its id, and what it wrapped."""
    return key_id(key), Master(number, key, ledger_id).wrap(bytes(KEY_BYTES), PROOF)


def _read(line: str, where: str) -> bytes:
    try:
        key = b64decode(line.strip(), validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise VaultTrouble(
            f"{where}: a master key is the base64 of {KEY_BYTES} random bytes, one a line; make "
            f"one with `openssl rand -base64 {KEY_BYTES}`"
        )
    return key


def _draft(path: Path, keys: Sequence[bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return draft_of(path, b"".join(b64encode(key) + b"\n" for key in keys))
