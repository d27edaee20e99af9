"""GET /metrics: figures for Prometheus, gathered when it asks.

The format is Prometheus' text exposition format 0.0.4. What processes count (deliveries, refusals,
times, batches, the queue) is the sum of the service's web processes; of several services on one
database each tells its own. The rest the database knows, and every service tells the same.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import accumulate
from typing import Any

from fastapi import APIRouter, Response
from fastapi.concurrency import run_in_threadpool
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from adapters.access.roles import Role
from adapters.evidence.sealer import unsealed
from adapters.http.access import Door
from adapters.queries.effect_views import target_views
from adapters.queries.queries import PAGE_SIZE_MAX
from adapters.service import Service
from adapters.storage.log import StorageUnavailable, utc_now
from adapters.telemetry.tallies import Tallies
from adapters.telemetry.tally import ACK_SECONDS, BATCH_DELIVERIES
from domain.log import Position
from domain.payment import Outcome
from projections.known import PROJECTIONS

QUARANTINE_COUNTED_MAX = 1000
ANSWERED = [outcome for outcome in Outcome if outcome is not Outcome.DISCARDED]  # by a webhook
REFUSED = (400, 401, 408, 413, 429, 503)


def metrics_router(service: Service, tallies: Tallies, door: Door) -> APIRouter:
    """The route, for auditors of every store."""
    router = APIRouter(tags=["health"], responses={401: {}, 403: {}, 422: {}})
    registry = CollectorRegistry()
    registry.register(_Processes(tallies, sorted(service.settings.providers)))
    registry.register(_Ledger(service))
    caller: Any = door.require_watcher(Role.AUDITOR)

    @router.get("/metrics", dependencies=[caller], response_class=Response)
    async def metrics() -> Response:
        """Figures of this process and of the ledger, in Prometheus' text format."""
        text = await run_in_threadpool(generate_latest, registry)
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    return router


class _Processes(Collector):
    """What the service's web processes count. What has not happened yet is told as 0: a rate begins
    with the second sample, so that the first of what nobody saw before would raise no alarm."""

    def __init__(self, tallies: Tallies, providers: Sequence[str]) -> None:
        self._tallies = tallies
        self._deliveries = {(p, str(outcome)): 0 for p in providers for outcome in ANSWERED}
        self._refusals = {(p, status): 0 for p in providers for status in REFUSED}

    def describe(self) -> Iterable[Metric]:
        return ()  # a registry would else gather everything to learn the names

    def collect(self) -> Iterator[Metric]:
        total = self._tallies.total()
        deliveries = CounterMetricFamily(
            "order_ledger_deliveries",
            "Authentic deliveries that were answered 200.",
            labels=("provider", "outcome"),
        )
        for (provider, outcome), count in {**self._deliveries, **total.deliveries}.items():
            deliveries.add_metric((provider, outcome), count)
        refusals = CounterMetricFamily(
            "order_ledger_refusals",
            "Deliveries that were not taken; the provider is empty where none has the name.",
            labels=("provider", "status"),
        )
        for (provider, status), count in {**self._refusals, **total.refusals}.items():
            refusals.add_metric((provider, str(status)), count)
        yield from (deliveries, refusals)
        yield GaugeMetricFamily(
            "order_ledger_queue_deliveries",
            "Deliveries that wait for the writer.",
            value=total.waiting,
        )
        yield _histogram(
            "order_ledger_ack_seconds",
            "From a delivery's head to its answer 200, which comes after the commit.",
            ACK_SECONDS,
            total.ack_counts,
            total.ack_sum,
        )
        yield _histogram(
            "order_ledger_batch_deliveries",
            "Deliveries that share a commit.",
            BATCH_DELIVERIES,
            total.batch_counts,
            total.batch_sum,
        )


def _histogram(
    name: str, about: str, bounds: Sequence[float], counts: Sequence[int], total: float
) -> Metric:
    names = [*map(str, bounds), "+Inf"]
    buckets = list(zip(names, accumulate(counts), strict=True))
    return HistogramMetricFamily(name, about, buckets=buckets, sum_value=total)


