"""Reading a provider's export: one body a line or row, whatever else the file holds."""

import csv
import io
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.imports.exported import Exported, UnusableExport, csv_rows, json_lines

SIZE_MAX = 1024


def lines(text: bytes) -> list[Exported]:
    return list(json_lines(io.BytesIO(text), SIZE_MAX))


def rows(text: bytes | str) -> list[Exported]:
    raw = text.encode() if isinstance(text, str) else text
    return list(csv_rows(io.BytesIO(raw), SIZE_MAX))


def bodies(found: list[Exported]) -> list[Any]:
    assert [one.problem for one in found] == [None] * len(found)
    return [json.loads(one.body) for one in found]


# ------------------------------------------------------------------------------------ JSON lines


def test_a_line_is_a_body_byte_for_byte() -> None:
    first, second = lines(b'{"a": 1.10}\n{"b":2}')
    assert first == (1, b'{"a": 1.10}', 12, None)
    assert second == (2, b'{"b":2}', 19, None)


def test_empty_lines_and_a_byte_order_mark_are_passed_over() -> None:
    found = lines(b"\xef\xbb\xbf{}\r\n\r\n  \n{ }\r\n")
    assert [(one.line, one.body) for one in found] == [(1, b"{}"), (4, b"{ }")]


def test_a_line_as_long_as_a_body_may_be_is_one() -> None:
    for end in (b"", b"\n", b"\r\n"):
        (only,) = lines(b"x" * SIZE_MAX + end)
        assert (len(only.body), only.problem) == (SIZE_MAX, None)


@pytest.mark.parametrize("length", [SIZE_MAX + 1, SIZE_MAX + 2, SIZE_MAX + 3, 10 * SIZE_MAX + 7])
def test_a_longer_line_is_told_and_the_next_is_read(length: int) -> None:
    found = lines(b"x" * length + b"\n{}\n")
    assert [(one.line, len(one.body)) for one in found] == [(1, SIZE_MAX), (2, 2)]
    assert "longer than 1024 bytes" in str(found[0].problem)
    assert found[1].problem is None
    assert found[1].read == length + 4


@pytest.mark.parametrize("returns", [1, 2, 3, 12, SIZE_MAX, 2 * SIZE_MAX + 5])
def test_a_line_ends_with_a_newline_only(returns: int) -> None:
    for length in (SIZE_MAX - 10, SIZE_MAX):
        text = b"A" * length + b"\r" * returns + b'{"orderId":"victim","orderPayment":"PAID"}\n{}\n'
        assert [one.line for one in lines(text)] == [1, 2]


# ------------------------------------------------------------------------------------------- CSV


def test_headings_are_paths_and_dots_nest() -> None:
    assert bodies(rows("id,data.order,data.total\r\n7,A-1,902.10\r\n")) == [
        {"id": "7", "data": {"order": "A-1", "total": "902.10"}}
    ]


def test_steps_that_count_make_a_list() -> None:
    found = bodies(rows("items.0.id,items.0.ok,items.1.id,map.1\na,true,b,x\n"))
    assert found == [{"items": [{"id": "a", "ok": True}, {"id": "b"}], "map": {"1": "x"}}]


def test_a_cell_is_a_text_so_that_no_id_changes() -> None:
    (told,) = bodies(rows("a,b,c,d,e\n0012,9007199254740993,1.10, x ,True\n"))
    assert told == {"a": "0012", "b": "9007199254740993", "c": "1.10", "d": " x ", "e": "True"}


def test_an_empty_cell_says_nothing_and_some_words_are_those_of_json() -> None:
    assert bodies(rows("a,b,c,d\n,true,false,null\n")) == [{"b": True, "c": False, "d": None}]


def test_an_object_or_list_in_a_cell_is_taken_as_it_stands() -> None:
    (found,) = rows('a,b\n"{""n"": 1.10000000000000000001}","[not json"\n')
    assert found.body == b'{"a":{"n": 1.10000000000000000001},"b":"[not json"}'


def test_a_row_over_several_lines_is_named_by_its_first() -> None:
    found = rows('a,b\n"x\ny",1\n\n2,3\n')
    assert [one.line for one in found] == [2, 5]
    assert bodies(found) == [{"a": "x\ny", "b": "1"}, {"a": "2", "b": "3"}]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (b"1", "the row has 1 cells, and the first line has 2 headings"),
        (b"1,2,3", "the row has 3 cells"),
        (b"1,\xff", "the row is not UTF-8"),
    ],
)
def test_a_row_that_is_none_is_kept_as_it_stands_and_the_next_is_read(
    row: bytes, problem: str
) -> None:
    first, second = rows(b"a,b\n" + row + b"\n4,5\n")
    assert problem in str(first.problem)
    assert (first.line, first.body.strip()) == (2, row[:SIZE_MAX])
    assert (second.line, second.body, second.problem) == (3, b'{"a":"4","b":"5"}', None)


