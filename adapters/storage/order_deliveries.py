"""The deliveries that told of one order, found without reading the whole delivery log.

No index knows a delivery's order, but each event knows its delivery. So what left an event is
found wherever it stands, and duplicates, which left none, among the rows after the order's first
delivery, where providers repeat themselves.
"""

from typing import NamedTuple

from adapters.storage.access import AccessTables
from adapters.storage.deliveries import DeliveryFilter
from adapters.storage.log import DeliveryRow, EventLog, unavailable
from domain.payment import Outcome

ROWS_MAX = 100_000  # of the delivery log that are read in search of duplicates
SHOWN_MAX = 200  # of either kind, the newest


class Told(NamedTuple):
    """Deliveries of an order, oldest first; `is_all` unless duplicates may stand further on."""

    deliveries: list[DeliveryRow]
    is_all: bool


def deliveries_of(tables: AccessTables, log: EventLog, stream: str) -> Told:
    """The deliveries that told of an order. Blocks; raises `StorageUnavailable`."""
    with unavailable(), tables.transaction(commit=False) as c:
        c.execute(
            f"SELECT DISTINCT delivery_id FROM {tables.events} "
            "WHERE originator_id = ? AND delivery_id IS NOT NULL ORDER BY delivery_id",
            (stream,),
        )
        ids: list[int] = [row[0] for row in c.fetchall()]
    if not ids:  # the shop registered it, and nobody told of it
        return Told([], True)
    end = ids[0] + ROWS_MAX
    every = list(Outcome)
    near = log.deliveries(every, end, SHOWN_MAX, DeliveryFilter(stream=stream))
    found = {row.id: row for row in near}
    for number in ids[-SHOWN_MAX:]:
        if number not in found:
            found.update({row.id: row for row in log.deliveries(every, number + 1, 1)})
    newest = log.deliveries(every, None, 1)
    is_all = len(near) < SHOWN_MAX and (not newest or newest[0].id < end)
    return Told([found[number] for number in sorted(found)], is_all)
