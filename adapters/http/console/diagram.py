"""The state machine of orders as a drawing, from the table that decides, with the way of one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from adapters.queries.queries import EventView
from domain.order import Delivered, Disposition, OrderStatus, PaymentFailed
from domain.payment import PaymentStatus
from domain.transitions import TRANSITIONS, Then, edges

AWAITING, FAILED, DELIVERED = (
    OrderStatus.AWAITING_PAYMENT.value,
    OrderStatus.PAYMENT_FAILED.value,
    OrderStatus.DELIVERED.value,
)
Step = tuple[str, str]


class Shape(NamedTuple):
    """How a way is drawn: its path, where its words stand (the first line, and on which side of
    that they begin or end), and where the numbers of the steps along it stand."""

    path: str
    words_x: int
    words_y: int
    anchor: str
    mark_x: int
    mark_y: int


class Layout(NamedTuple):
    """Where everything stands, and where and how an order comes into the first box."""

    name: str
    width: int
    height: int
    begin: tuple[int, int]
    entry: str
    boxes: Mapping[str, tuple[int, int]]
    shapes: Mapping[Step, Shape]


# Beside each other, and one below the other for a telephone: the style sheet shows one of them.
LAYOUTS = (
    Layout(
        name="wide",
        width=810,
        height=264,
        begin=(110, 60),
        entry="M117 60H163",
        boxes={AWAITING: (170, 36), FAILED: (170, 190), DELIVERED: (590, 36)},
        shapes={
            (AWAITING, FAILED): Shape("M215 84V183", 198, 122, "end", 215, 136),
            (FAILED, AWAITING): Shape("M325 190V91", 343, 130, "start", 325, 138),
            (AWAITING, DELIVERED): Shape("M370 60H583", 486, 50, "middle", 386, 60),
            (FAILED, DELIVERED): Shape(
                "M370 214H676Q690 214 690 200V91", 530, 205, "middle", 400, 214
            ),
        },
    ),
    Layout(
        name="tall",
        width=372,
        height=420,
        begin=(200, 9),
        entry="M200 16V29",
        boxes={AWAITING: (100, 36), FAILED: (100, 176), DELIVERED: (100, 330)},
        shapes={
            (AWAITING, FAILED): Shape("M130 84V169", 147, 117, "start", 130, 126),
            (FAILED, AWAITING): Shape("M250 176V91", 266, 124, "start", 250, 134),
            (AWAITING, DELIVERED): Shape(
                "M100 60H50Q36 60 36 74V340Q36 354 50 354H93", 8, 398, "start", 76, 60
            ),
            (FAILED, DELIVERED): Shape("M150 224V323", 167, 266, "start", 150, 272),
        },
    ),
)


@dataclass(frozen=True)
class State:
    """A box: where its upper left corner is, and whether the order is, or was, there."""

    name: str
    x: int
    y: int
    is_current: bool
    was_there: bool


@dataclass(frozen=True)
class Way:
    """An arrow, its words in lines, and which steps went along it, if any did."""

    shape: Shape
    lines: tuple[str, ...]
    steps: tuple[int, ...]


@dataclass(frozen=True)
class Drawing:
    """The state machine in one layout."""

    layout: Layout
    states: tuple[State, ...]
    ways: tuple[Way, ...]


@dataclass(frozen=True)
class Machine:
    """The drawing in every layout, and the same way in words."""

    drawings: tuple[Drawing, ...]
    path: tuple[str, ...]


def machine(events: Iterable[EventView]) -> Machine:
    """The state machine with the way that these events of one order went."""
    steps = way_of(events)
    path = (AWAITING, *(end for _, end in steps))
    return Machine(tuple(_drawing(layout, steps, path) for layout in LAYOUTS), path)


def _drawing(layout: Layout, steps: Sequence[Step], path: Sequence[str]) -> Drawing:
    states = (State(n, x, y, n == path[-1], n in path) for n, (x, y) in layout.boxes.items())
    ways = []
    for start, end, words in edges():
        taken = tuple(n for n, step in enumerate(steps, 1) if step == (start, end))
        ways.append(Way(layout.shapes[start, end], words, taken))
    return Drawing(layout, tuple(states), tuple(ways))


def way_of(events: Iterable[EventView]) -> list[Step]:
    """The changes of an order's status, each from where to where."""
    status, steps = AWAITING, []
    for event in events:
        after = _after(event, status)
        if after != status:
            steps.append((status, after))
            status = after
    return steps


def _after(event: EventView, status: str) -> str:
    match event.type:
        case Delivered.__name__:
            return DELIVERED
        case PaymentFailed.__name__:
            return FAILED
    if event.disposition == Disposition.APPLIED and event.payment_status is not None:
        rule = TRANSITIONS[PaymentStatus(event.payment_status)]
        if rule.before_paid is Then.AWAIT and status == FAILED:
            return AWAITING
    return status
