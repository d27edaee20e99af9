"""Whether traces are wanted: OpenTelemetry's own variables say so, an optional extra makes them.

Off, nothing of it is imported, and nothing stands in the way of a delivery.
"""

import logging
import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

from fastapi.telemetry import TelemetryConfig

if TYPE_CHECKING:
    from adapters.service import Service

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
EXPORTERS = ("otlp", "console")
PACKAGES = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")

# What FastAPI measures and logs by itself would tell what a request's error says.
NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}

log = logging.getLogger("order_ledger")


def exporter_wanted(environ: Mapping[str, str]) -> str | None:
    """Where traces go: `otlp`, `console`, or None where nobody asks for any."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    named = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if named:
        return None if named == "none" else named
    return "otlp" if any(environ.get(name) for name in ENDPOINTS) else None


def trace_where_wanted(service: "Service") -> None:
    """Trace what a service does from now on, if the environment asks for it. What asks for it and
    cannot be had is told in the log: no reason not to take deliveries."""
    exporter = exporter_wanted(os.environ)
    if exporter is None:
        return
    if exporter not in EXPORTERS:
        log.warning("OTEL_TRACES_EXPORTER=%s: no traces; set it to otlp or console", exporter)
    elif not _is_installed():
        log.warning("traces are wanted and cannot be made: pip install 'order-ledger[tracing]'")
    else:
        from adapters.telemetry.traced import Tracing, exporter_of

        Tracing(exporter_of(exporter)).watch(service)


def _is_installed() -> bool:
    try:
        return all(find_spec(package) for package in PACKAGES)
    except ModuleNotFoundError:
        return False
