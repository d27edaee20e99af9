"""The keeper's watch over the live read models: a few orders at a time are folded again."""

import logging
from collections.abc import Collection, Sequence
from time import monotonic

from adapters.read_models.verifying import Drift, Verifier
from adapters.storage import generations
from adapters.storage.generations import Cursor, Watched
from adapters.storage.log import StorageUnavailable, unavailable
from adapters.storage.opening import Storage
from adapters.storage.rebuilds import Refused
from adapters.telemetry.logs import discreetly
from domain.log import stream_of
from projections.model import Projection

ORDERS_AT_ONCE = 50
PAUSE_SECONDS = 5.0  # so at most ten orders a second, whatever the load
DRIFT_MAX = 100  # rows of drift that are kept for a projection

log = logging.getLogger("order_ledger.projections")


class Watch:
    """Looks for live rows that are not what the events make of them."""

    def __init__(self, storage: Storage, projections: Sequence[Projection]) -> None:
        self._storage = storage
        self._projections = projections
        self._next = monotonic() + PAUSE_SECONDS

    def look(self, led: Sequence[str]) -> None:
        """Check the next few orders of the projections that this process follows, if it is time."""
        if monotonic() < self._next:
            return
        self._next = monotonic() + PAUSE_SECONDS
        live = self._storage.views.read(lambda reader: reader.live)
        for projection in self._projections:
            generation = live.get(projection.name)
            # One that another fold had a part in differs by design: a rebuild of it is due.
            if projection.name in led and generation and generation.is_made_by(projection):
                self._check_discreetly(projection)

    def _check_discreetly(self, projection: Projection) -> None:
        """Check it; where that fails by itself, the read models are kept all the same."""
        try:
            self.check(projection)
        except StorageUnavailable:
            raise
        except Exception as error:
            log.error("projection %s is not watched: %s", projection.name, discreetly(error))

    def check(self, projection: Projection) -> None:
        """Check the next orders, and those again that were found to differ."""
        views = self._storage.views
        with unavailable(), views.transaction(commit=False) as c:
            before = generations.watched(c, projection.name)
        streams = list(self._storage.events.streams(before.cursor, ORDERS_AT_ONCE))
        again = [stream for stream in before.drift if stream not in streams]
        drift, failed = self._checked(projection, [*streams, *again])
        by_stream: dict[str, list[Drift]] = {}
        for each in drift:
            by_stream.setdefault(stream_of(each.store or "", each.order_id or ""), []).append(each)
        cursor = streams[-1] if len(streams) == ORDERS_AT_ONCE else ""
        with unavailable(), views.transaction(commit=True) as c:
            generations.watch(c, projection.name, cursor, len(streams))
            told = [stream for stream in [*streams, *again] if stream not in failed]
            _keep(c, projection.name, told, by_stream)
        if by_stream.keys() - set(before.drift):
            # Which orders differ is kept with the read models, and not logged.
            log.error("projection %s: live rows are not what the events make", projection.name)

    def _checked(
        self, projection: Projection, streams: Sequence[str]
    ) -> tuple[list[Drift], Collection[str]]:
        """The drift of these orders, and those that cannot be checked: they keep nobody from
        checking the others."""
        verifier = Verifier(self._storage, projection)
        try:
            return verifier.check(streams), ()
        except (StorageUnavailable, Refused):
            raise
        except Exception:
            drift: list[Drift] = []
            failed: list[str] = []
            for stream in streams:
                try:
                    drift += verifier.check([stream])
                except (StorageUnavailable, Refused):
                    raise
                except Exception as error:
                    failed.append(stream)
                    told = discreetly(error)
                    log.error("projection %s: an order is not watched: %s", projection.name, told)
            return drift, failed


def _keep(
    c: Cursor, projection: str, checked: Sequence[str], drift: dict[str, list[Drift]]
) -> None:
    for stream in checked:
        found = drift.get(stream)
        told = found[0].model_dump_json() if found else None
        generations.note_drift(c, projection, stream, told)
    generations.forget_drift_beyond(c, projection, DRIFT_MAX)


def drifting(watched: Watched) -> dict[str, object]:
    """What a health check tells of the watch."""
    return {"orders_checked": watched.checked, "orders_drifting": len(watched.drift)}
