"""Which payment news is wanted. It is listed in the order of the log, or the newest first.

It is read along the log's own order, or along an order's history: a page costs the same however
long the log is.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel

from adapters.storage.log import PARTITION
from adapters.storage.views import Reader
from domain.log import Position
from projections.audit_history import HISTORY, HistoryRow

MOMENT = timedelta(microseconds=1)
AT_ONCE_MAX = 5000  # events that can share a time of recording: those of one batch


class PaymentFilter(BaseModel):
    """Which payment news is wanted; what is None asks for nothing. `since` and `until` bound
    `recorded_at`, `until` excluded, and so does `as_of`, itself included. `occurred_before` bounds
    when it happened, as its provider says; news that does not say had happened when it came in.
    With `newest` the newest comes first."""

    since: datetime | None = None
    until: datetime | None = None
    status: str | None = None
    provider: str | None = None
    order_id: str | None = None
    store: str | None = None
    as_of: datetime | None = None
    occurred_before: datetime | None = None
    newest: bool = False


def select_payments(
    reader: Reader,
    wanted: PaymentFilter,
    after: Position | None,
    limit: int,
    param: Callable[[Any], Any],
) -> list[HistoryRow]:
    """The next payment news after a position; `param` gives a value the form in which it is
    kept."""
    where, params = ['t."payment_status" IS NOT NULL'], []
    for condition, values in _conditions(reader, wanted, param):
        where.append(condition)
        params += values
    if after is not None:
        where.append(f'(t."partition", t."idx") {"<" if wanted.newest else ">"} (?, ?)')
        params += [after.partition, after.index]
    way = "DESC" if wanted.newest else "ASC"
    order = f'ORDER BY t."partition" {way}, t."idx" {way} LIMIT {limit:d}'
    return reader.select(HISTORY, f"WHERE {' AND '.join(where)} {order}", params)


def _conditions(
    reader: Reader, wanted: PaymentFilter, param: Callable[[Any], Any]
) -> list[tuple[str, list[Any]]]:
    found: list[tuple[str, list[Any]]] = []
    for condition, value in (
        ('t."payment_status" = ?', wanted.status),
        ('t."provider" = ?', wanted.provider),
        ('t."order_id" = ?', wanted.order_id),
        ('coalesce(t."occurred_at", t."received_at") < ?', _kept(wanted.occurred_before, param)),
    ):
        if value is not None:
            found.append((condition, [value]))
    if wanted.order_id is not None:  # by its key, in whichever store: there are few
        stores = [wanted.store] if wanted.store is not None else reader.stores(HISTORY)
        marks = ", ".join("?" * len(stores))
        found.append((f't."store" IN ({marks})' if stores else "1 = 0", [*stores]))
    elif wanted.store is not None:  # by no index, whose rows would have to be sorted
        found.append(("coalesce(t.\"store\", '') = ?", [wanted.store]))
    for time, compared in ((wanted.since, ">="), (wanted.until, "<"), (_behind(wanted.as_of), "<")):
        if time is not None:
            found.append(_from(reader, param(time), compared))
    return found


def _kept(time: datetime | None, param: Callable[[Any], Any]) -> Any:
    return None if time is None else param(time)


def _behind(time: datetime | None) -> datetime | None:
    """The instant behind an instant, as far as times are told apart."""
    try:
        return None if time is None else time + MOMENT
    except OverflowError:  # behind the end of time there is nothing
        return None


def _from(reader: Reader, time: Any, compared: str) -> tuple[str, list[Any]]:
    """The events before, or from, the first one of a time: times of recording never go back."""
    first = f'WHERE t."recorded_at" >= ? ORDER BY t."recorded_at" LIMIT {AT_ONCE_MAX:d}'
    index = reader.least(HISTORY, "idx", first, (time,))
    if index is None:  # nothing is so new
        return ("1 = 0" if compared == ">=" else "1 = 1"), []
    return f'(t."partition", t."idx") {compared} (?, ?)', [PARTITION, index]
