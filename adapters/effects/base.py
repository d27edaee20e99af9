"""An effect as its sender gets it, and what the sender says of it."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from adapters.effects.configuration import EffectSettings
from adapters.providers.configuration import ProviderSettings

if TYPE_CHECKING:
    from adapters.queries.queries import OrderView

TYPES: Mapping[str, str] = MappingProxyType(
    {
        "Delivered": "order.delivered",
        "PaymentFailed": "order.payment_failed",
        "ReviewRequired": "order.review_required",
    }
)
EXCERPT_CHARACTERS = 200
EXCERPT_BYTES = 4096  # that are read of an answer
# What looks like an address, a phone, a card or an id is not kept: it may be a person's.
_PERSONAL = re.compile(r"[^\s\"'<>(),;]*@[^\s\"'<>(),;]*|\+?\d(?:[ .()/-]?\d){5,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """An event for a target. `id` is the same for ever, `order` is the order as it stood right
    after the event, `recorded_at` (UTC) the time of the event's recording. `provider_order_id` is
    how the provider calls the order, where the news that caused the event told so."""

    id: str
    event: str
    position: str
    version: int
    recorded_at: datetime
    order: "OrderView"
    provider_order_id: str | None = None

    def message(self) -> bytes:
        """The event as JSON: what happened, when, and the order right after it."""
        return json.dumps(self._told()).encode()

    def identified(self) -> bytes:
        """The same with its id and where it stands, for who gets no headers."""
        named = {"id": self.id, "position": self.position, "version": self.version}
        return json.dumps(named | self._told()).encode()

    def _told(self) -> dict[str, Any]:
        return {
            "type": TYPES[self.event],
            "timestamp": self.recorded_at.isoformat().replace("+00:00", "Z"),
            "data": self.order.model_dump(mode="json"),
        }


class Verdict(StrEnum):
    """What an attempt came to."""

    SENT = "sent"
    RETRY = "retry"
    STOP = "stop"  # the target wants no more: it is paused


@dataclass(frozen=True, slots=True)
class Answer:
    """What an attempt was answered: in a word or two, for a refusal with a piece of its text.

    `wait_seconds` is how long the target asks to be left alone.
    """

    verdict: Verdict
    said: str
    excerpt: str | None = None
    wait_seconds: float | None = None


class Sender(Protocol):
    """Carries effects to one target, on one thread."""

    def send(self, effect: Effect) -> Answer:
        """Carry out an effect, once. What it raises counts as a failed attempt."""

    def close(self) -> None:
        """Release what it holds."""


@dataclass(frozen=True)
class EffectKind:
    """A kind of target: the settings of its table, and how a sender is made from them.

    `make` gets the name of the target, its settings and the configured providers. A package offers
    one under the entry point group `order_ledger.effects`.
    """

    make: Callable[[str, Any, Mapping[str, ProviderSettings]], Sender]
    settings: type[EffectSettings] = EffectSettings


def excerpt(raw: bytes) -> str | None:
    """A piece of a refusal's text that is fit to be kept: one line, short, and without what looks
    personal; a name would still be seen."""
    text = " ".join(raw[:EXCERPT_BYTES].decode(errors="replace").split())
    shown = _PERSONAL.sub("…", "".join(c for c in text if c.isprintable()))
    return shown[:EXCERPT_CHARACTERS] or None
