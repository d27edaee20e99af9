"""Health checks: alive, and ready to take deliveries."""

from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from adapters.evidence.views import tail_view
from adapters.http.access import Credentials, Door
from adapters.read_models.keepers import Keeper
from adapters.read_models.traffic import whole_seconds
from adapters.read_models.watching import drifting
from adapters.service import Service
from adapters.storage.log import StorageUnavailable
from projections.known import PROJECTIONS

PARKED_TOO_LONG = timedelta(hours=1)  # a shop registers an order when it is placed


def health_router(service: Service, keeper: Keeper, door: Door) -> APIRouter:
    """The routes of the health checks. Details are for auditors of every store."""
    router = APIRouter(prefix="/health", tags=["health"])

    @router.get("/live")
    async def live() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @router.get("/ready")
    async def ready(
        request: Request, response: Response, credentials: Credentials
    ) -> dict[str, Any]:
        """The database answers and the read models are kept; else 503."""
        may_see = await door.may_see(request, credentials)
        try:
            # Anybody may ask, as often as he likes: what he is not told is not gathered.
            details = await run_in_threadpool(_details if may_see else _reached, service)
            is_ready = keeper.is_alive
        except StorageUnavailable:
            details, is_ready = {}, False
        if not is_ready:
            response.status_code = 503
        status = {"status": "ok" if is_ready else "unavailable"}
        return status | ({"details": details} if may_see else {})

    return router


def _reached(service: Service) -> dict[str, Any]:
    """Nothing, once the log and the read models answered."""
    service.ledger.event_log.head()
    service.views.read(lambda reader: reader.live)
    return {}


def _details(service: Service) -> dict[str, Any]:
    head = service.ledger.event_log.head()
    parked = service.views.parked()
    live = service.views.read(lambda reader: reader.live)
    projections = {}
    for projection in PROJECTIONS:
        generation = live[projection.name]
        reached = generation.position
        poison = parked.get(projection.name)
        projections[projection.name] = {
            "generation": generation.number,
            "position": str(reached) if reached else None,
            "lag": (head.index if head else 0) - (reached.index if reached else 0),
            "parked_at": str(poison.position) if poison else None,
            "rebuild_due": generation.rebuild_due(projection),
            **drifting(service.views.watched(projection.name)),
        }
    return {
        "head": str(head) if head else None,
        "projections": projections,
        "evidence": tail_view(service.evidence).model_dump(),
        "providers": _standings(service),
        "parked_news": _parked_news(service),
    }


def _standings(service: Service) -> dict[str, Any]:
    """Who is silent: told to whoever looks, and no reason not to take deliveries."""
    return {
        name: {
            "last_delivery_at": standing.rhythm.last_delivery_at if standing.rhythm else None,
            "allowed_gap_seconds": whole_seconds(standing.allowed_gap),
            "silent": standing.is_silent,
        }
        for name, standing in service.traffic.standings().items()
    }


def _parked_news(service: Service) -> dict[str, Any]:
    """What waits for its order to be registered; `overdue` where that is long ago."""
    parked = service.queries.parked()
    since = parked.oldest_since
    overdue = since is not None and datetime.now(UTC) - since > PARKED_TOO_LONG
    return {**parked.model_dump(mode="json"), "overdue": overdue}
