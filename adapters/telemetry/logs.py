"""Structured logs: one JSON object a line on standard error, no secrets and no personal data."""

import asyncio
import logging
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec
from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

FRAMES_MAX = 8
QUIET = ("httpx", "httpcore")
SERVER = "uvicorn.error"
STRANGERS_SECONDS = 1.0


class OneForm(JsonFormatter):
    """Writes a record as `DeliveryLines` writes its own: compact, times with Z."""

    def jsonify_log_record(self, log_data: Any) -> str:
        """The line of a record."""
        return msgspec.json.encode(log_data, enc_hook=str).decode()


def form() -> logging.Formatter:
    """The form of every logger's lines; times are UTC."""
    return OneForm(
        "%(levelname)s %(name)s %(message)s",
        rename_fields={"levelname": "level", "name": "logger"},
        timestamp="time",
        reserved_attrs=[*RESERVED_ATTRS, "color_message"],
    )


def configure_logs(level: int = logging.INFO) -> None:
    """Send every logger's lines to standard error, in one form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(form())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger(SERVER).addFilter(OnceASecond())


class OnceASecond(logging.Filter):
    """Lets each warning through at most once a second.

    The server warns of every request that is none: a stranger must not fill the disk with those.
    """

    def __init__(self) -> None:
        super().__init__()
        self._quiet_until: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        if record.levelno != logging.WARNING:
            return True
        now = monotonic()
        if now < self._quiet_until.get(str(record.msg), now):
            return False
        self._quiet_until[str(record.msg)] = now + STRANGERS_SECONDS
        return True


def discreetly(error: BaseException) -> str:
    """What failed and where, without the error's message: that may repeat what it failed on."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES_MAX:]
    places = " < ".join(f"{f.name} ({Path(f.filename).name}:{f.lineno})" for f in reversed(frames))
    return f"{type(error).__name__} in {places}"


class DeliveryLines:
    """The lines of a logger that has one for every delivery.

    The deliveries of a batch are answered in the same turn of the event loop; their lines are
    written together at its end. A record and a write each would cost more than the delivery does.
    """

    def __init__(self, logger: str) -> None:
        self._fixed = {"level": "INFO", "logger": logger}
        self._lines: list[dict[str, Any]] = []
        self._encoder = msgspec.json.Encoder()

    def write(self, message: str, **fields: Any) -> None:
        """Add a line. Call it on the event loop."""
        if not self._lines:
            asyncio.get_running_loop().call_soon(self._flush)
        self._lines.append({**self._fixed, "message": message, **fields})

    def _flush(self) -> None:
        lines, self._lines = self._lines, []
        now = datetime.now(UTC)
        for line in lines:
            line["time"] = now
        try:
            sys.stderr.write(self._encoder.encode_lines(lines).decode())
            sys.stderr.flush()
        except OSError:  # nobody reads the log any more: no reason to stop taking deliveries
            pass
