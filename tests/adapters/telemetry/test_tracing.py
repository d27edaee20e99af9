"""Traces: what a span tells, what it is linked to, what it never holds, and that off is off."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, StatusCode, TraceFlags

from adapters.http import create_app
from adapters.service import Service
from adapters.storage.log import StorageUnavailable
from adapters.telemetry.traced import SHOWN, Tracing
from adapters.telemetry.tracing import exporter_wanted
from domain.log import Position
from tests.adapters.http.local import API_TOKEN, TOKENS, LocalService
from tests.servers import RunningServer

WAIT_SECONDS = 30.0
ORDER = "order-of-amina"


class TracedService(LocalService):
    """A service of which every span is kept in memory."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.kept = InMemorySpanExporter()
        super().__init__(folder, **settings)

    def make_app(self, service: Service) -> Any:
        """The application, once the service is watched."""
        Tracing(self.kept, SimpleSpanProcessor).watch(service)
        return create_app(service)

    def spans(self, name: str) -> list[ReadableSpan]:
        """The finished spans of this name."""
        return [span for span in self.kept.get_finished_spans() if span.name == name]


@pytest.fixture
def traced(tmp_path: Path) -> Iterator[TracedService]:
    """A service whose spans are kept."""
    with TracedService(tmp_path) as service:
        yield service


def context(span: ReadableSpan) -> SpanContext:
    found = span.get_span_context()
    assert found is not None
    return found


def ids(span: ReadableSpan) -> tuple[int, int]:
    return context(span).trace_id, context(span).span_id


def linked(span: ReadableSpan) -> set[tuple[int, int]]:
    return {(link.context.trace_id, link.context.span_id) for link in span.links}


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_a_delivery_is_linked_to_its_commit_and_that_to_all_its_deliveries(
    traced: TracedService,
) -> None:
    bodies = [f'{{"orderId": "{n}", "orderPayment": "PAID"}}'.encode() for n in range(5)]

    async def deliver() -> None:
        await asyncio.gather(*(traced.post(body) for body in bodies))

    traced.run(deliver())
    deliveries = traced.spans("POST /webhooks/{provider}")
    commits = traced.spans("commit")
    assert len(deliveries) == 5
    assert set().union(*map(linked, commits)) == {ids(span) for span in deliveries}
    assert set().union(*map(linked, deliveries)) == {ids(span) for span in commits}
    assert sum(attributes(span)["order_ledger.deliveries"] for span in commits) == 5
    assert len(commits) < 5, "they share a commit"
    assert max(attributes(s)["order_ledger.position"] for s in commits) == "0-10"
    told = {attributes(s)["order_ledger.position"] for s in deliveries}
    assert told == {"0-2", "0-4", "0-6", "0-8", "0-10"}
    assert {attributes(s)["order_ledger.outcome"] for s in deliveries} == {"recorded"}
    assert all(s.parent is None for s in commits)


def test_a_read_model_is_linked_to_the_commits_that_it_takes_in(traced: TracedService) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    traced.tell("1", "PAID")
    traced.settle()
    while not (spans := traced.spans("projection order_status")):
        assert time.monotonic() < deadline
    (commit,) = traced.spans("commit")
    assert attributes(spans[0]) == {
        "order_ledger.projection": "order_status",
        "order_ledger.generation": 1,
        "order_ledger.events": 2,
        "order_ledger.after": "0-0",
        "order_ledger.position": "0-2",
    }
    assert linked(spans[0]) <= {ids(commit)}


def test_which_commits_a_batch_is_of_is_told_by_positions(tmp_path: Path) -> None:
    tracing, other = (Tracing(InMemorySpanExporter(), SimpleSpanProcessor) for _ in range(2))
    tracing.told = other.hear
    commits = [SpanContext(n, n, False, TraceFlags(1)) for n in (1, 2, 3)]
    for index, commit in zip((2, 4, 6), commits, strict=True):
        tracing.committed(index, commit)
    other.hear(b"\n\n5 and more\n")
    for known in (tracing, other):
        for after, upto, expected in (
            (None, 2, [1]), (Position(0, 2), 5, [2]), (Position(0, 2), 6, [2, 3])
        ):  # fmt: skip
            links = known.links(after, Position(0, upto))
            assert [link.context.span_id for link in links] == expected


def test_a_query_has_a_span_that_names_its_route_and_not_what_was_asked(
    traced: TracedService,
) -> None:
    traced.tell(ORDER, "PAID")
    traced.settle()
    traced.get(f"/orders/{ORDER}", store="default")
    (span,) = traced.spans("GET /orders/{order_id}")
    assert attributes(span)["http.route"] == "/orders/{order_id}"
    assert 200 in attributes(span).values()


