"""Whether a body that nobody could read, or that was about no order, names some order or person.

What is looked for are names: ids, references, who buys. A name of a few characters stands in many a
body by chance, so the shorter it is, the more exactly it has to stand there.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote_plus

TELLING = 6  # characters from which on a name says something also in the middle of a text
DIGITS_MIN = 4  # of a number; shorter ones are amounts, counts and days
ENDS = frozenset("\"'=&<>/,;:()[]{}| \t\r\n")  # around a short name in what is no JSON


class Mentions:
    """Looks for names in bodies."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(name for name in names if name)
        self._telling = [name for name in self._names if len(name) >= TELLING]

    def __bool__(self) -> bool:
        return bool(self._names)

    def in_body(self, body: bytes, context: str | None = None) -> bool:
        """Whether one of the names stands in a body, or in what came with it."""
        return self._in_text(body.decode(errors="replace")) or (
            context is not None and self._in_text(context)
        )

    def _in_text(self, text: str) -> bool:
        try:
            told = json.loads(text)
        except (ValueError, RecursionError):
            return self._in_prose(text)
        return any(map(self._is_named, _values(told)))

    def _is_named(self, value: object) -> bool:
        if isinstance(value, str):
            return value.strip() in self._names or self._has_telling(value)
        number = str(value)
        return len(number) >= DIGITS_MIN and number in self._names

    def _has_telling(self, text: str) -> bool:
        return any(_stands_alone(text, name) for name in self._telling)

    def _in_prose(self, text: str) -> bool:
        """In a form, or in what only looks like JSON: as it is, and with its escapes resolved."""
        for spelled in {text, unquote_plus(text), _unescaped(text)}:
            if self._has_telling(spelled):
                return True
            if any(_is_framed(spelled, name) for name in self._names if len(name) < TELLING):
                return True
        return False


def _values(told: Any) -> Iterator[object]:
    """Every key, text and number in a JSON value, without recursion: senders nest as they like."""
    waiting = [told]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += one.keys()
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
        elif one is not None and not isinstance(one, bool):
            yield one


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


def _unescaped(text: str) -> str:
    """A text of JSON with what its escapes stand for, as far as they are whole."""
    parts = text.split('"')
    return '"'.join(map(_resolved, parts))


def _resolved(part: str) -> str:
    if "\\" not in part:
        return part
    try:
        resolved = json.loads(f'"{part}"', strict=False)
    except ValueError:
        return part.replace("\\/", "/")
    return resolved if isinstance(resolved, str) else part
