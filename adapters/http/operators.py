"""GET /operator-log: who used an operator's right, on what, and why."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.concurrency import run_in_threadpool

from adapters.access.roles import Caller, Role
from adapters.access.views import OperationPage, operation_page
from adapters.bounds import ID_MAX
from adapters.http.access import Door
from adapters.queries.queries import PAGE_SIZE_MAX
from adapters.storage.access import OperatorLog


def operator_router(operators: OperatorLog, door: Door) -> APIRouter:
    """The route of the operators' log, for auditors of every store."""
    router = APIRouter(tags=["operators"], responses={s: {} for s in (401, 403, 422, 503)})

    @router.get("/operator-log")
    async def list_operations(
        _: Annotated[Caller, door.require_every_store(Role.AUDITOR)],
        after: Annotated[int | None, Query(ge=1, le=ID_MAX)] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_SIZE_MAX)] = 100,
    ) -> OperationPage:
        """Every use of an operator's right, newest first."""
        rows = await run_in_threadpool(operators.page, after, limit + 1)
        return operation_page(rows, limit)

    return router
