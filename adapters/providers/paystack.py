"""Paystack: charges, refunds and disputes.

Source: paystack.com/docs, "Webhooks", "Refunds", "Disputes". A transaction's `reference` is the
order's id, since it is all that every event carries. No event tells of a failed charge.
"""

import json
from collections.abc import Mapping
from datetime import datetime

from adapters.providers.base import JSON, Ignored, Request, Told, Unreadable
from adapters.providers.configuration import ProviderSettings
from adapters.providers.fields import (
    MinorUnits,
    child,
    customer_at,
    iso_at,
    maybe,
    references_of,
    required_id,
    text_at,
)
from adapters.providers.reading import currency_at, word_at
from adapters.providers.signed import hmac_kind
from adapters.providers.verifying import HmacScheme
from domain.payment import Payment, PaymentStatus

S = PaymentStatus
UNITS = MinorUnits(digits=2)  # Paystack writes every currency times 100, XOF too
SCHEME = HmacScheme(headers=("X-Paystack-Signature",), algorithm="sha512")
CHARGE_WORDS: Mapping[str, PaymentStatus] = {
    "success": S.PAID,
    "pending": S.PENDING,
    "processing": S.PENDING,
    "queued": S.PENDING,
    "ongoing": S.PENDING,
    "failed": S.FAILED,
    "abandoned": S.FAILED,
    "reversed": S.REFUNDED,
}
REFUND_WORDS: Mapping[str, PaymentStatus | None] = {
    "processed": S.REFUNDED,
    "pending": None,
    "processing": None,
    "failed": None,
    "needs-attention": None,
}
DISPUTES = frozenset({"charge.dispute.create", "charge.dispute.remind", "charge.dispute.resolve"})


def read(data: JSON, request: Request) -> Told | Ignored:
    """What an event tells of an order."""
    event = word_at(data, "event")
    if event == "charge.success":
        return _charge(child(data, "data"))
    if event.startswith("refund."):
        return _refund(child(data, "data"))
    if event in DISPUTES:
        return _dispute(child(data, "data"))
    return Ignored("an event that tells of no order's payment")


def _charge(charge: JSON) -> Told:
    word = word_at(charge, "status")
    status = CHARGE_WORDS.get(word, S.UNRECOGNIZED)
    currency = currency_at(charge, "currency")
    paid = UNITS.amount(charge, "amount", currency)
    wanted = UNITS.amount(charge, "requested_amount", currency)
    if status is S.PAID and paid is not None and wanted is not None and paid < wanted:
        status = S.PARTIALLY_PAID
    reference = required_id(charge, "reference")
    return Told(
        order_id=reference,
        references=references_of(text_at(maybe(charge, "metadata"), "order_id")),
        status=status,
        raw_status=word,
        amount=wanted or paid,
        currency=currency,
        payment=Payment(ref=reference, status=status, amount=paid),
        occurred_at=iso_at(charge, "paid_at"),
        customer=customer_at(charge, "customer", "customer_code"),
    )


def _refund(refund: JSON) -> Told | Ignored:
    word = word_at(refund, "status")
    status = REFUND_WORDS.get(word, S.UNRECOGNIZED)
    if status is None:
        return Ignored("a refund that moved no money")
    reference = text_at(refund, "transaction_reference")
    if reference is None:
        raise Unreadable("data.transaction_reference: a refund of an order that it does not name")
    currency = currency_at(refund, "currency")
    amount = UNITS.amount(refund, "amount", currency)
    return Told(
        order_id=reference,
        status=status,
        raw_status=word,
        currency=currency,
        payment=Payment(ref=reference, status=status, amount=amount),
    )


def _dispute(dispute: JSON) -> Told:
    transaction = child(dispute, "transaction")
    reference = required_id(transaction, "reference")
    currency = currency_at(transaction, "currency")
    amount = UNITS.amount(transaction, "amount", currency)
    return Told(
        order_id=reference,
        status=S.DISPUTED,
        raw_status=word_at(dispute, "status"),
        currency=currency,
        payment=Payment(ref=reference, status=S.DISPUTED, amount=amount),
    )


def sample(order_id: str, status: str, at: datetime) -> bytes:
    """A charge of an invented transaction; a refund, where that is asked for."""
    if status == S.REFUNDED:
        refund = {"status": "processed", "transaction_reference": order_id, "amount": "90210"}
        told = {"event": "refund.processed", "data": refund | {"currency": "KES"}}
    else:
        words = {S.PAID: "success", S.PENDING: "pending", S.FAILED: "failed"}
        word = {ours.value: word for ours, word in words.items()}.get(status, status)
        charge = {"id": 4099260516, "status": word, "reference": order_id, "amount": 90210}
        charge |= {"currency": "KES", "paid_at": at.isoformat(), "metadata": 0}
        told = {"event": "charge.success", "data": charge}
    return json.dumps(told, indent=2).encode()


class PaystackSettings(ProviderSettings):
    """Paystack signs with the account's secret key."""

    found_in = "Paystack's dashboard: Settings, API Keys & Webhooks, Secret key"

    def signature_headers(self) -> tuple[str, ...]:
        """The headers that hold the signature."""
        return SCHEME.headers


PAYSTACK = hmac_kind(PaystackSettings, SCHEME, read, sample)