class _Ledger(Collector):
    """What the database knows, whichever process is asked."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("order_ledger_storage_up", "Whether the database answers.")
        try:
            gathered = [
                *self._read_models(),
                self._quarantine(),
                *self._parked_news(),
                self._silence(),
                *self._effects(),
                *self._evidence(),
            ]
        except StorageUnavailable:
            gathered = []
        up.add_metric((), int(bool(gathered)))
        yield from (up, *gathered)

    def _read_models(self) -> Iterator[Metric]:
        lag = _of_projection("lag_events", "Events that a read model has not taken in yet.")
        behind = _of_projection(
            "lag_seconds", "For how long the oldest event waits that a read model has not taken in."
        )
        drift = _of_projection("drifting_orders", "Orders whose live rows the events do not make.")
        parked = _of_projection("parked", "Whether a read model stands still at a poison event.")
        due = _of_projection("rebuild_due", "Whether a rebuild of a read model is due.")
        head = self._service.ledger.event_log.head()
        standing_still = self._service.views.parked()
        live = self._service.views.read(lambda reader: reader.live)
        for projection in PROJECTIONS:
            name = (projection.name,)
            generation = live[projection.name]
            reached = generation.position
            events = (head.index if head else 0) - (reached.index if reached else 0)
            lag.add_metric(name, max(0, events))  # it may have passed the head that we saw
            behind.add_metric(name, self._waits(reached) if events > 0 else 0)
            drift.add_metric(name, len(self._service.views.watched(projection.name).drift))
            parked.add_metric(name, int(projection.name in standing_still))
            due.add_metric(name, int(bool(generation.rebuild_due(projection))))
        yield from (lag, behind, drift, parked, due)

    def _waits(self, reached: Position | None) -> float:
        """For how many seconds the next event after a position is in the log."""
        following = self._service.ledger.event_log.read(reached, 1)
        return _age(following[0].recorded_at) if following else 0

    def _quarantine(self) -> Metric:
        aside = self._service.ledger.event_log.set_aside(None, QUARANTINE_COUNTED_MAX)
        return GaugeMetricFamily(
            "order_ledger_quarantine_deliveries",
            f"Deliveries that are set aside and open, counted to {QUARANTINE_COUNTED_MAX}.",
            value=len(aside),
        )

    def _parked_news(self) -> Iterator[Metric]:
        parked = self._service.queries.parked()
        yield GaugeMetricFamily(
            "order_ledger_parked_orders",
            f"Orders whose news waits for a registration, counted to {PAGE_SIZE_MAX}.",
            value=parked.orders,
        )
        yield GaugeMetricFamily(
            "order_ledger_parked_seconds",
            "For how long the oldest of that news waits.",
            value=_age(parked.oldest_since),
        )

    def _silence(self) -> Metric:
        silent = GaugeMetricFamily(
            "order_ledger_provider_silent",
            "Whether a provider is quiet for longer than usual.",
            labels=("provider",),
        )
        for name, standing in self._service.traffic.standings().items():
            silent.add_metric((name,), int(standing.is_silent))
        return silent

    def _effects(self) -> Iterator[Metric]:
        effects = GaugeMetricFamily(
            "order_ledger_effects", "Effects that are not done.", labels=("target", "state")
        )
        held = GaugeMetricFamily(
            "order_ledger_effect_target_held",
            "Whether a target is paused, left alone after failures, or stands still.",
            labels=("target",),
        )
        for target in target_views(self._service.effects):
            for state in ("pending", "failed", "dead"):
                effects.add_metric((target.name, state), getattr(target, state))
            is_held = target.paused or target.breaker_open_until or target.problem
            held.add_metric((target.name,), int(bool(is_held)))
        yield from (effects, held)

    def _evidence(self) -> Iterator[Metric]:
        if not self._service.sealer.is_on:
            return
        tail = unsealed(self._service.evidence)
        yield GaugeMetricFamily(
            "order_ledger_unsealed_events",
            "Events that no checkpoint covers yet.",
            value=tail.events,
        )
        yield GaugeMetricFamily(
            "order_ledger_unsealed_seconds",
            "For how long the oldest of those waits for its checkpoint.",
            value=_age(tail.since),
        )
        yield GaugeMetricFamily(
            "order_ledger_sealing_stopped",
            "Whether sealing stands still for a reason that a person has to see to.",
            value=int(self._service.evidence.problem() is not None),
        )
        last = self._service.evidence.last_checkpoint()
        if last is not None:
            yield GaugeMetricFamily(
                "order_ledger_checkpoint_timestamp_seconds",
                "When the last checkpoint was signed, in seconds since 1970.",
                value=last.made_at.timestamp(),
            )


def _age(since: datetime | None) -> float:
    """The seconds since then; 0 where there is nothing that waits."""
    return max(0, (utc_now() - since).total_seconds()) if since else 0


def _of_projection(name: str, about: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"order_ledger_projection_{name}", about, labels=("projection",))
