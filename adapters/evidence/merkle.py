"""A Merkle tree as RFC 6962 section 2.1 and RFC 9162 section 2.1 define it, kept in tiles.

Leaves and nodes are hashed apart: sha256(0x00 || entry) and sha256(0x01 || left || right). A tile
is 256 neighbouring hashes of one level, written one after the other: tile (0, n) holds the leaves
from 256 n on, tile (1, n) the roots of the tiles from (0, 256 n) on, and so on. Every proof is read
from a few tiles, and the hashes within a tile are computed anew. Geometry: C2SP `tlog-tiles`.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from struct import Struct
from typing import NamedTuple

HASH_BYTES = 32
TILE_WIDTH = 256
TILE_BITS = 8
TILE_BYTES = TILE_WIDTH * HASH_BYTES
EMPTY_ROOT = hashlib.sha256(b"").digest()

_sha256 = hashlib.sha256
_pairs = Struct(f"{2 * HASH_BYTES}s").iter_unpack

TileReader = Callable[[int, int], bytes]
"""Gives the hashes of tile (level, number) that are there. Raises `MissingTile`."""


class MissingTile(Exception):
    """A tile that the tree needs is not there, or too short."""


class Tile(NamedTuple):
    """Up to 256 neighbouring hashes of one level; a full one never changes."""

    level: int
    number: int
    hashes: bytes


def hash_leaf(entry: bytes) -> bytes:
    """The hash of a leaf."""
    return _sha256(b"\x00" + entry).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return _sha256(b"\x01" + left + right).digest()


def hash_perfect(hashes: bytes) -> bytes:
    """The root over hashes written one after the other, whose count is a power of two."""
    while len(hashes) > HASH_BYTES:
        hashes = b"".join([_sha256(b"\x01" + two).digest() for (two,) in _pairs(hashes)])
    return hashes


class Tree:
    """A tree that grows by leaves, keeping in memory only the tiles that are not full yet."""

    def __init__(self) -> None:
        self.size = 0
        self._tails: list[bytes] = [b""]

    @classmethod
    def load(cls, size: int, read: TileReader) -> "Tree":
        """The tree of the first `size` leaves, from its tiles. Raises `MissingTile`."""
        tree = cls()
        tree.size = size
        tree._tails = []
        count = size
        while True:
            number, width = divmod(count, TILE_WIDTH)
            tree._tails.append(_read(read, len(tree._tails), number, width) if width else b"")
            if number == 0:
                return tree
            count = number

    def extend(self, leaves: Sequence[bytes]) -> list[Tile]:
        """Add leaf hashes; returns the tiles that are full now."""
        self.size += len(leaves)
        return list(self._add(0, b"".join(leaves)))

    def tails(self) -> list[Tile]:
        """The tiles that have hashes and are not full."""
        return [
            Tile(level, self.size >> (TILE_BITS * (level + 1)), hashes)
            for level, hashes in enumerate(self._tails)
            if hashes
        ]

    def root(self) -> bytes:
        """The root over all leaves."""
        return root(self.size, lambda level, _: self._tails[level])

    def _add(self, level: int, hashes: bytes) -> Iterator[Tile]:
        if level == len(self._tails):
            self._tails.append(b"")
        hashes = self._tails[level] + hashes
        full = len(hashes) - len(hashes) % TILE_BYTES
        self._tails[level] = hashes[full:]
        if not full:
            return
        after = (self.size >> (TILE_BITS * level)) // TILE_WIDTH
        roots = []
        for at in range(0, full, TILE_BYTES):
            tile = hashes[at : at + TILE_BYTES]
            yield Tile(level, after - (full - at) // TILE_BYTES, tile)
            roots.append(hash_perfect(tile))
        yield from self._add(level + 1, b"".join(roots))


def root(size: int, read: TileReader) -> bytes:
    """The root over the first `size` leaves. Raises `MissingTile`."""
    return _over(0, size, read) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, read: TileReader) -> list[bytes]:
    """The proof that leaf `index`, from 0, is in the tree of the first `size` leaves (RFC 9162
    section 2.1.3.1). Raises `MissingTile`."""
    assert 0 <= index < size
    path = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(_over(middle, high, read))
            high = middle
        else:
            path.append(_over(low, middle, read))
            low = middle
    return path[::-1]


def consistency_proof(old: int, size: int, read: TileReader) -> list[bytes]:
    """The proof that the tree of the first `old` leaves is the beginning of that of `size` (RFC
    9162 section 2.1.4.1). Raises `MissingTile`."""
    assert 0 <= old <= size
    path: list[bytes] = []
    if old in (0, size):
        return path
    low, high, is_known = 0, size, True
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            path.append(_over(middle, high, read))
            high = middle
        else:
            path.append(_over(low, middle, read))
            low, is_known = middle, False
    if not is_known:  # who checks knows the root over the old leaves only where they are all of it
        path.append(_over(low, high, read))
    return path[::-1]


def root_of_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes | None:
    """The root that an inclusion proof leads to, or None where it has no right shape."""
    if not 0 <= index < size:
        return None
    node, at, last = leaf, index, size - 1
    for step in path:
        if last == 0:
            return None
        if at & 1 or at == last:
            node = hash_node(step, node)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            node = hash_node(node, step)
        at, last = at >> 1, last >> 1
    return node if last == 0 else None


def is_consistent(
    old: int, old_root: bytes, size: int, new_root: bytes, path: Sequence[bytes]
) -> bool:
    """Whether a consistency proof shows that the old tree is the beginning of the new one."""
    if not 0 <= old <= size:
        return False
    if old == 0:
        return not path and old_root == EMPTY_ROOT
    if old == size:
        return not path and old_root == new_root
    steps = [old_root, *path] if old & (old - 1) == 0 else list(path)
    return bool(steps) and _roots(old, size, steps) == (old_root, new_root)


def _roots(old: int, size: int, steps: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """The old and the new root that a consistency proof leads to (RFC 9162 section 2.1.4.2)."""
    at, last = old - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    from_old = from_new = steps[0]
    for step in steps[1:]:
        if last == 0:
            return None
        if at & 1 or at == last:
            from_old, from_new = hash_node(step, from_old), hash_node(step, from_new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            from_new = hash_node(from_new, step)
        at, last = at >> 1, last >> 1
    return (from_old, from_new) if last == 0 else None


def _split(count: int) -> int:
    """The greatest power of two below a count that is at least 2."""
    return 1 << ((count - 1).bit_length() - 1)


def _over(low: int, high: int, read: TileReader) -> bytes:
    """The root over the leaves from `low` to before `high`, as a subtree of the whole."""
    peaks = []
    while low < high:
        # The left part of every split is perfect, so what is left is a falling row of them.
        height = (high - low).bit_length() - 1
        peaks.append(_perfect(height, low >> height, read))
        low += 1 << height
    node = peaks.pop()
    while peaks:
        node = hash_node(peaks.pop(), node)
    return node


def _perfect(height: int, index: int, read: TileReader) -> bytes:
    level, within = divmod(height, TILE_BITS)
    first = index << within
    number, start = divmod(first, TILE_WIDTH)
    hashes = _read(read, level, number, start + (1 << within))
    return hash_perfect(hashes[start * HASH_BYTES :])


def _read(read: TileReader, level: int, number: int, width: int) -> bytes:
    hashes = read(level, number)[: width * HASH_BYTES]
    if len(hashes) < width * HASH_BYTES:
        raise MissingTile(f"tile {number} of level {level} is too short")
    return hashes
