"""A provider's export read as bodies: JSON lines, or CSV whose headings are paths into the body.

One body at a time, so that a file of any length is read in bounded memory.
"""

import codecs
import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

import msgspec

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
    that are no paths, or say something twice.
    """
    taken: list[_Line] = []
    lines = _texts(_lines(file, size_max), taken)
    reader = csv.reader(lines, strict=True)
    paths: list[list[str]] | None = None
    line, read = 1, 0
    while True:
        problem = None
        try:
            row = next(reader, None)
        except csv.Error as error:
            row, problem = [], f"the row is not CSV: {error}"
        if row is None:
            break
        raw = b"".join(one.whole for one in taken)
        problem = next((one.problem for one in taken if one.problem), problem)
        begins, line = line, line + len(taken)
        read += sum(one.size for one in taken)
        taken.clear()
        if paths is None:
            paths = _paths(row, problem)
        elif problem or row:
            problem = problem or _misfit(row, paths)
            body = raw if problem else _body(paths, row)
            yield Exported(begins, body[:size_max], read, problem)
    if paths is None:
        raise UnusableExport("the file is empty: its first line has to name the paths of the body")


class _Line(NamedTuple):
    """A line with its end, or the beginning of one that is too long; its size as it stands."""

    whole: bytes
    size: int
    problem: str | None = None


def _lines(file: BinaryIO, size_max: int) -> Iterator[_Line]:
    is_first = True
    while line := file.readline(size_max + 2):
        size, problem = len(line), None
        if len(line.rstrip(b"\r\n")) > size_max:
            problem = f"longer than {size_max} bytes, of which the first are kept"
            end = line
            while not end.endswith(b"\n") and (end := file.readline(size_max)):
                size += len(end)
            line = line[:size_max] + b"\n"
        yield _Line(line.removeprefix(codecs.BOM_UTF8) if is_first else line, size, problem)
        is_first = False


def _texts(lines: Iterable[_Line], taken: list[_Line]) -> Iterator[str]:
    for line in lines:
        taken.append(line)
        yield line.whole.decode(errors="surrogateescape")


def _paths(headings: Sequence[str], problem: str | None) -> list[list[str]]:
    if problem is not None:
        raise UnusableExport(f"the first line has to name the paths of the body; {problem}")
    paths = [heading.strip().split(".") for heading in headings]
    if not paths or any("" in path for path in paths):
        raise UnusableExport("the first line has to name the paths of the body, such as data.total")
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
