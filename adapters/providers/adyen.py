"""Adyen: standard webhooks, batches of items that are signed one by one inside the body.

Source: docs.adyen.com, "Webhooks", "Verify HMAC signatures", "Currency codes and minor units".
Every item has to verify, else none does; all of a delivery's items are recorded together or none.
"""

import base64
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from adapters.providers.base import (
    JSON,
    Answer,
    Ignored,
    Outgoing,
    Reason,
    Refused,
    Request,
    Secret,
    Told,
    Unreadable,
    Verdict,
    Verified,
)
from adapters.providers.configuration import ProviderSettings
from adapters.providers.fields import (
    MinorUnits,
    child,
    customer_at,
    iso_at,
    maybe,
    required_id,
    scalar_word,
    text_at,
)
from adapters.providers.reading import currency_at, read_object, word_at
from adapters.providers.signed import Declared, Kind, Read
from adapters.providers.verifying import WRONG_SIGNATURE, signer_of
from domain.payment import Payment, PaymentStatus

S = PaymentStatus
UNITS = MinorUnits({"CLP": 2, "CVE": 0, "IDR": 0, "ISK": 2})
ITEMS_MAX = 1000
SIGNED = (
    "pspReference originalReference merchantAccountCode merchantReference amount.value "
    "amount.currency eventCode success"
).split()
ACCEPTED = Answer("text/plain", b"[accepted]")
KEY_BYTES_MIN = 16
# Items prove themselves inside the body, so anybody's body is parsed: one of a megabyte would hold
# up every other sender. Adyen sends an item or a few at a time, of a few kilobytes each; its size
# and its values, each of which costs more than its bytes, are bounded before it is parsed.
BODY_BYTES_MAX = 32 * 1024
VALUES_MAX = 3000

# What an event says where it succeeded, and where not; None is no news of a payment.
EVENTS: Mapping[str, tuple[PaymentStatus | None, PaymentStatus | None]] = {
    "AUTHORISATION": (S.PAID, S.FAILED),
    "PENDING": (S.PENDING, S.PENDING),
    "CAPTURE": (S.PAID, S.FAILED),
    "CAPTURE_FAILED": (S.FAILED, S.FAILED),
    "ORDER_CLOSED": (S.PAID, S.CANCELLED),
    "CANCELLATION": (S.CANCELLED, None),
    "TECHNICAL_CANCEL": (S.CANCELLED, None),
    "CANCEL_OR_REFUND": (S.REFUNDED, None),
    "EXPIRE": (S.EXPIRED, None),
    "OFFER_CLOSED": (S.EXPIRED, None),
    "REFUND": (S.REFUNDED, None),
    "REFUND_WITH_DATA": (S.REFUNDED, None),
    "REQUEST_FOR_INFORMATION": (S.DISPUTED, S.DISPUTED),
    "NOTIFICATION_OF_CHARGEBACK": (S.DISPUTED, S.DISPUTED),
    "CHARGEBACK": (S.DISPUTED, S.DISPUTED),
    "SECOND_CHARGEBACK": (S.DISPUTED, S.DISPUTED),
    "CHARGEBACK_REVERSED": (S.DISPUTED, S.DISPUTED),
    "PREARBITRATION_OPEN": (S.DISPUTED, S.DISPUTED),
    "PREARBITRATION_WON": (S.DISPUTED, S.DISPUTED),
    "PREARBITRATION_LOST": (S.DISPUTED, S.DISPUTED),
}
OF_A_PAYMENT = frozenset({S.PAID, S.PARTIALLY_PAID, S.PENDING, S.FAILED})


