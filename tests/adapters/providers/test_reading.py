"""Untrusted JSON is read strictly: as it is meant, or not at all."""

import json
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.providers import Unreadable
from adapters.providers.reading import DEPTH_MAX, Number, object_at, read_object


def refused(body: bytes) -> str:
    with pytest.raises(Unreadable) as caught:
        read_object(body)
    return str(caught.value)


def nested(depth: int, opening: bytes, closing: bytes) -> bytes:
    """An object that nests to this depth, itself counted."""
    return b'{"a":%s0%s}' % (opening * (depth - 1), closing * (depth - 1))


def test_numbers_keep_the_text_that_they_came_as() -> None:
    read = read_object(b'{"a":902.10,"b":1E+3,"c":-0,"d":9007199254740993,"e":"902.10"}')
    assert read == {"a": "902.10", "b": "1E+3", "c": "-0", "d": "9007199254740993", "e": "902.10"}
    assert {key for key, value in read.items() if isinstance(value, Number)} == set("abcd")


def test_a_number_of_any_length_is_read() -> None:
    assert read_object(b'{"a":%s}' % (b"9" * 100_000)) == {"a": "9" * 100_000}


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"a":{"b":[{"c":null,"c":null}]}}',
        b'{"a":1,"\\u0061":1}',
        b'{"":1,"":1}',
        b'{"x":{"a":1,"b":2,"a":3},"a":1}',
    ],
)
def test_an_object_that_says_a_key_twice_is_refused_at_any_depth(body: bytes) -> None:
    assert "twice" in refused(body)


def test_one_key_in_two_objects_is_no_repetition() -> None:
    assert read_object(b'{"a":{"a":[{"a":1},{"a":1}]}}')


@pytest.mark.parametrize("constant", [b"NaN", b"Infinity", b"-Infinity"])
def test_what_is_no_number_is_refused_also_where_nobody_looks(constant: bytes) -> None:
    assert "NaN" in refused(b'{"a":%s}' % constant)
    assert "NaN" in refused(b'{"a":[{"b":%s}]}' % constant)
    assert read_object(b'{"a":"%s"}' % constant)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":"\xff"}',
        b'{"a":"\xc3"}',
        b'{"a":"\xc0\xaf"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\xf5\x80\x80\x80"}',
        '{"a":"\u00e9"}'.encode("latin-1"),
        '{"a":1}'.encode("utf-16"),
        b"\x1f\x8b\x08\x00",
    ],
)
def test_bytes_that_are_not_utf8_are_refused(body: bytes) -> None:
    assert "not UTF-8" in refused(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"a"',
        b'{"a":',
        b'{"a":1',
        b'{"a":"b',
        b'{"a":"b\\',
        b'{"a":tru',
        b'{"a":1,}',
        b"{'a':1}",
        b"{a:1}",
        b'{"a":01}',
        b'{"a":+1}',
        b'{"a":.5}',
        b'{"a":1.}',
        b'{"a":0x1}',
        b'{"a":"\t"}',
        b'{"a":"\\x41"}',
        b'{"a":"\\u12"}',
        b'{"a":1} {"a":2}',
        b'{"a":1}\x00',
        b'{"a":1}// done',
        b"orderId=1&orderPayment=PAID",
        b"<order/>",
        b'\xef\xbb\xbf{"a":1}',
        '{"a":1}'.encode("utf-16-le"),
    ],
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    assert "not JSON" in refused(body)


@pytest.mark.parametrize("body", [b"[]", b'[{"a":1}]', b'"PAID"', b"17", b"null", b"true"])
def test_json_that_is_no_object_is_refused(body: bytes) -> None:
    assert "not a JSON object" in refused(body)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_nesting_is_read_to_its_limit_and_refused_beyond(opening: bytes, closing: bytes) -> None:
    assert read_object(nested(DEPTH_MAX, opening, closing))
    assert "deeper" in refused(nested(DEPTH_MAX + 1, opening, closing))
    assert "deeper" in refused(nested(100_000, opening, closing))
    assert "deeper" in refused(nested(100_000, opening, b""))


