"""What the webhook endpoint asks of a provider, and the answers it may get."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from domain.payment import Payment, PaymentNotice, PaymentStatus

Headers = Sequence[tuple[bytes, bytes]]  # as ASGI has them: lower-case names, raw values
JSON = dict[str, Any]


class Unreadable(Exception):
    """An authentic body that cannot be understood or attributed. The message names the field and
    what is wrong with it, and never repeats a value: it goes into logs."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """An authentic, readable body that is none of an order's business, and why."""

    reason: str


@dataclass(slots=True)
class Request:
    """One delivery as it came. `path` is what follows the provider's name in the URL; it may be a
    secret, so it is shown nowhere. `received_at` is aware UTC.

    The body is filled in once it is read; a verifier that does not need it is asked before.
    """

    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)
    received_at: datetime
    path: str = field(default="", repr=False)
    query: bytes = field(default=b"", repr=False)
    client: str | None = None


@dataclass(frozen=True, slots=True)
class Verified:
    """The sender proved to be the provider, with the secret of this id."""

    key_id: str


class Reason(StrEnum):
    """Why a delivery is not authentic, in one word of a bounded list."""

    NO_SIGNATURE = "no_signature"
    SEVERAL_SIGNATURES = "several_signatures"
    MALFORMED = "malformed"
    WRONG_TOKEN = "wrong_token"  # noqa: S105  (a reason's name)
    WRONG_SIGNATURE = "wrong_signature"
    RESERIALISED = "reserialised"
    WRONG_URL = "wrong_url"
    TOO_OLD = "too_old"
    TOO_EARLY = "too_early"
    WRONG_ADDRESS = "wrong_address"


@dataclass(frozen=True, slots=True)
class Refused:
    """The sender did not prove to be the provider. The detail is a diagnosis for the shop's own
    people; it repeats nothing of what was sent."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Ping:
    """The unsigned greeting of a provider that asks whether anybody is there: it is answered, and
    nothing is recorded."""


Verdict = Verified | Refused | Ping


class Secret(NamedTuple):
    """A live secret, and the id under which its use is recorded."""

    key_id: str
    value: str

    def __repr__(self) -> str:
        """The id; the value is shown nowhere."""
        return f"Secret({self.key_id!r})"


@dataclass(frozen=True, slots=True)
class Answer:
    """The body of a 200 that a provider wants to see in place of ours."""

    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Outgoing:
    """How a provider would send a body: its headers, and what it adds to the URL."""

    headers: dict[str, str]
    path: str = ""
    query: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a body tells of one order: a `PaymentNotice` less what every delivery has.

    `delivery_id` is from signed bytes; without one the body's hash names the delivery. What may
    name a person is apart: `typed` are names of the order that somebody typed, of which the first
    stands for the order where it has no id; `customer` is the provider's name for who buys.
    """

    order_id: str | None
    status: PaymentStatus
    raw_status: str
    references: tuple[str, ...] = ()
    amount: Decimal | None = None
    currency: str | None = None
    payment: Payment | None = None
    occurred_at: datetime | None = None
    delivery_id: str | None = None
    typed: tuple[str, ...] = ()
    customer: str | None = None


Translation = tuple[PaymentNotice, ...] | Ignored


def replayed(body: bytes, context: str | None, received_at: datetime) -> Request:
    """A delivery of which body and context were kept, to be translated again."""
    kept = json.loads(context) if context else {}
    return Request(
        headers=[(n.encode("latin-1"), v.encode("latin-1")) for n, v in kept.get("headers", ())],
        body=body,
        received_at=received_at,
        query=kept.get("query", "").encode("latin-1"),
    )


class CannotSign(Exception):
    """What is configured can only verify. The message says what signing would need."""


class Provider(Protocol):
    """A configured provider: its name in the URL, its store, its secrets and its vocabulary."""

    @property
    def name(self) -> str:
        """The name that its URL and its events carry."""

    @property
    def store(self) -> str:
        """The store whose orders it speaks of."""

    @property
    def needs_body(self) -> bool:
        """Whether the body is wanted to verify; else it is read only for who may send it."""

    @property
    def takes_path(self) -> bool:
        """Whether its URL goes on after its name."""

    @property
    def own_answer(self) -> Answer | None:
        """What it wants to hear when a delivery was taken, if not what the ledger says."""

    def verify(self, request: Request) -> Verdict:
        """Whether the sender proved to be this provider. Never raises, whatever it is given."""

    def explain(self, request: Request, refused: Refused) -> Refused:
        """The refusal again, after a closer and dearer look at what may have gone wrong."""

    def translate(self, request: Request, body_hash: str, key_id: str | None) -> Translation:
        """The body in our words; its hash is keyed, the key id is that of the verdict. Raises
        `Unreadable` for what it cannot read or attribute."""

    def context(self, request: Request) -> str | None:
        """What besides the body `translate` reads, as JSON that holds no secret; `replayed` makes a
        request of it again. None where the body says all."""

    def sign(self, body: bytes, at: datetime, order_id: str | None = None) -> Outgoing:
        """How this provider would send a body at this time, for trying the endpoint out. The order
        is for one whose URL names it.

        Raises `CannotSign` where only the sender could.
        """

    def sample(self, order_id: str, status: str, at: datetime) -> bytes:
        """A body of ours in the provider's documented shape, for trying the endpoint out. The
        status is one of ours; one that the provider has no word for is sent as it is."""
