"""Bodies and private fields as they are stored: compressed, then AES-256-GCM.

    body    = form || kind || dictionary || nonce || [orders] || AES-GCM(zstd(context || body))
    private = base64(nonce || AES-GCM(JSON))

`form` is 1, one byte; `kind`, one byte, says whose key it is; `dictionary`, two bytes, is the
number of the dictionary that the compression used, 0 for none. `context` has its length in front,
two bytes. All numbers are big-endian. The associated data is the place: version and length of the
stream, four bytes each, the stream, the topic; of a body also what stands around the nonce.
"""

import hashlib
import os
from base64 import b64decode, b64encode
from collections.abc import Sequence
from struct import Struct, error
from typing import NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from eventsourcing.persistence import StoredEvent

from adapters.vault import Unopened
from adapters.vault.dictionaries import Dictionaries
from adapters.vault.keys import NONCE_BYTES, OrderKey, Random
from domain.payment import Personal

FORM = 1
ONE_ORDER, SEVERAL_ORDERS, NO_ORDER = 1, 2, 3  # kinds
_head = Struct(">BBH")
_place = Struct(">II")
_length = Struct(">H")


class Place(NamedTuple):
    """The event that something sealed belongs to. One of nothing: it belongs to no event."""

    stream: str = ""
    version: int = 0
    topic: str = ""

    @classmethod
    def of(cls, event: StoredEvent) -> "Place":
        """The place that a stored event is."""
        return cls(str(event.originator_id), event.originator_version, event.topic)

    def bound(self) -> bytes:
        """It as associated data."""
        stream = self.stream.encode()
        return _place.pack(self.version, len(stream)) + stream + self.topic.encode()


class ToSeal(NamedTuple):
    """A body that is to be sealed: at which place, under the key of which orders (none: one of its
    own), compressed as whose."""

    provider: str
    body: bytes
    context: str | None
    place: Place
    streams: Sequence[str]
    key: OrderKey


class Kept(NamedTuple):
    """A body that was opened, and what besides it is needed to read it again (JSON)."""

    body: bytes
    context: str | None


def body_digest(key: OrderKey, stream: str, version: int, body: bytes) -> str:
    """The salted sha256 of a body, in hex, as an event of an order holds it."""
    return hashlib.sha256(key.salt(stream, version) + body).hexdigest()


# ------------------------------------------------------------------------------------------ bodies


def seal_bodies(bodies: Sequence[ToSeal], dictionaries: Dictionaries) -> list[bytes]:
    """Bodies as they are stored. Those of one provider are compressed in one go."""
    compressed: list[tuple[int, bytes]] = [(0, b"")] * len(bodies)
    by_provider: dict[str, list[int]] = {}
    for n, one in enumerate(bodies):
        by_provider.setdefault(one.provider, []).append(n)
    for provider, numbers in by_provider.items():
        plain = [_plain(bodies[n]) for n in numbers]
        number, packed = dictionaries.compress(provider, plain)
        for n, each in zip(numbers, packed, strict=True):
            compressed[n] = (number, each)
    nonces = os.urandom(NONCE_BYTES * len(bodies))
    sealed = []
    for n, (one, (used, small)) in enumerate(zip(bodies, compressed, strict=True)):
        head, orders = _head_of(one.streams, used)
        nonce = nonces[n * NONCE_BYTES : (n + 1) * NONCE_BYTES]
        bound = head + orders + one.place.bound()
        sealed.append(head + nonce + orders + one.key.cipher.encrypt(nonce, small, bound))
    return sealed


def orders_of(sealed: bytes) -> Sequence[str] | None:
    """Whose keys open a body: None where it has one of its own, an empty list for the order of its
    place. Raises `Unopened`."""
    kind, _, orders, _ = _read(sealed)
    return None if kind == NO_ORDER else orders


def dictionary_of(sealed: bytes) -> int:
    """The number of the dictionary that a body was compressed with. Raises `Unopened`."""
    return _read(sealed)[1]


