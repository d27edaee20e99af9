"""One order: where it stands, how it came there, what proves it, and what can be done about it."""

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from adapters.access.roles import Role
from adapters.deliveries.views import delivery_view
from adapters.erasure.erasing import Eraser, ErasureAnswer
from adapters.http.access import store_of_order
from adapters.http.api import find_order, history_of, wait_for
from adapters.http.commands import resolve
from adapters.http.console.asking import ERASE_WORD, SURE, Instant, Name, asked
from adapters.http.console.context import Console, Submission, Visit
from adapters.http.console.diagram import machine
from adapters.http.console.orders import KINDS
from adapters.http.console.rendering import HEADERS, Pages, url_of
from adapters.http.console.timeline import REASONS, steps_of
from adapters.http.erasure import Reason, erase, preview
from adapters.http.evidence import bundle_of
from adapters.ledger.registering import Decision
from adapters.queries.past import Clocks
from adapters.queries.queries import HistoryView, OrderView, Queries
from adapters.service import Service
from adapters.storage.evidence import KeptCheckpoint
from adapters.storage.order_deliveries import deliveries_of
from adapters.wrong_input import said
from domain.log import Position, stream_of
from domain.order import Disposition, OrderStatus
from domain.payment import PaymentStatus
from projections.audit_history import AUDIT_HISTORY
from projections.order_status import ORDER_STATUS

STEPS_MAX = 500
FILE_NAME_MAX = 100
VERDICTS = {"accept": "accepted", "reject": "rejected"}
NAMED_MAX = 20  # deliveries, in a sentence


class OrderAsked(BaseModel):
    """Which order is asked for, and as it was known when."""

    id: Name | None = None
    store: Name | None = None
    as_of: Instant | None = None


@dataclass(frozen=True)
class Proof:
    """How far an order's events are sealed: the checkpoint that holds the last of them, or None,
    and how many are not sealed yet."""

    checkpoint: KeptCheckpoint | None
    unsealed: int


def order_router(console: Console, pages: Pages) -> APIRouter:
    """The routes of one order's page."""
    router = APIRouter()
    service, queries = console.service, console.service.queries
    auditor = console.require(Role.AUDITOR)

    @router.get("/order")
    async def show_order(request: Request, visit: Annotated[Visit, auditor]) -> Response:
        told, problem = asked(OrderAsked, request)
        if told.id is None:
            raise HTTPException(404, "which order? The address has no id")
        store = store_of_order(visit.caller, told.store)
        found = await find_order(queries, store, told.id)
        history = await history_of(queries, store, found)
        return await run_in_threadpool(_page, service, pages, visit, history, told.as_of, problem)

    @router.get("/bundle")
    async def bundle(request: Request, visit: Annotated[Visit, auditor]) -> Response:
        told, _ = asked(OrderAsked, request)
        made = await bundle_of(service, store_of_order(visit.caller, told.store), told.id or "")
        name = f'attachment; filename="{_file_name(made.order_id)}"'
        headers = {**HEADERS, "Content-Disposition": name}
        text = json.dumps(made.model_dump(mode="json"), indent=1)
        return Response(text, media_type="application/json", headers=headers)

    _add_review(router, console, pages)
    _add_erasure(router, console, pages)
    return router


def _add_review(router: APIRouter, console: Console, pages: Pages) -> None:
    @router.post("/order/review")
    async def review(form: Annotated[Submission, console.act(Role.OPERATOR)]) -> Response:
        order_id, store = form.field("id"), form.field("store") or None
        there = url_of("/order", id=order_id, store=store)
        told = {name: form.field(name) for name in ("decision", "reason", "version")}
        try:
            decision = Decision.model_validate(told)
        except ValidationError as error:
            said = f"{error.errors()[0]['loc'][0]}: {_fault(error)}"
            return pages.lead_to(form, there, said, is_problem=True)
        try:
            answer = await resolve(
                console.service, console.queue, form.caller, store, order_id, decision
            )
        except HTTPException as error:
            if error.status_code != 409:
                raise
            return pages.lead_to(form, there, error.detail, is_problem=True)
        await _settled(console.service.queries, answer.position)
        said = f"The review is {VERDICTS[decision.decision]}; the order is {answer.order_status}."
        return pages.lead_to(form, there, said)


def _add_erasure(router: APIRouter, console: Console, pages: Pages) -> None:
    eraser = Eraser(console.service)

    @router.post("/order/erase")
    async def erase_order(form: Annotated[Submission, console.act(Role.OPERATOR)]) -> Response:
        order_id, store = form.field("id"), form.field("store") or None
        there = url_of("/order", id=order_id, store=store)
        if form.field("look"):
            seen = await preview(eraser, form.caller, store, order_id)
            return pages.lead_to(form, there, f"Nothing was erased yet.{_named(seen)}")
        if form.field("sure") != ERASE_WORD:
            return pages.lead_to(form, there, f"Nothing was erased: {SURE}", is_problem=True)
        try:
            reason = Reason(reason=form.field("reason"))
        except ValidationError as error:
            return pages.lead_to(form, there, f"reason: {_fault(error)}", is_problem=True)
        try:
            done = await erase(eraser, console.queue, form.caller, store, order_id, reason)
        except HTTPException as error:
            if error.status_code != 409:
                raise
            return pages.lead_to(form, there, error.detail, is_problem=True)
        head = await run_in_threadpool(console.service.queries.head)
        await _settled(console.service.queries, head)
        return pages.lead_to(form, there, _erased(done), is_problem=done.left_to_do is not None)


