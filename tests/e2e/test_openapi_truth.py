"""The OpenAPI document against a running server: whatever it allows, and whatever it forbids, is
answered as it says, and never with a 500.

Schemathesis makes the requests out of the document, so a route that is new is asked as well.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode, openapi
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.result import Ok

from tests.adapters.providers import sevi_bodies as sevi
from tests.servers import RunningServer

EXAMPLES = 20  # of each operation and mode; `-k openapi --hypothesis-seed` repeats a failure
load_all_checks()
CONFORMS = [
    CHECKS.get_one(name)
    for name in (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    )
]
few = settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that knows an order, and set something aside."""
    running = RunningServer(tmp_path_factory.mktemp("target"))
    for body in (sevi.bare("1", "PAID"), sevi.bare("1", "PENDING"), b"{", b"[]"):
        running.deliver(body).raise_for_status()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def document(target: RunningServer) -> Any:
    return target.http.get("/openapi.json").raise_for_status().json()


def operations(document: Any) -> list[Any]:
    results = openapi.from_dict(document).get_all_operations()
    found = [result.ok() for result in results if isinstance(result, Ok)]
    assert len(found) == sum(len(item) for item in document["paths"].values())
    return found


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_every_operation_answers_as_the_document_says(
    target: RunningServer, document: Any, mode: GenerationMode
) -> None:
    statuses: dict[str, set[int]] = {}
    for operation in operations(document):
        name = f"{operation.method.upper()} {operation.path}"
        try:
            _ask(target, operation, mode, statuses.setdefault(name, set()))
        except Unsatisfiable:
            statuses.pop(name)  # nothing can be said to it that it forbids
    if mode is GenerationMode.POSITIVE:
        assert len(statuses) == len(operations(document))
        assert {200} <= set.union(*statuses.values())


def _ask(target: RunningServer, operation: Any, mode: GenerationMode, seen: set[int]) -> None:
    is_webhook = operation.path.startswith("/webhooks")
    right = target.webhook_token if is_webhook else f"Bearer {target.api_token}"

    @few
    @given(operation.as_strategy(generation_mode=mode), st.sampled_from([right] * 9 + ["x"]))
    def ask(case: Any, authorization: str) -> None:
        response = case.call(base_url=target.url, headers={"Authorization": authorization})
        case.validate_response(response, checks=CONFORMS)
        seen.add(response.status_code)

    ask()


def test_nothing_of_it_was_an_error_of_ours(target: RunningServer) -> None:
    lines = [json.loads(line) for line in target.errors.splitlines()]
    assert {line["level"] for line in lines} <= {"INFO", "WARNING"}, lines
