"""The tree: known vectors, and agreement with the definition written down as plain recursion."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.evidence import merkle
from adapters.evidence.merkle import (
    EMPTY_ROOT,
    MissingTile,
    Tree,
    consistency_proof,
    hash_leaf,
    inclusion_proof,
    is_consistent,
    root,
    root_of_inclusion,
)

# The entries and roots that Certificate Transparency's implementations have tested with since 2013.
ENTRIES = [
    bytes.fromhex(entry)
    for entry in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
# Sizes around the edges of tiles of the first two levels.
EDGES = [1, 2, 255, 256, 257, 511, 512, 513, 65536, 65793]


class Grown:
    """A tree and the tiles that it was written to."""

    def __init__(self) -> None:
        self.tree = Tree()
        self.tiles: dict[tuple[int, int], bytes] = {}

    def extend(self, leaves: list[bytes]) -> None:
        for tile in (*self.tree.extend(leaves), *self.tree.tails()):
            self.tiles[tile.level, tile.number] = tile.hashes

    def read(self, level: int, number: int) -> bytes:
        return self.tiles.get((level, number), b"")


def leaves(count: int) -> list[bytes]:
    return [hash_leaf(str(number).encode()) for number in range(count)]


def naive(hashes: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1."""
    if len(hashes) <= 1:
        return hashes[0] if hashes else hashlib.sha256().digest()
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return hashlib.sha256(b"\x01" + naive(hashes[:k]) + naive(hashes[k:])).digest()


def naive_path(index: int, hashes: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962, section 2.1.1."""
    if len(hashes) == 1:
        return []
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    if index < k:
        return [*naive_path(index, hashes[:k]), naive(hashes[k:])]
    return [*naive_path(index - k, hashes[k:]), naive(hashes[:k])]


def naive_proof(old: int, hashes: list[bytes], is_known: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 6962, section 2.1.2."""
    if old == len(hashes):
        return [] if is_known else [naive(hashes)]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    if old <= k:
        return [*naive_proof(old, hashes[:k], is_known), naive(hashes[k:])]
    return [*naive_proof(old - k, hashes[k:], False), naive(hashes[:k])]


@pytest.mark.parametrize("size", range(9))
def test_the_roots_are_those_that_are_known(size: int) -> None:
    grown = Grown()
    grown.extend([hash_leaf(entry) for entry in ENTRIES[:size]])
    assert grown.tree.root().hex() == ROOTS[size]
    assert root(size, grown.read).hex() == ROOTS[size]


def test_a_leaf_is_never_taken_for_a_node() -> None:
    left, right = leaves(2)
    assert hash_leaf(left + right) != merkle.hash_node(left, right)


@given(st.lists(st.integers(0, 700), max_size=5))
def test_a_tree_that_grows_in_any_steps_has_the_root_of_the_definition(steps: list[int]) -> None:
    whole = leaves(sum(steps))
    grown = Grown()
    for step in steps:
        size = grown.tree.size
        grown.extend(whole[size : size + step])
    assert grown.tree.root() == naive(whole)
    assert Tree.load(len(whole), grown.read).root() == naive(whole)


@given(st.data())
def test_every_proof_is_the_one_of_the_definition_and_holds(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 700), "leaves")
    size = data.draw(st.integers(1, count), "size")  # the tree may have grown since
    index = data.draw(st.integers(0, size - 1), "index")
    old = data.draw(st.integers(1, size), "old")
    whole = leaves(count)
    grown = Grown()
    grown.extend(whole)
    path = inclusion_proof(index, size, grown.read)
    assert path == naive_path(index, whole[:size])
    assert root_of_inclusion(index, size, whole[index], path) == naive(whole[:size])
    steps = consistency_proof(old, size, grown.read)
    assert steps == naive_proof(old, whole[:size])
    assert is_consistent(old, naive(whole[:old]), size, naive(whole[:size]), steps)


@given(st.data())
def test_a_proof_that_was_changed_does_not_hold(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 600), "size")
    index = data.draw(st.integers(0, size - 1), "index")
    old = data.draw(st.integers(1, size - 1), "old")
    whole = leaves(size)
    grown = Grown()
    grown.extend(whole)
    path = inclusion_proof(index, size, grown.read)
    at = data.draw(st.integers(0, len(path) - 1), "step")
    other = [*path[:at], hash_leaf(b"other"), *path[at + 1 :]]
    top = naive(whole)
    assert root_of_inclusion(index, size, whole[index], other) != top
    assert root_of_inclusion(index, size, whole[index], path[:-1]) != top
    assert root_of_inclusion(index, size, whole[index], [*path, path[0]]) != top
    assert root_of_inclusion(index, size, whole[index - 1], path) != top
    steps = consistency_proof(old, size, grown.read)
    at = data.draw(st.integers(0, len(steps) - 1), "step of consistency")
    changed = [*steps[:at], hash_leaf(b"other"), *steps[at + 1 :]]
    before = naive(whole[:old])
    for wrong in (changed, steps[:-1], [*steps, top]):
        assert not is_consistent(old, before, size, top, wrong)
    assert not is_consistent(old, hash_leaf(b"other"), size, top, steps)


@pytest.mark.parametrize("size", EDGES)
def test_a_tree_at_the_edge_of_a_tile_goes_on_from_its_tiles(size: int) -> None:
    whole = leaves(size + 300)
    grown = Grown()
    grown.extend(whole[:size])
    assert grown.tree.root() == naive(whole[:size])
    grown.tree = Tree.load(size, grown.read)
    assert grown.tree.root() == naive(whole[:size])
    grown.extend(whole[size:])
    assert grown.tree.root() == naive(whole)
    for index in (0, size - 1, size, size + 299):
        path = inclusion_proof(index, size + 300, grown.read)
        assert root_of_inclusion(index, size + 300, whole[index], path) == naive(whole)
    steps = consistency_proof(size, size + 300, grown.read)
    assert is_consistent(size, naive(whole[:size]), size + 300, naive(whole), steps)


def test_a_proof_reads_few_tiles_however_large_the_tree_is() -> None:
    asked: list[tuple[int, int]] = []

    def read(level: int, number: int) -> bytes:
        asked.append((level, number))
        return bytes(merkle.TILE_BYTES)

    inclusion_proof(4_000_000, 10_000_000, read)
    assert len(set(asked)) <= 6


def test_what_is_missing_is_said() -> None:
    with pytest.raises(MissingTile):
        Tree.load(300, lambda level, number: b"")


def test_an_empty_tree_has_the_root_of_nothing() -> None:
    assert Tree().root() == EMPTY_ROOT
    assert is_consistent(0, EMPTY_ROOT, 5, naive(leaves(5)), [])
    assert not is_consistent(0, naive(leaves(1)), 5, naive(leaves(5)), [])
    assert not is_consistent(6, naive(leaves(6)), 5, naive(leaves(5)), [])
