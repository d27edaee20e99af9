"""Payment news as lines of a file, for whoever takes it elsewhere: CSV and JSON lines."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping

from adapters.queries import EventView

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")

Lines = Callable[[Iterable[EventView]], Iterator[str]]


def csv_lines(events: Iterable[EventView]) -> Iterator[str]:
    """Events as CSV (RFC 4180) with a header line. A text that a spreadsheet would run as a
    formula gets an apostrophe in front."""
    columns = list(EventView.model_fields)
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(columns)
    for event in events:
        values = event.model_dump(mode="json")
        values["references"] = " ".join(values["references"])
        writer.writerow([harmless(values[column]) for column in columns])
        yield _taken(buffer)
    yield _taken(buffer)


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
    """A value of a CSV file; a text that a spreadsheet would run gets an apostrophe in front."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value
