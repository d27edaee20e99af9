"""Errors as `application/problem+json` (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from adapters.storage.log import StorageUnavailable
from adapters.wrong_input import said

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = "1"
SENT_AS_JSON = "the body is not sent as JSON: send Content-Type: application/json"
DETAILS = {  # of what the framework finds by itself, and tells with the title alone
    404: "nothing is at this path: /openapi.json lists what is",
    405: "this path does not take this method: see Allow, and /openapi.json",
}


class Problem(BaseModel):
    """What went wrong, and what to do about it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str


def problem_body(status: int, detail: str) -> bytes:
    """The JSON of a problem; its title is the status's own phrase."""
    title = HTTPStatus(status).phrase
    return msgspec.json.encode(
        {"type": "about:blank", "title": title, "status": status, "detail": detail}
    )


def problem_response(
    status: int, detail: str, headers: Mapping[str, str] | None = None
) -> Response:
    """A problem as a response."""
    return Response(
        problem_body(status, detail),
        status_code=status,
        media_type=MEDIA_TYPE,
        headers=dict(headers or {}),
    )


def storage_problem() -> Response:
    """The database cannot be used just now."""
    detail = "the ledger's storage cannot be used just now; try again"
    return problem_response(503, detail, {"Retry-After": RETRY_AFTER_SECONDS})


def install(app: FastAPI) -> None:
    """Answer every error of the application with a problem."""
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(StorageUnavailable, _unavailable)
    app.add_exception_handler(Exception, _unexpected)


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    is_title = error.detail == HTTPStatus(error.status_code).phrase
    detail = DETAILS.get(error.status_code, error.detail) if is_title else error.detail
    return problem_response(error.status_code, detail, error.headers)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = error.errors()
    if any(problem["loc"] == ("body",) for problem in problems) and not _is_json(request):
        return problem_response(422, SENT_AS_JSON)
    told = (f"{problem['loc'][-1]}: {said(problem)}" for problem in problems)
    return problem_response(422, "; ".join(told))


def _is_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


async def _unavailable(_: Request, error: Exception) -> Response:
    return storage_problem()


async def _unexpected(_: Request, error: Exception) -> Response:
    return problem_response(500, "an error of the service; its log has the details")
