"""The state machine of orders as a drawing, from the table that decides, with the way of one."""

from collections.abc import Iterable, Mapping
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


BOXES: Mapping[str, tuple[int, int]] = {
    AWAITING: (170, 36),
    FAILED: (170, 190),
    DELIVERED: (590, 36),
}
SHAPES: Mapping[Step, Shape] = {
    (AWAITING, FAILED): Shape("M215 84V183", 198, 122, "end", 215, 136),
    (FAILED, AWAITING): Shape("M325 190V91", 343, 130, "start", 325, 138),
    (AWAITING, DELIVERED): Shape("M370 60H583", 486, 50, "middle", 386, 60),
    (FAILED, DELIVERED): Shape("M370 214H676Q690 214 690 200V91", 530, 205, "middle", 400, 214),
}


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
class Machine:
    """The drawing, and the same way in words."""

    states: tuple[State, ...]
    ways: tuple[Way, ...]
    path: tuple[str, ...]


def machine(events: Iterable[EventView]) -> Machine:
    """The state machine with the way that these events of one order went."""
    steps = way_of(events)
    path = (AWAITING, *(end for _, end in steps))
    states = [State(n, x, y, n == path[-1], n in path) for n, (x, y) in BOXES.items()]
    ways = []
    for start, end, words in edges():
        taken = tuple(n for n, step in enumerate(steps, 1) if step == (start, end))
        ways.append(Way(SHAPES[start, end], words, taken))
    return Machine(tuple(states), tuple(ways), path)


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
