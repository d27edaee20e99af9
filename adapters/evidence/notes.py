"""Checkpoints as signed notes: C2SP `signed-note` and `tlog-checkpoint`, with Ed25519."""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = b"\x01"  # the type of the signature
KEY_ID_BYTES = 4
PUBLIC_KEY_BYTES = 32
NOTE_BYTES_MAX = 16 * 1024
SIGNATURES_MAX = 32
SIZE_MAX = 2**63 - 1
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


class BadNote(ValueError):
    """It is no checkpoint, no key, or not signed as it says; the message says what is wrong."""


@dataclass(frozen=True)
class PublicKey:
    """Who may sign, under the name of a log. Its text is `name+id+base64` (`signed-note`)."""

    name: str
    raw: bytes

    @property
    def id(self) -> bytes:
        """The four bytes by which a signature names its key."""
        digest = hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.raw)
        return digest.digest()[:KEY_ID_BYTES]

    @property
    def fingerprint(self) -> str:
        """What people compare: the sha256 of the key's 32 bytes."""
        return fingerprint(self.raw)

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(ED25519 + self.raw).decode()}"

    @classmethod
    def parse(cls, text: str) -> "PublicKey":
        """Read the text form. Raises `BadNote`."""
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        raw = _base64(encoded, "the key")
        if not name or raw[:1] != ED25519 or len(raw) != 1 + PUBLIC_KEY_BYTES:
            raise BadNote("a public key looks like NAME+ID+BASE64, of type Ed25519")
        key = cls(name, raw[1:])
        if key.id.hex() != key_id:
            raise BadNote(
                "the id of the key is not that of its name and bytes: it was cut or mixed"
            )
        return key

    def verifies(self, signature: bytes, text: bytes) -> bool:
        """Whether this key made the signature."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, text)
        except (InvalidSignature, ValueError):
            return False
        return True


def fingerprint(raw: bytes) -> str:
    """The sha256 of a public key's 32 bytes, as people compare it."""
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


@dataclass(frozen=True)
class Signature:
    """A line below a note: who says so, and the bytes that prove it."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True)
class Checkpoint:
    """The root of a log's tree at a size."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


@dataclass(frozen=True)
class SignedCheckpoint:
    """A checkpoint and its signatures, as one text."""

    checkpoint: Checkpoint
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, note: str) -> "SignedCheckpoint":
        """Read a note; the signatures are not checked yet. Raises `BadNote`."""
        if len(note) > NOTE_BYTES_MAX:
            raise BadNote("a checkpoint is shorter")
        text, blank, below = note.rpartition("\n\n")
        if not blank or not below.endswith("\n"):
            raise BadNote("a checkpoint has a text, an empty line, and signatures below it")
        lines = text.split("\n")
        if len(lines) != 3 or not lines[0] or _SIZE.fullmatch(lines[1]) is None:
            raise BadNote("a checkpoint has three lines: origin, size of the tree, root hash")
        root = _base64(lines[2], "the root")
        if len(root) != hashlib.sha256().digest_size or int(lines[1]) > SIZE_MAX:
            raise BadNote("the size or the root of the checkpoint is none")
        checkpoint = Checkpoint(lines[0], int(lines[1]), root)
        if checkpoint.text != text + "\n":
            raise BadNote("the checkpoint is not written as it has to be")
        return cls(checkpoint, tuple(map(_signature, _some(below.splitlines()))))

    @property
    def note(self) -> str:
        """The text with its signatures."""
        lines = [
            f"\u2014 {s.name} {base64.b64encode(s.key_id + s.signature).decode()}\n"
            for s in self.signatures
        ]
        return f"{self.checkpoint.text}\n{''.join(lines)}"

    def signers(self, known: Iterable[PublicKey]) -> list[PublicKey]:
        """The known keys that signed. Raises `BadNote` where a signature in the name of a known key
        is wrong, or none is of a known key."""
        signed = []
        for key in known:
            for one in self.signatures:
                if (one.name, one.key_id) == (key.name, key.id):
                    if not key.verifies(one.signature, self.checkpoint.text.encode()):
                        raise BadNote(f"the signature of {key.fingerprint} is wrong")
                    signed.append(key)
        if not signed:
            raise BadNote("no known key signed it")
        return signed


def sign(checkpoint: Checkpoint, keys: Sequence[Ed25519PrivateKey]) -> SignedCheckpoint:
    """Sign in the name of the checkpoint's own origin, with one key or several."""
    signatures = []
    for key in keys:
        public = PublicKey(checkpoint.origin, key.public_key().public_bytes_raw())
        signature = key.sign(checkpoint.text.encode())
        signatures.append(Signature(public.name, public.id, signature))
    return SignedCheckpoint(checkpoint, tuple(signatures))


def _some(lines: list[str]) -> list[str]:
    if not 1 <= len(lines) <= SIGNATURES_MAX:
        raise BadNote(f"a checkpoint has 1 to {SIGNATURES_MAX} signatures")
    return lines


def _signature(line: str) -> Signature:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "\u2014" or not parts[1]:
        raise BadNote("a signature is an em dash, a name, and base64")
    raw = _base64(parts[2], "a signature")
    if len(raw) <= KEY_ID_BYTES:
        raise BadNote("a signature is too short")
    return Signature(parts[1], raw[:KEY_ID_BYTES], raw[KEY_ID_BYTES:])


def _base64(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadNote(f"{what} is no base64") from None
