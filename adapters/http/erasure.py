"""POST /orders/{id}/erase: what names a person is made unreadable, and every fact stays."""

from typing import Annotated

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from adapters.access.roles import Caller, Role
from adapters.erasing import Eraser, ErasureAnswer, answer_of
from adapters.group_commit import GroupCommit
from adapters.http.access import NO_ORDER, Door, store_of_order
from adapters.http.commands import Store, order_name, submit
from adapters.registering import Text
from adapters.service import Service
from domain.log import stream_of
from domain.registration import Unknown


class Reason(BaseModel):
    """Why an order is erased. It is kept for ever, so it names nobody."""

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
    ) -> ErasureAnswer:
        """Erase personal data of an order: the key of its bodies and private fields is destroyed,
        and so are those of deliveries that were set aside and name it.

        Facts, hashes and proofs stay. It cannot be undone. Erased before, it is `unchanged`, and
        what is left to do is done. It is an event of the order with the caller's name and the
        reason, and lines of the operators' log.
        """
        return await erase(eraser, queue, caller, store, order_id, reason)

    return router


async def erase(
    eraser: Eraser,
    queue: GroupCommit,
    caller: Caller,
    store: str | None,
    order_id: str,
    reason: Reason,
) -> ErasureAnswer:
    """Erase personal data of an order; 404, 409 or 503 where that cannot be."""
    of, named = store_of_order(caller, store), order_name(order_id)
    try:
        plan = await run_in_threadpool(eraser.of_order, of, named)
    except Unknown:
        raise HTTPException(404, NO_ORDER) from None
    what = stream_of(of, named)
    await run_in_threadpool(eraser.sweep, caller, plan, what, reason.reason)
    for erasure in plan.erasures(caller.who, reason.reason):
        await submit(queue, erasure)
    return answer_of([plan], await run_in_threadpool(eraser.finish, [plan]))
