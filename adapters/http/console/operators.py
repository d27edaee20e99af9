"""Who used an operator's right, on what and why; and who may send webhooks."""

from collections import Counter
from typing import Annotated

from fastapi import APIRouter, Response

from adapters.access.roles import Role
from adapters.access.views import operation_page
from adapters.http.console.asking import PAGE_SIZE, RowsAsked, asked
from adapters.http.console.context import Console, Visit
from adapters.http.console.rendering import Pages
from domain.payment import Outcome

COUNTED_MAX = 1000  # what is set aside is counted up to here


def operator_router(console: Console, pages: Pages) -> APIRouter:
    """The route of the operators' log."""
    router = APIRouter()

    @router.get("/operators")
    def operations(
        visit: Annotated[Visit, console.require_every_store(Role.AUDITOR)],
    ) -> Response:
        told, _ = asked(RowsAsked, visit.request)
        rows = console.service.operators.page(told.after, PAGE_SIZE + 1)
        return pages.show(visit, "operators.html", page=operation_page(rows, PAGE_SIZE))

    return router


def provider_router(console: Console, pages: Pages) -> APIRouter:
    """The route of the providers."""
    router = APIRouter()
    service = console.service

    @router.get("/providers")
    def providers(visit: Annotated[Visit, console.require(Role.AUDITOR)]) -> Response:
        wanted = service.of_store(visit.caller.store)
        rows = service.ledger.event_log.set_aside(None, COUNTED_MAX, wanted)
        return pages.show(
            visit,
            "providers.html",
            providers=console.directory.views(visit.caller.store),
            set_aside=Counter(r.provider for r in rows if r.outcome is Outcome.QUARANTINED),
            is_more=len(rows) == COUNTED_MAX,
        )

    return router