def test_many_brackets_side_by_side_are_no_nesting() -> None:
    assert len(read_object(b'{"a":[%s[]]}' % (b"{},[]," * 1000))["a"]) == 2001


@pytest.mark.parametrize(
    "text",
    [
        "[" * 1000,
        "{" * 1000,
        '\\"' + "[" * 1000,
        '\\\\\\"' + "[" * 1000,
        "]" * 1000,
        "]}" * 100 + "[{" * 500,
    ],
)
def test_brackets_within_a_text_are_no_nesting(text: str) -> None:
    assert read_object(b'{"a":"%s","b":[]}' % text.encode())["b"] == []


def test_a_text_that_ends_in_a_backslash_hides_no_nesting() -> None:
    assert "deeper" in refused(b'{"a":"\\\\","b":%s}' % (b"[" * 1000))


def test_brackets_that_close_too_often_hide_no_nesting() -> None:
    body = b"]" * 1000 + b"[" * 1000
    assert refused(body)


@pytest.mark.parametrize(
    "body",
    [
        b"[]" * 65 + b'"' + b'\\"' * 20_000,
        b"[]" * 65 + b'"' * 40_001,
        b"[]" * 65 + b'"' + b"\\" * 40_001,
        b'{"a":"' + b"[" * 40_000,
        b"{" + b'"a":' * 64 + b"[" * 64 + b'"' + b'\\"' * 20_000,
    ],
)
def test_measuring_the_depth_takes_no_longer_than_the_body_is_long(body: bytes) -> None:
    started = perf_counter()
    refused(body)
    assert perf_counter() - started < 0.5, "one body of 40 KB would hold up every other sender"


def test_half_of_a_surrogate_pair_is_read_where_nobody_looks() -> None:
    read = read_object(b'{"note":"\\ud800","\\udfff":[],"fruit":"\\ud83e\\udd6d"}')
    assert read["fruit"] == "\U0001f96d"


def test_an_object_that_is_null_or_missing_is_none_and_anything_else_is_refused() -> None:
    assert object_at({"a": None}, "a") is object_at({}, "a") is None
    assert object_at({"a": {}}, "a") == {}
    several: list[Any] = ["", Number("0"), False, []]
    for wrong in several:
        with pytest.raises(Unreadable, match="a: not an object"):
            object_at({"a": wrong}, "a")


# ----------------------------------------------------------------------------------- properties

JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # Any text, halves of surrogate pairs too.
    | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
NEARLY_JSON = st.text(
    st.sampled_from('{}[]",:\\/u0123456789.eE+-tfnaslr NI\n\t\u00e9\ud800'), max_size=200
).map(lambda text: text.encode("utf-8", "surrogatepass"))


def plain(value: Any) -> Any:
    """A value with its numbers as `json` would have read them."""
    if isinstance(value, Number):
        return json.loads(value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


@given(st.dictionaries(st.text(), JSON_VALUES), st.booleans(), st.sampled_from([None, 1]))
def test_ordinary_json_is_read_as_everyone_reads_it(
    data: dict[str, Any], ascii_only: bool, indent: int | None
) -> None:
    text = json.dumps(data, ensure_ascii=ascii_only, indent=indent)
    try:
        body = text.encode()
    except UnicodeEncodeError:
        body = json.dumps(data).encode()
    assert plain(read_object(body)) == json.loads(body)


@given(st.binary() | NEARLY_JSON | NEARLY_JSON.map(lambda inner: b'{"a":%s}' % inner))
def test_any_bytes_are_an_object_or_unreadable(body: bytes) -> None:
    try:
        read = read_object(body)
    except Unreadable:
        return
    assert isinstance(read, dict)
    json.loads(body)
