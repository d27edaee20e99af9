"""Notices and deliveries for tests, in as few words as a test needs."""

import hashlib
import itertools
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from adapters.ledger.application import Delivery
from domain.payment import PaymentNotice, PaymentStatus

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
_numbers = itertools.count()


def notice(
    order_id: str = "1",
    status: PaymentStatus = PaymentStatus.PAID,
    body: bytes | None = None,
    **fields: Any,
) -> PaymentNotice:
    """A notice from Sevi about an order; without a body it gets one of its own."""
    body = f"body {next(_numbers)}".encode() if body is None else body
    digest = hashlib.sha256(body).hexdigest()
    told: dict[str, Any] = {
        "store": "default",
        "provider": "sevi",
        "delivery_key": digest,
        "order_id": order_id,
        "status": status,
        "raw_status": status.value,
        "amount": Decimal("902.10"),
        "currency": "KES",
        "received_at": NOON,
        "body_hash": digest,
        "body": body,
    }
    return PaymentNotice(**told | fields)


def delivery(told: PaymentNotice) -> Delivery:
    """The delivery that brought a notice."""
    return Delivery(told.provider, told.received_at, told.body, told.body_hash, (told,))
