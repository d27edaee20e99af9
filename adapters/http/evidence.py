"""Evidence over HTTP: bundles, checkpoints and public keys."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import PlainTextResponse
from starlette.exceptions import HTTPException

from adapters.access.roles import Caller, Role
from adapters.bounds import ID_MAX
from adapters.deliveries.views import READ_BODY
from adapters.evidence.bundle import Bundle, NoBundle
from adapters.evidence.views import CheckpointPage, KeyList, checkpoint_page, key_list
from adapters.http.access import NO_ORDER, Door, require_also, store_of_order
from adapters.http.api import Text, find_order
from adapters.queries.queries import PAGE_SIZE_MAX
from adapters.service import Service
from adapters.storage.access import Operation

Number = Annotated[int, Query(ge=1, le=ID_MAX)]


def evidence_router(service: Service, door: Door) -> APIRouter:
    """The routes of the evidence, for tokens with the role auditor."""
    auditor = door.require(Role.AUDITOR)
    router = APIRouter(tags=["evidence"], responses={s: {} for s in (401, 403, 422, 503)})

    @router.get("/orders/{order_id:path}/bundle", responses={404: {}, 409: {}})
    async def order_bundle(
        order_id: str,
        caller: Annotated[Caller, auditor],
        store: Text | None = None,
        since: Number | None = None,
        bodies: Annotated[bool, Query(description="with bodies, for the role operator")] = False,
    ) -> Bundle:
        """An order's history with the proofs that it is in the log.

        `since` is the size of an earlier checkpoint, which the log is then proven to continue. With
        `bodies` the bodies are in it, which is logged; their salts are there without them.
        """
        of = store_of_order(caller, store)
        if bodies:
            require_also(caller, Role.OPERATOR)
        bundle = await bundle_of(service, of, order_id, since, with_bodies=bodies)
        if bodies:
            what = f"bundle of order {bundle.store}/{bundle.order_id}"
            reading = Operation.by(caller, READ_BODY, what)
            await run_in_threadpool(service.operators.append, reading)
        return bundle

    @router.get("/checkpoints")
    async def list_checkpoints(
        _: Annotated[Caller, auditor],
        after: Number | None = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_SIZE_MAX)] = 100,
    ) -> CheckpointPage:
        """Signed checkpoints, newest first."""
        rows = await run_in_threadpool(service.evidence.checkpoints_before, after, limit + 1)
        return checkpoint_page(rows, limit)

    @router.get("/checkpoints/latest", response_class=PlainTextResponse, responses={404: {}})
    async def latest_checkpoint(_: Annotated[Caller, auditor]) -> PlainTextResponse:
        """The newest checkpoint, as the signed note that it is."""
        last = await run_in_threadpool(service.evidence.last_checkpoint)
        if last is None:
            raise HTTPException(404, "nothing is sealed yet")
        return PlainTextResponse(last.note)

    @router.get("/public-keys")
    async def list_keys(_: Annotated[Caller, auditor]) -> KeyList:
        """Every key that ever signed a checkpoint, oldest first."""
        now = datetime.now(UTC)
        return await run_in_threadpool(key_list, service.evidence, service.signer, now)

    return router


async def bundle_of(
    service: Service,
    store: str,
    order_id: str,
    since: int | None = None,
    *,
    with_bodies: bool = False,
) -> Bundle:
    """The bundle of an order, by its id or reference; else 404 or 409."""
    found = await find_order(service.queries, store, order_id)
    try:
        bundle = await run_in_threadpool(_bundle, service, store, found, since, with_bodies)
    except NoBundle as error:
        raise HTTPException(409, str(error)) from None
    if bundle is None:
        raise HTTPException(404, NO_ORDER)
    return bundle


def _bundle(
    service: Service, store: str, order_id: str, since: int | None, with_bodies: bool
) -> Bundle | None:
    earlier = service.bundler.checkpoint_of(since) if since is not None else None
    return service.bundler.bundle(store, order_id, earlier, with_bodies=with_bodies)
