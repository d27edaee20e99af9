"""Which orders are wanted, in which order they are listed, and where a page ends.

They are listed by (store, order_id), or the last changed first. Each way is walked along an index,
so that a page costs the same however many orders there are: by id the primary key, or that of
status, review, amount; by change that of `updated_at`.
"""

import base64
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from pydantic import BaseModel

from adapters.storage.views import Reader
from domain.money import MINOR_DIGITS, amount_text, exact_amount
from projections.order_status import ORDERS, REFERENCES, OrderRow

LOOKED_AT_MAX = 20_000  # orders on the way to a page
Condition = tuple[str, list[Any]]
Cursor = tuple[str | int, ...]  # the values of the columns that the list is in the order of
BY_ID = ("store", "order_id")
TIME = "updated_at"
BY_CHANGE = (TIME, "store", "order_id")
AMOUNT_TEXT_MAX = 60
# A currency for each number of minor digits.
EXAMPLES: dict[int, str] = {2: "EUR"} | {
    digits: currency for currency, digits in MINOR_DIGITS.items()
}


class BadCursor(ValueError):
    """The cursor was not made by this service."""


class OrderFilter(BaseModel):
    """Which orders are wanted; what is None asks for nothing.

    `reference` is one of an order's references, or its own id, `customer` the provider's name for
    who buys. `amount` is compared as a number.
    `since` and `until` bound the time of the last change, `until` excluded. With `newest` the last
    changed comes first, which it also does where times are bounded.
    """

    store: str | None = None
    status: str | None = None
    review_open: bool = False
    parked: bool = False
    reference: str | None = None
    customer: str | None = None
    provider: str | None = None
    amount: Decimal | None = None
    currency: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    newest: bool = False

    @property
    def by_change(self) -> bool:
        """Whether the last changed comes first."""
        return self.newest or self.since is not None or self.until is not None

    @property
    def are_few(self) -> bool:
        """Whether a person has to see to each of them, so that there cannot be many."""
        return self.review_open or self.parked

    @property
    def is_selective(self) -> bool:
        """Whether an index knows the few orders that are wanted."""
        named = self.reference is not None or self.customer is not None
        return self.are_few or self.amount is not None or named

    @property
    def columns(self) -> tuple[str, ...]:
        """What the list is in the order of."""
        return BY_CHANGE if self.by_change else BY_ID


class Hidden(NamedTuple):
    """The keyed hashes of a wanted reference and customer: what may name a person is kept so."""

    reference: str | None = None
    customer: str | None = None


NOTHING_HIDDEN = Hidden()  # no name is looked for


class Listed(NamedTuple):
    """Orders, and the place after which the list goes on, or None at its end. There may be fewer
    than were asked for, even none, and yet more further on."""

    rows: list[OrderRow]
    after: Cursor | None


def is_moved(row: OrderRow) -> bool:
    """Whether all that was told of an order was taken in by a registered one: nobody registered
    it, no news was applied to it, and none waits."""
    return row.provider is None and not row.registered and row.parked_since is None


# The others, in SQL. No index begins with these columns, nor is one to be taken for them.
NOT_MOVED = (
    't."provider" IS NOT NULL OR coalesce(t."registered", 0) <> 0 '
    'OR coalesce(t."parked_since", 0) <> 0'
)


def list_orders(
    reader: Reader,
    wanted: OrderFilter,
    after: Cursor | None,
    limit: int,
    param: Callable[[Any], Any],
    hidden: Hidden = NOTHING_HIDDEN,
) -> Listed:
    """The next orders after a place; `param` gives a value the form in which it is kept.

    What no index knows, say a provider, is looked for among the next 20,000 orders along the list.
    """
    walked, chosen = _conditions(wanted, param)
    columns = [_place(wanted, column) for column in wanted.columns]
    order = [f"{column} DESC" for column in columns] if wanted.by_change else columns
    ordered = f"ORDER BY {', '.join(order)}"
    place = f"({', '.join(columns)})"
    marks = f"({', '.join('?' * len(columns))})"
    before, behind = (">=", "<") if wanted.by_change else ("<=", ">")
    if after is not None:
        walked.append((f"{place} {behind} {marks}", [*after]))
    end: Cursor | None = None
    if chosen and not wanted.is_selective:
        where, params = _where(walked)
        nth = f"{where} {ordered} LIMIT 1 OFFSET {LOOKED_AT_MAX - 1:d}"
        end = reader.first(ORDERS, wanted.columns, nth, params)
    if end is not None:
        walked.append((f"{place} {before} {marks}", [*end]))
    join, named = _named(reader, wanted, hidden)
    where, params = _where([*walked, *chosen])
    clauses = f"{join} {where} {ordered} LIMIT {limit + 1:d}"
    rows = reader.select(ORDERS, clauses, [*named, *params])
    if len(rows) > limit:
        end = tuple(param(getattr(rows[limit - 1], column)) for column in wanted.columns)
    return Listed(rows[:limit], end)


