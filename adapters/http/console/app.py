"""The console as an application of its own, mounted beside the JSON API at /console/.

It is apart so that its errors are pages, and the API's stay problems.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from adapters.http.console.context import PATH, Console, SignInWanted
from adapters.http.console.deliveries import delivery_router, quarantine_router
from adapters.http.console.effects import effect_router
from adapters.http.console.evidence import evidence_router
from adapters.http.console.operators import operator_router, provider_router
from adapters.http.console.order import order_router
from adapters.http.console.orders import orders_router
from adapters.http.console.overview import overview_router
from adapters.http.console.payments import payments_router
from adapters.http.console.projections import projection_router
from adapters.http.console.rendering import HEADERS, Pages, url_of
from adapters.http.console.signing import signing_router
from adapters.http.console.static import static_router
from adapters.http.problems import RETRY_AFTER_SECONDS
from adapters.storage.log import StorageUnavailable

ROUTERS = (
    signing_router,
    overview_router,
    orders_router,
    order_router,
    payments_router,
    delivery_router,
    quarantine_router,
    effect_router,
    projection_router,
    evidence_router,
    provider_router,
    operator_router,
)


def mount_console(app: FastAPI, console: Console) -> None:
    """Put the console beside the routes of the API, and the way to it at /."""
    app.mount(PATH, console_app(console))

    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    @app.api_route(PATH, methods=["GET", "HEAD"], include_in_schema=False)
    async def to_the_console() -> Response:
        return RedirectResponse(f"{PATH}/", 303)


def console_app(console: Console) -> FastAPI:
    """The pages of the console."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    pages = Pages(console)
    app.include_router(static_router())
    for router in ROUTERS:
        app.include_router(_with_heads(router(console, pages)))
    _answer_errors(app, console, pages)
    return app


def _with_heads(router: APIRouter) -> APIRouter:
    """Answer HEAD by the doors of GET (RFC 9110, section 9.3.2); the server leaves out the body."""
    for route in router.routes:
        if isinstance(route, APIRoute) and "GET" in (route.methods or ()):
            route.methods = {"GET", "HEAD"}
    return router


def _answer_errors(app: FastAPI, console: Console, pages: Pages) -> None:
    """Answer every error with a page, and whoever is not signed in with the way to do it."""

    async def problem(
        request: Request, status: int, detail: str, headers: Mapping[str, str] | None = None
    ) -> Response:
        title = HTTPStatus(status).phrase
        if detail == title:  # the router's own, which says nothing more
            detail = _of_the_router(request, status, headers or {})
        told: dict[str, Any] = {"code": status, "title": title, "detail": detail}
        try:
            response = pages.show(await console.visit(request), "error.html", status, **told)
        except (SignInWanted, StorageUnavailable):
            response = pages.draw(request, "error_outside.html", status, **told)
        response.headers.update(headers or {})
        return response

    async def sign_in(request: Request, _: Exception) -> Response:
        wanted = request.scope["path"] + (f"?{request.url.query}" if request.url.query else "")
        then = wanted if request.method in ("GET", "HEAD") else ""
        return RedirectResponse(url_of("/sign-in", then=then), 303, HEADERS)

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return await problem(request, error.status_code, error.detail, error.headers)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        found = (f"{each['loc'][-1]}: {each['msg']}" for each in error.errors())
        return await problem(request, 422, "; ".join(found))

    async def unavailable(request: Request, _: Exception) -> Response:
        detail = "The ledger's storage cannot be used just now; try again."
        return await problem(request, 503, detail, {"Retry-After": RETRY_AFTER_SECONDS})

    async def unexpected(request: Request, _: Exception) -> Response:
        return await problem(request, 500, "An error of the service; its log has the details.")

    app.add_exception_handler(SignInWanted, sign_in)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(StorageUnavailable, unavailable)
    app.add_exception_handler(Exception, unexpected)


def _of_the_router(request: Request, status: int, headers: Mapping[str, str]) -> str:
    path = request.scope["path"]
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return f"{path} takes {headers.get('Allow', 'another method')}, not {request.method}."
    return f"There is no page {path}: its address may be mistyped, or old."
