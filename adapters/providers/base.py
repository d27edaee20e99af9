"""What the webhook endpoint asks of a provider, and the answers it may get."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from adapters.secrets import Tokens
from domain.payment import PaymentNotice

Headers = Sequence[tuple[bytes, bytes]]  # as ASGI has them: lower-case names, raw values


class Unreadable(Exception):
    """An authentic body that cannot be understood or attributed. The message names the field and
    what is wrong with it, and never repeats a value: it goes into logs."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """An authentic, readable body that is none of an order's business, and why."""

    reason: str


Translation = PaymentNotice | Ignored


class Provider(Protocol):
    """A configured provider: its name in the URL, its store, its secrets and its vocabulary."""

    @property
    def name(self) -> str:
        """The name that its URL and its events carry."""

    @property
    def store(self) -> str:
        """The store whose orders it speaks of."""

    @property
    def signs_bodies(self) -> bool:
        """Whether the body is wanted to authenticate; else it is read only for who may send it."""

    def authenticate(self, headers: Headers, body: bytes) -> bool:
        """Whether the sender proved to be this provider. Never raises, whatever it is given."""

    def translate(self, body: bytes, body_sha256: str, received_at: datetime) -> Translation:
        """The body in our words. Raises `Unreadable` for what it cannot read or attribute."""

    def sign(self, body: bytes) -> dict[str, str]:
        """The headers that this provider would send with a body, for trying the endpoint out."""

    def sample(self, order_id: str, status: str) -> bytes:
        """A body of ours in the provider's documented shape, for trying the endpoint out."""


class TokenInHeader:
    """Token-equals: the Authorization header holds one of the live tokens, bare or as Bearer."""

    def __init__(self, tokens: Iterable[str]) -> None:
        self._newest, *_ = tokens = tuple(tokens)
        self._live = Tokens(tokens)

    def verify(self, headers: Headers) -> bool:
        """Whether exactly one Authorization header is there, and holds a live token."""
        values = [value for name, value in headers if name == b"authorization"]
        if len(values) != 1:
            return False
        token = values[0]
        if token[:7].lower() == b"bearer ":
            token = token[7:]
        return self._live.match(token)

    def sign(self) -> dict[str, str]:
        """The header that proves possession of the newest token."""
        return {"Authorization": self._newest}
