"""Traces: a span for each request, for each commit, and for each batch that a read model takes in.

A commit is of many deliveries and a batch of many commits, so they are linked, not nested. A span
leaves this process with the attributes that are listed here and no others: no URL, no id of an
order, no address, no message of an error.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fastapi.telemetry import TelemetryConfig
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.trace import Link, Span, SpanContext, StatusCode, TraceFlags
from opentelemetry.trace.status import Status

from adapters.ledger.batch import Command, Receipt
from adapters.ledger.group_commit import Commit, GroupCommit
from adapters.service import Service
from adapters.telemetry.tracing import NO_TELEMETRY
from domain.log import Position, Recorded
from domain.order import OrderEvent
from domain.payment import Outcome
from projections.known import PROJECTIONS
from projections.runner import Followed, Poison, Runner

NAME = "order-ledger"
DELIVERIES = "order_ledger.deliveries"
OUTCOME = "order_ledger.outcome"
POSITION = "order_ledger.position"  # of the last event that is meant
AFTER = "order_ledger.after"
EVENTS = "order_ledger.events"
PROJECTION = "order_ledger.projection"
GENERATION = "order_ledger.generation"
ERROR = "error.type"
SHOWN = frozenset(
    {
        *(DELIVERIES, OUTCOME, POSITION, AFTER, EVENTS, PROJECTION, GENERATION, ERROR),
        *("http.route", "http.request.method", "http.response.status_code"),
        *("url.scheme", "network.protocol.version"),
    }
)
LINKS_MAX = 256  # as many deliveries as a batch has
COMMITS_KEPT = 1000  # that a read model may still be linked to


class MadeBy(NamedTuple):
    """The commit that appended the events up to an index."""

    upto: int
    span: SpanContext


class Tracing:
    """The traces of one process. `told` is called with what another process needs to link its
    batches to a commit (see `hear`)."""

    def __init__(
        self,
        exporter: SpanExporter,
        processor: Callable[[SpanExporter], SpanProcessor] = BatchSpanProcessor,
    ) -> None:
        self._provider = TracerProvider(
            resource=_resource(),
            span_limits=SpanLimits(max_links=LINKS_MAX),
        )
        self._provider.add_span_processor(processor(_Discreet(exporter)))
        self.tracer = self._provider.get_tracer(NAME)
        self.commits: deque[MadeBy] = deque(maxlen=COMMITS_KEPT)
        self.told: Callable[[bytes], None] | None = None

    def watch(self, service: Service) -> None:
        """Trace a service: its application, when that is made, and what keeps its read models."""
        service.tracing = self
        service.runner = _TracedRunner(self, service)

    def queue(self, commit: Commit, **options: Any) -> GroupCommit:
        """A queue in front of the writer, whose commits are traced."""
        return _TracedQueue(self, commit, **options)

    @property
    def telemetry(self) -> TelemetryConfig:
        """How FastAPI traces requests: here, and nothing but that."""
        return {**NO_TELEMETRY, "tracing": True, "tracer_provider": self._provider}

    def committed(self, index: int, span: SpanContext) -> None:
        """Note which commit appended the events up to an index."""
        self.commits.append(MadeBy(index, span))
        if self.told is not None:
            flags = int(span.trace_flags)
            self.told(b"%d %032x %016x %d\n" % (index, span.trace_id, span.span_id, flags))

    def hear(self, lines: bytes) -> None:
        """Take in what another process told; what is no such line was a mere wake-up."""
        for line in lines.splitlines():
            words = line.split()
            if len(words) == 4:
                flags = TraceFlags(int(words[3]))
                span = SpanContext(int(words[1], 16), int(words[2], 16), True, flags)
                self.commits.append(MadeBy(int(words[0]), span))

    def links(self, after: Position | None, upto: Position) -> list[Link]:
        """The commits that appended the events between two positions, as far as they are known."""
        since = after.index if after else 0
        return [Link(c.span) for c in list(self.commits) if since < c.upto <= upto.index]

    def close(self) -> None:
        """Send what was not sent yet."""
        self._provider.shutdown()


def _resource() -> Resource:
    """Who traces, as the variables say; the service's own name where they say none."""
    told = Resource.create()
    if str(told.attributes[SERVICE_NAME]).startswith("unknown_service"):
        return told.merge(Resource({SERVICE_NAME: NAME}))
    return told


