"""GET /metrics: figures for Prometheus, gathered when it asks.

The format is Prometheus' text exposition format 0.0.4. What one process counts carries its number
as the label `process`: with several workers each scrape shows one of them.
"""

import os
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any

from fastapi import APIRouter, Response
from fastapi.concurrency import run_in_threadpool
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from adapters.access.roles import Role
from adapters.effect_views import target_views
from adapters.group_commit import GroupCommit
from adapters.http.access import Door
from adapters.service import Service
from adapters.storage.log import StorageUnavailable
from adapters.tally import Histogram, Tally
from projections.known import PROJECTIONS

QUARANTINE_COUNTED_MAX = 1000


def metrics_router(service: Service, tally: Tally, queue: GroupCommit, door: Door) -> APIRouter:
    """The route, for auditors of every store."""
    router = APIRouter(tags=["health"], responses={401: {}, 403: {}})
    registry = CollectorRegistry()
    registry.register(_Process(tally, queue))
    registry.register(_Ledger(service))
    caller: Any = door.require_every_store(Role.AUDITOR)

    @router.get("/metrics", dependencies=[caller], response_class=Response)
    async def metrics() -> Response:
        """Figures of this process and of the ledger, in Prometheus' text format."""
        text = await run_in_threadpool(generate_latest, registry)
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    return router


class _Process(Collector):
    """What this process counts."""

    def __init__(self, tally: Tally, queue: GroupCommit) -> None:
        self._tally = tally
        self._queue = queue

    def describe(self) -> Iterable[Metric]:
        return ()  # a registry would else gather everything to learn the names

    def collect(self) -> Iterator[Metric]:
        process = str(os.getpid())
        deliveries = CounterMetricFamily(
            "order_ledger_deliveries",
            "Authentic deliveries that were answered 200.",
            labels=("process", "provider", "outcome"),
        )
        for (provider, outcome), count in tuple(self._tally.deliveries.items()):
            deliveries.add_metric((process, provider, outcome), count)
        refusals = CounterMetricFamily(
            "order_ledger_refusals",
            "Deliveries that were not taken; the provider is empty where none has the name.",
            labels=("process", "provider", "status"),
        )
        for (provider, status), count in tuple(self._tally.refusals.items()):
            refusals.add_metric((process, provider, str(status)), count)
        depth = GaugeMetricFamily(
            "order_ledger_queue_deliveries",
            "Deliveries that wait for the writer.",
            labels=("process",),
        )
        depth.add_metric((process,), self._queue.depth)
        yield from (deliveries, refusals, depth)
        yield _histogram(
            "order_ledger_ack_seconds",
            "From a delivery's head to its answer 200, which comes after the commit.",
            process,
            self._tally.ack_seconds,
        )
        yield _histogram(
            "order_ledger_batch_deliveries",
            "Deliveries that share a commit.",
            process,
            self._tally.batches,
        )


def _histogram(name: str, about: str, process: str, histogram: Histogram) -> Metric:
    family = HistogramMetricFamily(name, about, labels=("process",))
    bounds = [*map(str, histogram.bounds), "+Inf"]
    buckets = list(zip(bounds, accumulate(histogram.counts), strict=True))
    family.add_metric((process,), buckets, histogram.sum)
    return family


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
                self._silence(),
                *self._effects(),
            ]
        except StorageUnavailable:
            gathered = []
        up.add_metric((), int(bool(gathered)))
        yield from (up, *gathered)

    def _read_models(self) -> Iterator[Metric]:
        lag = _of_projection("lag_events", "Events that a read model has not taken in yet.")
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
            lag.add_metric(name, (head.index if head else 0) - (reached.index if reached else 0))
            drift.add_metric(name, len(self._service.views.watched(projection.name).drift))
            parked.add_metric(name, int(projection.name in standing_still))
            due.add_metric(name, int(bool(generation.rebuild_due(projection))))
        yield from (lag, drift, parked, due)

    def _quarantine(self) -> Metric:
        aside = self._service.ledger.event_log.set_aside(None, QUARANTINE_COUNTED_MAX)
        return GaugeMetricFamily(
            "order_ledger_quarantine_deliveries",
            f"Deliveries that are set aside and open, counted to {QUARANTINE_COUNTED_MAX}.",
            value=len(aside),
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


def _of_projection(name: str, about: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"order_ledger_projection_{name}", about, labels=("projection",))
