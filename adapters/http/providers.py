"""GET /providers: who may send webhooks, when each last did, and with which secret."""

from typing import Annotated

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool

from adapters.access.roles import Caller, Role
from adapters.http.access import Door
from adapters.queries.provider_views import ProviderDirectory, ProviderList


def provider_router(directory: ProviderDirectory, door: Door) -> APIRouter:
    """The route of the providers, for auditors; a token of one store sees that store's."""
    router = APIRouter(tags=["providers"], responses={s: {} for s in (401, 403, 422, 503)})

    @router.get("/providers")
    async def list_providers(
        caller: Annotated[Caller, door.require(Role.AUDITOR)],
    ) -> ProviderList:
        """The configured providers: their secrets by id with the last use of each, the last
        delivery, and whether one has fallen silent."""
        return ProviderList(items=await run_in_threadpool(directory.views, caller.store))

    return router
