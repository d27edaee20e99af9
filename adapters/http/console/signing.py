"""Signing in with an API token, and out."""

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from adapters.http.console.context import (
    PATH,
    SESSION_COOKIE,
    SIGN_IN_COOKIE,
    Console,
    SignInWanted,
    form_of,
)
from adapters.http.console.rendering import HEADERS, Pages, url_of
from adapters.http.console.session import SESSION_SECONDS
from adapters.http.headers import is_secure
from adapters.secrets import token_sha256

WRONG = "This token opens nothing: it is wrong, has expired or was revoked."


def signing_router(console: Console, pages: Pages) -> APIRouter:
    """The routes by which people sign in and out. An address that fails again and again is 429; a
    right token is never refused for that."""
    router = APIRouter()

    def form(request: Request, then: str, problem: str = "", status: int = 200) -> Response:
        # A cookie of its own: a link on another site leads here without the session's, and must
        # not end the session by putting another in its place.
        session, cookie = console.sessions.begin_form()
        told = {"form_secret": session.form_secret, "then": then, "problem": problem}
        response = pages.draw(request, "sign_in.html", status, **told)
        _keep(console, request, response, SIGN_IN_COOKIE, cookie)
        return response

    @router.get("/sign-in")
    async def ask(request: Request, then: str = "") -> Response:
        try:
            await console.visit(request)
        except SignInWanted:
            return form(request, then)
        return RedirectResponse(_own(then), 303, HEADERS)

    @router.post("/sign-in")
    async def sign_in(request: Request) -> Response:
        shown = console.sessions.known_form(request.cookies.get(SIGN_IN_COOKIE))
        fields = await form_of(request, shown)
        token = fields.get("token", "").strip().encode()
        caller = await console.door.keeper.admit(token, console.door.origin(request))
        then = fields.get("then", "")
        if caller is None:
            wait = console.limiter.failed(console.door.address(request))
            if wait is None:
                return form(request, then, WRONG, 401)
            response = form(request, then, f"Too many wrong tokens: wait {wait} s.", 429)
            response.headers["Retry-After"] = str(wait)
            return response
        _, cookie = console.sessions.begin(token_sha256(token))  # another than before, so that
        response = RedirectResponse(_own(then), 303, HEADERS)  # nobody can have known it
        _keep(console, request, response, SESSION_COOKIE, cookie)
        response.delete_cookie(SIGN_IN_COOKIE, path=PATH)
        return response

    @router.post("/sign-out")
    async def sign_out(request: Request) -> Response:
        session = await console.session(request)
        await form_of(request, session)
        if session is not None:
            await run_in_threadpool(console.sessions.end, session)
        response = RedirectResponse(url_of("/sign-in"), 303, HEADERS)
        response.delete_cookie(SESSION_COOKIE, path=PATH)
        return response

    return router


def _keep(console: Console, request: Request, response: Response, name: str, cookie: str) -> None:
    """Let the browser keep a cookie that only the console gets back."""
    response.set_cookie(
        name,
        cookie,
        max_age=SESSION_SECONDS,
        path=PATH,
        secure=is_secure(request, console.door.trusted_proxies),
        httponly=True,
        samesite="strict",
    )


def _own(then: str) -> str:
    """Where to go after the sign-in: a page of the console, and nowhere else."""
    is_own = then.startswith(f"{PATH}/") and "\\" not in then and then.isprintable()
    return then if is_own else url_of("/")
