"""A provider's export read as bodies: JSON lines, or CSV whose headings are paths into the body.

One body at a time, so that a file of any length is read in bounded memory.
"""

import codecs
import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

import msgspec

from adapters.providers.reading import DEPTH_MAX

SEPARATORS = {";": "semicolons", "\t": "tabs"}
WORDS: dict[str, Any] = {"true": True, "false": False, "null": None}


class UnusableExport(Exception):
    """The file is no export at all; the message says why, and what helps."""


class Exported(NamedTuple):
    """A body, the line that it begins at (from 1), and how far the file is read after it (bytes).
    What is no body at all comes as it stands, with what is wrong with it."""

    line: int
    body: bytes
    read: int
    problem: str | None = None


def json_lines(file: BinaryIO, size_max: int) -> Iterator[Exported]:
    """One body a line, in the provider's own shape; empty lines are passed over."""
    read = 0
    for number, line in enumerate(_lines(file, size_max), 1):
        read += line.size
        body = line.whole.rstrip(b"\r\n")
        if body.strip():
            yield Exported(number, body, read, line.problem)


def csv_rows(file: BinaryIO, size_max: int) -> Iterator[Exported]:
    """One body a row. A heading such as `data.total` is a path: dots nest, and steps that count
    from 0 make a list.

    A cell is a text; an empty one says nothing, `true`, `false` and `null` are what they are in
    JSON, and what is a JSON object or list is taken as one. Raises `UnusableExport` for headings
    that are no paths, or say something twice; and at the first row that is not CSV or larger than
    a body, for what comes after it may be the inside of a customer's text.
    """
    taken: list[_Line] = []
    csv.field_size_limit(size_max)  # a row has no more
    reader = csv.reader(_texts(_lines(file, size_max), taken, size_max), strict=True)
    paths: list[list[str]] | None = None
    line, read = 1, 0
    while True:
        try:
            row = next(reader, None)
        except (csv.Error, _TooLarge) as error:
            raise UnusableExport(_broken(line, error)) from None
        if row is None:
            break
        begins, line = line, line + len(taken)
        read += sum(one.size for one in taken)
        raw = b"".join(one.whole for one in taken)
        taken.clear()
        if paths is None:
            paths = _paths(row)
        elif row:
            problem = _misfit(row, paths)
            body = raw if problem else _body(paths, row)
            if problem is None and len(body) > size_max:
                body, problem = raw, f"the row makes a body of more than {size_max} bytes"
            yield Exported(begins, body[:size_max], read, problem)
    if paths is None:
        raise UnusableExport("the file is empty: its first line has to name the paths of the body")


class _TooLarge(Exception):
    """A row has more bytes than a body may have."""


def _broken(line: int, error: Exception) -> str:
    return (
        f"line {line}: the row that begins here is not CSV: {error}; nothing from here on was "
        "read. Mend the row or take it out, and start again: what was taken in is a duplicate then"
    )


class _Line(NamedTuple):
    """A line with its end, or the beginning of one that is too long; its size as it stands."""

    whole: bytes
    size: int
    problem: str | None = None


def _lines(file: BinaryIO, size_max: int) -> Iterator[_Line]:
    is_first = True
    while line := file.readline(size_max + 2):
        size, problem = len(line), None
        if len(line.removesuffix(b"\n").removesuffix(b"\r")) > size_max:
            problem = f"longer than {size_max} bytes, of which the first are kept"
            end = line
            while not end.endswith(b"\n") and (end := file.readline(size_max)):
                size += len(end)
            line = line[:size_max] + b"\n"
        yield _Line(line.removeprefix(codecs.BOM_UTF8) if is_first else line, size, problem)
        is_first = False


def _texts(lines: Iterable[_Line], taken: list[_Line], size_max: int) -> Iterator[str]:
    """The lines as texts; `taken` has those of the row that is being read."""
    size = 0
    for line in lines:
        size = line.size + (size if taken else 0)
        taken.append(line)
        if line.problem or size > size_max + 2:
            raise _TooLarge(
                f"it has over {size_max} bytes: a quote is never closed, or body_bytes_max is small"
            )
        yield line.whole.decode(errors="surrogateescape")


def _paths(headings: Sequence[str]) -> list[list[str]]:
    for sign, named in SEPARATORS.items():
        if len(headings) == 1 and sign in headings[0]:
            raise UnusableExport(
                f"the columns are separated by {named}, and commas are wanted: export the file "
                "again, separated by commas"
            )
    paths = [heading.strip().split(".") for heading in headings]
    if not paths or any("" in path for path in paths):
        raise UnusableExport("the first line has to name the paths of the body, such as data.total")
    if any(len(path) > DEPTH_MAX for path in paths):
        raise UnusableExport(f"a heading has over {DEPTH_MAX} steps, and no body is as deep")
    known: set[tuple[str, ...]] = set()
    for path in sorted(paths, key=len):
        if any(tuple(path[:end]) in known for end in range(1, len(path) + 1)):
            raise UnusableExport(f"two headings say what stands at {'.'.join(path)}")
        known.add(tuple(path))
    return paths


def _misfit(row: Sequence[str], paths: Sequence[list[str]]) -> str | None:
    if len(row) != len(paths):
        return f"the row has {len(row)} cells, and the first line has {len(paths)} headings"
    try:
        "".join(row).encode()
    except UnicodeEncodeError:
        return "the row is not UTF-8"
    return None


def _body(paths: Sequence[list[str]], row: Sequence[str]) -> bytes:
    data: dict[str, Any] = {}
    for path, cell in zip(paths, row, strict=True):
        if cell == "":
            continue
        inside = data
        for step in path[:-1]:
            inside = inside.setdefault(step, {})
        inside[path[-1]] = _value(cell)
    return msgspec.json.encode({key: _listed(value) for key, value in data.items()})


def _value(cell: str) -> Any:
    if cell in WORDS:
        return WORDS[cell]
    if cell[0] in "{[":
        try:
            msgspec.json.decode(cell)
        except (msgspec.DecodeError, RecursionError):
            return cell
        return msgspec.Raw(cell.encode())  # as it stands: no digit of a number is lost
    return cell


def _listed(value: Any) -> Any:
    """The value, with objects whose keys count from 0 as the lists that they stand for."""
    if not isinstance(value, dict):
        return value
    made = {key: _listed(inner) for key, inner in value.items()}
    return list(made.values()) if list(made) == [str(n) for n in range(len(made))] else made
