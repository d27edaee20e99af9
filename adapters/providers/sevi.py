"""Sevi (pay-later for shops in Kenya and Uganda): its order and transactions webhooks.

Source of the formats: docs.sevi.io, "Webhook" (pages Order, Transactions and the older Order
Payment). Authentication is the token of the webhook settings in the Authorization header. Neither
webhook carries a delivery id or a time of the news, so a delivery is known by its body's digest.
"""

import json
import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Literal

from pydantic import Field, SecretStr, field_validator

from adapters.providers.base import (
    JSON,
    Answer,
    Ignored,
    Outgoing,
    Reason,
    Refused,
    Request,
    Secret,
    Translation,
    Unreadable,
    Verdict,
)
from adapters.providers.configuration import Network, ProviderSettings, usable_token
from adapters.providers.fields import customer_at
from adapters.providers.reading import (
    amount_at,
    currency_at,
    id_at,
    kind_at,
    object_at,
    read_object,
    word_at,
)
from adapters.providers.signed import Kind, called_from
from adapters.providers.verifying import TokenInHeader
from adapters.safe_urls import SafeURL
from domain.payment import Payment, PaymentNotice, PaymentStatus, Personal

ORDER_WORDS: Mapping[str, PaymentStatus] = {
    status.value: status for status in PaymentStatus if status is not PaymentStatus.UNRECOGNIZED
}
TRANSACTION_WORDS: Mapping[str, PaymentStatus] = {
    "COMPLETED": PaymentStatus.PAID,
    "PENDING": PaymentStatus.PENDING,
    "FAILED": PaymentStatus.FAILED,
}
REFERENCES = ("referenceNumber", "platformReference", "platformId")
ABOUT_AN_ORDER = frozenset({"ORDER", "INSTALLMENT"})
OF_THE_SELLER = "SETTLEMENT"  # what Sevi passes on
UNPAID = frozenset({PaymentStatus.PENDING, PaymentStatus.PARTIALLY_PAID})


class Sevi:
    """The provider `sevi`. It has a class of its own, since every other provider's delivery may
    cost a little more than the shortest way, and Sevi's not."""

    needs_body = False
    takes_path = False
    own_answer: Answer | None = None

    def __init__(
        self, name: str, store: str, secrets: Sequence[Secret], addresses: Sequence[Network] = ()
    ) -> None:
        self.name = name
        self.store = store
        self._addresses = addresses
        self._verifier = TokenInHeader(secrets, "Authorization", bearer=True)

    def verify(self, request: Request) -> Verdict:
        """Whether the Authorization header holds a live token."""
        if self._addresses and not called_from(self._addresses, request.client):
            return Refused(Reason.WRONG_ADDRESS, "the caller's address is none of Sevi's")
        return self._verifier.verify(request)

    def explain(self, request: Request, refused: Refused) -> Refused:
        """Nothing more can be said of a token."""
        return refused

    def translate(self, request: Request, body_hash: str, key_id: str | None) -> Translation:
        """Read any of the documented shapes. Raises `Unreadable` for everything else."""
        data = read_object(request.body)
        told = _read(data)
        if isinstance(told, Ignored):
            return told
        notice = PaymentNotice(
            store=self.store,
            provider=self.name,
            delivery_key=body_hash,
            received_at=request.received_at,
            body_hash=body_hash,
            body=request.body,
            key_id=key_id,
            personal=_personal(data),
            **told,
        )
        return (notice,)

    def context(self, request: Request) -> str | None:
        """The body says all."""
        return None

    def sign(self, body: bytes, at: datetime, order_id: str | None = None) -> Outgoing:
        """The Authorization header that Sevi would send."""
        return self._verifier.sign(body, at, order_id)

    def sample(self, order_id: str, status: str, at: datetime) -> bytes:
        """An order webhook about an invented order."""
        number = zlib.crc32(order_id.encode()) % 1_000_000  # the same order, the same references
        references = (f"ORD-{number:06d}", f"SHOP-{number:06d}")
        values = (order_id, *references, status)
        return (_SAMPLE % tuple(json.dumps(value) for value in values)).encode()


