"""Lists as lines of a file, for whoever takes them elsewhere: CSV and JSON lines."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from adapters.queries.queries import EventView

# Where a list's separator is a semicolon, or a tab, a spreadsheet begins a cell after each of them;
# some take full-width signs as well.
FORMULA = re.compile(r"(^|[;\t])(?=[=+\-@\uff1d\uff0b\uff0d\uff20\t\r])")

Lines = Callable[[Iterable[EventView]], Iterator[str]]


def csv_lines(events: Iterable[EventView]) -> Iterator[str]:
    """Events as CSV."""
    return csv_of(EventView, events)


def csv_of(kind: type[BaseModel], items: Iterable[BaseModel]) -> Iterator[str]:
    """Items of a kind as CSV (RFC 4180) with a header line; a list of texts is one cell. A text
    that a spreadsheet would run as a formula gets an apostrophe in front."""
    columns = list(kind.model_fields)
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(columns)
    for item in items:
        values = item.model_dump(mode="json")
        writer.writerow([harmless(_cell(values[column])) for column in columns])
        yield _taken(buffer)
    yield _taken(buffer)


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()  # as JSON has it
    return " ".join(value) if isinstance(value, list) else value


def json_lines(events: Iterable[EventView]) -> Iterator[str]:
    """Events as JSON lines."""
    for event in events:
        yield event.model_dump_json() + "\n"


FORMATS: Mapping[str, Lines] = {"csv": csv_lines, "jsonl": json_lines}


def _taken(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


def harmless(value: object) -> object:
    """A value of a CSV file; what a spreadsheet would run gets an apostrophe in front."""
    return FORMULA.sub(r"\1'", value) if isinstance(value, str) else value
