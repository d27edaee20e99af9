"""Reading untrusted JSON strictly: what says two things, or is no number, is never guessed at."""

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NoReturn

from adapters.providers.base import Unreadable
from domain.money import AmountError, exact_amount

DEPTH_MAX = 64
TEXT_LENGTH_MAX = 255
AMOUNT_LENGTH_MAX = 64
# A text without an end runs to the body's: else each quote would look for its end anew.
_TEXTS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_SQUARE = bytes.maketrans(b"{}", b"[]")
# Control characters, line separators, and lone surrogates, which no encoding can hold.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_DECIMAL = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d{1,4})?", re.ASCII)


class Number(str):
    """A JSON number as its raw text, so that no digit is lost before it is known to matter."""

    __slots__ = ()


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a body, numbers as `Number`.

    Raises `Unreadable` for other JSON and no JSON, duplicate keys, NaN and Infinity, bytes that
    are not UTF-8, and nesting deeper than `DEPTH_MAX`.
    """
    limit_depth(body)
    try:
        value = _DECODER.decode(body.decode())
    except UnicodeDecodeError:
        raise Unreadable("the body is not UTF-8") from None
    except json.JSONDecodeError as error:
        if not body.strip():
            raise Unreadable("the body is not JSON: it is empty") from None
        raise Unreadable(f"the body is not JSON: {error.msg} at character {error.pos}") from None
    if not isinstance(value, dict):
        raise Unreadable("the body is not a JSON object")
    return value


def limit_depth(body: bytes, depth_max: int = DEPTH_MAX) -> None:
    """Raise `Unreadable` for JSON that nests deeper. What is no JSON may pass, but then it nests at
    most twice as deep.

    Takes the innermost brackets away, level by level, which needs no step of ours for each.
    """
    if body.count(b"[") + body.count(b"{") <= depth_max:
        return
    brackets = _TEXTS.sub(b"", body).translate(_SQUARE, _NO_BRACKETS)
    for _ in range(depth_max):
        outer = brackets.replace(b"[]", b"")
        if len(outer) == len(brackets):
            break
        brackets = outer
    if b"[]" in brackets or brackets.count(b"[") > depth_max:
        raise Unreadable(f"the body nests deeper than {depth_max}")


def kind_at(parent: Mapping[str, Any], key: str) -> str | None:
    """A word that tells kinds apart; None where it is null or missing."""
    return None if parent.get(key) is None else word_at(parent, key)


def object_at(parent: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    """The object under a key; None where it is null or missing."""
    value = parent.get(key)
    if value is not None and not isinstance(value, dict):
        raise Unreadable(f"{key}: not an object")
    return value


def word_at(parent: Mapping[str, Any], key: str) -> str:
    """A status word: a text of 1 to 255 characters without control characters."""
    value = parent.get(key)
    if type(value) is not str:
        raise Unreadable(f"{key}: not a word")
    return _checked(value, key)


def id_at(parent: Mapping[str, Any], key: str) -> str | None:
    """An id or reference: such a text, or a whole number; None where it is null or missing."""
    value = parent.get(key)
    if value is None:
        return None
    if type(value) is str or (isinstance(value, Number) and value.isdigit()):
        return _checked(str(value), key)
    raise Unreadable(f"{key}: neither a text nor a whole number")


def amount_at(parent: Mapping[str, Any], key: str, currency: str | None) -> Decimal | None:
    """An exact amount in major units, from a number or a text that is one; None where missing."""
    value = parent.get(key)
    if value is None:
        return None
    is_decimal = isinstance(value, str) and len(value) <= AMOUNT_LENGTH_MAX
    if not is_decimal or not _DECIMAL.fullmatch(value):
        raise Unreadable(f"{key}: not an amount")
    try:
        return exact_amount(Decimal(str(value)), currency)
    except AmountError as error:
        raise Unreadable(f"{key}: {error}") from None


def currency_at(parent: Mapping[str, Any], key: str) -> str | None:
    """A currency's three capital letters (ISO 4217); None where it is null or missing."""
    value = parent.get(key)
    if value is None:
        return None
    if type(value) is not str or not re.fullmatch("[A-Z]{3}", value):
        raise Unreadable(f"{key}: not a currency of three capital letters")
    return value


def _checked(text: str, key: str) -> str:
    if not 1 <= len(text) <= TEXT_LENGTH_MAX:
        raise Unreadable(f"{key}: not 1 to {TEXT_LENGTH_MAX} characters long")
    if _FORBIDDEN.search(text):
        raise Unreadable(f"{key}: holds control characters")
    return text


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise Unreadable("an object says the same key twice")
    return value


def _refuse_constant(_: str) -> NoReturn:
    raise Unreadable("the body holds NaN or Infinity")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_float=Number,
    parse_int=Number,
    parse_constant=_refuse_constant,
)
