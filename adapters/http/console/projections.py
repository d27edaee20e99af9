"""The read models: where they stand, and how they are made anew while everybody looks on."""

from collections.abc import Callable
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

from adapters.access.roles import Role
from adapters.http.console.asking import Row
from adapters.http.console.context import Console, Submission, Visit
from adapters.http.console.live import JOB_SECONDS
from adapters.http.console.rendering import Pages, url_of
from adapters.jobs import rebuild_of
from adapters.read_models.read_model import (
    FAILURES,
    ReadModel,
    explained,
    generation_views,
    projection_of,
)
from adapters.storage.rebuilds import Refused
from projections.known import PROJECTIONS

ABOUT = {
    "order_status": "each order's status, its names and its open review",
    "audit_history": "each order's history, and the list of payments",
    "money": "each payment once, for the totals",
}


def projection_router(console: Console, pages: Pages) -> APIRouter:
    """The routes of the read models, which are of all stores."""
    router = APIRouter()
    service, jobs = console.service, console.jobs
    auditor = console.require_every_store(Role.AUDITOR)

    @router.get("/projections")
    def projections(visit: Annotated[Visit, auditor]) -> Response:
        views = generation_views(service, sizes=False)
        runs = jobs.jobs.all()
        models = [
            (p.name, ABOUT.get(p.name, ""), [v for v in views if v.projection == p.name],
             runs.get(rebuild_of(p.name)))
            for p in PROJECTIONS
        ]  # fmt: skip
        return pages.show(visit, "projections.html", models=models)

    @router.get("/projections/{name}")
    def projection(visit: Annotated[Visit, auditor], name: str) -> Response:
        model = _model(console, visit, name)
        job = jobs.jobs.get(rebuild_of(name))
        views = generation_views(service, name, sizes=job is None or not job.is_running)
        report = model.report()
        poisons = service.views.poisons()
        return pages.show(
            visit,
            "projection.html",
            name=name,
            about=ABOUT.get(name, ""),
            views=views,
            job=job,
            report=report,
            is_built=model.work.built is not None,
            ahead=model.work.built or model.work.undone,
            former=model.work.former,
            poisons=[(n, poison) for (of, n), poison in poisons.items() if of == name],
        )

    @router.get("/projections/{name}/progress")
    async def progress(visit: Annotated[Visit, auditor], name: str) -> Response:
        _model(console, visit, name)
        return pages.live.stream(
            visit,
            JOB_SECONDS,
            lambda now: pages.part(now, "job.html", job=jobs.jobs.get(rebuild_of(name))),
        )

    _add_steps(router, console, pages)
    return router


def _add_steps(router: APIRouter, console: Console, pages: Pages) -> None:
    operator = console.act_in_every_store(Role.OPERATOR)
    step = partial(_step, console, pages)

    @router.post("/projections/{name}/rebuild")
    def rebuild(form: Annotated[Submission, operator], name: str) -> Response:
        def start(_: ReadModel) -> str:
            console.jobs.start(rebuild_of(name), form.caller)
            return ""

        return step(form, name, start)

    @router.post("/projections/{name}/switch")
    def switch(form: Annotated[Submission, operator], name: str) -> Response:
        return step(form, name, lambda model: f"Generation {model.switch().number} is live.")

    @router.post("/projections/{name}/rollback")
    def roll_back(form: Annotated[Submission, operator], name: str) -> Response:
        def back(model: ReadModel) -> str:
            former, is_current = model.roll_back()
            told = f"Generation {former.number} is live."
            if is_current:
                return told
            at = former.position or "the beginning"
            return f"{told} Its rows are as they were at {at}: this release lacks its fold."

        return step(form, name, back)

    @router.post("/projections/{name}/drop/{generation}")
    def drop(form: Annotated[Submission, operator], name: str, generation: Row) -> Response:
        def gone(model: ReadModel) -> str:
            model.drop(generation)
            return f"Generation {generation} is dropped."

        return step(form, name, gone)


def _step(
    console: Console, pages: Pages, form: Submission, name: str, take: Callable[[ReadModel], str]
) -> Response:
    there = url_of(f"/projections/{name}")
    model = _model(console, form, name)
    try:
        return pages.lead_to(form, there, take(model))
    except FAILURES as error:
        return pages.lead_to(form, there, explained(error), is_problem=True)


def _model(console: Console, visit: Visit, name: str) -> ReadModel:
    try:
        return ReadModel(console.service, visit.caller, projection_of(name))
    except Refused as error:
        raise HTTPException(404, str(error)) from None
