"""A shop's folder with a ledger in it, and the command line as its people use it."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.cli.main import main
from adapters.deliveries.intake import delivery_of
from adapters.ledger.application import Delivery, Receipt
from adapters.providers import Request, Secret
from adapters.providers.sevi import Sevi
from adapters.service import Service
from adapters.settings import Settings


@dataclass(frozen=True)
class Ran:
    """What a command printed, and how it ended."""

    code: int
    stdout: bytes
    stderr: bytes

    @property
    def out(self) -> str:
        return self.stdout.decode()

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def complaint(self) -> str:
        """The one line that the command complained with."""
        (line,) = self.stderr.decode().splitlines()
        return line


class Shop:
    """A folder where a server ran: its ledger holds what Sevi told."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "var" / "ledger.db"
        self.store = "default"

    @contextmanager
    def service(self) -> Iterator[Service]:
        service = Service(Settings(database_url=f"sqlite:///{self.path}"))
        try:
            yield service
        finally:
            service.close()

    def hears(self, *bodies: bytes | str | tuple[str, str]) -> list[Receipt]:
        """Record webhooks of Sevi: bodies, or samples of an (order id, status)."""
        with self.service() as service:
            deliveries = [self._delivery(service, body) for body in bodies]
            return [service.ledger.record([delivery])[0] for delivery in deliveries]

    def hears_at_once(self, bodies: list[str]) -> None:
        """Record many webhooks in one batch."""
        with self.service() as service:
            service.ledger.record([self._delivery(service, body) for body in bodies])

    def _delivery(self, service: Service, body: bytes | str | tuple[str, str]) -> Delivery:
        sevi = Sevi("sevi", self.store, [Secret("key", "token")])
        now = datetime.now(UTC)
        raw = sevi.sample(*body, now) if isinstance(body, tuple) else body
        raw = raw.encode() if isinstance(raw, str) else raw
        return delivery_of(sevi, Request([], raw, now), None, service.vault.hashing)


class CommandLine:
    """Runs `order-ledger` in this process, as a person or a script would."""

    def __init__(self, capture: pytest.CaptureFixture[bytes], patch: pytest.MonkeyPatch) -> None:
        self._capture = capture
        self._patch = patch

    def __call__(self, *args: str, stdin: bytes = b"") -> Ran:
        self._capture.readouterr()
        self._patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as ended:
            main(args)
        code = ended.value.code
        assert isinstance(code, int)
        return Ran(code, *self._capture.readouterr())
