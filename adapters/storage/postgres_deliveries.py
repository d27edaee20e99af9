"""The delivery log in PostgreSQL, as it is read: rows, and the bodies that were kept."""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.storage.deliveries import EVERYTHING, DeliveryFilter, conditions, waits
from adapters.storage.log import PARTITION, DeliveryRow, SealedBody, unavailable
from adapters.storage.postgres import Database
from domain.log import Position
from domain.payment import Origin, Outcome
from projections.traffic import Arrival

EVENTS_OF = f"FROM order_ledger.stored_events WHERE partition = {PARTITION} AND originator_id = ?"
DELIVERY = (
    "id, received_at, recorded_at, provider, outcome, idx, originator_id, body_hash, reason, "
    "body_bytes, address, key_id, origin, replay_of, "
    "EXISTS (SELECT 1 FROM order_ledger.bodies b "
    "WHERE b.partition = d.partition AND b.delivery_id = d.id)"
)
WAITS = waits("order_ledger.", "{}.partition = d.partition AND ")

SELECT_BODIES = (
    "SELECT d.id, d.body_hash, b.body, k.wrapped, e.originator_id, e.originator_version, e.topic "
    "FROM unnest(%s::bigint[]) AS wanted (id) "
    "JOIN order_ledger.deliveries AS d ON d.partition = %s AND d.id = wanted.id "
    "JOIN order_ledger.bodies AS b ON b.partition = d.partition AND b.delivery_id = d.id "
    "LEFT JOIN order_ledger.body_keys AS k ON k.partition = d.partition AND k.id = d.id "
    "LEFT JOIN order_ledger.stored_events AS e ON e.partition = d.partition AND e.idx = d.idx"
)
KEPT_WITH = (
    "SELECT e.idx, coalesce(d.replay_of, d.id) FROM unnest(%s::bigint[]) AS wanted (idx) "
    "JOIN order_ledger.stored_events AS e ON e.partition = %s AND e.idx = wanted.idx "
    "JOIN order_ledger.deliveries AS d ON d.partition = e.partition AND d.id = e.delivery_id"
)


class PostgresDeliveries:
    """The rows of the delivery log, and what was kept with them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def deliveries(
        self,
        outcomes: Sequence[Outcome],
        before: int | None,
        limit: int,
        wanted: DeliveryFilter = EVERYTHING,
    ) -> Sequence[DeliveryRow]:
        """Rows of the delivery log, newest first (see `EventLog.deliveries`)."""
        values = [outcome.value for outcome in outcomes]
        return self._deliveries("outcome = ANY(?)", [values], before, limit, wanted)

    def set_aside(
        self, before: int | None, limit: int, wanted: DeliveryFilter = EVERYTHING
    ) -> Sequence[DeliveryRow]:
        """What was set aside and is not settled yet (see `EventLog.set_aside`)."""
        return self._deliveries(WAITS, [], before, limit, wanted)

    def _deliveries(
        self,
        among: str,
        params: Sequence[Any],
        before: int | None,
        limit: int,
        wanted: DeliveryFilter,
    ) -> Sequence[DeliveryRow]:
        also, more = conditions(wanted, EVENTS_OF, lambda time: time)
        if before is not None:
            also, more = f"{also} AND id < ?", [*more, before]
        where = f"partition = ? AND {among}{also} ORDER BY id DESC LIMIT ?".replace("?", "%s")
        rows = self._all(
            f"SELECT {DELIVERY} FROM order_ledger.deliveries d WHERE {where}",
            (PARTITION, *params, *more, limit),
        )
        return [_delivery(row) for row in rows]

    def settled_by(self, delivery_id: int) -> DeliveryRow | None:
        """What settled a delivery that was set aside (see `EventLog.settled_by`)."""
        rows = self._all(
            f"SELECT {DELIVERY} FROM order_ledger.deliveries d WHERE partition = %s "
            "AND replay_of = %s AND outcome NOT IN ('quarantined', 'ignored') ORDER BY id LIMIT 1",
            (PARTITION, delivery_id),
        )
        return _delivery(rows[0]) if rows else None

    def delivery(self, delivery_id: int) -> DeliveryRow | None:
        """One row of the delivery log."""
        rows = self._all(
            f"SELECT {DELIVERY} FROM order_ledger.deliveries d WHERE partition = %s AND id = %s",
            (PARTITION, delivery_id),
        )
        return _delivery(rows[0]) if rows else None

    def bodies(self, delivery_ids: Sequence[int]) -> Sequence[SealedBody]:
        """The bodies that are kept with deliveries (see `EventLog.bodies`)."""
        rows = self._all(SELECT_BODIES, (list(delivery_ids), PARTITION))
        return [SealedBody(*row) for row in rows]

    def kept_with(self, idxs: Sequence[int]) -> Mapping[int, int]:
        """Where the bodies of events are (see `EventLog.kept_with`)."""
        return dict(self._all(KEPT_WITH, (list(idxs), PARTITION)))

    def keys(self, first: Sequence[int]) -> Mapping[int, bytes]:
        """The wrapped keys of orders (see `EventLog.keys`)."""
        wanted = "SELECT id, wrapped FROM order_ledger.order_keys WHERE partition = %s"
        return dict(self._all(f"{wanted} AND id = ANY(%s)", (PARTITION, list(first))))

    def arrivals(self, after: int, limit: int) -> Sequence[Arrival]:
        """The next rows of the delivery log (see `EventLog.arrivals`)."""
        rows = self._all(
            "SELECT id, received_at, provider, key_id, origin = 'webhook' AND replay_of IS NULL "
            "FROM order_ledger.deliveries WHERE partition = %s AND id > %s ORDER BY id LIMIT %s",
            (PARTITION, after, limit),
        )
        return [Arrival(*row) for row in rows]

    def _all(self, sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
        with unavailable(), self._database.reading() as connection:
            return connection.execute(sql, params).fetchall()


def _delivery(row: tuple[Any, ...]) -> DeliveryRow:
    number, received_at, recorded_at, provider, outcome, idx, *told = row
    stream, body_hash, reason, body_bytes, address, key_id, origin, *rest = told
    return DeliveryRow(
        number,
        received_at,
        recorded_at,
        provider,
        Outcome(outcome),
        Position(PARTITION, idx) if idx else None,
        stream,
        body_hash,
        reason,
        body_bytes,
        address,
        key_id,
        Origin(origin),
        *rest,
    )