def exporter_of(name: str) -> SpanExporter:
    """The exporter `otlp` (over HTTP, as its variables say) or `console`."""
    if name == "console":
        return ConsoleSpanExporter()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


class _Discreet(SpanExporter):
    """Passes on what may be shown, and nothing else of a span."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export([_shown(span) for span in spans])

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def _shown(span: ReadableSpan) -> ReadableSpan:
    attributes = {k: v for k, v in (span.attributes or {}).items() if k in SHOWN}
    return ReadableSpan(
        name=span.name,
        context=span.get_span_context(),
        parent=span.parent,
        resource=span.resource,
        attributes=attributes,
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


class _TracedQueue(GroupCommit):
    """A queue whose commits are spans, linked to the deliveries' and from them."""

    def __init__(self, tracing: Tracing, commit: Commit, **options: Any) -> None:
        self._tracing = tracing
        self._untraced = commit
        self._spans: dict[int, Span] = {}  # of the commands that wait, by their identity
        super().__init__(self._commit_traced, **options)

    async def submit(self, command: Command) -> Receipt:
        """Wait until the command is on disk."""
        span = self._spans[id(command)] = trace.get_current_span()
        try:
            receipt = await super().submit(command)
        finally:
            del self._spans[id(command)]
        span.set_attribute(OUTCOME, receipt.outcome.value)
        if receipt.position is not None:
            span.set_attribute(POSITION, str(receipt.position))
        return receipt

    def _commit_traced(self, commands: Sequence[Command]) -> Sequence[Receipt | Exception]:
        spans = [span for c in commands if (span := self._spans.get(id(c))) is not None]
        links = [Link(span.get_span_context()) for span in spans]
        with self._tracing.tracer.start_as_current_span(
            "commit",
            Context(),  # no one delivery's child
            attributes={DELIVERIES: len(commands)},
            links=links,
            record_exception=False,
            set_status_on_exception=False,
        ) as commit:
            for span in spans:
                span.add_link(commit.get_span_context())
            try:
                receipts = self._untraced(commands)
            except Exception as error:
                commit.set_attribute(ERROR, type(error).__name__)
                commit.set_status(StatusCode.ERROR)
                raise
            upto = max((i for r in receipts if (i := _appended(r)) is not None), default=None)
            if upto is not None:
                commit.set_attribute(POSITION, str(upto))
                self._tracing.committed(upto.index, commit.get_span_context())
            return receipts


def _appended(receipt: Receipt | Exception) -> Position | None:
    """Where the last event stands that a command appended, if it did."""
    if isinstance(receipt, Exception) or receipt.outcome is Outcome.DUPLICATE:
        return None
    return receipt.position


class _TracedRunner(Runner):
    """A runner that makes a span of each batch, linked to the commits that it knows of."""

    def __init__(self, tracing: Tracing, service: Service) -> None:
        super().__init__(service.source, service.views, PROJECTIONS)
        self._tracing = tracing

    def _take_in(
        self, followed: Followed, batch: Sequence[Recorded[OrderEvent]], poison: Poison | None
    ) -> bool:
        if not batch:
            return super()._take_in(followed, batch, poison)
        upto = batch[-1].position
        with self._tracing.tracer.start_as_current_span(
            f"projection {followed.projection.name}",
            attributes={
                PROJECTION: followed.projection.name,
                GENERATION: followed.number,
                EVENTS: len(batch),
                AFTER: str(followed.position or Position(upto.partition, 0)),
                POSITION: str(upto),
            },
            links=self._tracing.links(followed.position, upto),
            record_exception=False,
        ):
            return super()._take_in(followed, batch, poison)
