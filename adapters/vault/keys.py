"""The keys that seal: one of each order, wrapped by the ledger's master key.

A wrapped key is number || nonce || AES-256-GCM: two bytes for the number of the master key, twelve
of a random nonce. What it is the key of, and of which ledger, is its associated data.
"""

import hmac
import os
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from io import BytesIO
from struct import Struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from adapters.vault import Unopened

KEY_BYTES = 32
NONCE_BYTES = 12
WRAPPED_BYTES = 2 + NONCE_BYTES + KEY_BYTES + 16  # of a wrapped key
DRAWN_BYTES = 1024  # at a time: the keys and nonces of some twenty orders
HASH_BYTES = 16  # of a keyed hash: enough where nobody without the key can look for a second one
_number = Struct(">H")
_version = Struct(">I")
# What keys are for, in BLAKE2b's `person`: no two uses ever see the same derived key.
_SEAL, _SALT, _SEVERAL = b"order-ledg seal", b"order-ledg salt", b"order-ledg many"

Random = Callable[[int], bytes]  # gives so many random bytes, each once: os.urandom, or Drawn


class Drawn:
    """Random bytes of the system, drawn ahead for one batch, on one thread.

    Each call of the system lets go of the interpreter's lock, and under load the loop and the
    writer would take turns at every key. What is left over goes with the batch: kept for longer, a
    fork would make copies of it, and a nonce must never come twice.
    """

    def __init__(self) -> None:
        self._read = BytesIO().read

    def __call__(self, count: int) -> bytes:
        """The next bytes, at most `DRAWN_BYTES`."""
        given = self._read(count)
        if len(given) < count:
            self._read = BytesIO(os.urandom(DRAWN_BYTES)).read
            given = self._read(count)
        assert len(given) == count, "so many are not drawn at a time"
        return given


class OrderKey:
    """What seals the bodies and private fields of an order, or of several orders together."""

    __slots__ = ("_cipher", "_raw")

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._cipher: AESGCM | None = None

    @classmethod
    def new(cls, random: Random = os.urandom) -> "OrderKey":
        """A key that nobody knows yet."""
        return cls(random(KEY_BYTES))

    @classmethod
    def of_several(cls, keys: Sequence["OrderKey"]) -> "OrderKey":
        """What seals a body that tells of several orders: without any one of their keys it cannot
        be had."""
        if len(keys) == 1:
            return keys[0]
        together = blake2b(digest_size=KEY_BYTES, person=_SEVERAL)
        for key in keys:
            together.update(key._raw)
        return cls(together.digest())

    @property
    def cipher(self) -> AESGCM:
        """What seals and opens."""
        if self._cipher is None:
            derived = blake2b(key=self._raw, digest_size=KEY_BYTES, person=_SEAL).digest()
            self._cipher = AESGCM(derived)
        return self._cipher

    def rest(self) -> None:
        """Let go of the cipher, which takes fifty times the memory of the key, until it is wanted
        again: kept by every order that is held, it would fill the processor's cache."""
        self._cipher = None

    def salt(self, stream: str, version: int) -> bytes:
        """The salt of the body digest in an event of an order."""
        told = _version.pack(version) + stream.encode()
        return blake2b(told, key=self._raw, digest_size=KEY_BYTES, person=_SALT).digest()

    def wrapped_by(self, master: "Master", about: bytes, random: Random = os.urandom) -> bytes:
        """The key as it is stored; `about` is what it is the key of."""
        return master.wrap(self._raw, about, random)


class Master:
    """A master key by its number in its ledger: it wraps keys."""

    def __init__(self, number: int, raw: bytes, ledger_id: str) -> None:
        self.number = number
        self._bound = ledger_id.encode() + b"\x00"
        self._cipher = AESGCM(raw)
        self._head = _number.pack(number)

    def wrap(self, key: bytes, about: bytes, random: Random = os.urandom) -> bytes:
        """A key as it is stored."""
        nonce = random(NONCE_BYTES)
        return self._head + nonce + self._cipher.encrypt(nonce, key, self._bound + about)

    def unwrap(self, wrapped: bytes, about: bytes) -> bytes:
        """The key that was wrapped. Raises `Unopened`."""
        nonce, sealed = wrapped[2 : 2 + NONCE_BYTES], wrapped[2 + NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, sealed, self._bound + about)
        except (InvalidTag, ValueError):
            raise Unopened("a key is not the one that was stored here") from None


def master_of(wrapped: bytes) -> int:
    """The number of the master key that wrapped a key. Raises `Unopened`."""
    if len(wrapped) < 2 + NONCE_BYTES:
        raise Unopened("a key is not the one that was stored here")
    (number,) = _number.unpack_from(wrapped)
    return int(number)


def key_id(raw: bytes) -> str:
    """What a master key is called: it tells nothing of the key."""
    return blake2b(key=raw, digest_size=6, person=b"order-ledger id").hexdigest()


class Hashing:
    """Keyed hashes: equal texts and bodies are seen to be equal, and nobody without the ledger's
    hash key can try out what they were. HMAC-SHA256, of which the first 128 bits are kept."""

    def __init__(self, key: bytes) -> None:
        self._body = _derived(key, b"body")
        self._reference = _derived(key, b"reference")
        self._customer = _derived(key, b"customer")

    def body(self, body: bytes) -> str:
        """The hash of a body."""
        return hmac.digest(self._body, body, "sha256")[:HASH_BYTES].hex()

    def reference(self, text: str) -> str:
        """The hash of a name that an order goes by."""
        return hmac.digest(self._reference, text.encode(), "sha256")[:HASH_BYTES].hex()

    def customer(self, text: str) -> str:
        """The hash of the name that a provider has for a customer."""
        return hmac.digest(self._customer, text.encode(), "sha256")[:HASH_BYTES].hex()


OWN = ""  # stands for the order, where a body has a key of its own
Opens = Mapping[str, OrderKey]  # what opens a body together, each by its order


def salting_key(opens: Opens, stream: str, key: OrderKey) -> OrderKey:
    """What the salt of a body's digest in an event of an order is made of: all that opens the body,
    and the order's key, so that the digest can be tried no longer than the body can be read."""
    keys = list(opens.values())
    return OrderKey.of_several(keys if stream in opens else [*keys, key])


def _derived(key: bytes, use: bytes) -> bytes:
    return hmac.digest(key, b"order-ledger " + use, "sha256")
