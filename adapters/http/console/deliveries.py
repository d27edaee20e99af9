"""What came in: the delivery log, what was set aside of it, and what was not let in at all."""

from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from adapters.access.roles import Role
from adapters.deliveries.views import (
    Settled,
    delivery_page,
    kept_refusals,
    refusal_page,
)
from adapters.http.console.asking import (
    ERASE_WORD,
    PAGE_SIZE,
    SURE,
    Instant,
    Name,
    NotBefore,
    Row,
    RowsAsked,
    asked,
)
from adapters.http.console.context import Console, Submission, Visit
from adapters.http.console.rendering import Pages, url_of
from adapters.http.deliveries import DeliveryId, find, wanted_of
from adapters.http.quarantine import quarantine_list, set_aside
from adapters.ledger.registering import plain
from domain.payment import Outcome

REASON_MAX = 255


class DeliveriesAsked(BaseModel):
    """What the search form of the delivery log asks."""

    outcome: Outcome | None = None
    provider: Name | None = None
    order_id: Name | None = None
    store: Name | None = None
    since: Annotated[Instant | None, Field(alias="from")] = None
    until: Annotated[Instant | None, Field(alias="to"), NotBefore] = None
    after: Row | None = None


class QuarantineAsked(BaseModel):
    """What the search form of the quarantine asks."""

    provider: Name | None = None
    store: Name | None = None
    settled_too: bool = False
    after: Row | None = None


def delivery_router(console: Console, pages: Pages) -> APIRouter:
    """The routes of the delivery log."""
    router = APIRouter()
    service, log = console.service, console.service.ledger.event_log
    auditor = console.require(Role.AUDITOR)

    @router.get("/deliveries")
    def deliveries(visit: Annotated[Visit, auditor]) -> Response:
        told, problem = asked(DeliveriesAsked, visit.request)
        wanted = wanted_of(
            service,
            visit.caller,
            told.provider,
            told.order_id,
            told.store,
            told.since,
            told.until,
        )
        outcomes = [told.outcome] if told.outcome else list(Outcome)
        rows = log.deliveries(outcomes, told.after, PAGE_SIZE + 1, wanted)
        return pages.show(
            visit,
            "deliveries.html",
            422 if problem else 200,
            page=delivery_page(rows, PAGE_SIZE, service.bodies),
            outcomes=[each.value for each in Outcome],
            providers=console.providers(visit),
            fields=visit.request.query_params,
            problem=problem,
        )

    @router.get("/deliveries/{delivery_id}")
    async def delivery(
        visit: Annotated[Visit, auditor], delivery_id: DeliveryId, body: bool = False
    ) -> Response:
        shown = await find(service, visit.caller, delivery_id, body)
        return pages.show(visit, "delivery.html", delivery=shown, with_body=body)

    @router.get("/refusals")
    def refusals(visit: Annotated[Visit, auditor]) -> Response:
        told, _ = asked(RowsAsked, visit.request)
        of = service.of_store(visit.caller.store)
        only = None if of.store is None else of.providers
        kept = [k for k in service.refusals.kept() if only is None or k.provider in only]
        page = refusal_page(service.refusals.page(told.after, PAGE_SIZE + 1, only), PAGE_SIZE)
        return pages.show(visit, "refusals.html", page=page, kept=kept_refusals(kept).items)

    return router


def quarantine_router(console: Console, pages: Pages) -> APIRouter:
    """The routes of the quarantine: auditors look, operators settle."""
    router = APIRouter()
    service = console.service
    auditor = console.require(Role.AUDITOR)

    @router.get("/quarantine")
    def quarantine(visit: Annotated[Visit, auditor]) -> Response:
        told, problem = asked(QuarantineAsked, visit.request)
        page = quarantine_list(service, visit.caller, limit=PAGE_SIZE, **told.model_dump())
        return pages.show(
            visit,
            "quarantine.html",
            422 if problem else 200,
            page=page,
            providers=console.providers(visit),
            fields=visit.request.query_params,
            problem=problem,
        )

    @router.get("/quarantine/{delivery_id}")
    async def one(
        visit: Annotated[Visit, auditor], delivery_id: DeliveryId, body: bool = False
    ) -> Response:
        shown = await set_aside(service, visit.caller, delivery_id, with_body=body)
        return pages.show(
            visit, "set_aside.html", delivery=shown, with_body=body, erase_word=ERASE_WORD
        )

    _add_settling(router, console, pages)
    _add_erasing(router, console, pages)
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


def _add_erasing(router: APIRouter, console: Console, pages: Pages) -> None:
    operator = console.act(Role.OPERATOR)

    @router.post("/quarantine/{delivery_id}/erase")
    async def erase(form: Annotated[Submission, operator], delivery_id: DeliveryId) -> Response:
        there, reason = url_of(f"/quarantine/{delivery_id}"), reason_of(form)
        if reason is None:
            return pages.lead_to(form, there, REASON_WANTED, is_problem=True)
        if form.field("sure") != ERASE_WORD:
            return pages.lead_to(form, there, f"Nothing was erased: {SURE}", is_problem=True)
        try:
            done = await console.settling.erase(form.caller, delivery_id, reason)
        except HTTPException as error:
            if error.status_code != 409:
                raise
            return pages.lead_to(form, there, error.detail, is_problem=True)
        said = "Erased: nobody can read what was sent any more. What the delivery log says stays."
        said += f" Left to do: {done.left_to_do}" if done.left_to_do else ""
        return pages.lead_to(form, there, said, is_problem=done.left_to_do is not None)


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
