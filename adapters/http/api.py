"""The query API: orders, histories and payments, for holders of a bearer token."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from functools import partial
from time import monotonic
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Query
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response, StreamingResponse
from pydantic import AfterValidator, AwareDatetime, BeforeValidator
from starlette.exceptions import HTTPException

from adapters.access.roles import Caller, Role
from adapters.bounds import in_calendar
from adapters.http.access import NO_ORDER, Door, store_of_list, store_of_order
from adapters.http.problems import RETRY_AFTER_SECONDS
from adapters.queries.exports import FORMATS
from adapters.queries.order_search import BadCursor, OrderFilter, amount_asked
from adapters.queries.past import ChangePage, Clocks, Past
from adapters.queries.payment_search import PaymentFilter
from adapters.queries.queries import (
    PAGE_SIZE_MAX,
    AmbiguousReference,
    HistoryView,
    OrderDetail,
    OrderPage,
    PaymentPage,
    Queries,
)
from adapters.storage.log import PARTITION
from domain.log import Position
from domain.order import OrderStatus
from domain.payment import PaymentStatus
from projections.audit_history import AUDIT_HISTORY
from projections.order_status import ORDER_STATUS

MIN_POSITION_WAIT_SECONDS = 5.0
MIN_POSITION_POLL_SECONDS = 0.02


def _instant(value: object) -> object:
    """An RFC 3339 time as text. An unescaped + of its zone arrives as a space and is mended."""
    if not isinstance(value, str) or not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]", value):
        raise ValueError("not an RFC 3339 time with its zone, such as 2026-01-05T07:30:00Z")
    return re.sub(r" (?=\d\d:\d\d$)", "+", value)


def _position(text: str) -> str:
    if Position.parse(text).partition != PARTITION:
        raise ValueError(f"there is one partition, {PARTITION}")
    return text


def plain(text: str) -> str:
    """The text, if nothing in it is a control character. Raises `ValueError`."""
    if any(character < " " or character == "\x7f" for character in text):
        raise ValueError("no name has control characters")
    return text


RFC_3339 = "an RFC 3339 time with its zone, such as 2026-01-05T07:30:00Z"
Time = Annotated[AwareDatetime, BeforeValidator(_instant), AfterValidator(in_calendar)]
Instant = Annotated[Time, Query(description=RFC_3339)]
AsOf = Annotated[
    Time, Query(description=f"what the ledger had recorded then, that instant included; {RFC_3339}")
]
OccurredBefore = Annotated[
    Time,
    Query(
        description="only what had happened before, by the provider's occurred_at; news without "
        "one had happened when it was received, what a shop or a person decided when it was "
        f"recorded; {RFC_3339}"
    ),
]
AmountAsked = Annotated[
    Decimal,
    BeforeValidator(amount_asked),
    Query(description="in major units, such as 902.10", json_schema_extra={"type": "string"}),
]
Currency = Annotated[str, Query(pattern="^[A-Z]{3}$")]
Text = Annotated[str, Query(min_length=1, max_length=255), AfterValidator(plain)]
Cursor = Annotated[str, Query(min_length=1, max_length=8192)]  # it may hold an id of 255 characters
PositionText = Annotated[str, AfterValidator(_position)]
Limit = Annotated[int, Query(ge=1, le=PAGE_SIZE_MAX)]
MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}
Responses = dict[int | str, dict[str, Any]]
Found = TypeVar("Found")


def query_router(queries: Queries, past: Past, door: Door) -> APIRouter:
    """The routes of the query API, for tokens with the role auditor.

    A caller of one store has it put into every question. An order that is asked for without a
    store is the caller's, or `default`'s.
    """
    auditor = door.require(Role.AUDITOR)
    router = APIRouter(tags=["queries"], responses={status: {} for status in (401, 403, 422, 503)})
    _add_order_list(router, queries, past, auditor)
    _add_order_routes(router, queries, past, auditor)
    _add_changes(router, past, auditor)
    _add_payment_routes(router, queries, auditor)
    return router


def _add_order_list(router: APIRouter, queries: Queries, past: Past, auditor: Any) -> None:
    @router.get("/orders")
    async def list_orders(
        caller: Annotated[Caller, auditor],
        status: OrderStatus | None = None,
        review: Literal["open"] | None = None,
        parked: Literal["true"] | None = None,
        reference: Text | None = None,
        customer: Text | None = None,
        provider: Text | None = None,
        amount: AmountAsked | None = None,
        currency: Currency | None = None,
        since: Annotated[Instant | None, Query(alias="from")] = None,
        until: Annotated[Instant | None, Query(alias="to")] = None,
        sort: Literal["id", "newest"] = "id",
        store: Text | None = None,
        as_of: AsOf | None = None,
        occurred_before: OccurredBefore | None = None,
        after: Cursor | None = None,
        limit: Limit = 100,
    ) -> OrderPage:
        """Orders, by status, open review, one of their references or their own id, customer (the
        provider's name for who buys), provider, amount, the time of their last change (`to`
        excluded), or those whose news waits for somebody to register them (`parked=true`).

        In the order of their ids; with `sort=newest`, and where times are bounded, the last changed
        first.

        With `as_of` or `occurred_before` they are listed as they were, and chosen by what they
        were: in the order of their first events (with `reference` in that of store and id). Such a
        page ends after looking at 2,000 orders: it may hold fewer than `limit`, even none, and its
        `next` goes on.
        """
        wanted = OrderFilter(
            store=store_of_list(caller, store),
            status=status.value if status else None,
            review_open=review == "open",
            parked=parked is not None,
            reference=reference,
            customer=customer,
            provider=provider,
            amount=amount,
            currency=currency,
            since=since,
            until=until,
            newest=sort == "newest",
        )
        if as_of is None and occurred_before is None:
            ask = partial(queries.orders, wanted, after, limit)
        elif wanted.newest:
            raise HTTPException(422, "sort: a list of the past is in the order of first events")
        else:
            ask = partial(past.orders, Clocks(as_of, occurred_before), wanted, after, limit)
        try:
            return await run_in_threadpool(ask)
        except BadCursor as error:
            raise HTTPException(422, str(error)) from None


def _add_changes(router: APIRouter, past: Past, auditor: Any) -> None:
    @router.get("/diff")
    async def list_changes(
        caller: Annotated[Caller, auditor],
        since: Annotated[Instant, Query(alias="from")],
        until: Annotated[Instant, Query(alias="to")],
        store: Text | None = None,
        after: Cursor | None = None,
        limit: Limit = 100,
    ) -> ChangePage:
        """The orders whose status or review was another at `to` than at `from`, with the events
        that made it so.

        Both instants are meant as in `as_of`: what was recorded at `from` itself was known then. An
        order that changed and changed back is not there. A page ends after looking through 10,000
        events: it may hold fewer than `limit`, even none, and its `next` goes on.
        """
        if until < since:
            raise HTTPException(422, "to: it is before from")
        store = store_of_list(caller, store)
        try:
            return await run_in_threadpool(past.changes, since, until, store, after, limit)
        except BadCursor as error:
            raise HTTPException(422, f"after: {error}") from None


def _add_order_routes(router: APIRouter, queries: Queries, past: Past, auditor: Any) -> None:
    not_found: Responses = {404: {}, 409: {}}

    @router.get("/orders/{order_id:path}/history", responses=not_found)
    async def order_history(
        caller: Annotated[Caller, auditor],
        order_id: str,
        store: Text | None = None,
        min_position: PositionText | None = None,
        as_of: AsOf | None = None,
    ) -> HistoryView:
        """Every event of an order, oldest first; with `as_of` those that were recorded by then, and
        no effects."""
        store = store_of_order(caller, store)
        await wait_for(queries, AUDIT_HISTORY.name, min_position)
        found = await find_order(queries, store, order_id, min_position)
        return await history_of(queries, store, found, as_of)

    @router.get("/orders/{order_id:path}", responses=not_found)
    async def show_order(
        caller: Annotated[Caller, auditor],
        order_id: str,
        store: Text | None = None,
        min_position: PositionText | None = None,
        as_of: AsOf | None = None,
        occurred_before: OccurredBefore | None = None,
    ) -> OrderDetail:
        """An order, by its id or a reference that is its alone.

        `min_position` waits until the read model has come that far. With `as_of` or
        `occurred_before` it is shown as it was; 404 where nothing was known of it, or had happened.
        """
        store = store_of_order(caller, store)
        found = await find_order(queries, store, order_id, min_position)
        if as_of is None and occurred_before is None:
            # By the name once more: the id may come from a generation that is live no more.
            with _ambiguity_told():
                return _found(await run_in_threadpool(queries.order, store, order_id))
        clocks = Clocks(as_of, occurred_before)
        told = await run_in_threadpool(past.order, store, found, clocks)
        if told is None and found != order_id:  # its news was moved to that order later
            told = await run_in_threadpool(past.order, store, order_id, clocks)
        return _found(told)


def _add_payment_routes(router: APIRouter, queries: Queries, auditor: Any) -> None:
    streams: Responses = {200: {"content": {"text/csv": {}, "application/jsonl": {}}}}

    @router.get("/payments", response_model=PaymentPage, responses=streams)
    async def list_payments(
        caller: Annotated[Caller, auditor],
        since: Annotated[Instant | None, Query(alias="from")] = None,
        until: Annotated[Instant | None, Query(alias="to")] = None,
        status: PaymentStatus | None = None,
        provider: Text | None = None,
        order_id: Text | None = None,
        store: Text | None = None,
        as_of: AsOf | None = None,
        occurred_before: OccurredBefore | None = None,
        after: Cursor | None = None,
        limit: Limit | None = None,
        form: Annotated[Literal["json", "csv", "jsonl"], Query(alias="format")] = "json",
    ) -> PaymentPage | Response:
        """Payment news in the order of the log, by the time of recording (`to` excluded).

        JSON comes in pages of `limit` (100 unless said); CSV and JSON lines stream all there is.
        """
        wanted = PaymentFilter(
            since=since,
            until=until,
            status=status.value if status else None,
            provider=provider,
            order_id=order_id,
            store=store_of_list(caller, store),
            as_of=as_of,
            occurred_before=occurred_before,
        )
        await require_an_id(queries, wanted.store, order_id)
        try:
            if form == "json":
                return await run_in_threadpool(queries.payments, wanted, after, limit or 100)
            if after is not None:
                _position(after)
        except ValueError as error:
            raise HTTPException(422, f"after: {error}") from None
        events = queries.stream_payments(wanted, after, limit)
        return StreamingResponse(FORMATS[form](events), media_type=MEDIA_TYPES[form])


async def find_order(
    queries: Queries, store: str, name: str, min_position: str | None = None
) -> str:
    """The id of the order that has this id, or this reference alone; else 404 or 409."""
    await wait_for(queries, ORDER_STATUS.name, min_position)
    with _ambiguity_told():
        found = await run_in_threadpool(queries.find, store, name)
        if found is None:  # it may be in the log already: say no only when the read model is there
            await wait_for(queries, ORDER_STATUS.name, await run_in_threadpool(queries.head))
            found = await run_in_threadpool(queries.find, store, name)
    return _found(found)


@contextmanager
def _ambiguity_told() -> Iterator[None]:
    try:
        yield
    except AmbiguousReference:
        detail = "several orders carry this reference; list them with GET /orders?reference="
        raise HTTPException(409, detail) from None


async def require_an_id(queries: Queries, store: str | None, order_id: str | None) -> None:
    """422, which names the id, where a list of one order's is asked for by a reference."""
    if order_id is None:
        return
    told = await run_in_threadpool(queries.named_otherwise, store, order_id)
    if told is not None:
        raise HTTPException(422, f"order_id: {told}")


async def history_of(
    queries: Queries, store: str, order_id: str, as_of: datetime | None = None
) -> HistoryView:
    """Every event of an order that is there; else 404."""
    history = await run_in_threadpool(queries.history, store, order_id, as_of)
    if history is None:  # the order's row came first
        await wait_for(queries, AUDIT_HISTORY.name, await run_in_threadpool(queries.head))
        history = await run_in_threadpool(queries.history, store, order_id, as_of)
    return _found(history)


async def wait_for(queries: Queries, projection: str, min_position: str | None) -> None:
    """Wait until a read model has come to a position; else 503."""
    if min_position is None:
        return
    wanted = Position.parse(min_position)
    deadline = monotonic() + MIN_POSITION_WAIT_SECONDS
    while True:
        reached = await run_in_threadpool(queries.checkpoint, projection)
        if reached is not None and reached >= wanted:
            return
        if monotonic() >= deadline:
            detail = f"{projection} has not reached {min_position} yet"
            raise HTTPException(503, detail, {"Retry-After": RETRY_AFTER_SECONDS})
        await asyncio.sleep(MIN_POSITION_POLL_SECONDS)


def _found(value: Found | None) -> Found:
    if value is None:
        raise HTTPException(404, NO_ORDER)
    return value
