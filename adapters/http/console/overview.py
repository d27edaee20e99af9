"""The overview: how the ledger stands, at a glance."""

from typing import Annotated

from fastapi import APIRouter, Response

from adapters.access.roles import Role
from adapters.http.console.context import Console, Visit
from adapters.http.console.rendering import Pages


def overview_router(console: Console, pages: Pages) -> APIRouter:
    """The route of the overview."""
    router = APIRouter()

    @router.get("/")
    def overview(visit: Annotated[Visit, console.require(Role.AUDITOR)]) -> Response:
        return pages.show(visit, "overview.html")

    return router