class ItemSignatures:
    """Per-item body signature: each item carries the HMAC of eight of its fields, joined by colons.

    Nothing escapes a colon within a field, so two items could share a signature; only the shop's
    own reference may hold colons, which keeps the reading unambiguous.
    """

    needs_body = True

    def __init__(self, secrets: Sequence[Secret]) -> None:
        self._keys = [(bytes.fromhex(s.value), Verified(s.key_id)) for s in secrets]

    def verify(self, request: Request) -> Verdict:
        """Whether live secrets make the signatures of all items; the first item's is told."""
        if len(request.body) > BODY_BYTES_MAX:
            return Refused(
                Reason.MALFORMED, f"the body has over {BODY_BYTES_MAX} bytes, as no batch has"
            )
        if b"hmacSignature" not in request.body:
            return Refused(Reason.NO_SIGNATURE, "an item has no additionalData.hmacSignature")
        if sum(map(request.body.count, (b",", b"[", b"{"))) > VALUES_MAX:
            return Refused(Reason.MALFORMED, f"the body has over {VALUES_MAX} values")
        try:
            items = items_of(read_object(request.body))
            messages = [_message(item) for item in items]
        except Unreadable as unreadable:
            return Refused(Reason.MALFORMED, str(unreadable))
        verdicts = []
        for item, message in zip(items, messages, strict=True):
            given = maybe(item, "additionalData").get("hmacSignature")
            if given is None:
                return Refused(Reason.NO_SIGNATURE, "an item has no additionalData.hmacSignature")
            verdict = self._check(message, str(given).encode("utf-8", "surrogatepass"))
            if isinstance(verdict, Refused):
                return verdict
            verdicts.append(verdict)
        return verdicts[0]

    def _check(self, message: bytes, given: bytes) -> Verdict:
        expected = [
            (base64.b64encode(hmac.digest(key, message, "sha256")), verified)
            for key, verified in self._keys
        ]
        return signer_of(expected, [given]) or WRONG_SIGNATURE

    def explain(self, request: Request, refused: Refused) -> Refused:
        """An item's signature is over its fields, so writing the JSON anew does it no harm."""
        if refused.reason is not Reason.WRONG_SIGNATURE:
            return refused
        return Refused(
            refused.reason,
            "an item's signature is of no live secret: the HMAC key of another endpoint or of the "
            "other environment (test, live), or a field that was changed",
        )

    def sign(self, body: bytes, at: datetime, order_id: str | None = None) -> Outgoing:
        """Nothing: a sample holds its signatures, and a body of Adyen's does, too."""
        return Outgoing({})

    def signature_of(self, item: JSON) -> str:
        """The signature of an item, made with the newest secret."""
        key, _ = self._keys[0]
        return base64.b64encode(hmac.digest(key, _message(item), "sha256")).decode()


def items_of(data: JSON) -> list[JSON]:
    """The items of a body. Raises `Unreadable` where it has none, or too many."""
    items = data.get("notificationItems")
    if not isinstance(items, list) or not 1 <= len(items) <= ITEMS_MAX:
        raise Unreadable(f"notificationItems: not a list of 1 to {ITEMS_MAX} items")
    if not all(isinstance(item, dict) for item in items):
        raise Unreadable("notificationItems: an item is no object")
    return [child(item, "NotificationRequestItem") for item in items]


def _message(item: JSON) -> bytes:
    values = []
    for path in SIGNED:
        parent, key = (maybe(item, "amount"), path[7:]) if "." in path else (item, path)
        value: Any = parent.get(key)
        if isinstance(value, bool):
            value = "true" if value else "false"
        if value is not None and not isinstance(value, str):
            raise Unreadable(f"{path}: not a text")
        if value and ":" in value and path != "merchantReference":
            raise Unreadable(f"{path}: holds a colon, so what was signed would be ambiguous")
        values.append("" if value is None else str(value))
    return ":".join(values).encode("utf-8", "surrogatepass")


def reader(capture: str) -> Read:
    """The reader of bodies for automatic or manual capture."""

    def read(data: JSON, request: Request) -> Sequence[Told] | Ignored:
        read_items = [_item(item, capture) for item in items_of(data)]
        told = [one for one in read_items if one is not None]
        return told or Ignored("no item tells of an order's payment")

    return read


