"""The entry that a stored event is in the tree: the very bytes that are stored, length-prefixed.

    entry = 0x01                 the form of the entry
         || partition            4 bytes, big-endian and unsigned, as all numbers here
         || index                8 bytes: of the event's position, from 1
         || version              4 bytes: of the event in its stream, from 1
         || recorded at          8 bytes, two's complement: microseconds since 1970-01-01 UTC
         || length of stream     4 bytes
         || length of topic      4 bytes
         || length of state      4 bytes
         || stream || topic || state     UTF-8 for the names, the state as it is stored

What ties an event to its body (`body_sha256`) is part of the state.
"""

import hashlib
from collections.abc import Iterable
from struct import Struct

from adapters.storage.evidence import RawRow
from domain.log import Position

FORM = 1
_head = Struct(">BIQIqIII").pack
_hashed_head = Struct(">BBIQIqIII").pack  # with what sets the hash of a leaf apart in front
_sha256 = hashlib.sha256


def entry(
    position: Position, version: int, at: int, stream: bytes, topic: bytes, state: bytes
) -> bytes:
    """The entry of an event, `at` being its `recorded_at` in microseconds."""
    lengths = (len(stream), len(topic), len(state))
    return (
        _head(FORM, position.partition, position.index, version, at, *lengths)
        + stream
        + topic
        + state
    )


def leaves(partition: int, rows: Iterable[RawRow]) -> list[bytes]:
    """The leaf hashes of stored events: `hash_leaf` of their entries, in one go."""
    return [
        _sha256(
            _hashed_head(0, FORM, partition, idx, version, at, len(stream), len(topic), len(state))
            + stream + topic + state
        ).digest()
        for idx, stream, version, topic, state, at, _ in rows
    ]  # fmt: skip
