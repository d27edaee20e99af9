"""The OpenAPI document, which other people's tools read: complete, and true to what is answered."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.adapters.http.local import LocalService

PROBLEM = "application/problem+json"


@pytest.fixture
def document(shared: LocalService) -> Any:
    """The document, as anyone gets it."""
    response = shared.run(shared.http.get("/openapi.json"))
    assert response.status_code == 200
    return response.json()


def operations(document: Any) -> Iterator[tuple[str, Any]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


def references(value: Any) -> Iterator[str]:
    """Every $ref in a piece of the document."""
    if isinstance(value, dict):
        yield from (v for k, v in value.items() if k == "$ref")
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_the_webhook_is_described_with_its_answers(document: Any) -> None:
    webhook = document["paths"]["/webhooks/{provider}"]["post"]
    assert {"200", "401", "404", "413", "503"} <= set(webhook["responses"])
    (reference,) = references(webhook["responses"]["200"])
    answer = document["components"]["schemas"][reference.rpartition("/")[2]]
    always = {"outcome", "order_id", "order_status", "position"}
    assert set(answer["properties"]) == always | {"review"}
    assert set(answer["required"]) == always
    words = answer["properties"]["outcome"]["enum"]
    assert words == "recorded duplicate stale conflict ignored quarantined".split()
    assert webhook["requestBody"]["required"] is True
    assert "application/json" in webhook["requestBody"]["content"]
    assert webhook["security"]


def test_the_webhook_promises_no_answer_that_it_never_gives(document: Any) -> None:
    webhook = document["paths"]["/webhooks/{provider}"]["post"]
    assert "422" not in webhook["responses"], "what cannot be read is quarantined"


def test_every_reference_leads_somewhere(document: Any) -> None:
    for reference in references(document):
        place = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


def test_every_way_to_authenticate_is_described(document: Any) -> None:
    described = set(document["components"]["securitySchemes"])
    for name, operation in operations(document):
        for requirement in operation.get("security", ()):
            assert set(requirement) <= described, name


def test_every_query_says_that_it_needs_a_token(document: Any) -> None:
    for name, operation in operations(document):
        if not name.startswith("GET /health"):
            assert operation.get("security"), name


def test_every_error_is_described_as_the_problem_that_it_is(document: Any) -> None:
    for name, operation in operations(document):
        for status, response in operation["responses"].items():
            if int(status) >= 400 and "content" in response:
                assert list(response["content"]) == [PROBLEM], f"{name} {status}"
                assert list(references(response)) == ["#/components/schemas/Problem"]


def test_every_operation_and_parameter_has_a_name_of_its_own(document: Any) -> None:
    names = [operation["operationId"] for _, operation in operations(document)]
    assert len(names) == len(set(names))
    parameters = document["paths"]["/payments"]["get"]["parameters"]
    assert [p["name"] for p in parameters] == (
        "from to status provider order_id store as_of occurred_before after limit format".split()
    )
