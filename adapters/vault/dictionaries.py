"""Compression with what a provider's bodies have in common: zstd, with a dictionary for each.

Dictionaries are numbered from 1 and never change; the newest of a provider is used for new bodies.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from threading import Lock

import zstandard

from adapters.vault import Unopened

LEVEL = 3
OUTPUT_BYTES_MAX = 80 * 1024 * 1024  # more than any body that is taken in
DICTIONARY_BYTES_MIN, DICTIONARY_BYTES_MAX = 16, 16 * 1024
SAMPLES_MIN = 20
SHARED_BY = 0.25  # of the bodies: what so many say is nobody's own
# A text, with the colon that makes it the name of a field; or what stands outside of texts.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"(?P<colon>\s*:\s*)?|[^\s"{}\[\],:]+', re.DOTALL)
# What providers say of payments. No other value is learnt: a name in capitals looks like a word.
STATUS_WORDS = (
    "PAID PENDING PARTIALLY_PAID UNPAID FAILED CANCELLED CANCELED EXPIRED REFUNDED "
    "PARTIALLY_REFUNDED DISPUTED COMPLETED SUCCESS SUCCESSFUL SUCCEEDED DECLINED REVERSED "
    "AUTHORIZED AUTHORISED AUTHORISATION CAPTURED CAPTURE REFUND CANCELLATION CHARGEBACK OPEN "
    "PROCESSING APPROVED REJECTED AWAITING_PAYMENT AWAITING_SHIPMENT SHIPPED DELIVERED"
).split()
_WORDS = frozenset([*(f'"{word}"'.encode() for word in STATUS_WORDS), b"true", b"false", b"null"])
_UNSAID = bytes(range(0x80, 0x100))  # pieces of other alphabets, of what is no JSON


@dataclass(frozen=True, slots=True)
class Dictionary:
    """What the bodies of a provider have in common, by its number in the ledger."""

    number: int
    provider: str
    content: bytes


class Untrainable(Exception):
    """No dictionary can be made of these bodies; the message says why."""


class Dictionaries:
    """The dictionaries of a ledger, ready to use. The library's objects serve one thread at a time,
    so a lock is held meanwhile."""

    def __init__(self, known: Iterable[Dictionary] = ()) -> None:
        self._lock = Lock()
        self._plain = zstandard.ZstdCompressor(LEVEL, write_checksum=False)
        self._newest: dict[str, tuple[int, zstandard.ZstdCompressor]] = {}
        self._openers = {0: zstandard.ZstdDecompressor()}
        for each in known:
            self.add(each)

    def add(self, dictionary: Dictionary) -> None:
        """Know one more, the newest of its provider."""
        kind = zstandard.DICT_TYPE_RAWCONTENT
        content = zstandard.ZstdCompressionDict(dictionary.content, dict_type=kind)
        content.precompute_compress(LEVEL)
        compressor = zstandard.ZstdCompressor(
            LEVEL, dict_data=content, write_checksum=False, write_dict_id=False
        )
        self._newest[dictionary.provider] = dictionary.number, compressor
        self._openers[dictionary.number] = zstandard.ZstdDecompressor(dict_data=content)

    @property
    def newest(self) -> int:
        """The number of the newest one, 0 where there is none."""
        return max(self._openers)

    def knows(self, number: int) -> bool:
        """Whether a dictionary is among them; 0 stands for none."""
        return number in self._openers

    def compress(self, provider: str, bodies: Sequence[bytes]) -> tuple[int, Sequence[bytes]]:
        """Bodies, compressed, and the number of the dictionary that it was done with."""
        number, compressor = self._newest.get(provider, (0, self._plain))
        with self._lock:
            if len(bodies) == 1:
                return number, [compressor.compress(bodies[0])]
            # One call for all: each lets go of the interpreter's lock, and the busy threads of a
            # service would take turns at every body.
            packed = compressor.multi_compress_to_buffer(list(bodies), threads=1)
            return number, [packed[n].tobytes() for n in range(len(bodies))]

    def decompress(self, number: int, packed: bytes) -> bytes:
        """What was compressed. Raises `Unopened`."""
        try:
            with self._lock:
                return self._openers[number].decompress(packed, max_output_size=OUTPUT_BYTES_MAX)
        except KeyError:
            raise Unopened(f"its dictionary {number} is not in the ledger") from None
        except zstandard.ZstdError:
            raise Unopened("its body cannot be decompressed") from None


def common(bodies: Sequence[bytes]) -> bytes:
    """A dictionary of what some bodies have in common. Raises `Untrainable`.

    It is kept for ever, so nothing of a person may be in it: of each JSON body only names of fields
    that many have, and of `STATUS_WORDS` those that many say. What is left of the bodies, the most
    frequent last, is the dictionary; one that was trained would hold pieces of them as they are.
    """
    if len(bodies) < SAMPLES_MIN:
        raise Untrainable(
            f"{SAMPLES_MIN} bodies are wanted, and there are {len(bodies)}: train when more came"
        )
    said = Counter(token for body in bodies for token in set(_tokens(body)))
    shared = {token for token, times in said.items() if times >= len(bodies) * SHARED_BY}
    skeletons = Counter(_skeleton(body, shared) for body in bodies)
    content = b""
    for skeleton, _ in skeletons.most_common():
        if len(content) + len(skeleton) <= DICTIONARY_BYTES_MAX:
            content = skeleton + content
    if len(content) < DICTIONARY_BYTES_MIN:
        raise Untrainable("these bodies have too little in common")
    return content


def _tokens(body: bytes) -> Iterator[bytes]:
    """The names of fields and the status words of a JSON body."""
    for match in _TOKEN.finditer(body):
        token = match[0]
        if match["colon"] is not None or token in _WORDS:
            yield token


def _skeleton(body: bytes, shared: set[bytes]) -> bytes:
    """What is left of a body without what only some say."""
    left = _TOKEN.sub(lambda match: match[0] if match[0] in shared else b"", body)
    return bytes(left.translate(None, _UNSAID))