def _erased(done: ErasureAnswer) -> str:
    said = "Erased: nobody can read what was told of a person any more. Facts and proofs stay."
    others = len(done.orders) - 1
    if others:
        said += f" Orders that share its news, erased with it: {others}."
    said += _named(done)
    return f"{said} Left to do: {done.left_to_do}" if done.left_to_do else said


def _named(answer: ErasureAnswer) -> str:
    """The deliveries outside of an order that its erasure takes in, and those that it does not."""
    kinds = (
        ("Deliveries that were set aside and become unreadable with it", answer.deliveries),
        ("Look at these deliveries, which may name it and stay", answer.look_at),
        ("And at these refused ones", answer.look_at_refused),
    )
    said = "".join(f" {kind}: {_numbers(numbers)}." for kind, numbers in kinds if numbers)
    if answer.look_at:
        said += " Those of the first list that are this person's are erased on their own pages."
    if answer.refused_deliveries:
        said += f" Refused deliveries that are deleted with it: {answer.refused_deliveries}."
    return said or " No delivery outside of it names it."


def _numbers(numbers: list[int]) -> str:
    more = f" and {len(numbers) - NAMED_MAX} more" if len(numbers) > NAMED_MAX else ""
    return ", ".join(map(str, numbers[:NAMED_MAX])) + more


def _file_name(order_id: str) -> str:
    """A name for an order's bundle that every system takes as a file's, and that HTTP may quote."""
    return f"bundle-{re.sub('[^A-Za-z0-9._-]+', '_', order_id)[:FILE_NAME_MAX]}.json"


def _fault(error: ValidationError) -> str:
    return said(error.errors()[0])


def _page(
    service: Service,
    pages: Pages,
    visit: Visit,
    history: HistoryView,
    as_of: datetime | None,
    problem: str,
) -> Response:
    now = service.queries.order(history.store, history.order_id)
    if now is None:
        raise HTTPException(404, "no order has this id or reference in this store")
    order = now
    known = history
    if as_of is not None:
        then = service.past.order(history.store, history.order_id, Clocks(as_of))
        events = [event for event in history.events if event.recorded_at <= as_of]
        effects = [effect for effect in history.effects if effect.created_at <= as_of]
        known = history.model_copy(update={"events": events, "effects": effects})
        if then is None:
            return pages.show(
                visit, "order_unknown.html", order=now, as_of=as_of, first=history.events[0]
            )
        order = then
    stream = stream_of(history.store, history.order_id)
    told = deliveries_of(service.storage.access, service.ledger.event_log, stream)
    rows = [row for row in told.deliveries if as_of is None or row.recorded_at <= as_of]
    digests = service.bodies.digests(rows)
    deliveries = [delivery_view(row, digests.get(row.id)) for row in rows]
    steps = steps_of(known, deliveries)
    return pages.show(
        visit,
        "order.html",
        422 if problem else 200,
        order=order,
        now=now,
        as_of=as_of,
        problem=problem,
        steps=steps[-STEPS_MAX:],
        beside=_beside(history, as_of),
        has_every_duplicate=told.is_all,
        left_out=len(steps[:-STEPS_MAX]),
        machine=machine(known.events),
        proof=_proof(service, order, known),
        kinds=KINDS,
        reasons=REASONS,
        erase_word=ERASE_WORD,
        holds_paid=_holds_paid(order, known),
        # Two read models are shown: what one of them did not show yet, nobody saw.
        seen_version=min(order.version, known.events[-1].version),
    )


def _beside(history: HistoryView, as_of: datetime | None) -> tuple[str | None, str | None]:
    """The times of the events before and after what is known at an instant, to go there."""
    times = sorted({event.recorded_at for event in history.events})
    known = [time for time in times if as_of is None or time <= as_of]
    earlier = known[-2] if len(known) > 1 else None
    later = times[len(known)] if len(known) < len(times) else None
    return _text(earlier), _text(later)


def _text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="microseconds")


async def _settled(queries: Queries, position: str | None) -> None:
    """Wait until the page can show what was just done; it is on disk in any case."""
    with suppress(HTTPException):
        for projection in (ORDER_STATUS, AUDIT_HISTORY):
            await wait_for(queries, projection.name, position)


def _holds_paid(order: OrderView, history: HistoryView) -> bool:
    """Whether a PAID waits for the review."""
    return order.status != OrderStatus.DELIVERED and any(
        event.payment_status == PaymentStatus.PAID and event.disposition == Disposition.HELD
        for event in history.events
    )


def _proof(service: Service, order: OrderView, history: HistoryView) -> Proof:
    last = service.evidence.last_checkpoint()
    size = last.size if last else 0
    indexes = [Position.parse(event.position).index for event in history.events]
    unsealed = sum(index > size for index in indexes)
    return Proof(service.evidence.checkpoint_over(indexes[-1]) if not unsealed else None, unsealed)
