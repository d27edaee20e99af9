"""A provider as a declaration: who may speak, how a body is read, and a sample of one."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address
from typing import Any

from adapters.providers.base import (
    JSON,
    Answer,
    Headers,
    Ignored,
    Outgoing,
    Ping,
    Provider,
    Reason,
    Refused,
    Request,
    Secret,
    Told,
    Translation,
    Verdict,
)
from adapters.providers.configuration import Network, ProviderSettings
from adapters.providers.reading import read_object
from adapters.providers.verifying import HmacHeader, HmacScheme, Verifier
from domain.payment import PaymentNotice, Personal

CONTEXT_BYTES_MAX = 2049  # one more than a reader takes, so that too long stays too long

Read = Callable[[JSON, Request], Told | Sequence[Told] | Ignored]
Sample = Callable[[str, str, datetime], bytes]


@dataclass(frozen=True)
class Kind:
    """A kind of provider: the settings of its table, and how one is made from them.

    `make` gets the name of the provider, its settings and its live secrets, the newest first.
    A package offers one under the entry point group `order_ledger.providers`.
    """

    make: Callable[[str, Any, Sequence[Secret]], Provider]
    settings: type[ProviderSettings] = ProviderSettings


@dataclass(frozen=True, kw_only=True)
class Declared:
    """A provider made of a verifier, a reader of bodies and a sample."""

    name: str
    store: str
    verifier: Verifier
    read: Read
    sample: Sample
    own_answer: Answer | None = None
    takes_path: bool = False
    addresses: Sequence[Network] = field(default=())
    reads_query: bool = False
    reads_headers: Callable[[Headers], Headers] | None = None
    is_ping: Callable[[Request], bool] | None = None

    @property
    def needs_body(self) -> bool:
        """Whether the body is wanted to verify."""
        return self.verifier.needs_body

    def verify(self, request: Request) -> Verdict:
        """Whether a live secret proves the sender, and it called from where it may."""
        if self.addresses and not called_from(self.addresses, request.client):
            return Refused(Reason.WRONG_ADDRESS, "the caller's address is none of the provider's")
        if self.is_ping is not None and self.is_ping(request):
            return Ping()
        return self.verifier.verify(request)

    def explain(self, request: Request, refused: Refused) -> Refused:
        """The refusal after a closer look."""
        return self.verifier.explain(request, refused)

    def translate(self, request: Request, body_hash: str, key_id: str | None) -> Translation:
        """The notices in a body. Raises `Unreadable`."""
        told = self.read(read_object(request.body), request)
        if isinstance(told, Ignored):
            return told
        each = [told] if isinstance(told, Told) else told
        return tuple(self._notice(one, request, body_hash, key_id) for one in each)

    def _notice(
        self, told: Told, request: Request, body_hash: str, key_id: str | None
    ) -> PaymentNotice:
        return PaymentNotice(
            store=self.store,
            provider=self.name,
            delivery_key=told.delivery_id or body_hash,
            order_id=told.order_id or "",
            references=told.references,
            status=told.status,
            raw_status=told.raw_status,
            amount=told.amount,
            currency=told.currency,
            payment=told.payment,
            occurred_at=told.occurred_at,
            received_at=request.received_at,
            body_hash=body_hash,
            body=request.body,
            key_id=key_id,
            personal=_personal(told),
        )

    def context(self, request: Request) -> str | None:
        """The query and the headers that the reader looks at, where it looks at any."""
        kept: JSON = {}
        if self.reads_query and request.query:
            kept["query"] = request.query[:CONTEXT_BYTES_MAX].decode("latin-1")
        if self.reads_headers is not None:
            kept["headers"] = [
                (name.decode("latin-1"), value[:CONTEXT_BYTES_MAX].decode("latin-1"))
                for name, value in self.reads_headers(request.headers)
            ]
        return json.dumps(kept) if kept else None

    def sign(self, body: bytes, at: datetime, order_id: str | None = None) -> Outgoing:
        """How the provider would send a body. Raises `CannotSign`."""
        return self.verifier.sign(body, at, order_id)


def _personal(told: Told) -> Personal | None:
    if told.customer is None and not told.typed:
        return None
    return Personal(references=told.typed, customer=told.customer)


def hmac_kind(
    settings: type[ProviderSettings], scheme: HmacScheme, read: Read, sample: Sample
) -> Kind:
    """The kind of a provider that signs the whole body in one header, and needs nothing besides."""

    def make(name: str, configured: ProviderSettings, secrets: Sequence[Secret]) -> Declared:
        return Declared(
            name=name,
            store=configured.store,
            verifier=HmacHeader(secrets, scheme),
            read=read,
            sample=sample,
            addresses=configured.addresses,
        )

    return Kind(make, settings)


def called_from(addresses: Sequence[Network], client: str | None) -> bool:
    """Whether an address is one of these, or in one of these networks."""
    try:
        address = ip_address(client or "")
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in network for network in addresses)
