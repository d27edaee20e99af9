"""What was sent because of the orders' events: what waits, what failed, and what a person does."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from adapters.access.roles import Caller, Role
from adapters.effects.acting import CannotAct, EffectDesk
from adapters.effects.state import State
from adapters.http.access import store_of_list
from adapters.http.console.asking import PAGE_SIZE, Name, Row, asked
from adapters.http.console.context import Console, Submission, Visit
from adapters.http.console.deliveries import REASON_WANTED, reason_of
from adapters.http.console.rendering import Pages, url_of
from adapters.queries.effect_views import effect_page, effect_view
from adapters.storage.effects import EffectFilter, EffectRow, EffectStore


class EffectsAsked(BaseModel):
    """What the search form of the effects asks."""

    target: Name | None = None
    state: State | None = None
    order_id: Name | None = None
    store: Name | None = None
    after: Row | None = None


def effect_router(console: Console, pages: Pages) -> APIRouter:
    """The routes of the effects."""
    router = APIRouter()
    effects = console.service.effects
    auditor = console.require(Role.AUDITOR)

    @router.get("/effects")
    def list_effects(visit: Annotated[Visit, auditor]) -> Response:
        told, problem = asked(EffectsAsked, visit.request)
        store = store_of_list(visit.caller, told.store)
        wanted = EffectFilter(told.target, told.state, store, told.order_id)
        page = effect_page(effects, wanted, told.after, PAGE_SIZE, targets=visit.sees_all)
        return pages.show(
            visit,
            "effects.html",
            422 if problem else 200,
            page=page,
            configured=set(console.service.settings.effects),
            states=[each.value for each in State],
            fields=visit.request.query_params,
            problem=problem,
        )

    @router.get("/effects/{effect_id}")
    def one(visit: Annotated[Visit, auditor], effect_id: str) -> Response:
        row = _seen(effects, visit.caller, effect_id)
        return pages.show(visit, "effect.html", effect=effect_view(row))

    _add_acts(router, console, pages)
    _add_acts_on_targets(router, console, pages)
    return router


def _add_acts(router: APIRouter, console: Console, pages: Pages) -> None:
    effects = console.service.effects
    operator = console.act(Role.OPERATOR)

    @router.post("/effects/{effect_id}/retry")
    def retry(form: Annotated[Submission, operator], effect_id: str) -> Response:
        return act(form, effect_id, EffectDesk.retry, "It will be tried again.")

    @router.post("/effects/{effect_id}/skip")
    def skip(form: Annotated[Submission, operator], effect_id: str) -> Response:
        return act(form, effect_id, EffectDesk.skip, "It will never be sent.")

    def act(
        form: Submission,
        effect_id: str,
        step: Callable[[EffectDesk, str, str | None], None],
        said: str,
    ) -> Response:
        _seen(effects, form.caller, effect_id)
        there = url_of(f"/effects/{effect_id}")
        reason = reason_of(form)
        if reason is None:
            return pages.lead_to(form, there, REASON_WANTED, is_problem=True)
        try:
            step(EffectDesk(effects, form.caller), effect_id, reason)
        except CannotAct as error:
            return pages.lead_to(form, there, str(error), is_problem=True)
        return pages.lead_to(form, there, said)


def _add_acts_on_targets(router: APIRouter, console: Console, pages: Pages) -> None:
    effects = console.service.effects
    there = url_of("/effects")

    @router.post("/effects/targets/{target}/{act}")
    def act(
        form: Annotated[Submission, console.act_in_every_store(Role.OPERATOR)],
        target: str,
        act: str,
    ) -> Response:
        desk = EffectDesk(effects, form.caller)
        reason = reason_of(form)
        if reason is None:
            return pages.lead_to(form, there, REASON_WANTED, is_problem=True)
        try:
            match act:
                case "retry":
                    said = f"{desk.retry_dead(target, reason)} will be tried again."
                case "pause":
                    desk.pause(target, reason)
                    said = f"{target} is paused."
                case "resume":
                    desk.resume(target, reason)
                    said = f"{target} goes on."
                case _:
                    raise HTTPException(404, "nothing of the kind is done to a target")
        except CannotAct as error:
            return pages.lead_to(form, there, str(error), is_problem=True)
        return pages.lead_to(form, there, said)


def _seen(effects: EffectStore, caller: Caller, effect_id: str) -> EffectRow:
    """An effect that the caller may see; else 404."""
    row = effects.get(effect_id)
    if row is None or caller.store not in (None, row.store):
        raise HTTPException(404, f"there is no effect {effect_id}")
    return row