def test_the_long_way_of_a_delivery_has_the_same_bounds_and_tells_no_secret_of_a_url(
    tmp_path: Path,
) -> None:
    secret = "till-secret-4711"
    providers = {"sevi": {"tokens": [TOKENS["sevi"]]}, "mpesa": {"secrets": [secret]}}
    with TracedService(tmp_path, providers=providers) as local:
        body = b'{"orderId": "1", "orderPayment": "PAID", "more": "' + b"x" * 100_000 + b'"}'
        assert local.deliver(body).json()["outcome"] == "recorded"
        called = local.run(local.http.post(f"/webhooks/mpesa/{secret}?order_id=2", content=b"{}"))
        assert called.status_code == 200
        deliveries = local.spans("POST /webhooks/{provider}")
        assert [attributes(s)["order_ledger.outcome"] for s in deliveries] == [
            "recorded",
            "quarantined",
        ]
        assert not any(secret in span.to_json() for span in local.kept.get_finished_spans())


def test_no_span_holds_a_person_an_order_an_address_or_a_secret(
    traced: TracedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    traced.tell(ORDER, "PAID", customer={"name": "Amina"})
    traced.settle()
    traced.get("/orders", reference=ORDER)
    traced.run(traced.http.get(f"/nothing/{ORDER}?token={API_TOKEN}"))
    traced.run(traced.post(b"{}", headers={"Authorization": "wrong", "User-Agent": "Amina"}))

    def fails(*_: Any, **__: Any) -> Any:
        raise RuntimeError(f"{ORDER} of Amina")

    monkeypatch.setattr(traced.service.queries, "orders", fails)
    assert traced.get("/orders").status_code == 500
    spans = traced.kept.get_finished_spans()
    assert len(spans) > 6
    assert any(span.status.status_code is StatusCode.ERROR for span in spans)
    for span in spans:
        assert set(attributes(span)) <= SHOWN
        assert (span.status.description, list(span.events)) == (None, [])
        text = span.to_json()
        for word in (ORDER, "Amina", "127.0.0.1", API_TOKEN, *TOKENS.values()):
            assert word not in text, text


def test_a_commit_that_fails_is_an_error_without_its_words(
    traced: TracedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unusable(*_: Any) -> Any:
        raise StorageUnavailable("the disk of Amina is gone")

    monkeypatch.setattr(traced.service.ledger.event_log, "append", unusable)
    assert traced.deliver(b'{"orderId": "1", "orderPayment": "PAID"}').status_code == 503
    (commit,) = traced.spans("commit")
    assert commit.status.status_code is StatusCode.ERROR
    assert attributes(commit)["error.type"] == "StorageUnavailable"
    assert "Amina" not in commit.to_json()


# ------------------------------------------------------------------------------------- on and off


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, "otlp"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, "otlp"),
        ({"OTEL_TRACES_EXPORTER": "console"}, "console"),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, None),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "true"}, None),
        ({"OTEL_SERVICE_NAME": "till"}, None),
    ],
)
def test_the_standard_variables_say_whether_traces_are_wanted(
    environ: dict[str, str], wanted: str | None
) -> None:
    assert exporter_wanted(environ) == wanted


def test_off_nothing_is_imported_and_nothing_is_in_the_way(tmp_path: Path) -> None:
    code = """
import sys
from adapters.http import create_app
from adapters.http.webhooks import WebhookEndpoint
from adapters.service import Service
from adapters.settings import load_settings
from adapters.telemetry.tracing import trace_where_wanted
from projections.runner import Runner
service = Service(load_settings())
trace_where_wanted(service)
app = create_app(service)
assert type(service.runner) is Runner
assert type(app.webhook_endpoint) is WebhookEndpoint and not app.is_traced
assert "opentelemetry.sdk" not in sys.modules
assert "adapters.telemetry.traced" not in sys.modules
"""
    root = Path(__file__).parents[3]
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": root}, check=True)


def test_a_server_and_its_keeper_trace_where_they_are_asked_to(tmp_path: Path) -> None:
    server = RunningServer(tmp_path, {"OTEL_TRACES_EXPORTER": "console"})
    position = server.deliver('{"orderId": "1", "orderPayment": "PAID"}').json()["position"]
    server.get("/orders/1", min_position=position).raise_for_status()
    server.process.terminate()
    assert server.process.stdout is not None
    printed = server.process.stdout.read()
    server.stop()
    spans, decoder = [], json.JSONDecoder()
    while (start := printed.find("{\n")) >= 0:
        span, end = decoder.raw_decode(printed[start:])
        spans.append(span)
        printed = printed[start + end :]
    by_name = {span["name"]: span for span in spans}
    commit = by_name["commit"]
    assert commit["attributes"]["order_ledger.position"] == position
    folded = by_name["projection order_status"]
    assert folded["attributes"]["order_ledger.position"] == position
    # The keeper is another process; it was told which commit woke it.
    assert [link["context"]["span_id"] for link in folded["links"]] == [
        commit["context"]["span_id"]
    ]
    assert folded["resource"]["attributes"]["service.name"] == "order-ledger"
