"""Which rows of the delivery log are wanted, in SQL that both databases read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Conditions on the delivery log; what is None asks for nothing.

    A delivery is of the `store` that its order is in; where it tells of no order, or of several, it
    is its provider's, so the `providers` of the store are named besides. An order is named by its
    `stream`. `since` and `until` bound the time of recording, `until` excluded.
    """

    provider: str | None = None
    stream: str | None = None
    store: str | None = None
    providers: Sequence[str] = ()
    since: datetime | None = None
    until: datetime | None = None


EVERYTHING = DeliveryFilter()


def waits(schema: str = "", joined: str = "") -> str:
    """The condition that a row `d` was set aside, and neither taken in since, nor discarded, nor
    erased. `joined` says of a table `{0}` that its rows are of the partition of `d`."""
    later, gone = joined.format("later"), joined.format("gone")
    return (
        "d.outcome IN ('quarantined', 'ignored') AND d.replay_of IS NULL AND NOT EXISTS ("
        f"SELECT 1 FROM {schema}deliveries AS later WHERE {later}later.replay_of = d.id "
        "AND later.outcome NOT IN ('quarantined', 'ignored')) AND NOT EXISTS ("
        f"SELECT 1 FROM {schema}destroyed_body_keys AS gone WHERE {gone}gone.id = d.id)"
    )


def conditions(
    wanted: DeliveryFilter, events_of: str, to_time: Callable[[datetime], Any]
) -> tuple[str, list[Any]]:
    """What follows a WHERE that has a condition already, and its parameters, each a `?`.

    `events_of` is the end of a query for the events of a stream, of which it has the `?`.
    """
    parts: list[str] = []
    params: list[Any] = []
    for column, value in (
        ("provider = ?", wanted.provider),
        ("recorded_at >= ?", wanted.since and to_time(wanted.since)),
        ("recorded_at < ?", wanted.until and to_time(wanted.until)),
    ):
        if value is not None:
            parts.append(column)
            params.append(value)
    if wanted.store is not None:
        prefix = f"{wanted.store}/"
        named = f"provider IN ({', '.join('?' * len(wanted.providers))})"
        parts.append(
            "(substr(originator_id, 1, ?) = ? OR (originator_id IS NULL AND "
            f"{named if wanted.providers else '1 = 0'}))"
        )
        params += [len(prefix), prefix, *wanted.providers]
    if wanted.stream is not None:
        # No index knows a delivery's order: nothing older than the order's first event is read.
        parts.append(
            f"id >= (SELECT min(delivery_id) {events_of}) AND (originator_id = ? "
            f"OR (originator_id IS NULL AND id IN (SELECT delivery_id {events_of})))"
        )
        params += [wanted.stream] * 3
    return "".join(f" AND {part}" for part in parts), params
