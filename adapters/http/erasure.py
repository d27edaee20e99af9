"""POST /orders/{id}/erase: what names a person is made unreadable, and every fact stays."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from adapters.access.roles import Caller, Role
from adapters.erasure.erasing import Eraser, ErasureAnswer, Plan, answer_of
from adapters.http.access import Door, store_of_order
from adapters.http.commands import Store, order_name, submit
from adapters.ledger.group_commit import GroupCommit
from adapters.ledger.registering import Text
from adapters.service import Service
from domain.log import stream_of
from domain.registration import Unknown

DryRun = Annotated[bool, Query(description="Erase nothing: say what would be erased.")]


class Reason(BaseModel):
    """Why something is erased. It is kept for ever, so it names nobody."""

    model_config = ConfigDict(extra="forbid")

    reason: Text


def erasure_router(service: Service, queue: GroupCommit, door: Door) -> APIRouter:
    """The route of erasures, for operators."""
    router = APIRouter(
        tags=["operators"], responses={s: {} for s in (401, 403, 404, 409, 422, 503)}
    )
    eraser = Eraser(service)

    @router.post("/orders/{order_id:path}/erase")
    async def erase_order(
        caller: Annotated[Caller, door.require(Role.OPERATOR)],
        order_id: str,
        reason: Reason,
        store: Store = None,
        dry_run: DryRun = False,
    ) -> ErasureAnswer:
        """Erase personal data of an order: the key of its bodies and private fields is destroyed,
        and so are those of deliveries that were set aside and surely name it.

        Deliveries that only may name it stay and are listed, to look at. With `dry_run` nothing is
        erased, and the answer says what would be.

        Facts, hashes and proofs stay. It cannot be undone. Erased before, it is `unchanged`, and
        what is left to do is done. It is an event of the order with the caller's name and the
        reason, and lines of the operators' log.
        """
        if dry_run:
            return await preview(eraser, caller, store, order_id)
        return await erase(eraser, queue, caller, store, order_id, reason)

    return router


async def preview(
    eraser: Eraser, caller: Caller, store: str | None, order_id: str
) -> ErasureAnswer:
    """What an erasure would do; 404 where nothing is known of the order."""
    plan = await _plan(eraser, caller, store, order_id)
    return answer_of([plan], is_done=False)


async def erase(
    eraser: Eraser,
    queue: GroupCommit,
    caller: Caller,
    store: str | None,
    order_id: str,
    reason: Reason,
) -> ErasureAnswer:
    """Erase personal data of an order; 404, 409 or 503 where that cannot be."""
    plan = await _plan(eraser, caller, store, order_id)
    what = stream_of(store_of_order(caller, store), order_name(order_id))
    await run_in_threadpool(eraser.sweep, caller, plan, what, reason.reason)
    for erasure in plan.erasures(caller.who, reason.reason):
        await submit(queue, erasure)
    return answer_of([plan], await run_in_threadpool(eraser.finish, [plan]))


async def _plan(eraser: Eraser, caller: Caller, store: str | None, order_id: str) -> Plan:
    of, named = store_of_order(caller, store), order_name(order_id)
    try:
        return await run_in_threadpool(eraser.of_order, of, named)
    except Unknown as unknown:
        raise HTTPException(404, str(unknown)) from None
