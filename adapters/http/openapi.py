"""What FastAPI cannot say by itself in the OpenAPI document."""

from http import HTTPStatus
from typing import Any

from adapters.http.problems import MEDIA_TYPE, Problem
from adapters.http.webhooks import PATH, WEBHOOK_TOKEN

# What any request may be answered before its route is asked: it is no HTTP or its body no JSON, its
# head comes too slowly, or is too large.
OF_EVERY_REQUEST = {
    str(status.value): status.phrase
    for status in (
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    )
}


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Describe every error as the problem that it is, and how a webhook authenticates."""
    components = document.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = Problem.model_json_schema()
    components.setdefault("securitySchemes", {})[WEBHOOK_TOKEN] = {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "a token, bare or as Bearer; who signs bodies does so in other headers",
    }
    problem = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if path.startswith(PATH):  # whatever the body says, it is taken in
                operation["responses"].pop("422", None)
            for status, phrase in OF_EVERY_REQUEST.items():
                operation["responses"].setdefault(status, {"description": phrase})
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    response["content"] = problem
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    return document
