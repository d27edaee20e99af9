"""The FastAPI application over a service."""

import asyncio
import multiprocessing
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from threading import Thread
from typing import Any

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.types import Receive, Scope, Send

from adapters import collector
from adapters.access.doorkeeper import Doorkeeper
from adapters.deliveries.quarantine import Quarantine
from adapters.deliveries.refusals import RefusalNotes
from adapters.http import problems
from adapters.http.access import Door
from adapters.http.api import query_router
from adapters.http.bounds import bounded
from adapters.http.commands import command_router
from adapters.http.console import mount_console
from adapters.http.console.context import Console
from adapters.http.deliveries import delivery_router
from adapters.http.effects import effect_router
from adapters.http.erasure import erasure_router
from adapters.http.evidence import evidence_router
from adapters.http.headers import with_security_headers
from adapters.http.health import health_router
from adapters.http.metrics import metrics_router
from adapters.http.openapi import complete
from adapters.http.operators import operator_router
from adapters.http.problems import problem_response
from adapters.http.providers import provider_router
from adapters.http.quarantine import Settling, quarantine_router
from adapters.http.totals import totals_router
from adapters.http.webhooks import PATH as WEBHOOKS
from adapters.http.webhooks import WebhookEndpoint, webhook_route
from adapters.jobs import JobRunner
from adapters.ledger.group_commit import GroupCommit
from adapters.queries.provider_views import ProviderDirectory
from adapters.read_models.keepers import Keeper, KeptElsewhere, ThreadKeeper
from adapters.service import Service, api_tokens, providers
from adapters.settings import load_settings
from adapters.telemetry.logs import configure_logs
from adapters.telemetry.tallies import FOLDER_VARIABLE, Tallies
from adapters.telemetry.tally import Tally
from adapters.telemetry.tracing import NO_TELEMETRY, trace_where_wanted

CONTROL = re.compile("[\x00-\x1f\x7f]")
DESCRIPTION = "An event-sourced ledger of order payments behind your payment provider's webhook."


class LedgerApp(FastAPI):
    """FastAPI with a short cut: a delivery goes to its endpoint past middleware and routing, which
    would cost more than everything else that it needs."""

    webhook_endpoint: WebhookEndpoint
    is_traced = False  # then deliveries go the long way, where their spans are made

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
        elif CONTROL.search(scope["path"]):
            # No id has one, and a path that ends with one would match as if it were not there.
            problem = problem_response(404, "nothing has such a name")
            await problem(scope, receive, with_security_headers(send))
        elif scope["path"].startswith(WEBHOOKS) and scope["method"] == "POST":
            take = super().__call__ if self.is_traced else self.webhook_endpoint
            await take(scope, receive, send)
        else:
            await super().__call__(scope, bounded(scope, receive), with_security_headers(send))

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        if self.openapi_schema is None:
            self.openapi_schema = complete(super().openapi())
        return self.openapi_schema


def worker_app() -> FastAPI:
    """The application of one of several web processes, made in that process."""
    configure_logs()
    Thread(target=_stop_with_parent, daemon=True).start()
    folder = Path(os.environ[FOLDER_VARIABLE])
    service = Service(load_settings())
    trace_where_wanted(service)
    return create_app(service, KeptElsewhere(), folder)


def _stop_with_parent() -> None:
    """Without the process that started it, nobody would ever stop this one."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


def create_app(
    service: Service, keeper: Keeper | None = None, tallies_folder: Path | None = None
) -> FastAPI:
    """The application. The keeper of the read models, unless given a thread of this process, starts
    and stops with it; what was taken is committed before it stops. Where it is one of several, the
    folder is where they tell each other what they count."""
    keeper = keeper or ThreadKeeper(service)
    tally = Tally()
    tracing = service.tracing
    queue = (tracing.queue if tracing else GroupCommit)(service.ledger.execute, tally=tally)
    service.ledger.event_log.on_wait(queue.writer_waits)
    tallies = Tallies(tally, lambda: queue.depth, tallies_folder)
    senders = providers(service.settings)
    notes = RefusalNotes(service.refusals, service.settings.providers)
    jobs = JobRunner(service)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        keeper.start()
        collector.relax()
        notes.start()
        tallies.start()
        try:
            yield
            await queue.close()
            await notes.close()
            await tallies.close()
        finally:
            await asyncio.to_thread(jobs.stop)
            await asyncio.to_thread(keeper.stop)
            await asyncio.to_thread(service.close)

    app = _bare_app(lifespan, tracing.telemetry if tracing else NO_TELEMETRY)
    doorkeeper = Doorkeeper(api_tokens(service.settings), service.tokens)
    door = Door(doorkeeper, service.settings.trusted_proxies)
    app.webhook_endpoint = WebhookEndpoint(
        senders,
        queue,
        service.vault.hashing,
        service.settings.body_bytes_max,
        notes,
        tally,
        service.settings.trusted_proxies,
    )
    app.router.routes.append(webhook_route(app.webhook_endpoint))
    quarantine = Quarantine(service.ledger, service.bodies, senders, service.operators)
    settling = Settling(service, quarantine, queue)
    console = Console(service, queue, door, keeper, settling, ProviderDirectory(service), jobs)
    _add_routes(app, console)
    app.include_router(metrics_router(service, tallies, door))
    mount_console(app, console)
    problems.install(app)
    return app


def _add_routes(app: FastAPI, console: Console) -> None:
    """Add the routes of the JSON API, which answer from the same parts as the pages."""
    service, queue, door = console.service, console.queue, console.door
    app.include_router(evidence_router(service, door))  # before the order ids that may end alike
    app.include_router(command_router(service, queue, door))
    app.include_router(erasure_router(service, queue, door))
    app.include_router(query_router(service.queries, service.past, door))
    app.include_router(totals_router(service.views, door))
    app.include_router(provider_router(console.directory, door))
    app.include_router(operator_router(service.operators, door))
    app.include_router(delivery_router(service, door))
    app.include_router(quarantine_router(service, console.settling, door))
    app.include_router(effect_router(service.effects, door))
    app.include_router(health_router(service, console.keeper, door))


def _bare_app(lifespan: Any, telemetry: TelemetryConfig) -> LedgerApp:
    app = LedgerApp(
        title="order-ledger",
        version=version("order-ledger"),
        description=DESCRIPTION,
        docs_url=None,  # the interactive pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # a redirect would repeat whatever host the request named
        lifespan=lifespan,
        telemetry=telemetry,
    )
    app.is_traced = telemetry["tracing"]
    return app
