"""Which orders are wanted, in which order they are listed, and where a page ends.

They are listed by (store, order_id), or the last changed first. Each way is walked along an index,
so that a page costs the same however many orders there are: by id the primary key, or that of
status, review, amount; by change that of `updated_at`.
"""

import base64
import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from pydantic import BaseModel

from adapters.storage.views import Reader
from domain.money import MINOR_DIGITS, amount_text, exact_amount
from projections.order_status import ORDERS, REFERENCES, OrderRow

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

    `reference` is one of an order's references, or its own id. `amount` is compared as a number.
    `since` and `until` bound the time of the last change, `until` excluded. With `newest` the last
    changed comes first, which it also does where times are bounded.
    """

    store: str | None = None
    status: str | None = None
    review_open: bool = False
    parked: bool = False
    reference: str | None = None
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
    def columns(self) -> tuple[str, ...]:
        """What the list is in the order of."""
        return BY_CHANGE if self.by_change else BY_ID


def select_orders(
    reader: Reader,
    wanted: OrderFilter,
    after: Cursor | None,
    limit: int,
    param: Callable[[Any], Any],
) -> list[OrderRow]:
    """The next orders after a cursor; `param` gives a value the form in which it is kept."""
    join, params = _named(reader, wanted)
    where = ["1 = 1"]
    for condition, values in _conditions(reader, wanted):
        where.append(condition)
        params += [param(value) for value in values]
    columns = [_place(wanted, column) for column in wanted.columns]
    order = [f"{column} DESC" for column in columns] if wanted.by_change else columns
    if after is not None:
        marks = ", ".join("?" * len(after))
        where.append(f"({', '.join(columns)}) {'<' if wanted.by_change else '>'} ({marks})")
        params += after
    clauses = f"{join} WHERE {' AND '.join(where)} ORDER BY {', '.join(order)} LIMIT {limit:d}"
    return reader.select(ORDERS, clauses, params)


def _conditions(reader: Reader, wanted: OrderFilter) -> list[tuple[str, list[Any]]]:
    found: list[tuple[str, list[Any]]] = []
    by_key = not (wanted.by_change or wanted.are_few or wanted.amount is not None)
    for condition, value in (
        (f"{_column('store', has_index=by_key)} = ?", wanted.store),
        (f"{_column('status', has_index=by_key)} = ?", wanted.status),
        ('t."provider" = ?', wanted.provider),
        ('t."currency" = ?', wanted.currency),
        ('t."updated_at" >= ?', wanted.since),
        ('t."updated_at" < ?', wanted.until),
    ):
        if value is not None:
            found.append((condition, [value]))
    if wanted.review_open:
        found.append(("t.\"review\" > ''", []))  # IS NOT NULL finds no index
    if wanted.parked:
        found.append(('t."parked_since" > 0', []))
    if wanted.amount is not None:
        spelled = _spelled(wanted.amount)
        found.append((f't."amount" IN ({", ".join("?" * len(spelled))})', [*spelled]))
    return found


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


def _named(reader: Reader, wanted: OrderFilter) -> tuple[str, list[Any]]:
    """The orders of a reference, or of this very id, as what all orders are joined with: so that
    they are looked up by their keys. An order of that id may be in any store; there are few."""
    name = wanted.reference
    if name is None:
        return "", []
    stores = [wanted.store] if wanted.store is not None else reader.stores(ORDERS)
    key = 'SELECT "store", "order_id" FROM'
    keys = [f'{key} {reader.relation(REFERENCES)} AS r WHERE "reference" = ?']
    own = f'{key} {reader.relation(ORDERS)} AS o WHERE "store" = ? AND "order_id" = ?'
    keys += [own] * len(stores)
    params = [name, *(value for store in stores for value in (store, name))]
    on = 'k."store" = t."store" AND k."order_id" = t."order_id"'
    return f"JOIN ({' UNION '.join(keys)}) AS k ON {on}", params


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


def cursor_of(wanted: OrderFilter, row: OrderRow, param: Callable[[Any], Any]) -> str:
    """The cursor after a row of a list."""
    return _cursor([param(getattr(row, column)) for column in wanted.columns])


def cursor_by_id(store: str, order_id: str) -> str:
    """The cursor after an order, in lists that go by store and id."""
    return _cursor([store, order_id])


def _cursor(values: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


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
