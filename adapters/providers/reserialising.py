"""A body as it may have been before somebody read it and wrote it anew: for diagnoses only."""

import json
from collections.abc import Iterator
from typing import Any

BODY_BYTES_MAX = 64 * 1024
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
    a dozen, and none of a body over 64 KiB."""
    if len(body) > BODY_BYTES_MAX:
        return
    yield "a newline was taken off", body + b"\n"
    for end in (b"\r\n", b"\n"):
        if body.endswith(end):
            yield "a newline was added", body.removesuffix(end)
    yield "a byte order mark was added", body.removeprefix(b"\xef\xbb\xbf")
    try:
        value = json.loads(body)
        for what, how in WRITERS.items():
            text = json.dumps(value, **how)
            yield what, text.encode()
            if "/" in text and not how:
                yield "slashes were unescaped", text.replace("/", "\\/").encode()
        text = json.dumps(value, separators=(",", ":"))
        yield "slashes were unescaped", text.replace("/", "\\/").encode()
    except (ValueError, RecursionError):
        return
