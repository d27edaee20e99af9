"""GET /deliveries and /refusals: what came in, and what was not let in."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from adapters.access.roles import Caller, Role
from adapters.bounds import ID_MAX
from adapters.deliveries.views import (
    READ_BODY,
    DeliveryPage,
    KeptRefusalList,
    RefusalPage,
    WholeDelivery,
    delivery_page,
    kept_refusals,
    refusal_page,
    whole_delivery,
)
from adapters.http.access import Door, require_also, store_of_list
from adapters.http.api import Instant, Limit, Text, require_an_id
from adapters.service import Service
from adapters.settings import Settings
from adapters.storage.access import Operation
from adapters.storage.deliveries import DeliveryFilter
from adapters.storage.log import DeliveryRow
from domain.log import split_stream, stream_of
from domain.payment import Outcome

DeliveryId = Annotated[int, Path(ge=1, le=ID_MAX)]
After = Annotated[int | None, Query(ge=1, le=ID_MAX)]
WithBody = Annotated[bool, Query(description="with its body, for the role operator")]
ERRORS = (401, 403, 422, 503)


def delivery_router(service: Service, door: Door) -> APIRouter:
    """The routes of the delivery log and of refusals, for tokens with the role auditor.

    A caller of one store sees what is that store's: a delivery is its order's, and where it tells
    of no order, or of several, its provider's.
    """
    auditor = door.require(Role.AUDITOR)
    router = APIRouter(tags=["deliveries"], responses={status: {} for status in ERRORS})
    log = service.ledger.event_log

    @router.get("/deliveries")
    async def list_deliveries(
        caller: Annotated[Caller, auditor],
        outcome: Annotated[list[Outcome] | None, Query()] = None,
        provider: Text | None = None,
        order_id: Text | None = None,
        store: Text | None = None,
        since: Annotated[Instant | None, Query(alias="from")] = None,
        until: Annotated[Instant | None, Query(alias="to")] = None,
        after: After = None,
        limit: Limit = 100,
    ) -> DeliveryPage:
        """Every authentic delivery, newest first, by the time of recording (`to` excluded).

        An order that is asked for without a store is the caller's, or `default`'s.
        """
        wanted = wanted_of(service, caller, provider, order_id, store, since, until)
        await require_an_id(service.queries, wanted.store or "default", order_id)
        outcomes = outcome or list(Outcome)
        rows = await run_in_threadpool(log.deliveries, outcomes, after, limit + 1, wanted)
        return await run_in_threadpool(delivery_page, rows, limit, service.bodies)

    @router.get("/deliveries/{delivery_id}", responses={404: {}})
    async def show_delivery(
        caller: Annotated[Caller, auditor], delivery_id: DeliveryId, body: WithBody = False
    ) -> WholeDelivery:
        """A delivery. Its body is for operators, and that it was read is logged.

        A duplicate keeps no second copy of the same bytes: its body is null, and with the delivery
        before it that has the same sha256.
        """
        return await find(service, caller, delivery_id, body)

    _add_refusals(router, service, auditor)
    return router


def _add_refusals(router: APIRouter, service: Service, auditor: Any) -> None:
    @router.get("/refusals")
    async def list_refusals(
        caller: Annotated[Caller, auditor], after: After = None, limit: Limit = 100
    ) -> RefusalPage:
        """Deliveries that did not authenticate, and why, newest first: the last 1000 rows.

        A row stands for all refusals of a provider for one reason within a second or more.
        """
        of = service.of_store(caller.store)
        only = None if of.store is None else of.providers
        rows = await run_in_threadpool(service.refusals.page, after, limit + 1, only)
        return refusal_page(rows, limit)

    @router.get("/refusals/kept")
    async def list_kept(caller: Annotated[Caller, auditor]) -> KeptRefusalList:
        """Refused deliveries that are kept whole, of providers with `keep_refused`."""
        of = service.of_store(caller.store)
        kept = await run_in_threadpool(service.refusals.kept)
        return kept_refusals([k for k in kept if of.store is None or k.provider in of.providers])


def wanted_of(
    service: Service,
    caller: Caller,
    provider: str | None,
    order_id: str | None,
    store: str | None,
    since: datetime | None,
    until: datetime | None,
) -> DeliveryFilter:
    """The conditions on the delivery log that a caller asks for, within what he may see."""
    of = service.of_store(store_of_list(caller, store))
    stream = stream_of(of.store or "default", order_id) if order_id else None
    return replace(of, provider=provider, stream=stream, since=since, until=until)


async def find(
    service: Service, caller: Caller, delivery_id: int, with_body: bool
) -> WholeDelivery:
    """A delivery that the caller may see; else 404. Who reads a body is an operator, and logged."""
    if with_body:
        require_also(caller, Role.OPERATOR)
    row = await run_in_threadpool(service.ledger.event_log.delivery, delivery_id)
    if row is None or not _may_see(service.settings, caller, row):
        raise HTTPException(404, f"there is no delivery {delivery_id}")
    whole = await run_in_threadpool(whole_delivery, row, service.bodies, with_body=with_body)
    if whole.body is not None:
        reading = Operation.by(caller, READ_BODY, f"delivery {delivery_id}")
        await run_in_threadpool(service.operators.append, reading)
    return whole


def _may_see(settings: Settings, caller: Caller, row: DeliveryRow) -> bool:
    if caller.store is None:
        return True
    if row.stream is not None:
        return split_stream(row.stream)[0] == caller.store
    table = settings.providers.get(row.provider)
    return table is not None and table.store == caller.store
