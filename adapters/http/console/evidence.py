"""What an auditor checks the ledger by: checkpoints, public keys, and a verification of it all."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from starlette.exceptions import HTTPException

from adapters.access.roles import Role
from adapters.evidence.verifying import Verdict
from adapters.evidence.views import checkpoint_page, key_list, tail_view
from adapters.http.console.asking import Row, RowsAsked, asked
from adapters.http.console.context import Console, Submission, Visit
from adapters.http.console.live import JOB_SECONDS
from adapters.http.console.rendering import HEADERS, Pages, url_of
from adapters.jobs import VERIFY
from adapters.storage.rebuilds import Refused

PAGE_SIZE = 20


def evidence_router(console: Console, pages: Pages) -> APIRouter:
    """The routes of the evidence, which is of all stores. An auditor may verify."""
    router = APIRouter()
    service, store, jobs = console.service, console.service.evidence, console.jobs.jobs
    auditor = console.require_every_store(Role.AUDITOR)

    @router.get("/evidence")
    def evidence(visit: Annotated[Visit, auditor]) -> Response:
        told, _ = asked(RowsAsked, visit.request)
        job = jobs.get(VERIFY)
        verdict = job.told if job is not None and job.is_done else None
        return pages.show(
            visit,
            "evidence.html",
            tail=tail_view(store),
            page=checkpoint_page(store.checkpoints_before(told.after, PAGE_SIZE + 1), PAGE_SIZE),
            keys=key_list(store, service.signer, datetime.now(UTC)).items,
            job=job,
            verdict=Verdict.model_validate_json(verdict) if verdict is not None else None,
        )

    @router.get("/evidence/progress")
    async def progress(visit: Annotated[Visit, auditor]) -> Response:
        return pages.live.stream(
            visit, JOB_SECONDS, lambda now: pages.part(now, "job.html", job=jobs.get(VERIFY))
        )

    @router.get("/evidence/checkpoints/{size}.txt")
    def checkpoint(_: Annotated[Visit, auditor], size: Row) -> Response:
        kept = store.checkpoint_of(size)
        if kept is None:
            raise HTTPException(404, f"no checkpoint is of {size} events")
        name = f'attachment; filename="checkpoint-{size}.txt"'
        return PlainTextResponse(kept.note, headers={**HEADERS, "Content-Disposition": name})

    @router.get("/evidence/keys.txt")
    def keys(_: Annotated[Visit, auditor]) -> Response:
        lines = "".join(f"{key}\n" for key in service.signer.public_keys())
        name = 'attachment; filename="order-ledger.keys"'
        return PlainTextResponse(lines, headers={**HEADERS, "Content-Disposition": name})

    @router.post("/evidence/verify")
    def verify(
        form: Annotated[Submission, console.act_in_every_store(Role.AUDITOR)],
    ) -> Response:
        there = url_of("/evidence")
        try:
            console.jobs.start(VERIFY, form.caller)
        except Refused as error:
            return pages.lead_to(form, there, str(error), is_problem=True)
        return pages.lead_to(form, there)

    return router
