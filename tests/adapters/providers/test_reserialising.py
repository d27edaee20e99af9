"""The closer look at a refused body costs little, whatever a stranger sends."""

import json
from typing import Any

import pytest

from adapters.providers.reserialising import reserialised

WRITTEN_MAX = 512 * 1024  # bytes of all writings together


def written(body: bytes) -> list[str]:
    """What may have happened to a body."""
    return [what for what, _ in reserialised(body)]


def nested(depth: int, inner: Any = 0) -> Any:
    for _ in range(depth):
        inner = [inner]
    return inner


HOSTILE = {
    "deep and long": b"[" * 900 + b"0," * 31_800 + b"0" + b"]" * 900,
    "deep, within the size": b"[" * 900 + b"0," * 7000 + b"0" + b"]" * 900,
    "many values, as deep as may be": b"[" * 16 + b"0," * 8000 + b"0" + b"]" * 16,
    "deep and short": json.dumps(nested(400)).encode(),
    "just within all bounds": b"[" * 16 + b"0," * 490 + b"0" + b"]" * 16,
    "too many openings to read": b"[" * 16_000,
    "a number of thousands of digits": b"[" + b",".join([b"9" * 4200] * 3) + b"]",
    "signs that take six bytes each": json.dumps("\u00e9" * 8000, ensure_ascii=False).encode(),
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_all_writings_together_stay_small(body: bytes) -> None:
    assert sum(len(other) for _, other in reserialised(body)) < WRITTEN_MAX


def test_a_body_that_is_too_large_is_not_looked_at() -> None:
    assert written(b"[" + b" " * 16 * 1024 + b"]") == []


@pytest.mark.parametrize("data", [nested(17), [0] * 600, [10**64]])
def test_a_body_beyond_the_bounds_is_not_written_anew(data: Any) -> None:
    assert not any("JSON" in what for what in written(json.dumps(data).encode()))


@pytest.mark.parametrize("data", [nested(16), [0] * 500, {"a": {"b": [1, 2.5, "x"]}}])
def test_an_ordinary_body_is_written_anew_in_each_way(data: Any) -> None:
    ways = dict(reserialised(json.dumps(data).encode()))
    assert {"JSON was indented by 2", "JSON was indented by 4", "JSON keys were sorted"} <= {*ways}
    assert all(json.loads(body.decode("utf-8-sig")) == data for body in ways.values())
