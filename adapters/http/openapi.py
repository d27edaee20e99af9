"""What FastAPI cannot say by itself in the OpenAPI document."""

from typing import Any

from adapters.http.problems import MEDIA_TYPE, Problem
from adapters.http.webhooks import PATH, WEBHOOK_TOKEN


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
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    response["content"] = problem
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    return document
