"""Translating a body as the webhook endpoint does."""

import hashlib
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from adapters.providers import Request, Secret, Unreadable
from adapters.providers.base import Ignored, Translation
from adapters.providers.sevi import Sevi
from domain.payment import PaymentNotice, PaymentStatus, Personal
from tests.adapters.providers.sevi_bodies import ORDER_ID

CUSTOMER = "CUS-000017"  # of the documented bodies
RECEIVED_AT = datetime(2026, 1, 5, 9, tzinfo=UTC)
SEVI = Sevi("sevi", "default", [Secret("key", "a-token")])


def translate(body: bytes) -> Translation:
    """What Sevi's adapter makes of a body."""
    digest = hashlib.sha256(body).hexdigest()
    return SEVI.translate(Request([], body, RECEIVED_AT), digest, "key")


def noticed(body: bytes) -> PaymentNotice:
    """The notice in a body that has to hold one."""
    told = translate(body)
    assert not isinstance(told, Ignored), told
    (notice,) = told
    return notice


def ignored(body: bytes) -> Ignored:
    """Why a body that has to be none of an order's business is that."""
    told = translate(body)
    assert isinstance(told, Ignored), told
    return told


def unreadable(body: bytes) -> str:
    """What is wrong with a body that has to be unreadable."""
    with pytest.raises(Unreadable) as caught:
        translate(body)
    return str(caught.value)


def expected(body: bytes, **told: Any) -> PaymentNotice:
    """The notice of a plain PAID in this body, with other fields where they are given."""
    digest = hashlib.sha256(body).hexdigest()
    fields: dict[str, Any] = {
        "store": "default",
        "provider": "sevi",
        "delivery_key": digest,
        "order_id": ORDER_ID,
        "status": PaymentStatus.PAID,
        "raw_status": "PAID",
        "received_at": RECEIVED_AT,
        "body_hash": digest,
        "body": body,
        "key_id": "key",
        "personal": Personal(customer=CUSTOMER) if CUSTOMER.encode() in body else None,
    }
    fields |= {"provider_order_id": fields["order_id"]} | told
    return PaymentNotice(**fields)


def text_of(amount: Decimal | None) -> str | None:
    """An amount to the last digit: equality of decimals would not see one zero more."""
    return None if amount is None else str(amount)
