"""Orders: searched, listed, and taken elsewhere as CSV."""

from decimal import Decimal
from typing import Annotated, Literal

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, StreamingResponse
from pydantic import BaseModel, BeforeValidator, Field

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
from adapters.http.console.rendering import HEADERS, Pages, changed, url_of
from adapters.queries.exports import csv_of
from adapters.queries.order_search import BadCursor, OrderFilter, amount_asked
from adapters.queries.queries import OrderPage, OrderView
from domain.order import OrderStatus

KINDS = {
    OrderStatus.DELIVERED: "good",
    OrderStatus.AWAITING_PAYMENT: "wait",
    OrderStatus.PAYMENT_FAILED: "bad",
}
STALE_CURSOR = "The list cannot go on from there; here is its beginning."


class OrdersAsked(BaseModel):
    """What the search form of the orders asks."""

    name: Name | None = None
    status: OrderStatus | None = None
    needs: Literal["review", "registration"] | None = None
    provider: Name | None = None
    amount: Annotated[Decimal, BeforeValidator(amount_asked)] | None = None
    since: Annotated[Day | None, Field(alias="from")] = None
    until: Annotated[Day | None, Field(alias="to"), NotBefore] = None
    store: Name | None = None
    after: After | None = None

    def wanted(self, visit: Visit) -> OrderFilter:
        """The orders that this visitor asks for."""
        return OrderFilter(
            store=store_of_list(visit.caller, self.store),
            status=self.status.value if self.status else None,
            review_open=self.needs == "review",
            parked=self.needs == "registration",
            reference=self.name,
            provider=self.provider,
            amount=self.amount,
            since=midnight(self.since) if self.since else None,
            until=after_midnight(self.until) if self.until else None,
            newest=True,
        )


def orders_router(console: Console, pages: Pages) -> APIRouter:
    """The routes of the orders' list."""
    router = APIRouter()
    queries = console.service.queries
    auditor = console.require(Role.AUDITOR)

    def find(visit: Visit, told: OrdersAsked) -> tuple[OrderPage, str]:
        wanted = told.wanted(visit)
        try:
            return queries.orders(wanted, told.after, PAGE_SIZE), ""
        except BadCursor:
            return queries.orders(wanted, None, PAGE_SIZE), STALE_CURSOR

    @router.get("/orders")
    def list_orders(request: Request, visit: Annotated[Visit, auditor]) -> Response:
        told, problem = asked(OrdersAsked, request)
        page, fault = find(visit, told)
        only = told.model_dump(exclude_defaults=True).keys() == {"name"}
        if only and len(page.items) == 1:  # whoever names an order wants to see it
            return RedirectResponse(order_url(page.items[0]), 303, HEADERS)
        return pages.show(
            visit,
            "orders.html",
            422 if problem else 200,
            page=page,
            problem=problem or fault,
            fields=request.query_params,
            goes_on=page.next is not None and len(page.items) < PAGE_SIZE,
            is_search=bool(told.model_dump(exclude_defaults=True, exclude={"after"})),
            statuses=list(OrderStatus),
            providers=console.providers(visit),
            kinds=KINDS,
            csv=changed(request, "/orders.csv", after=None),
        )

    @router.get("/orders.csv")
    async def orders_as_csv(request: Request, visit: Annotated[Visit, auditor]) -> Response:
        told = asked_or_refused(OrdersAsked, request)
        orders = await run_in_threadpool(queries.stream_orders, told.wanted(visit))
        headers = {**HEADERS, "Content-Disposition": 'attachment; filename="orders.csv"'}
        return StreamingResponse(
            csv_of(OrderView, orders), media_type=MEDIA_TYPES["csv"], headers=headers
        )

    return router


def order_url(order: OrderView) -> str:
    """The address of an order's page."""
    return url_of("/order", id=order.order_id, store=order.store)
