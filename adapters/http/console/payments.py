"""Payments: the news of them as providers told it, the newest first, and as CSV."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from adapters.access.roles import Role
from adapters.http.access import store_of_list
from adapters.http.api import MEDIA_TYPES
from adapters.http.console.asking import (
    PAGE_SIZE,
    After,
    Day,
    Name,
    NotBefore,
    after_midnight,
    asked,
    asked_or_refused,
    midnight,
)
from adapters.http.console.context import Console, Visit
from adapters.http.console.orders import STALE_CURSOR
from adapters.http.console.rendering import HEADERS, Pages, changed
from adapters.http.console.timeline import KINDS
from adapters.queries.exports import csv_lines
from adapters.queries.order_search import BadCursor
from adapters.queries.payment_search import PaymentFilter
from domain.payment import PaymentStatus


class PaymentsAsked(BaseModel):
    """What the search form of the payments asks."""

    order_id: Name | None = None
    status: PaymentStatus | None = None
    provider: Name | None = None
    since: Annotated[Day | None, Field(alias="from")] = None
    until: Annotated[Day | None, Field(alias="to"), NotBefore] = None
    store: Name | None = None
    after: After | None = None

    def wanted(self, visit: Visit, *, newest: bool) -> PaymentFilter:
        """The payment news that this visitor asks for."""
        return PaymentFilter(
            store=store_of_list(visit.caller, self.store),
            status=self.status.value if self.status else None,
            provider=self.provider,
            order_id=self.order_id,
            since=midnight(self.since) if self.since else None,
            until=after_midnight(self.until) if self.until else None,
            newest=newest,
        )


def payments_router(console: Console, pages: Pages) -> APIRouter:
    """The routes of the payments."""
    router = APIRouter()
    queries = console.service.queries
    auditor = console.require(Role.AUDITOR)

    @router.get("/payments")
    def list_payments(request: Request, visit: Annotated[Visit, auditor]) -> Response:
        told, problem = asked(PaymentsAsked, request)
        wanted = told.wanted(visit, newest=True)
        try:
            page = queries.payments(wanted, told.after, PAGE_SIZE)
        except BadCursor:
            page, problem = queries.payments(wanted, None, PAGE_SIZE), STALE_CURSOR
        return pages.show(
            visit,
            "payments.html",
            422 if problem else 200,
            page=page,
            problem=problem,
            fields=request.query_params,
            statuses=list(PaymentStatus),
            providers=console.providers(visit),
            kinds=KINDS,
            csv=changed(request, "/payments.csv", after=None),
        )

    @router.get("/payments.csv")
    async def payments_as_csv(request: Request, visit: Annotated[Visit, auditor]) -> Response:
        told = asked_or_refused(PaymentsAsked, request)
        wanted = told.wanted(visit, newest=False)
        events = await run_in_threadpool(queries.stream_payments, wanted, None, None)
        headers = {**HEADERS, "Content-Disposition": 'attachment; filename="payments.csv"'}
        return StreamingResponse(csv_lines(events), media_type=MEDIA_TYPES["csv"], headers=headers)

    return router
