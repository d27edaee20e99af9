"""What came in: the delivery log, what was set aside of it, and what was not let in at all."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime, BeforeValidator
from starlette.exceptions import HTTPException

from adapters.access.roles import Role
from adapters.delivery_views import (
    Settled,
    delivery_page,
    kept_refusals,
    refusal_page,
    whole_delivery,
)
from adapters.http.console.context import Blank, Console, NoBlank, Submission, Visit
from adapters.http.console.rendering import Pages, url_of
from adapters.http.deliveries import DeliveryId, find, wanted_of
from adapters.http.operators import ID_MAX
from adapters.http.quarantine import quarantine_list, set_aside
from adapters.registering import plain
from domain.payment import Outcome

PAGE_SIZE = 50
REASON_MAX = 255


def _in_utc(value: object) -> object:
    """What a form's field for a day and a time holds, which names no zone, is UTC."""
    if value == "":
        return None
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?", value):
        return f"{value}Z"
    return value


Instant = Annotated[AwareDatetime | None, BeforeValidator(_in_utc)]
After = Annotated[int | None, NoBlank, Query(ge=1, le=ID_MAX)]
Outcomes = Annotated[Outcome | None, NoBlank]


def delivery_router(console: Console, pages: Pages) -> APIRouter:
    """The routes of the delivery log."""
    router = APIRouter()
    service, log = console.service, console.service.ledger.event_log
    auditor = console.require(Role.AUDITOR)

    @router.get("/deliveries")
    def deliveries(
        visit: Annotated[Visit, auditor],
        outcome: Outcomes = None,
        provider: Blank = None,
        order_id: Blank = None,
        store: Blank = None,
        since: Annotated[Instant, Query(alias="from")] = None,
        until: Annotated[Instant, Query(alias="to")] = None,
        after: After = None,
    ) -> Response:
        wanted = wanted_of(service, visit.caller, provider, order_id, store, since, until)
        outcomes = [outcome] if outcome else list(Outcome)
        rows = log.deliveries(outcomes, after, PAGE_SIZE + 1, wanted)
        return pages.show(
            visit,
            "deliveries.html",
            page=delivery_page(rows, PAGE_SIZE),
            outcomes=[each.value for each in Outcome],
            providers=_providers(console, visit),
            asked=visit.request.query_params,
        )

    @router.get("/deliveries/{delivery_id}")
    async def delivery(
        visit: Annotated[Visit, auditor], delivery_id: DeliveryId, body: bool = False
    ) -> Response:
        row, kept = await find(service, visit.caller, delivery_id, body)
        shown = whole_delivery(row, kept)
        return pages.show(visit, "delivery.html", delivery=shown, with_body=body)

    @router.get("/refusals")
    def refusals(visit: Annotated[Visit, auditor], after: After = None) -> Response:
        of = service.of_store(visit.caller.store)
        only = None if of.store is None else of.providers
        kept = [k for k in service.refusals.kept() if only is None or k.provider in only]
        page = refusal_page(service.refusals.page(after, PAGE_SIZE + 1, only), PAGE_SIZE)
        return pages.show(visit, "refusals.html", page=page, kept=kept_refusals(kept).items)

    return router


def quarantine_router(console: Console, pages: Pages) -> APIRouter:
    """The routes of the quarantine: auditors look, operators settle."""
    router = APIRouter()
    service = console.service
    auditor = console.require(Role.AUDITOR)

    @router.get("/quarantine")
    def quarantine(
        visit: Annotated[Visit, auditor],
        provider: Blank = None,
        store: Blank = None,
        settled_too: Annotated[bool | None, NoBlank] = None,
        after: After = None,
    ) -> Response:
        page = quarantine_list(
            service,
            visit.caller,
            provider=provider,
            store=store,
            settled_too=bool(settled_too),
            after=after,
            limit=PAGE_SIZE,
        )
        return pages.show(
            visit,
            "quarantine.html",
            page=page,
            providers=_providers(console, visit),
            asked=visit.request.query_params,
        )

    @router.get("/quarantine/{delivery_id}")
    async def one(
        visit: Annotated[Visit, auditor], delivery_id: DeliveryId, body: bool = False
    ) -> Response:
        shown = await set_aside(service, visit.caller, delivery_id, with_body=body)
        return pages.show(visit, "set_aside.html", delivery=shown, with_body=body)

    _add_settling(router, console, pages)
    return router


def _add_settling(router: APIRouter, console: Console, pages: Pages) -> None:
    operator = console.act(Role.OPERATOR)

    @router.post("/quarantine/{delivery_id}/replay")
    async def replay(form: Annotated[Submission, operator], delivery_id: DeliveryId) -> Response:
        return await settle(form, delivery_id, console.settling.replay(form.caller, delivery_id))

    @router.post("/quarantine/{delivery_id}/discard")
    async def discard(form: Annotated[Submission, operator], delivery_id: DeliveryId) -> Response:
        reason = reason_of(form)
        if reason is None:
            there = url_of(f"/quarantine/{delivery_id}")
            return pages.lead_to(form, there, REASON_WANTED, is_problem=True)
        work = console.settling.discard(form.caller, delivery_id, reason)
        return await settle(form, delivery_id, work)

    async def settle(form: Submission, delivery_id: int, work: Any) -> Response:
        there = url_of(f"/quarantine/{delivery_id}")
        try:
            done = await work
        except HTTPException as error:
            if error.status_code != 409:
                raise
            return pages.lead_to(form, there, error.detail, is_problem=True)
        is_open = done.outcome in (Outcome.QUARANTINED, Outcome.IGNORED)
        return pages.lead_to(form, there, _in_words(done), is_problem=is_open)


REASON_WANTED = f"A reason is wanted, of up to {REASON_MAX} characters."


def reason_of(form: Submission) -> str | None:
    """The reason that a form gives; None where it gives none that can be kept."""
    reason = form.field("reason")
    try:
        return plain(reason) if 1 <= len(reason) <= REASON_MAX else None
    except ValueError:
        return None


def _in_words(done: Settled) -> str:
    told = f"Delivery {done.delivery_id}: {done.outcome}"
    if done.order_id is not None:
        told += f"; order {done.order_id} is {done.order_status}"
    return f"{told}. {done.reason}" if done.reason else f"{told}."


def _providers(console: Console, visit: Visit) -> list[str]:
    """The configured providers that somebody may ask for."""
    tables = console.service.settings.providers.items()
    return sorted(n for n, table in tables if visit.caller.store in (None, table.store))
