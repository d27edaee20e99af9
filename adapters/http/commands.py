"""What shops and operators tell the ledger: to register an order, to resolve its review."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import AfterValidator
from starlette.exceptions import HTTPException

from adapters.access.roles import Caller, Role
from adapters.http.access import NO_ORDER, Door, store_of_order
from adapters.http.problems import RETRY_AFTER_SECONDS
from adapters.ledger.batch import Command, Receipt
from adapters.ledger.group_commit import GroupCommit, Overloaded
from adapters.ledger.registering import NAME_MAX, VERDICTS, CommandAnswer, Decision, Terms, plain
from adapters.service import Service
from adapters.storage.access import Operation
from domain.registration import Refused, Resolution, Unknown

Store = Annotated[
    str | None, Query(min_length=1, max_length=63, pattern="^[^/]+$"), AfterValidator(plain)
]
Responses = dict[int | str, dict[str, Any]]


def command_router(service: Service, queue: GroupCommit, door: Door) -> APIRouter:
    """The routes by which orders are registered and reviews are resolved."""
    problems: Responses = {status: {} for status in (401, 403, 404, 409, 422, 503)}
    router = APIRouter(responses=problems)

    @router.put("/orders/{order_id:path}", tags=["orders"], responses={201: {}})
    async def register_order(
        caller: Annotated[Caller, door.require(Role.STORE)],
        order_id: str,
        terms: Terms,
        response: Response,
        store: Store = None,
    ) -> CommandAnswer:
        """Register an order: what is to be paid for it, and the names that it goes by.

        A PAID then delivers it only if amount and currency match. The same again changes nothing;
        another amount, currency or other references do, before any news of a payment came, and are
        409 after. News that waited for the order is decided at once. 201 where it is new.
        """
        tolerance = service.settings.amount_tolerance
        named = order_name(order_id)
        placement = terms.placement(store_of_order(caller, store), named, tolerance, caller.who)
        receipt = await submit(queue, placement)
        if receipt.is_first:
            response.status_code = 201
        return CommandAnswer.of(receipt)

    @router.post("/orders/{order_id:path}/review", tags=["operators"])
    async def resolve_review(
        caller: Annotated[Caller, door.require(Role.OPERATOR)],
        order_id: str,
        decision: Decision,
        store: Store = None,
    ) -> CommandAnswer:
        """Close the open review of an order. Accepting one that holds a PAID delivers the order.

        `version` is the order's that the operator looked at; 409 where the order has moved on.
        It is an event with the caller's name and the reason, and a line of the operators' log.
        """
        return await resolve(service, queue, caller, store, order_id, decision)

    return router


async def resolve(
    service: Service,
    queue: GroupCommit,
    caller: Caller,
    store: str | None,
    order_id: str,
    decision: Decision,
) -> CommandAnswer:
    """Close the open review of an order, and log who did; 404, 409 or 503 where that cannot be."""
    resolution = Resolution(
        store=store_of_order(caller, store),
        order_id=order_name(order_id),
        version=decision.version,
        verdict=VERDICTS[decision.decision],
        by=caller.who,
        reason=decision.reason,
    )
    try:
        receipt = await submit(queue, resolution)
    except HTTPException as refused:
        if refused.status_code != 404:
            raise
        named = resolution.store, resolution.order_id
        told = await run_in_threadpool(service.queries.named_otherwise, *named)
        raise HTTPException(404, told or refused.detail) from None
    what = f"{resolution.store}/{resolution.order_id}"
    done = Operation.by(caller, f"review {decision.decision}", what, decision.reason)
    await run_in_threadpool(service.operators.append, done)
    return CommandAnswer.of(receipt)


def order_name(order_id: str) -> str:
    """The id of an order, as a path names it; else 422."""
    try:
        if 1 <= len(order_id) <= NAME_MAX:
            return plain(order_id)
    except ValueError:
        pass
    raise HTTPException(422, f"an order's id has 1 to {NAME_MAX} characters, none of control")


async def submit(queue: GroupCommit, command: Command) -> Receipt:
    """Wait until a command is on disk; 404, 409 or 503 where it is not."""
    try:
        return await queue.submit(command)
    except Unknown:
        raise HTTPException(404, NO_ORDER) from None
    except Refused as refused:
        raise HTTPException(409, str(refused)) from None
    except Overloaded:
        detail = "too many deliveries at once; try again"
        raise HTTPException(503, detail, {"Retry-After": RETRY_AFTER_SECONDS}) from None
