"""A progress bar with a true percentage: the events of the log are counted, and so is the work."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

import typer

LINE_SECONDS = 5.0  # between two lines, where nobody looks at a terminal

Tell = Callable[[int, int], None]


@contextmanager
def progress(what: str) -> Iterator[Tell]:
    """A bar on standard error, or a line now and then where that is no terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(what)
        return
    rate = TextColumn("{task.fields[rate]:,.0f} events/s")
    columns = (BarColumn(), TaskProgressColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn())
    with Progress(TextColumn(what), *columns, console=console) as bar:
        task = bar.add_task(what, total=None, rate=0)
        first: list[tuple[float, int]] = []

        def tell(done: int, whole: int) -> None:
            first.append((monotonic(), done))
            began, at_first = first[0]
            seconds = max(monotonic() - began, 0.001)
            bar.update(task, completed=done, total=whole, rate=(done - at_first) / seconds)
            del first[1:]

        yield tell


def _lines(what: str) -> Tell:
    began = monotonic()
    last = [began]

    def tell(done: int, whole: int) -> None:
        if monotonic() - last[0] >= LINE_SECONDS:
            last[0] = monotonic()
            typer.echo(f"{what}: {done / whole:.0%} of {whole:,} events", err=True)

    return tell