class SeviSettings(ProviderSettings):
    """The shop invents the token and enters it at Sevi. The API's is another: Sevi shows it."""

    makes_secret = True

    api_token: SecretStr | None = Field(
        None, description="Sevi's own API token, to reconcile and to tell of deliveries"
    )
    api_endpoint: Literal["production", "sandbox"] | SafeURL = Field(
        "production", description="which of Sevi's APIs, or its URL"
    )

    @field_validator("api_token")
    @classmethod
    def _sendable(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None:
            usable_token(token.get_secret_value())
        return token

    @classmethod
    def check_secret(cls, text: str) -> None:
        """What can be sent in a header as it is."""
        usable_token(text)


def make_sevi(name: str, settings: SeviSettings, secrets: Sequence[Secret]) -> Sevi:
    """The provider that a table configures."""
    return Sevi(name, settings.store, secrets, settings.addresses)


SEVI = Kind(make_sevi, SeviSettings)


def _personal(data: JSON) -> Personal | None:
    """Who buys: Sevi's reference of the customer, else its id, wherever it has stood."""
    for place in ("customer", "customerVendor"):
        named = customer_at(data, place, "reference") or customer_at(data, place, "id")
        if named is not None:
            return Personal(customer=named)
    return None


def _read(data: JSON) -> JSON | Ignored:
    """The fields of the notice that depend on the body's shape."""
    if "paymentType" in data or "transactionType" in data:
        return _read_transaction(data)
    order = object_at(data, "order")
    if order is not None:
        words = _order_words(order) | _order_words(data)
        return _read_order(order, _the_id({id_at(order, "id"), id_at(data, "orderId")}), words)
    words = _order_words(data)
    if words:
        named = {id_at(data, "orderId")} - {None} or {id_at(data, "id")}
        return _read_order(data, _the_id(named), words)
    if object_at(data, "customer") is not None:
        return Ignored("a customer's news names no order")
    raise Unreadable("the body names neither an order's payment nor a transaction")


def _read_order(
    order: JSON, order_id: str, words: set[str], currency_else: str | None = None
) -> JSON:
    if len(words) != 1:
        raise Unreadable("order: one payment status is wanted, found none or several")
    (word,) = words
    currency = currency_at(order, "currency") or currency_else
    references = (id_at(order, key) for key in REFERENCES if order.get(key) != "")
    return {
        "order_id": order_id,
        "provider_order_id": order_id,
        "references": tuple(dict.fromkeys(r for r in references if r is not None)),
        "status": ORDER_WORDS.get(word, PaymentStatus.UNRECOGNIZED),
        "raw_status": word,
        "amount": amount_at(order, "amount", currency),
        "currency": currency,
    }


def _order_words(order: JSON) -> set[str]:
    """The payment status under each name that Sevi has given it; they must not disagree."""
    words = set()
    if "paymentStatus" in order:
        words.add(word_at(order, "paymentStatus"))
    if "orderPayment" in order:
        payment = order["orderPayment"]
        is_object = isinstance(payment, dict)
        words.add(word_at(payment, "status") if is_object else word_at(order, "orderPayment"))
    return words


def _the_id(ids: set[str | None]) -> str:
    named = ids - {None}
    if len(named) != 1:
        raise Unreadable("one order id is wanted, found none or several")
    (order_id,) = named
    assert order_id is not None
    return order_id


def _read_transaction(data: JSON) -> JSON | Ignored:
    order = object_at(data, "order")
    order_id = id_at(data, "orderId")
    about_an_order = kind_at(data, "paymentType") in ABOUT_AN_ORDER
    whose = _whose_money(data)
    if order is None and order_id is None:
        if about_an_order:
            raise Unreadable("orderId: a transaction about an order names none")
        return Ignored("a transaction without an order")
    currency = currency_at(data, "currency")
    word = word_at(data, "status")
    ref = id_at(data, "id")
    if ref is None:
        raise Unreadable("id: a transaction has none")
    status = TRANSACTION_WORDS.get(word, PaymentStatus.UNRECOGNIZED)
    payment = Payment(ref=ref, status=status, amount=amount_at(data, "amount", currency))
    if order is None:
        if whose is _Whose.ANOTHERS:
            return Ignored("a transaction that is not the customer's money")
        told = {"order_id": order_id, "currency": currency, "provider_order_id": order_id}
        if whose is _Whose.UNKNOWN:
            kinds = (kind_at(data, key) for key in ("transactionType", "paymentType"))
            raw = " ".join((word, *(kind for kind in kinds if kind is not None)))
            return told | {"status": PaymentStatus.UNRECOGNIZED, "raw_status": raw[:255]}
        if status is PaymentStatus.PAID:  # one transaction may pay a part, so it is no PAID
            status = PaymentStatus.PARTIALLY_PAID
        return told | {"status": status, "raw_status": word, "payment": payment}
    named = _the_id({id_at(order, "id"), order_id})
    told = _read_order(order, named, _order_words(order), currency)
    if whose is not _Whose.CUSTOMERS:
        return told
    if status is PaymentStatus.FAILED and told["status"] in UNPAID:
        told |= {"status": PaymentStatus.FAILED, "raw_status": word}
    return told | {"payment": payment}


class _Whose(Enum):
    CUSTOMERS = 1
    ANOTHERS = 2
    UNKNOWN = 3


def _whose_money(data: JSON) -> _Whose:
    """Whose money a transaction moves: only what is credited for an order, or for an installment of
    it, is the customer's. A word that is not documented, or is missing, is never guessed at."""
    payment_type, direction = kind_at(data, "paymentType"), kind_at(data, "transactionType")
    if payment_type == OF_THE_SELLER or direction == "DEBIT":
        return _Whose.ANOTHERS
    known = payment_type in ABOUT_AN_ORDER and direction == "CREDIT"
    return _Whose.CUSTOMERS if known else _Whose.UNKNOWN


_SAMPLE = """{"order": {"id": %s, "referenceNumber": %s,
"platformReference": %s, "platformId": null, "status": "AWAITING_SHIPMENT",
"paymentStatus": %s, "paymentMethod": "SEVI_PAY", "amount": 902.10, "currency": "KES",
"name": "Two crates of mangoes", "phoneNumber": "+254700000000",
"items": [{"id": "1", "name": "Mangoes, crate", "price": 451.05, "quantity": 2}],
"createdAt": "2026-01-05T07:30:00.000Z"},
"customer": {"name": "Amina Otieno", "reference": "C-17", "phoneNumbers": ["+254700000000"]}}"""
