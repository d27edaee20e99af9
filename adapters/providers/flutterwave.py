"""Flutterwave v3 (a secret hash in a header) and v4 (an HMAC of the body).

Source: developer.flutterwave.com, "Webhooks" of both versions. `data.tx_ref` (v3) and
`data.reference` (v4) are the shop's own names of a payment; a failed charge keeps the event's name.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from adapters.providers.base import JSON, Ignored, Request, Secret, Told, Unreadable
from adapters.providers.configuration import ProviderSettings, usable_token
from adapters.providers.fields import (
    child,
    customer_at,
    major,
    maybe,
    references_of,
    required_id,
    text_at,
    unix_milliseconds_at,
)
from adapters.providers.reading import currency_at, word_at
from adapters.providers.signed import Declared, Kind
from adapters.providers.verifying import HmacHeader, HmacScheme, TokenInHeader
from domain.payment import Payment, PaymentStatus

S = PaymentStatus
SCHEME_V4 = HmacScheme(headers=("flutterwave-signature",), encoding="base64")
WORDS_V3: Mapping[str, PaymentStatus] = {
    "successful": S.PAID,
    "pending": S.PENDING,
    "failed": S.FAILED,
}
WORDS_V4: Mapping[str, PaymentStatus] = {
    "succeeded": S.PAID,
    "pending": S.PENDING,
    "failed": S.FAILED,
    "voided": S.CANCELLED,
}
REFUNDED_WORDS = frozenset({"succeeded", "successful", "completed"})
UNMOVED_WORDS = frozenset({"new", "pending", "failed", "initiated"})


def read_v3(data: JSON, request: Request) -> Told | Ignored:
    """What an event of v3 tells of an order."""
    event = word_at(data, "event")
    if event != "charge.completed":
        return _money_back(event, data, "tx_ref", None)
    charge = child(data, "data")
    return _charge(charge, required_id(charge, "tx_ref"), WORDS_V3, references_of(), None, None)


def read_v4(data: JSON, request: Request) -> Told | Ignored:
    """What an event of v4 tells of an order."""
    event = word_at(data, "type")
    delivery_id = required_id(data, "webhook_id")
    if event != "charge.completed":
        return _money_back(event, data, "reference", delivery_id)
    charge = child(data, "data")
    order_id = required_id(charge, "reference")
    references = references_of(text_at(maybe(charge, "meta"), "order_id"))
    at = unix_milliseconds_at(data, "timestamp")
    return _charge(charge, order_id, WORDS_V4, references, at, delivery_id)


def _charge(
    charge: JSON,
    order_id: str,
    words: Mapping[str, PaymentStatus],
    references: tuple[str, ...],
    at: datetime | None,
    delivery_id: str | None,
) -> Told:
    word = word_at(charge, "status")
    status = words.get(word, S.UNRECOGNIZED)
    currency = currency_at(charge, "currency")
    amount = major(charge, "amount", currency)
    ref = required_id(charge, "id")
    return Told(
        order_id=order_id,
        references=tuple(r for r in references if r != order_id),
        status=status,
        raw_status=word,
        amount=amount,
        currency=currency,
        payment=Payment(ref=ref, status=status, amount=amount),
        occurred_at=at,
        delivery_id=delivery_id,
        customer=customer_at(charge, "customer", "id"),
    )


def _money_back(event: str, data: JSON, reference: str, delivery_id: str | None) -> Told | Ignored:
    """A refund or a chargeback, where it is one and names its order."""
    family = event.partition(".")[0]
    if family not in ("refund", "chargeback"):
        return Ignored("an event that tells of no order's payment")
    told = child(data, "data")
    word = word_at(told, "status")
    if family == "chargeback":
        status = S.DISPUTED
    elif word in UNMOVED_WORDS:
        return Ignored("a refund that moved no money")
    else:
        status = S.REFUNDED if word in REFUNDED_WORDS else S.UNRECOGNIZED
    order_id = text_at(told, reference) or text_at(maybe(told, "charge"), reference)
    if order_id is None:
        raise Unreadable(f"data.{reference}: money went back on an order that it does not name")
    currency = currency_at(told, "currency")
    ref = text_at(told, "charge_id") or text_at(told, "tx_id")
    amount_key = "amount_refunded" if "amount_refunded" in told else "amount"
    amount = major(told, amount_key, currency)
    return Told(
        order_id=order_id,
        status=status,
        raw_status=word,
        currency=currency,
        payment=Payment(ref=ref, status=status, amount=amount) if ref else None,
        occurred_at=unix_milliseconds_at(data, "timestamp") if delivery_id else None,
        delivery_id=delivery_id,
    )


def sample_v3(order_id: str, status: str, at: datetime) -> bytes:
    """A completed charge of an invented transaction."""
    word = {ours.value: word for word, ours in WORDS_V3.items()}.get(status, status)
    charge = {"id": 285959875, "tx_ref": order_id, "amount": 902, "currency": "KES"}
    told = {"event": "charge.completed", "data": charge | {"status": word}}
    return json.dumps(told, indent=2).encode()


def sample_v4(order_id: str, status: str, at: datetime) -> bytes:
    """A completed charge of an invented transaction."""
    word = {ours.value: word for word, ours in WORDS_V4.items()}.get(status, status)
    charge = {"id": "chg_K7mWz02Lq", "reference": order_id, "amount": 902, "currency": "KES"}
    milliseconds = int(at.timestamp()) * 1000
    told = {"webhook_id": f"wbk_{milliseconds}{word}", "timestamp": milliseconds}
    told |= {"type": "charge.completed", "data": charge | {"status": word, "meta": {}}}
    return json.dumps(told, indent=2).encode()


class FlutterwaveSettings(ProviderSettings):
    """The shop invents the secret hash and enters it at Flutterwave."""

    makes_secret = True


class FlutterwaveV3Settings(FlutterwaveSettings):
    """The secret hash itself is sent."""

    @classmethod
    def check_secret(cls, text: str) -> None:
        """What can be sent in a header as it is."""
        usable_token(text)


class FlutterwaveV4Settings(FlutterwaveSettings):
    """The body is signed with the secret hash."""

    def signature_headers(self) -> tuple[str, ...]:
        """The headers that hold the signature."""
        return SCHEME_V4.headers


def make_v3(name: str, settings: FlutterwaveV3Settings, secrets: Sequence[Secret]) -> Declared:
    """The provider that a table of v3 configures."""
    return Declared(
        name=name,
        store=settings.store,
        verifier=TokenInHeader(secrets, "verif-hash"),
        read=read_v3,
        sample=sample_v3,
        addresses=settings.addresses,
    )


def make_v4(name: str, settings: FlutterwaveV4Settings, secrets: Sequence[Secret]) -> Declared:
    """The provider that a table of v4 configures."""
    return Declared(
        name=name,
        store=settings.store,
        verifier=HmacHeader(secrets, SCHEME_V4),
        read=read_v4,
        sample=sample_v4,
        addresses=settings.addresses,
    )


FLUTTERWAVE_V3 = Kind(make_v3, FlutterwaveV3Settings)
FLUTTERWAVE_V4 = Kind(make_v4, FlutterwaveV4Settings)