def _item(item: JSON, capture: str) -> Told | None:
    event = word_at(item, "eventCode")
    if event not in EVENTS:
        return None
    status = _status(item, event, capture)
    if status is None:
        return None
    reference = required_id(item, "pspReference")
    money = maybe(item, "amount")
    currency = currency_at(money, "currency")
    amount = UNITS.amount(money, "value", currency)
    success = scalar_word(item, "success")
    return Told(
        order_id=required_id(item, "merchantReference"),
        status=status,
        raw_status=f"{event} {success}"[:255],
        amount=amount if status in OF_A_PAYMENT else None,
        currency=currency,
        payment=Payment(
            ref=text_at(item, "originalReference") or reference, status=status, amount=amount
        ),
        occurred_at=iso_at(item, "eventDate"),
        delivery_id=f"{reference}:{event}:{success}",
        customer=customer_at(item, "additionalData", "shopperReference"),
    )


def _status(item: JSON, event: str, capture: str) -> PaymentStatus | None:
    succeeded, failed = EVENTS[event]
    success = scalar_word(item, "success")
    if success not in ("true", "false"):
        return S.UNRECOGNIZED
    status = succeeded if success == "true" else failed
    additional = maybe(item, "additionalData")
    if event == "CANCEL_OR_REFUND" and additional.get("modification.action") == "cancel":
        return S.CANCELLED if status else None
    if status is not S.PAID or event == "CAPTURE":
        return status
    if event == "AUTHORISATION" and additional.get("merchantOrderReference"):
        status = S.PARTIALLY_PAID  # one of several payments; ORDER_CLOSED tells of the whole
    return S.PENDING if capture == "manual" else status


def sampler(signatures: ItemSignatures) -> Any:
    """A maker of samples, which hold their own signatures."""

    def sample(order_id: str, status: str, at: datetime) -> bytes:
        events = {
            S.PAID: ("AUTHORISATION", "true"),
            S.PENDING: ("PENDING", "true"),
            S.FAILED: ("AUTHORISATION", "false"),
            S.CANCELLED: ("CANCELLATION", "true"),
            S.EXPIRED: ("EXPIRE", "true"),
            S.REFUNDED: ("REFUND", "true"),
            S.DISPUTED: ("CHARGEBACK", "true"),
        }
        known = {ours.value: event for ours, event in events.items()}
        event, success = known.get(status, ("AUTHORISATION", status))
        item: JSON = {
            "pspReference": f"SAMPLE{int(at.timestamp())}",
            "merchantAccountCode": "SampleShop",
            "merchantReference": order_id,
            "amount": {"value": "90210", "currency": "KES"},
            "eventCode": event,
            "success": success,
            "eventDate": at.isoformat(timespec="seconds"),
        }
        item["additionalData"] = {"hmacSignature": signatures.signature_of(item)}
        item["amount"] = {"value": 90210, "currency": "KES"}
        told = {"live": "false", "notificationItems": [{"NotificationRequestItem": item}]}
        return json.dumps(told, indent=2).encode()

    return sample


class AdyenSettings(ProviderSettings):
    """Adyen generates an endpoint's HMAC key, in hexadecimal digits."""

    found_in = "Adyen's Customer Area: Developers, Webhooks, the endpoint, HMAC key"

    capture: Literal["automatic", "manual"] = Field(
        "automatic", description="with manual capture an authorisation pays nothing yet"
    )

    @classmethod
    def check_secret(cls, text: str) -> None:
        """Hexadecimal digits, as Adyen shows them."""
        try:
            key = bytes.fromhex(text)
        except ValueError:
            key = b""
        if len(key) < KEY_BYTES_MIN or " " in text:
            raise ValueError("an HMAC key of Adyen is 32 or more hexadecimal digits")

    def signature_headers(self) -> tuple[str, ...]:
        """None: the signatures are in the body."""
        return ()


def make_adyen(name: str, settings: AdyenSettings, secrets: Sequence[Secret]) -> Declared:
    """The provider that a table configures."""
    signatures = ItemSignatures(secrets)
    return Declared(
        name=name,
        store=settings.store,
        verifier=signatures,
        read=reader(settings.capture),
        sample=sampler(signatures),
        own_answer=ACCEPTED,
        addresses=settings.addresses,
    )


ADYEN = Kind(make_adyen, AdyenSettings)