def _where(conditions: Sequence[Condition]) -> tuple[str, list[Any]]:
    parts = ["1 = 1", *(part for part, _ in conditions)]
    return f"WHERE {' AND '.join(parts)}", [value for _, told in conditions for value in told]


def _conditions(
    wanted: OrderFilter, param: Callable[[Any], Any]
) -> tuple[list[Condition], list[Condition]]:
    """What bounds the way along an index, and what is chosen among the orders on it."""
    walked: list[Condition] = []
    chosen: list[Condition] = []
    by_key = not (wanted.by_change or wanted.is_selective)
    for into, condition, value in (
        (walked if by_key else chosen, f"{_column('store', has_index=by_key)} = ?", wanted.store),
        (walked if by_key else chosen, f"{_column('status', has_index=by_key)} = ?", wanted.status),
        (chosen, 't."provider" = ?', wanted.provider),
        (chosen, 't."currency" = ?', wanted.currency),
        (walked, 't."updated_at" >= ?', wanted.since),
        (walked, 't."updated_at" < ?', wanted.until),
    ):
        if value is not None:
            into.append((condition, [param(value)]))
    if wanted.status is not None:  # what was moved has its status where it went
        (walked if by_key else chosen).append((f"({NOT_MOVED})", []))
    if wanted.review_open:
        chosen.append(("t.\"review\" > ''", []))  # IS NOT NULL finds no index
    if wanted.parked:
        chosen.append(('t."parked_since" > 0', []))
    if wanted.amount is not None:
        spelled = _spelled(wanted.amount)
        chosen.append((f't."amount" IN ({", ".join("?" * len(spelled))})', [*spelled]))
    return walked, chosen


def _column(name: str, *, has_index: bool = True) -> str:
    """A column as it stands in SQL. Without statistics SQLite takes whichever index begins with a
    column that is compared, and sorts, or reads on, for as long as it takes: what is wrapped has
    none."""
    if has_index:
        return f't."{name}"'
    nothing = "0" if name == TIME else "''"
    return f'coalesce(t."{name}", {nothing})'


def _place(wanted: OrderFilter, column: str) -> str:
    """A column that the list is in the order of. Where the orders are few, all are sorted."""
    return _column(column, has_index=not wanted.are_few)


def _named(reader: Reader, wanted: OrderFilter, hidden: Hidden) -> tuple[str, list[Any]]:
    """The orders of a reference, or of this very id, and those of a customer, as what all orders
    are joined with: so that they are looked up by their keys. An order of that id may be in any
    store; there are few."""
    joins, params = [], list[Any]()
    key = 'SELECT "store", "order_id" FROM'
    named = f'{key} {reader.relation(REFERENCES)} AS r WHERE "reference" = ?'
    name = wanted.reference
    if name is not None:
        stores = [wanted.store] if wanted.store is not None else reader.stores(ORDERS)
        own = f'{key} {reader.relation(ORDERS)} AS o WHERE "store" = ? AND "order_id" = ?'
        keys = [named, named, *([own] * len(stores))]
        params += [name, hidden.reference]
        params += [value for store in stores for value in (store, name)]
        joins.append(f"JOIN ({' UNION '.join(keys)}) AS k ON {_same('k')}")
    if wanted.customer is not None:
        joins.append(f"JOIN ({named}) AS c ON {_same('c')}")
        params.append(hidden.customer)
    return " ".join(joins), params


def _same(joined: str) -> str:
    return f'{joined}."store" = t."store" AND {joined}."order_id" = t."order_id"'


def amount_asked(text: object) -> object:
    """An amount that is looked for, from its text. Raises `ValueError`."""
    if not isinstance(text, str):
        return text
    try:
        if len(text) <= AMOUNT_TEXT_MAX and text.isascii():
            return exact_amount(Decimal(text.replace(",", "")), None)
    except InvalidOperation:
        pass
    raise ValueError("an amount is a decimal number, such as 902.10")


def _spelled(amount: Decimal) -> list[str]:
    """How an amount may be kept: with the minor digits of its currency, whichever that is."""
    currencies = (None, *EXAMPLES.values())
    return sorted({amount_text(exact_amount(amount, currency)) for currency in currencies})


def write_cursor(place: Cursor) -> str:
    """The cursor that stands for a place."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def read_cursor(wanted: OrderFilter, text: str) -> Cursor:
    """The place that a cursor of such a list stands for. Raises `BadCursor`."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        values = json.loads(raw)
        "".join(value for value in values if isinstance(value, str)).encode()
    except (ValueError, TypeError, RecursionError):
        raise BadCursor("after: not a cursor of this service") from None
    kinds = [int if column == TIME else str for column in wanted.columns]
    if not isinstance(values, list) or [type(value) for value in values] != kinds:
        raise BadCursor("after: not a cursor of this list")
    if any("\x00" in value if isinstance(value, str) else abs(value) >= 2**63 for value in values):
        raise BadCursor("after: not a cursor of this service")
    return tuple(values)
