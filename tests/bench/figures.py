"""Medians with their least and greatest, and how they are shown."""

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

Spread = dict[str, float]
Report = dict[str, Any]


def spread(values: Iterable[float]) -> Spread:
    """The median, the least and the greatest of some values."""
    ordered = sorted(values)
    return {"median": median(ordered), "min": ordered[0], "max": ordered[-1]}


def shown(values: Spread, digits: int = 0) -> str:
    """As a person reads it: `median (least-greatest)`."""
    low, high = (f"{values[key]:.{digits}f}" for key in ("min", "max"))
    return f"{values['median']:.{digits}f} ({low}-{high})"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as what stands in them; the first to the left, the others to the right."""
    lines = [head, *rows]
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if n else cell.ljust(width)
            for n, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
