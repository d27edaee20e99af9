"""Mollie's next-gen webhooks: payments and payment links, with the full payload.

Source: docs.mollie.com, "Next-gen webhooks", "Payments API webhooks", "Payment Links API webhooks".
While a secret is being exchanged Mollie signs with both, in two headers of one name.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime

from adapters.providers.base import JSON, Ignored, Request, Told, Unreadable
from adapters.providers.configuration import ProviderSettings
from adapters.providers.fields import (
    child,
    customer_at,
    iso_at,
    major,
    maybe,
    references_of,
    required_id,
    text_at,
)
from adapters.providers.reading import currency_at, read_object, word_at
from adapters.providers.signed import hmac_kind
from adapters.providers.verifying import HmacScheme
from domain.payment import Payment, PaymentStatus

S = PaymentStatus
SCHEME = HmacScheme(headers=("X-Mollie-Signature",), prefix="sha256=", several=True)
WORDS: Mapping[str, PaymentStatus] = {
    "open": S.PENDING,
    "pending": S.PENDING,
    "authorized": S.PENDING,
    "paid": S.PAID,
    "failed": S.FAILED,
    "canceled": S.CANCELLED,
    "expired": S.EXPIRED,
}


def read(data: JSON, request: Request) -> Told | Ignored:
    """What an event tells of an order."""
    event = word_at(data, "type")
    family = event.partition(".")[0]
    if family not in ("payment", "payment-link"):
        return Ignored("an event that tells of no order's payment")
    if not maybe(maybe(data, "_embedded"), "entity"):
        raise Unreadable("_embedded.entity: missing; let Mollie send the full payload")
    entity = child(data, "_embedded", "entity")
    return _payment(data, entity) if family == "payment" else _link(data, entity)


def _payment(data: JSON, payment: JSON) -> Told:
    word = word_at(payment, "status")
    status = WORDS.get(word, S.UNRECOGNIZED)
    money = maybe(payment, "amount")
    currency = currency_at(money, "currency")
    amount = moved = major(money, "value", currency)
    for key, partly, wholly in (
        ("amountRefunded", S.PARTIALLY_REFUNDED, S.REFUNDED),
        ("amountChargedBack", S.DISPUTED, S.DISPUTED),
    ):
        back = major(maybe(payment, key), "value", currency)
        if status is not S.UNRECOGNIZED and back:
            whole = amount is not None and back >= amount
            status, moved = (wholly if whole else partly), back
    ref = required_id(payment, "id")
    payment_told = Payment(ref=ref, status=status, amount=moved)
    named = _order_in(payment) or ref
    return Told(
        order_id=named,
        references=references_of(ref if ref != named else None),
        status=status,
        raw_status=word,
        amount=amount,
        currency=currency,
        payment=payment_told,
        customer=customer_at(payment, "customerId"),
        occurred_at=iso_at(data, "createdAt"),
        delivery_id=required_id(data, "id"),
    )


def _link(data: JSON, link: JSON) -> Told:
    """A payment link has no status: the time of its payment says that it was paid. The payment is
    told under a name of its own, by `payment.*`, so none is told here: it would count twice."""
    status = S.PENDING if iso_at(link, "paidAt") is None else S.PAID
    money = maybe(link, "amount")
    currency = currency_at(money, "currency")
    amount = major(money, "value", currency)
    ref = required_id(link, "id")
    named = _order_in(link) or ref
    return Told(
        order_id=named,
        references=references_of(ref if ref != named else None),
        status=status,
        raw_status=word_at(data, "type"),
        amount=amount,
        currency=currency,
        occurred_at=iso_at(data, "createdAt"),
        delivery_id=required_id(data, "id"),
    )


def _order_in(entity: JSON) -> str | None:
    """The shop's order in the metadata, which Mollie keeps as an object or as a text of JSON."""
    metadata = entity.get("metadata")
    if type(metadata) is str and metadata.lstrip().startswith("{"):
        try:
            metadata = read_object(metadata.encode("utf-8", "surrogatepass"))
        except Unreadable:
            return None
    return text_at(metadata, "order_id") if isinstance(metadata, dict) else None


def sample(order_id: str, status: str, at: datetime) -> bytes:
    """An event about an invented payment."""
    words = {S.PAID: "paid", S.PENDING: "pending", S.FAILED: "failed"}
    words |= {S.CANCELLED: "canceled", S.EXPIRED: "expired"}
    word = {ours.value: word for ours, word in words.items()}.get(status, status)
    number = hashlib.sha256(f"{order_id} {word}".encode()).hexdigest()[:16]
    payment: JSON = {"resource": "payment", "id": f"tr_{number[:10]}", "status": word}
    payment |= {"amount": {"currency": "KES", "value": "902.10"}}
    told = {"resource": "event", "id": f"event_{number}", "type": f"payment.{word}"[:255]}
    told |= {"entityId": payment["id"], "createdAt": at.isoformat(timespec="seconds")}
    entity = payment | {"metadata": {"order_id": order_id}}
    return json.dumps(told | {"_embedded": {"entity": entity}}, indent=2).encode()


class MollieSettings(ProviderSettings):
    """Mollie shows a webhook's signing secret once, when the webhook is made."""

    found_in = "Mollie's dashboard: Developers, Webhooks, Signing secret"

    def signature_headers(self) -> tuple[str, ...]:
        """The headers that hold the signature."""
        return SCHEME.headers


MOLLIE = hmac_kind(MollieSettings, SCHEME, read, sample)
