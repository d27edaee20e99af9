"""Positions and the names of streams."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.log import Position, split_stream, stream_of

positions = st.builds(Position, st.integers(0, 10**9 - 1), st.integers(0, 10**18 - 1))


@given(positions)
def test_a_position_is_what_its_text_says(position: Position) -> None:
    assert Position.parse(str(position)) == position


@pytest.mark.parametrize("text", ["0-0", "0-42", "7-1", "999999999-999999999999999999"])
def test_the_text_of_a_position_is_what_was_read(text: str) -> None:
    assert str(Position.parse(text)) == text


@given(st.text(st.sampled_from("0123456789-+_. \n"), max_size=12))
def test_whatever_is_read_as_a_position_is_its_text(text: str) -> None:
    try:
        position = Position.parse(text)
    except ValueError:
        return
    assert str(position) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "42", "-", "0-", "-42", "0--1", "-1-0", "0-1-2", "a-1", "0-a", "0x1-1"),
        *("00-1", "0-01", "+0-1", "0-+1", " 0-1", "0-1 ", "0-1\n", "0 - 1", "0_0-1", "0-1_0"),
        *("0\N{EN DASH}1", "0\N{MINUS SIGN}1", "1.0-1", "0-1e3", "null"),
        *("1000000000-1", "0-1000000000000000000"),
        *("\N{ARABIC-INDIC DIGIT ONE}-0", "0-\N{FULLWIDTH DIGIT ONE}"),
    ],
    ids=repr,
)
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a position looks like 0-42"):
        Position.parse(text)


@pytest.mark.parametrize("text", ["1\N{ARABIC-INDIC DIGIT THREE}-0", "0-1\N{FULLWIDTH DIGIT TWO}"])
def test_a_position_has_no_digits_but_ours(text: str) -> None:
    with pytest.raises(ValueError, match="a position looks like 0-42"):
        Position.parse(text)


def test_positions_are_ordered_as_numbers_and_not_as_text() -> None:
    texts = ["0-9", "0-10", "0-99", "0-100", "2-0", "10-0"]
    in_order = [Position.parse(text) for text in texts]
    shuffled = [in_order[number] for number in (4, 1, 5, 3, 0, 2)]
    assert sorted(shuffled) == in_order


@given(positions, positions)
def test_an_earlier_index_comes_first_and_the_partition_before_it(
    one: Position, other: Position
) -> None:
    numbers = (one.partition, one.index) < (other.partition, other.index)
    assert (one < other) == numbers


@pytest.mark.parametrize(
    ("store", "order_id", "stream"),
    [
        ("default", "1", "default/1"),
        ("kenya", "INV/2026/7", "kenya/INV/2026/7"),
        ("kenya", "/", "kenya//"),
        ("kenya", "uganda/1", "kenya/uganda/1"),
    ],
)
def test_a_stream_is_named_after_its_store_and_order(
    store: str, order_id: str, stream: str
) -> None:
    assert stream_of(store, order_id) == stream
    assert split_stream(stream) == (store, order_id)


stores = st.text(st.characters(exclude_characters="/"), min_size=1)


@given(stores, st.text(min_size=1), stores, st.text(min_size=1))
def test_two_orders_never_share_a_stream(store: str, id_: str, other: str, other_id: str) -> None:
    assert split_stream(stream_of(store, id_)) == (store, id_)
    same = stream_of(store, id_) == stream_of(other, other_id)
    assert same == ((store, id_) == (other, other_id))
