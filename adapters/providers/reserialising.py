"""A body as it may have been before somebody read it and wrote it anew: for diagnoses only."""

import json
from collections.abc import Iterator
from typing import Any

from adapters.providers.base import Unreadable
from adapters.providers.reading import limit_depth

# Anyone may send what is refused, so a closer look must cost no more than about a millisecond. A
# body this small and flat is written anew in at most some 80 KB, however it is indented.
BODY_BYTES_MAX = 16 * 1024
VALUES_MAX = 512
NESTING_MAX = 16
DIGITS_MAX = 64
WRITERS: dict[str, dict[str, Any]] = {
    "JSON was written anew without spaces": {"separators": (",", ":"), "ensure_ascii": False},
    "JSON was written anew, non-ASCII escaped": {"separators": (",", ":")},
    "JSON was written anew with spaces": {"ensure_ascii": False},
    "JSON was written anew with spaces, non-ASCII escaped": {},
    "JSON was indented by 2": {"indent": 2, "ensure_ascii": False},
    "JSON was indented by 4": {"indent": 4, "ensure_ascii": False},
    "JSON keys were sorted": {
        "separators": (",", ":"),
        "ensure_ascii": False,
        "sort_keys": True,
    },
}


def reserialised(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Other bodies that say the same, each with what would have happened to it. Bounded: at most
    a dozen, none of a body over 16 KiB, and none but the first few of one that has more than 512
    values, nests deeper than 16, or holds a number of over 64 digits."""
    if len(body) > BODY_BYTES_MAX:
        return
    yield "a newline was taken off", body + b"\n"
    for end in (b"\r\n", b"\n"):
        if body.endswith(end):
            yield "a newline was added", body.removesuffix(end)
    yield "a byte order mark was added", body.removeprefix(b"\xef\xbb\xbf")
    if sum(map(body.count, (b",", b"[", b"{"))) > VALUES_MAX:
        return
    try:
        value = json.loads(body, parse_int=_whole)
        limit_depth(body, NESTING_MAX)
        for what, how in WRITERS.items():
            text = json.dumps(value, **how)
            yield what, text.encode()
            if "/" in text and not how:
                yield "slashes were unescaped", text.replace("/", "\\/").encode()
        text = json.dumps(value, separators=(",", ":"))
        yield "slashes were unescaped", text.replace("/", "\\/").encode()
    except (ValueError, RecursionError, Unreadable):
        return


def _whole(digits: str) -> int:
    if len(digits) > DIGITS_MAX:
        raise ValueError("too long to be written anew cheaply")
    return int(digits)
