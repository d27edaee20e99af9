"""How the commands speak: tables for people, JSON for programs, errors in one line.

What comes from outside is shown as it is: nothing in it is taken for markup, and what a terminal
would obey instead of showing (control characters, marks that turn the direction of writing) is
written out as an escape.
"""

import os
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console, RenderableType

WIDTH_OF_A_PIPE = 1000  # so that a line stays a line for grep
GAP = 2  # between columns
FOLDED_MIN = 14  # narrower, words are broken
STYLES = {
    "DELIVERED": "green",
    "PAID": "green",
    "applied": "green",
    "AWAITING_PAYMENT": "yellow",
    "PAYMENT_FAILED": "red",
    "held": "yellow",
    "stale": "dim",
    "noted": "dim",
    "quarantined": "yellow",
    "conflict": "yellow",
}


class Failed(Exception):
    """The command could not do what it was asked; the message says why, and what helps."""


def visible(text: str) -> str:
    """The text with every character that has no shape of its own written as an escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def require_yes(question: str, otherwise: str) -> None:
    """Ask a person. Raises `Failed`, which says what was not done, for any answer but yes."""
    try:
        is_wanted = typer.confirm(question, err=True)
    except typer.Abort:
        raise Failed(f"{otherwise}: nobody said yes, here or with --yes") from None
    if not is_wanted:
        raise Failed(otherwise)


def complain(message: str) -> None:
    """One line on standard error."""
    typer.echo(f"order-ledger: {visible(message)}", err=True)


def print_json(view: "BaseModel") -> None:
    """A view as the HTTP API would send it."""
    typer.echo(view.model_dump_json().encode())


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str | None]],
    folds: Sequence[str] = (),
    gives_way: str | None = None,
) -> None:
    """Rows under headings. None is an empty cell; known words have their colour.

    Where the terminal is too narrow, the columns that `folds` names take more lines, the column
    that `gives_way` is left out, and only then do the others take more lines. Nothing is cut.
    """
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    shown = [list(columns), *([visible(cell or "") for cell in row] for row in rows)]
    while True:
        whole = [max(map(cell_len, column)) for column in zip(*shown, strict=True)]
        room = _console().width - GAP * (len(whole) - 1)
        widths = _narrowed(whole, [shown[0].index(name) for name in folds], FOLDED_MIN, room)
        if sum(widths) <= room or gives_way not in shown[0]:
            break
        left_out = shown[0].index(gives_way)
        shown = [[*row[:left_out], *row[left_out + 1 :]] for row in shown]
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for heading, width in zip(
        shown[0], _narrowed(widths, range(len(widths)), 1, room), strict=True
    ):
        table.add_column(heading, overflow="fold", width=width)
    for row in shown[1:]:
        table.add_row(*(Text(cell, STYLES.get(cell, "")) for cell in row))
    _print(table)


def _narrowed(widths: Sequence[int], folds: Sequence[int], least: int, room: int) -> list[int]:
    """The widths, the widest of those that fold taken in first, until they fit or are least."""
    narrowed = list(widths)
    while sum(narrowed) > room:
        widest = max(folds, key=lambda index: narrowed[index], default=None)
        if widest is None or narrowed[widest] <= least:
            break
        narrowed[widest] -= 1
    return narrowed


def print_facts(facts: Iterable[tuple[str, str | None]]) -> None:
    """One fact a line, its name before it. None is shown as a dash."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, fact in facts:
        shown = "-" if fact is None else visible(fact)
        table.add_row(name, Text(shown, STYLES.get(shown, "")))
    _print(table)


def print_blank() -> None:
    """An empty line."""
    typer.echo("")


def print_text(text: str, style: str = "", indent: int = 0) -> None:
    """A paragraph, wrapped to the terminal."""
    from rich.padding import Padding
    from rich.text import Text

    _print(Padding(Text(visible(text), style), (0, 0, 0, indent), expand=False))


def exact_time(time: datetime | None) -> str | None:
    """A time to the microsecond, RFC 3339: fit for `--as-of`."""
    return None if time is None else f"{time:%Y-%m-%dT%H:%M:%S.%fZ}"


def short_time(time: datetime) -> str:
    """A time to the minute."""
    return f"{time:%Y-%m-%d %H:%MZ}"


def words(code: str | None) -> str | None:
    """A code such as `failed_after_paid` as words."""
    return code.replace("_", " ") if code else None


def money(amount: str | None, currency: str | None) -> str | None:
    """An amount, with its currency where that is known."""
    return f"{amount} {currency}" if amount and currency else amount


def _print(renderable: "RenderableType") -> None:
    console = _console()
    with console.capture() as captured:
        console.print(renderable)
    for line in captured.get().splitlines():
        typer.echo(line.rstrip())


def _console() -> "Console":
    from rich.console import Console

    fits_a_terminal = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(
        width=None if fits_a_terminal else WIDTH_OF_A_PIPE,
        markup=False,
        emoji=False,
        highlight=False,
    )
