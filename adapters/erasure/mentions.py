"""Whether a body that nobody could read, or that was about no order, names some order or person.

Where it surely does, its key may be destroyed; where it only may, a person has to look at it first:
it could be a stranger's payment. A name surely stands

- in a value of its own, where it has letters and digits and `TELLING` characters: ORD-204518;
- else in the field of an id that says whose: orderId, customer_reference, or the id of an order.

Amounts, counts and the names of fields are nobody's name, and what a payer typed is never sure.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple
from urllib.parse import parse_qsl

TELLING = 6  # characters from which on a name says something also in the middle of a text
ENDS = frozenset("\"'=&<>/,;:()[]{}| \t\r\n")  # around a short name in what is no JSON
# As what a field's name ends with, where its value is an id.
ID_WORDS = frozenset(("id", "ids", "number", "numbers", "no", "ref", "refs", "reference"))
ORDER_WORDS = frozenset(("order", "invoice", "bill"))
PAYMENT_WORDS = frozenset(("payment", "transaction", "trans", "tx", "charge"))
CUSTOMER_WORDS = frozenset(("customer", "buyer", "payer"))
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
# A text, also one that is broken off, with the colon that makes it a field's name; a bracket; or a
# number.
_SIGN = re.compile(r'"(?:[^"\\]|\\.)*+"?(?P<colon>\s*:)?|[{}\[\]]|[^\s"{}\[\],:]+', re.DOTALL)


class Mention(IntEnum):
    """How sure it is that a body names somebody."""

    NOT = 0
    PERHAPS = 1
    SURELY = 2


@dataclass(frozen=True)
class Names:
    """What an order, its payments and who buys go by; `typed` by a payer, who types anything."""

    orders: frozenset[str] = frozenset()
    payments: frozenset[str] = frozenset()
    customers: frozenset[str] = frozenset()
    typed: frozenset[str] = frozenset()

    def __or__(self, other: "Names") -> "Names":
        return Names(
            self.orders | other.orders,
            self.payments | other.payments,
            self.customers | other.customers,
            self.typed | other.typed,
        )


class _Value(NamedTuple):
    """A text or a number, and the names of its field and of the field that that is in."""

    text: str
    is_text: bool
    name: str
    parent: str


class Mentions:
    """Looks for names in bodies."""

    def __init__(self, names: Names) -> None:
        owned = (
            (names.orders, ORDER_WORDS),
            (names.payments, PAYMENT_WORDS),
            (names.customers, CUSTOMER_WORDS),
        )
        self._owned = [(known - {""}, words) for known, words in owned]
        sure = frozenset[str]().union(*(known for known, _ in self._owned))
        self._unique = frozenset(name for name in sure if _is_unique(name))
        self._names = sure | (names.typed - {""})
        self._telling = [name for name in self._names if len(name) >= TELLING]

    def __bool__(self) -> bool:
        return bool(self._names)

    def in_body(self, body: bytes, context: str | None = None) -> Mention:
        """How sure it is that a name stands in a body, or in what came with it."""
        texts = [body.decode(errors="replace"), context or ""]
        return max(map(self._in_text, texts))

    def _in_text(self, text: str) -> Mention:
        if text.lstrip().startswith(("{", "[", '"')) or text.strip().isdigit():
            return max(map(self._in_value, _values(text)), default=Mention.NOT)
        said = max(map(self._in_value, _fields(text)), default=Mention.NOT)
        return max(said, self._in_prose(text))

    def _in_value(self, value: _Value) -> Mention:
        said = self._in_field(value)
        if value.is_text and value.name and "=" in value.text:  # a query, kept with a body
            said = max(said, max(map(self._in_field, _fields(value.text)), default=said))
        return said

    def _in_field(self, value: _Value) -> Mention:
        text = value.text.strip()
        if text not in self._names:
            has = value.is_text and self._has_telling(text)
            return Mention.PERHAPS if has else Mention.NOT
        if value.is_text and text in self._unique:
            return Mention.SURELY
        words = _words(value.name)
        is_id = bool(words) and words[-1] in ID_WORDS
        owner = _owner(words) or _owner(_words(value.parent))
        if is_id and any(text in known and owner in theirs for known, theirs in self._owned):
            return Mention.SURELY
        return Mention.PERHAPS if is_id or value.is_text else Mention.NOT

    def _has_telling(self, text: str) -> bool:
        return any(_stands_alone(text, name) for name in self._telling)

    def _in_prose(self, text: str) -> Mention:
        """In what is neither JSON nor a form: nobody can tell what is whose there."""
        short = (name for name in self._names if len(name) < TELLING)
        is_there = self._has_telling(text) or any(_is_framed(text, name) for name in short)
        return Mention.PERHAPS if is_there else Mention.NOT


def _is_unique(name: str) -> bool:
    """Whether no amount, word or time is likely to look like it."""
    has = any(map(str.isalpha, name)) and any(map(str.isdigit, name))
    return has and len(name) >= TELLING


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]


def _owner(words: list[str]) -> str:
    """Whose id a field is: `order` of orderId, nothing of referenceNumber."""
    return next((word for word in reversed(words) if word not in ID_WORDS), "")


def _values(text: str) -> Iterator[_Value]:
    """Every text and number of JSON, which may be broken off, without recursion: senders nest as
    they like. Of a field that is told twice, both."""
    name, around = "", list[str]()
    for match in _SIGN.finditer(text):
        sign = match[0]
        if match["colon"] is not None:
            name = _resolved(sign[: -len(match["colon"])])
        elif sign in "{[":
            around.append(name)
        elif sign in "}]":
            name = around.pop() if around else ""
        else:
            is_text = sign.startswith('"')
            parent = around[-1] if around else ""
            yield _Value(_resolved(sign) if is_text else sign, is_text, name, parent)


def _resolved(sign: str) -> str:
    """What a text of JSON stands for, as far as it is whole."""
    whole = sign if len(sign) > 1 and sign[-1] == '"' else f'{sign}"'
    try:
        resolved = json.loads(whole, strict=False)
    except ValueError:
        return sign.strip('"').replace("\\/", "/")
    return str(resolved)


def _fields(text: str) -> Iterator[_Value]:
    """The fields of a form."""
    try:
        told = parse_qsl(text, keep_blank_values=True)
    except ValueError:
        return
    for name, value in told:
        yield _Value(value, True, name, "")


def _stands_alone(text: str, name: str) -> bool:
    """Whether a name stands in a text as words of its own."""
    return any(
        not (_is_word(text[at - 1 : at]) or _is_word(text[at + len(name) : at + len(name) + 1]))
        for at in _places(text, name)
    )


def _is_framed(text: str, name: str) -> bool:
    """Whether a short name is all that stands between two signs, such as quotes."""
    return any(
        (at == 0 or text[at - 1] in ENDS)
        and (at + len(name) == len(text) or text[at + len(name)] in ENDS)
        for at in _places(text, name)
    )


def _places(text: str, name: str) -> Iterator[int]:
    at = text.find(name)
    while at >= 0:
        yield at
        at = text.find(name, at + 1)


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"
