"""The keys that sign checkpoints: private ones in a file, public ones with the ledger.

A key file holds PEM private keys (PKCS 8, Ed25519), the newest first. It is made once; a ledger
whose checkpoints were signed by another key says which, and where it belongs.
"""

import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adapters.evidence import EvidenceTrouble
from adapters.evidence.notes import (
    BadNote,
    Checkpoint,
    PublicKey,
    SignedCheckpoint,
    fingerprint,
    sign,
)
from adapters.files import draft_of, sync_folder
from adapters.storage.evidence import EvidenceStore, KnownKey
from adapters.storage.log import PARTITION, Clock, utc_now

END = b"-----END PRIVATE KEY-----\n"
OVERLAP = timedelta(days=30)

log = logging.getLogger("order_ledger.evidence")

# The deliberate way on, for who holds the keys.
AWAY = "move it away: the next checkpoint then contradicts what was signed before"


class KeyTrouble(EvidenceTrouble):
    """The ledger cannot be signed with the keys that are there; the message says what to do."""


class Signer:
    """Signs the checkpoints of a ledger, under its name, with the keys of its key file."""

    def __init__(
        self, store: EvidenceStore, path: Path, name: str | None, clock: Clock = utc_now
    ) -> None:
        self._store = store
        self._clock = clock
        self.path = path
        self.name = name or store.ledger_id()

    @property
    def origin(self) -> str:
        """What the checkpoints of the one partition are signed under."""
        return f"{self.name}/{PARTITION}"

    def public_keys(self) -> list[PublicKey]:
        """Every key that ever signed, oldest first."""
        return [PublicKey(self.origin, known.public_key) for known in self._store.known_keys()]

    def signing_keys(self) -> list[Ed25519PrivateKey]:
        """The keys that sign now, the newest first; the first one of a ledger is made here.

        Raises `KeyTrouble` where the newest is not in the key file.
        """
        known = self._store.known_keys()
        if not known:
            known = self._begin()
        held = {_raw(key): key for key in _read(self.path)}
        newest = known[-1].public_key
        if newest not in held:
            raise KeyTrouble(
                f"this ledger is signed by the key {fingerprint(newest)}, which is not in "
                f"{self.path}: put its key file back there, or set seal_keys_file to where it is. "
                "If it is lost for good: order-ledger keys rotate --lost"
            )
        return [held[raw] for raw in signing(known, self._clock()) if raw in held]

    def sign(self, checkpoint: Checkpoint) -> SignedCheckpoint:
        """Sign with every key that signs now. Raises `KeyTrouble`."""
        return sign(checkpoint, self.signing_keys())

    def held_keys(self) -> list[PublicKey]:
        """The public halves of the key file, the newest first; none where it cannot be read."""
        try:
            return [PublicKey(self.origin, _raw(key)) for key in _read(self.path)]
        except (OSError, KeyTrouble):
            return []

    @property
    def last_file(self) -> Path:
        """Where the checkpoint that was signed last is kept: beside the keys, so that who reaches
        the data alone cannot make the ledger forget it."""
        return self.path.with_name(f"{self.path.name}.last")

    def last_signed(self) -> SignedCheckpoint | None:
        """What was signed last with this key file; None where nothing was kept. Raises
        `KeyTrouble`."""
        try:
            return SignedCheckpoint.parse(self.last_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError, BadNote) as error:
            raise KeyTrouble(
                f"{self.last_file}, which keeps what was signed last, cannot be read ({error}): "
                f"put the newest checkpoint that you kept in its place, or {AWAY}"
            ) from None

    def keep(self, signed: SignedCheckpoint) -> None:
        """Keep, durably, what is about to be given out. Where the folder of the keys is not ours to
        write the ledger is signed all the same, and the log says what is weaker then."""
        try:
            draft_of(self.last_file, signed.note.encode()).replace(self.last_file)
            sync_folder(self.path.parent)
        except OSError as error:
            log.warning(
                "what was signed last cannot be kept in %s (%s): that the log goes on from it is "
                "known by the database alone",
                self.last_file,
                error.strerror,
            )

    def set_last_aside(self) -> Path | None:
        """Move away what was signed last, where an older ledger goes on in its place: checkpoints
        from there on contradict it. Where it lies then; None where nothing was kept."""
        aside = self.last_file.with_name(f"{self.last_file.name}-{self._clock():%Y%m%dT%H%M%SZ}")
        try:
            return self.last_file.rename(aside)
        except FileNotFoundError:
            return None

    def rotate(self, overlap: timedelta = OVERLAP, *, is_lost: bool = False) -> PublicKey:
        """Make a new key. The one before it signs beside it for a while, unless it is lost.

        Raises `KeyTrouble` where it is not there, and not said to be lost.
        """
        if not is_lost:
            self.signing_keys()
        now = self._clock()
        key = Ed25519PrivateKey.generate()
        with self._store.changing_keys() as change:
            live = set(signing(change.known, now))
            held = [old for old in _read(self.path) if _raw(old) in live and not is_lost]
            # The file first: a key that is known and whose private half is not kept would stop all.
            _draft(self.path, [key, *held]).replace(self.path)
            change.add(_raw(key), now, now if is_lost else now + overlap)
        return PublicKey(self.origin, _raw(key))

    def _begin(self) -> list[KnownKey]:
        with self._store.changing_keys() as change:
            if not change.known:
                if not self.path.exists():
                    _make_once(self.path)
                keys = _read(self.path)
                if not keys:
                    raise KeyTrouble(f"{self.path} holds no key: delete it, and one is made")
                now = self._clock()
                change.add(_raw(keys[0]), now, now)
        return self._store.known_keys()


def signing(known: Sequence[KnownKey], now: datetime) -> list[bytes]:
    """The public keys that sign at a time, the newest first."""
    live = []
    until = datetime.max.replace(tzinfo=UTC)
    for key in reversed(known):
        if now < until:
            live.append(key.public_key)
        until = min(until, key.earlier_until)
    return live


def _raw(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def _read(path: Path) -> list[Ed25519PrivateKey]:
    if not path.exists():
        return []
    if path.stat().st_mode & 0o077:
        raise KeyTrouble(f"{path} can be read by others: chmod 600 it")
    pems = [pem + END for pem in path.read_bytes().split(END) if pem.strip()]
    keys = []
    for pem in pems:
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except (ValueError, TypeError):
            raise KeyTrouble(f"{path} is no file of PEM private keys without a password") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyTrouble(f"{path} holds a key that is not of type Ed25519")
        keys.append(key)
    return keys


def _make_once(path: Path) -> None:
    """Make a key file unless another process is first; then there is one either way."""
    draft = _draft(path, [Ed25519PrivateKey.generate()])
    with suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()


def _draft(path: Path, keys: Sequence[Ed25519PrivateKey]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    pems = [
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        for key in keys
    ]
    return draft_of(path, b"".join(pems))
