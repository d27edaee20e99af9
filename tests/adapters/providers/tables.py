"""Providers of every kind as their tables configure them, and requests as their senders make them.

Secrets and bodies are invented here; the shapes are the documented ones.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from adapters.providers import (
    Ignored,
    Provider,
    Request,
    Secret,
    Unreadable,
    Verified,
    kind_of,
    make_provider,
)
from adapters.providers.base import Headers
from domain.payment import PaymentNotice

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
URL = "https://shop.example/webhooks/square"
MAPPING: dict[str, Any] = {
    "order_id": "data.order",
    "status": "data.state",
    "statuses": {"PAID": ["settled"], "PENDING": ["open"], "FAILED": ["refused"]},
    "amount": "data.total",
    "amount_unit": "minor",
    "currency": "data.currency",
    "occurred_at": "data.at",
}
TILL: dict[str, Any] = MAPPING | {
    "kind": "custom",
    "verify": {
        "scheme": "hmac",
        "header": "X-Till-Signature",
        "algorithm": "sha256",
        "encoding": "hex",
        "prefix": "sha256=",
        "message": "{body}",
    },
    "delivery_id": "id",
    "payment_ref": "data.payment",
}


def whsec(text: str) -> str:
    """A secret of Standard Webhooks."""
    return "whsec_" + base64.b64encode(text.encode()).decode()


# kind -> what its table needs besides the secrets
NEEDS: dict[str, dict[str, Any]] = {
    "sevi": {},
    "standard-webhooks": MAPPING,
    "stripe": {},
    "paystack": {},
    "flutterwave-v3": {},
    "flutterwave-v4": {},
    "mpesa": {},
    "woocommerce": {},
    "shopify": {},
    "adyen": {},
    "square": {"notification_url": URL},
    "razorpay": {},
    "mollie": {},
    "custom": TILL,
}
KINDS = sorted(NEEDS)
SIGNING_KINDS = [k for k in KINDS if k not in ("sevi", "flutterwave-v3", "mpesa", "adyen")]


def secret_of(kind: str, which: str) -> str:
    """A secret in the form that the kind wants; `which` tells several apart."""
    if kind == "standard-webhooks":
        return whsec(f"invented secret, {which}")
    if kind == "adyen":
        return hashlib.sha256(which.encode()).hexdigest().upper()
    return f"invented-secret-{which}"


def configured(kind: str, *secrets: str, name: str | None = None, **table: Any) -> Provider:
    """A provider as its table configures it; the secrets' ids are `first`, `second`, ..."""
    given = list(secrets) or [secret_of(kind, "new"), secret_of(kind, "old")]
    full = {"kind": kind, **NEEDS.get(kind, {}), **table, "secrets": given}
    settings = kind_of(kind).settings.model_validate(full)
    ids = ("first", "second", "third")[: len(given)]
    return make_provider(
        name or kind, settings, [Secret(i, s) for i, s in zip(ids, given, strict=True)]
    )


def lower(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI hands them over."""
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]


def sent(
    provider: Provider, body: bytes, at: datetime = NOON, order_id: str | None = None
) -> Request:
    """A request as the provider would make it, received when it was sent."""
    outgoing = provider.sign(body, at, order_id)
    return Request(
        headers=[(b"host", b"shop.example"), *lower(outgoing.headers)],
        body=body,
        received_at=at,
        path=outgoing.path,
        query=outgoing.query.encode(),
        client="127.0.0.1",
    )


def sample(kind: str, provider: Provider, order_id: str = "1001", status: str = "PAID") -> Request:
    """A sample of the provider's own, sent."""
    return sent(provider, provider.sample(order_id, status, NOON), NOON, order_id)


def key_id(provider: Provider, request: Request) -> str | None:
    """The id of the secret that verified a request, if one did."""
    verdict = provider.verify(request)
    return verdict.key_id if isinstance(verdict, Verified) else None


def with_headers(request: Request, headers: Headers) -> Request:
    """The request with other headers."""
    return replace(request, headers=headers)


def as_request(told: Request | bytes) -> Request:
    """A request; a body alone is one without any header."""
    return told if isinstance(told, Request) else Request([], told, NOON)


def notices(provider: Provider, told: Request | bytes) -> Sequence[PaymentNotice]:
    """The notices of a delivery that has to hold some."""
    request = as_request(told)
    translation = provider.translate(request, hashlib.sha256(request.body).hexdigest(), "key")
    assert not isinstance(translation, Ignored), translation
    return translation


def notice(provider: Provider, told: Request | bytes) -> PaymentNotice:
    """The one notice of a delivery."""
    (only,) = notices(provider, told)
    return only


def ignored(provider: Provider, told: Request | bytes) -> str:
    """Why a delivery that has to be ignored is."""
    translation = provider.translate(as_request(told), "digest", "key")
    assert isinstance(translation, Ignored), translation
    return translation.reason


def unreadable(provider: Provider, told: Request | bytes) -> str:
    """What is wrong with a body that has to be unreadable."""
    with pytest.raises(Unreadable) as caught:
        provider.translate(as_request(told), "digest", "key")
    return str(caught.value)
