"""GET /totals: what came in and went back, by day, provider, currency and status."""

from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from fastapi.concurrency import run_in_threadpool

from adapters.access.roles import Caller, Role
from adapters.http.access import Door, store_of_list
from adapters.http.api import MEDIA_TYPES, Text
from adapters.queries.totals import TotalList, csv_lines, totals
from adapters.storage.views import Views


def totals_router(views: Views, door: Door) -> APIRouter:
    """The route of the totals, for auditors."""
    router = APIRouter(tags=["queries"], responses={s: {} for s in (401, 403, 422, 503)})

    @router.get("/totals", response_model=TotalList, responses={200: {"content": {"text/csv": {}}}})
    async def list_totals(
        caller: Annotated[Caller, door.require(Role.AUDITOR)],
        since: Annotated[date | None, Query(alias="from")] = None,
        until: Annotated[date | None, Query(alias="to")] = None,
        store: Text | None = None,
        form: Annotated[Literal["json", "csv"], Query(alias="format")] = "json",
    ) -> TotalList | Response:
        """Each payment once, with its latest status and amount, on the day (UTC) on which that was
        recorded; an order whose payments nobody named counts once, when it is delivered. `to` is
        excluded."""
        asked = store_of_list(caller, store)
        found = await run_in_threadpool(totals, views, since, until, asked)
        if form == "json":
            return found
        return Response("".join(csv_lines(found)), media_type=MEDIA_TYPES["csv"])

    return router
