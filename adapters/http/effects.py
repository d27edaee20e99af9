"""GET /effects: what was sent because of the orders' events, when, and with what answer."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.concurrency import run_in_threadpool

from adapters.access.roles import Caller, Role
from adapters.bounds import ID_MAX
from adapters.effects.state import State
from adapters.http.access import Door, store_of_list
from adapters.http.api import Limit, Text
from adapters.queries.effect_views import EffectPage, effect_page
from adapters.storage.effects import EffectFilter, EffectStore


def effect_router(effects: EffectStore, door: Door) -> APIRouter:
    """The route of the effects, for auditors."""
    router = APIRouter(tags=["effects"], responses={s: {} for s in (401, 403, 422, 503)})

    @router.get("/effects")
    async def list_effects(
        caller: Annotated[Caller, door.require(Role.AUDITOR)],
        target: Text | None = None,
        state: State | None = None,
        order_id: Text | None = None,
        store: Text | None = None,
        after: Annotated[int | None, Query(ge=1, le=ID_MAX)] = None,
        limit: Limit = 100,
    ) -> EffectPage:
        """Effects, newest first, by target, state or order; and how each target stands."""
        wanted = EffectFilter(target, state, store_of_list(caller, store), order_id)
        told = caller.store is None
        return await run_in_threadpool(
            lambda: effect_page(effects, wanted, after, limit, targets=told)
        )

    return router