FORGED = "\nvictim-order,PAID,x\n"


@pytest.mark.parametrize("length", [1000, 131_073, SIZE_MAX - 5, SIZE_MAX, SIZE_MAX + 1, 9000])
@pytest.mark.parametrize("mark", ["A", '"', "\n", '"\n'])
@pytest.mark.parametrize("size_max", [SIZE_MAX, 1024 * 1024])
def test_no_text_of_a_customer_is_read_as_a_row(length: int, mark: str, size_max: int) -> None:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["orderId", "orderPayment", "note"])
    writer.writerow(["attackers-own", "PENDING", mark * length + FORGED])
    writer.writerow(["next", "PAID", ""])
    found: list[str] = []
    try:
        found.extend(
            json.loads(one.body)["orderId"] if one.problem is None else "unread"
            for one in csv_rows(io.BytesIO(out.getvalue().encode()), size_max)
        )
    except UnusableExport:
        assert found == []
    else:
        assert found in (["attackers-own", "next"], ["unread", "next"])


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (b'1,"2"3', "not CSV"),
        (b"1,a\rb", "not CSV"),
        (b"1," + b"x" * 2 * SIZE_MAX, "over 1024 bytes"),
        (b"1," + b"x" * (SIZE_MAX - 1), "over 1024 bytes"),
        (b'1,"' + b"x\n" * SIZE_MAX + b'"', "over 1024 bytes"),
        (b'1,"2', "over 1024 bytes"),
    ],
)
def test_after_a_row_that_is_not_csv_nothing_is_read(row: bytes, problem: str) -> None:
    reading = csv_rows(io.BytesIO(b"a,b\n0,0\n" + row + b"\n4,5\n" + b"6,7\n" * 400), SIZE_MAX)
    assert next(reading).body == b'{"a":"0","b":"0"}'
    with pytest.raises(UnusableExport, match=r"line 3: .*Mend the row") as caught:
        next(reading)
    assert problem in str(caught.value)
    assert list(reading) == []


def test_a_row_that_makes_too_large_a_body_is_kept_as_it_stands() -> None:
    heading = "x" * 600
    first, second = rows(f"{heading},b\n{'y' * 600},1\n2,3\n")
    assert "a body of more than 1024 bytes" in str(first.problem)
    assert first.body.startswith(b"yyy")
    assert second.problem is None


@pytest.mark.parametrize(("sign", "named"), [(";", "semicolons"), ("\t", "tabs")])
def test_other_separators_are_told_once_by_their_name(sign: str, named: str) -> None:
    with pytest.raises(UnusableExport, match=f"{named}, and commas are wanted"):
        rows(f"orderId{sign}orderPayment\n1{sign}PAID\n2{sign}PAID\n")
    assert bodies(rows("orderId\n1\n")) == [{"orderId": "1"}]


def test_a_heading_is_as_deep_as_a_body_may_be() -> None:
    assert rows(".".join("a" * 64) + "\nx\n")[0].problem is None
    for steps in (65, 500):
        with pytest.raises(UnusableExport, match="over 64 steps"):
            rows(".".join("a" * steps) + "\nx\n")
    with pytest.raises(UnusableExport, match="over 64 steps"):
        list(csv_rows(io.BytesIO(b"a." * 5000 + b"a\nx\n"), 1024 * 1024))


@pytest.mark.parametrize(
    "heading", ["", "\n", "a,\n", "a..b\n", ".a\n", "a,a\n", "a,a.b\n", "a.b,a\n", '"a\n']
)
def test_headings_that_are_no_paths_are_refused(heading: str) -> None:
    with pytest.raises(UnusableExport):
        rows(f"{heading}1,2\n" if heading else "")


cells = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=20)


@given(st.lists(st.tuples(cells, cells), max_size=5))
def test_what_a_spreadsheet_writes_is_read_again(table: list[tuple[str, str]]) -> None:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerows([("a", "b.c"), *table])
    plain = [row for row in table if not any(cell[0] in "[{" for cell in row)]
    found = bodies(rows(out.getvalue()))
    words = {"true": True, "false": False, "null": None}
    told = [(one["a"], one["b"]["c"]) for one in found]
    assert [t for t, row in zip(told, table, strict=True) if row in plain] == [
        (words.get(a, a), words.get(b, b)) for a, b in plain
    ]


@given(st.binary(max_size=300))
def test_whatever_is_in_a_file_is_read_to_its_end_or_to_the_first_row_that_is_none(
    noise: bytes,
) -> None:
    assert len(lines(noise)) <= noise.count(b"\n") + 1
    found: list[Exported] = []
    with suppress(UnusableExport):
        found.extend(csv_rows(io.BytesIO(b"a,b\n" + noise), SIZE_MAX))
    assert all(len(one.body) <= SIZE_MAX for one in found)
    assert [one.read for one in found] == sorted(one.read for one in found)
    if found:
        assert found[-1].read <= len(noise) + 4
