"""A ledger with targets, whose workers a test moves step by step, on a clock of the test's."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from adapters.access.roles import Caller
from adapters.deliveries.intake import delivery_of
from adapters.effects.base import Answer, Effect, Verdict
from adapters.effects.dispatch import Pace, Worker
from adapters.effects.outbox import Outbox
from adapters.providers import Request, Secret
from adapters.providers.sevi import Sevi
from adapters.service import Service
from adapters.settings import load_settings
from adapters.storage.access import Operation
from adapters.storage.effects import EffectFilter, EffectRow, EffectStore
from domain.payment import Origin
from tests.contract.logs import FakeClock

SECRET = "whsec_" + "c2VjcmV0" * 4
SHOP: dict[str, Any] = {"kind": "webhook", "url": "http://127.0.0.1:1/x", "secret": SECRET}
ALICE = Caller.with_every_role("user alice")
SENT = Answer(Verdict.SENT, "HTTP 204")
REFUSED = Answer(Verdict.RETRY, "HTTP 500", "oh no")


class Told:
    """A sender that keeps what it was given and answers what it is told."""

    def __init__(self) -> None:
        self.sent: list[Effect] = []
        self.answer: Callable[[Effect], Answer] = lambda _: SENT

    def send(self, effect: Effect) -> Answer:
        self.sent.append(effect)
        return self.answer(effect)

    def close(self) -> None:
        pass

    @property
    def orders(self) -> list[str]:
        """What came, as order:event."""
        return [f"{effect.order.order_id}:{effect.event}" for effect in self.sent]


class Ledger:
    """A ledger in a folder that hears Sevi and has the target `shop`."""

    def __init__(self, folder: Path, url: str | None = None, **shop: Any) -> None:
        self.url = url or f"sqlite:///{folder / 'ledger.db'}"
        self.targets: dict[str, dict[str, Any]] = {"shop": SHOP | shop}
        self.providers: dict[str, Any] = {"sevi": {"tokens": ["token"]}}
        self.registered_only = False
        self.clock = FakeClock()
        self.sender = Told()
        self.pace = Pace()
        self.open()

    def open(self) -> None:
        """Open it, as a process does at its start."""
        settings = load_settings(
            database_url=self.url,
            effects=self.targets,
            providers=self.providers,
            require_registered_orders=self.registered_only,
        )
        self.service = Service(settings)
        self.store: EffectStore = self.service.effects
        self.store.clock = self.clock
        self.worker = self._worker(self.sender)

    def close(self) -> None:
        self.service.close()

    def _worker(self, sender: Told) -> Worker:
        (name,) = self.targets
        settings = self.service.settings.effects[name]
        outbox: Outbox = self.service.outbox
        parts = (outbox, self.store, self.pace)
        return Worker(name, settings, lambda: sender, *parts)

    def hears(
        self,
        order_id: str,
        status: str,
        origin: Origin = Origin.WEBHOOK,
        provider: str = "sevi",
        **more: Any,
    ) -> None:
        """Record news of an order."""
        body = json.dumps({"orderId": order_id, "orderPayment": status, **more}).encode()
        sevi = Sevi(provider, "default", [Secret("key", "token")])
        request = Request([], body, datetime.now(UTC))
        hashing = self.service.vault.hashing
        self.service.ledger.record([delivery_of(sevi, request, None, hashing, origin)])

    def operation(self, action: str) -> Operation:
        """Something that Alice does."""
        return Operation.by(ALICE, action, "it")

    def works(self, steps: int = 50) -> None:
        """Let the worker do all that is due now."""
        for _ in range(steps):
            if self.worker.step() > 0:
                return
        raise AssertionError("the worker finds no end")

    @property
    def rows(self) -> list[EffectRow]:
        """The outbox, oldest first."""
        return self.store.page(EffectFilter(), None, 1000)[::-1]

    def row(self, order_id: str) -> EffectRow:
        (row,) = self.store.page(EffectFilter(order_id=order_id), None, 10)
        return row
