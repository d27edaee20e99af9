"""Compression with what a provider's bodies have in common: zstd, with a dictionary for each.

Dictionaries are numbered from 1 and never change; the newest of a provider is used for new bodies.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from threading import Lock

import zstandard

from adapters.vault import Unopened

LEVEL = 3
OUTPUT_BYTES_MAX = 80 * 1024 * 1024  # more than any body that is taken in
DICTIONARY_BYTES_MAX = 32 * 1024
SAMPLES_MIN = 20


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
        content = zstandard.ZstdCompressionDict(dictionary.content)
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


def train(bodies: Sequence[bytes]) -> bytes:
    """A dictionary of what some bodies have in common. Raises `Untrainable`."""
    if len(bodies) < SAMPLES_MIN:
        raise Untrainable(
            f"{SAMPLES_MIN} bodies are wanted, and there are {len(bodies)}: train when more came"
        )
    size = min(DICTIONARY_BYTES_MAX, max(1024, sum(map(len, bodies)) // 10))
    try:
        return zstandard.train_dictionary(size, list(bodies), level=LEVEL).as_bytes()
    except zstandard.ZstdError as error:
        raise Untrainable(f"these bodies have too little in common ({error})") from None
