"""Charts as shapes: where each rectangle stands. Templates draw them as SVG, CSS colours them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from adapters.storage.rates import MINUTE, Minute
from domain.payment import Outcome

WIDTH, HEIGHT = 1200, 190
LEFT, RIGHT, TOP, BOTTOM = 8, 44, 10, 26  # the figures stand beside what is newest
GAP = 2
TICK_MINUTES = 15
# From the axis upwards.
STACKED = (
    Outcome.RECORDED,
    Outcome.STALE,
    Outcome.DUPLICATE,
    Outcome.IGNORED,
    Outcome.DISCARDED,
    Outcome.QUARANTINED,
    Outcome.CONFLICT,
)


class Bar(NamedTuple):
    """A rectangle, and what it stands for."""

    x: int
    y: int
    width: int
    height: int
    kind: str


class Column(NamedTuple):
    """The bars of a minute, and what they say."""

    says: str
    bars: tuple[Bar, ...]


class Tick(NamedTuple):
    """A text at an axis."""

    at: int
    text: str


@dataclass(frozen=True)
class Chart:
    """A chart of stacked bars: a column a minute; `totals` are what the colours sum up to. The
    lines go from `left` to `right`; their figures stand right of them."""

    width: int
    height: int
    left: int
    right: int
    columns: tuple[Column, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    totals: Mapping[str, int]
    rows: Sequence[tuple[datetime, Mapping[str, int]]]


def per_minute(minutes: Sequence[Minute], count: int, now: datetime) -> Chart:
    """The deliveries of the last minutes by outcome, up to this one."""
    last = now.astimezone(UTC).replace(second=0, microsecond=0)
    times = [last - n * MINUTE for n in reversed(range(count))]
    found: dict[datetime, dict[str, int]] = {time: {} for time in times}
    for minute in minutes:
        if minute.at in found:
            found[minute.at][minute.outcome] = minute.deliveries
    top = _round_above(max((sum(told.values()) for told in found.values()), default=0))
    step = (WIDTH - LEFT - RIGHT) // count
    columns = [
        _column(time, told, LEFT + n * step, step - GAP, top)
        for n, (time, told) in enumerate(found.items())
    ]
    totals: dict[str, int] = {}
    for outcome in STACKED:
        total = sum(told.get(outcome, 0) for told in found.values())
        if total:
            totals[outcome] = total
    return Chart(
        WIDTH,
        HEIGHT,
        LEFT,
        WIDTH - RIGHT,
        tuple(columns),
        tuple(
            Tick(LEFT + n * step + step // 2, f"{time:%H:%M}")
            for n, time in enumerate(times)
            if time.minute % TICK_MINUTES == 0
        ),
        tuple(Tick(_height_of(n * top // 2, top), f"{n * top // 2:,}") for n in range(3)),
        totals,
        [(time, told) for time, told in found.items() if told],
    )


def _column(time: datetime, told: Mapping[str, int], x: int, width: int, top: int) -> Column:
    bars, below = [], 0
    for outcome in STACKED:
        count = told.get(outcome, 0)
        if count:
            lower, upper = _height_of(below, top), _height_of(below + count, top)
            upper = min(upper, lower - 1)  # one delivery among thousands is seen, too
            bars.append(Bar(x, upper, width, lower - upper, outcome.value))
            below += count
    says = ", ".join(f"{count:,} {outcome}" for outcome, count in told.items())
    return Column(f"{time:%H:%M}: {says}", tuple(bars))


def _height_of(count: int, top: int) -> int:
    """How far down from the upper edge a count stands."""
    inner = HEIGHT - TOP - BOTTOM
    return TOP + inner - count * inner // top


def _round_above(count: int) -> int:
    """A round and even number that is not below the count, and more than 0."""
    size = 1
    while True:
        for digit in (2, 4, 6, 10):
            if digit * size >= count:
                return digit * size
        size *= 10
