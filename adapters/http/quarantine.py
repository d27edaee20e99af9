"""/quarantine: what was set aside, taken in again, discarded or erased."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from adapters.access.roles import Caller, Role
from adapters.deliveries.quarantine import (
    SET_ASIDE,
    CannotSettle,
    ErasedBody,
    NoSuchDelivery,
    Quarantine,
)
from adapters.deliveries.views import (
    DeliveryPage,
    SetAside,
    Settled,
    delivery_page,
    set_aside_view,
    settled,
)
from adapters.http.access import Door, store_of_list
from adapters.http.api import Limit, Text, plain
from adapters.http.deliveries import ERRORS, After, DeliveryId, WithBody, find
from adapters.http.erasure import Reason
from adapters.http.problems import RETRY_AFTER_SECONDS
from adapters.ledger.application import Delivery
from adapters.ledger.group_commit import GroupCommit, Overloaded
from adapters.service import Service


class Discarding(BaseModel):
    """Why a delivery says nothing; it is kept with the decision."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(min_length=1, max_length=255), AfterValidator(plain)]


class Settling:
    """Settles what was set aside, for the API and for the pages. Lives on one event loop.

    Its methods raise the `HTTPException` that says why not: 404, 409, 503.
    """

    def __init__(self, service: Service, quarantine: Quarantine, queue: GroupCommit) -> None:
        self._service = service
        self._quarantine = quarantine
        self._queue = queue
        self._one = asyncio.Lock()  # who settles what is settled just now is told so

    async def replay(self, caller: Caller, delivery_id: int) -> Settled:
        """Take a delivery in again."""
        make = partial(self._quarantine.replay, delivery_id)
        return await self._settle(caller, "quarantine replay", delivery_id, make)

    async def discard(self, caller: Caller, delivery_id: int, reason: str) -> Settled:
        """Decide that a delivery says nothing."""
        make = partial(self._quarantine.discard, delivery_id, reason)
        return await self._settle(caller, "quarantine discard", delivery_id, make, reason)

    async def erase(self, caller: Caller, delivery_id: int, reason: str) -> ErasedBody:
        """Destroy the key of a body, so that nobody can read it any more."""
        await find(self._service, caller, delivery_id, with_body=False)
        make = partial(self._quarantine.erase, caller, delivery_id, reason)
        async with self._one:
            with _told():
                return await run_in_threadpool(make)

    async def _settle(
        self,
        caller: Caller,
        action: str,
        delivery_id: int,
        make: Callable[[], Delivery],
        reason: str | None = None,
    ) -> Settled:
        await find(self._service, caller, delivery_id, with_body=False)
        try:
            async with self._one:
                with _told():
                    receipt = await self._queue.submit(await run_in_threadpool(make))
        except Overloaded:
            detail = "too many deliveries at once; try again"
            raise HTTPException(503, detail, {"Retry-After": RETRY_AFTER_SECONDS}) from None
        log = self._quarantine.log
        await run_in_threadpool(log, caller, action, delivery_id, receipt, reason)
        return settled(delivery_id, receipt)


@contextmanager
def _told() -> Iterator[None]:
    """Tell why something cannot be done: 404, 409."""
    try:
        yield
    except (NoSuchDelivery, CannotSettle) as error:
        status = 404 if isinstance(error, NoSuchDelivery) else 409
        raise HTTPException(status, str(error)) from None


def quarantine_router(service: Service, settling: Settling, door: Door) -> APIRouter:
    """The routes of the quarantine: auditors look, operators settle; each in his own store."""
    router = APIRouter(tags=["quarantine"], responses={status: {} for status in ERRORS})
    _add_reading(router, service, door.require(Role.AUDITOR))
    operator = door.require(Role.OPERATOR)

    @router.post("/quarantine/{delivery_id}/replay", responses={404: {}, 409: {}})
    async def replay(caller: Annotated[Caller, operator], delivery_id: DeliveryId) -> Settled:
        """Take a delivery in again, by the very same translation and decision.

        It was set aside, or it was recorded with a status word that is known by now. Where it
        cannot be read this time either, it stays set aside, and the answer says why. What was taken
        in or discarded already is 409.
        """
        return await settling.replay(caller, delivery_id)

    @router.post("/quarantine/{delivery_id}/discard", responses={404: {}, 409: {}})
    async def discard(
        caller: Annotated[Caller, operator], delivery_id: DeliveryId, told: Discarding
    ) -> Settled:
        """Decide that a delivery that was set aside says nothing. It is kept all the same."""
        return await settling.discard(caller, delivery_id, told.reason)

    @router.post("/quarantine/{delivery_id}/erase", responses={404: {}, 409: {}})
    async def erase(
        caller: Annotated[Caller, operator], delivery_id: DeliveryId, told: Reason
    ) -> ErasedBody:
        """Erase a body that was set aside, and that names a person: its key is destroyed, nobody
        can read it or take it in any more, and what the delivery log says of it stays.

        It cannot be undone. Erased before, it is `unchanged`, and what is left to do is done. A
        body that belongs to an order is 409: it goes with that order.
        """
        return await settling.erase(caller, delivery_id, told.reason)

    return router


def _add_reading(router: APIRouter, service: Service, auditor: Any) -> None:
    @router.get("/quarantine")
    async def list_quarantine(
        caller: Annotated[Caller, auditor],
        provider: Text | None = None,
        store: Text | None = None,
        settled_too: bool = False,
        after: After = None,
        limit: Limit = 100,
    ) -> DeliveryPage:
        """What is set aside, newest first: neither taken in since, nor discarded.

        With `settled_too` also what was settled, and the replays that failed.
        """
        return await run_in_threadpool(
            quarantine_list,
            service,
            caller,
            provider=provider,
            store=store,
            settled_too=settled_too,
            after=after,
            limit=limit,
        )

    @router.get("/quarantine/{delivery_id}", responses={404: {}})
    async def show_quarantine(
        caller: Annotated[Caller, auditor], delivery_id: DeliveryId, body: WithBody = False
    ) -> SetAside:
        """A delivery that was set aside, why, and what settled it. Its body is for operators, and
        that it was read is logged."""
        return await set_aside(service, caller, delivery_id, with_body=body)


def quarantine_list(
    service: Service,
    caller: Caller,
    *,
    provider: str | None = None,
    store: str | None = None,
    settled_too: bool = False,
    after: int | None = None,
    limit: int = 100,
) -> DeliveryPage:
    """What a caller may see of what is set aside, newest first. Blocks."""
    log = service.ledger.event_log
    wanted = replace(service.of_store(store_of_list(caller, store)), provider=provider)
    if settled_too:
        rows = log.deliveries(SET_ASIDE, after, limit + 1, wanted)
    else:
        rows = log.set_aside(after, limit + 1, wanted)
    return delivery_page(rows, limit, service.bodies)


async def set_aside(
    service: Service, caller: Caller, delivery_id: int, *, with_body: bool
) -> SetAside:
    """A delivery that was set aside, as far as the caller may see it; else 404, or 403."""
    whole = await find(service, caller, delivery_id, with_body)
    if whole.outcome not in SET_ASIDE:
        raise HTTPException(404, f"delivery {delivery_id} was not set aside: {whole.outcome}")
    return await run_in_threadpool(set_aside_view, whole, service.ledger)