def open_body(sealed: bytes, place: Place, key: OrderKey, dictionaries: Dictionaries) -> Kept:
    """A body that was stored. Raises `Unopened` where it is not the one that was sealed here."""
    _, number, _, at = _read(sealed)
    head, nonce = sealed[: _head.size], sealed[_head.size : _head.size + NONCE_BYTES]
    bound = head + sealed[_head.size + NONCE_BYTES : at] + place.bound()
    try:
        packed = key.cipher.decrypt(nonce, sealed[at:], bound)
    except (InvalidTag, ValueError):
        raise Unopened("its body is not the one that was sealed here") from None
    plain = dictionaries.decompress(number, packed)
    (length,) = _length.unpack_from(plain)
    start = _length.size + length
    return Kept(plain[start:], plain[_length.size : start].decode() or None)


def seal_alone(body: bytes, about: str, key: OrderKey) -> bytes:
    """A body that is no part of the log, as it is stored: nonce || AES-GCM."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + key.cipher.encrypt(nonce, body, b"alone" + about.encode())


def open_alone(sealed: bytes, about: str, key: OrderKey) -> bytes:
    """Such a body that was stored. Raises `Unopened`."""
    nonce, secret = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
    try:
        return key.cipher.decrypt(nonce, secret, b"alone" + about.encode())
    except (InvalidTag, ValueError):
        raise Unopened("its body is not the one that was sealed here") from None


def _plain(one: ToSeal) -> bytes:
    context = one.context.encode() if one.context else b""
    return _length.pack(len(context)) + context + one.body


def _head_of(streams: Sequence[str], dictionary: int) -> tuple[bytes, bytes]:
    if len(streams) == 1:
        return _head.pack(FORM, ONE_ORDER, dictionary), b""
    if not streams:
        return _head.pack(FORM, NO_ORDER, dictionary), b""
    names = [stream.encode() for stream in streams]
    orders = b"".join(_length.pack(len(name)) + name for name in names)
    return _head.pack(FORM, SEVERAL_ORDERS, dictionary), _length.pack(len(names)) + orders


def _read(sealed: bytes) -> tuple[int, int, list[str], int]:
    """The kind, the dictionary's number, the orders, and where the sealed bytes begin."""
    try:
        form, kind, dictionary = _head.unpack_from(sealed)
        at = _head.size + NONCE_BYTES
        orders = []
        if kind == SEVERAL_ORDERS:
            (count,) = _length.unpack_from(sealed, at)
            at += _length.size
            for _ in range(count):
                (length,) = _length.unpack_from(sealed, at)
                at += _length.size + length
                orders.append(sealed[at - length : at].decode())
    except (error, UnicodeDecodeError):
        raise Unopened("its body is not the one that was sealed here") from None
    if form != FORM or kind not in (ONE_ORDER, SEVERAL_ORDERS, NO_ORDER):
        raise Unopened("its body is stored in no form that this release knows")
    return kind, dictionary, orders, at


# ---------------------------------------------------------------------------------- private fields

_encode = msgspec.json.Encoder().encode


class _Told(msgspec.Struct, omit_defaults=True):
    """A `Personal`, of which what it lacks is not written."""

    references: tuple[str, ...] = ()
    customer: str | None = None


def seal_private(
    personal: Personal, place: Place, key: OrderKey, random: Random = os.urandom
) -> str:
    """What names a person in an event, as the event holds it."""
    told = _encode(_Told(personal.references, personal.customer))
    nonce = random(NONCE_BYTES)
    return b64encode(nonce + key.cipher.encrypt(nonce, told, b"private" + place.bound())).decode()


def open_private(sealed: str, place: Place, key: OrderKey) -> Personal:
    """What was sealed. Raises `Unopened`."""
    try:
        raw = b64decode(sealed, validate=True)
        nonce, secret = raw[:NONCE_BYTES], raw[NONCE_BYTES:]
        told = key.cipher.decrypt(nonce, secret, b"private" + place.bound())
        return msgspec.json.decode(told, type=Personal)
    except (InvalidTag, ValueError, msgspec.MsgspecError):
        raise Unopened("a private field is not the one that was sealed here") from None
