"""The entry of an event: known bytes, and no two events with the same one."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from adapters.evidence.leaf import entry, leaves
from adapters.evidence.merkle import hash_leaf
from adapters.storage.evidence import StoredRow
from domain.log import Position

names = st.text(max_size=5).map(str.encode)
rows = st.builds(
    StoredRow,
    idx=st.integers(1, 3),
    stream=names,
    version=st.integers(1, 3),
    topic=names,
    state=st.binary(max_size=5),
    recorded_at=st.integers(-2, 2),
    delivery_id=st.none(),
)


def entry_of(row: StoredRow) -> bytes:
    at = Position(0, row.idx)
    return entry(at, row.version, row.recorded_at, row.stream, row.topic, row.state)


def test_the_entry_is_the_one_that_the_documentation_shows() -> None:
    row = StoredRow(17, b"default/42", 2, b"Delivered", b'{"v":1}', 1_767_598_200_000_001, 9)
    expected = bytes.fromhex(
        "01"  # the form
        "00000000"  # partition 0
        "0000000000000011"  # index 17
        "00000002"  # version 2
        "0006479f06d10e01"  # recorded at
        "0000000a"  # 10 bytes of stream
        "00000009"  # 9 bytes of topic
        "00000007"  # 7 bytes of state
    )
    assert entry_of(row) == expected + b'default/42Delivered{"v":1}'
    assert leaves(0, [row]) == [hashlib.sha256(b"\x00" + entry_of(row)).digest()]


@given(rows, rows)
def test_two_events_have_one_entry_only_where_they_are_one(
    one: StoredRow, other: StoredRow
) -> None:
    assert (entry_of(one) == entry_of(other)) == (one == other)


@given(st.lists(rows, max_size=5))
def test_many_leaves_are_the_hashes_of_their_entries(some: list[StoredRow]) -> None:
    assert leaves(0, some) == [hash_leaf(entry_of(row)) for row in some]


def test_the_partition_is_part_of_the_entry() -> None:
    row = StoredRow(1, b"default/1", 1, b"Delivered", b"{}", 0, None)
    assert leaves(0, [row]) != leaves(1, [row])
