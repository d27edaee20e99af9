"""M-Pesa (Safaricom Daraja): STK push callbacks and C2B confirmations.

Source: developer.safaricom.co.ke, "M-Pesa Express" and "Customer to Business". Nothing is signed:
the URL that the shop registers ends in a secret, and `addresses` may say where calls come from.
An STK callback names no order, so the shop adds `?order_id=` to the URL of each request. A C2B
confirmation is typed by the payer and may be for any sum.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

from adapters.providers.base import (
    JSON,
    Answer,
    Ignored,
    Request,
    Secret,
    Told,
    Unreadable,
)
from adapters.providers.configuration import ProviderSettings, usable_in_a_url
from adapters.providers.fields import (
    EAST_AFRICA,
    child,
    compact_at,
    customer_at,
    major,
    references_of,
    required_id,
    scalar_word,
    text_at,
)
from adapters.providers.reading import object_at
from adapters.providers.signed import Declared, Kind
from adapters.providers.verifying import SecretPath
from domain.payment import Payment, PaymentStatus

S = PaymentStatus
CURRENCY = "KES"
QUERY_BYTES_MAX = 2048
RESULT_CODES: Mapping[str, PaymentStatus] = {
    "0": S.PAID,
    "1": S.FAILED,  # too little money
    "1001": S.FAILED,  # another transaction of the payer is under way
    "1019": S.EXPIRED,
    "1025": S.FAILED,  # the prompt could not be sent
    "1032": S.CANCELLED,  # by the payer
    "1037": S.FAILED,  # no answer from the payer's phone
    "2001": S.FAILED,  # a wrong PIN
    "9999": S.FAILED,  # the prompt could not be sent
}
ACCEPTED = Answer("application/json", b'{"ResultCode":0,"ResultDesc":"Accepted"}')


def read(data: JSON, request: Request) -> Told | Ignored:
    """What a callback tells of an order."""
    if "Body" in data:
        return _stk(child(data, "Body", "stkCallback"), request.query)
    if "TransID" in data:
        return _c2b(data)
    if "Result" in data:
        return Ignored("the result of a request of the shop's own, no order's payment")
    raise Unreadable("the body is neither an STK callback nor a C2B confirmation")


def _stk(callback: JSON, query: bytes) -> Told:
    code = scalar_word(callback, "ResultCode")
    status = RESULT_CODES.get(code, S.UNRECOGNIZED)
    items = _items(callback)
    amount = major(items, "Amount", CURRENCY)
    receipt = text_at(items, "MpesaReceiptNumber")
    return Told(
        order_id=_order_of(query),
        references=references_of(text_at(callback, "CheckoutRequestID")),
        customer=customer_at(items, "PhoneNumber"),
        status=status,
        raw_status=code,
        amount=amount,
        currency=CURRENCY,
        payment=Payment(ref=receipt, status=status, amount=amount) if receipt else None,
        occurred_at=compact_at(items, "TransactionDate"),
    )


def _order_of(query: bytes) -> str:
    """The order that the shop named in the URL that it registered."""
    wanted = "order_id: add ?order_id=ORDER to the CallBackURL of each request"
    if len(query) > QUERY_BYTES_MAX:
        raise Unreadable("order_id: the query of the URL is too long")
    try:
        named = parse_qs(query.decode("ascii"), max_num_fields=16, errors="strict")
    except ValueError:
        raise Unreadable("order_id: the query of the URL cannot be read") from None
    values = named.get("order_id", [])
    if len(values) != 1:
        raise Unreadable(f"{wanted}; found {'none' if not values else 'several'}")
    return required_id({"order_id": values[0]}, "order_id")


def _items(callback: JSON) -> JSON:
    """The metadata's list of names and values as an object; an item may lack its value."""
    metadata = object_at(callback, "CallbackMetadata")
    items: Any = (metadata or {}).get("Item")
    if items is None:
        return {}
    if not isinstance(items, list):
        raise Unreadable("CallbackMetadata.Item: not a list")
    found: JSON = {}
    for item in items:
        name = item.get("Name") if isinstance(item, dict) else None
        if type(name) is not str:
            raise Unreadable("CallbackMetadata.Item: an item without a name")
        if name in found:
            raise Unreadable("CallbackMetadata.Item: a name stands there twice")
        found[name] = item.get("Value")
    return found


def _c2b(data: JSON) -> Told:
    receipt = required_id(data, "TransID")
    paid = major(data, "TransAmount", CURRENCY)
    typed = text_at(data, "BillRefNumber")
    if typed is None:
        raise Unreadable("BillRefNumber: the payer named no order")
    return Told(
        order_id=None,
        typed=(typed,),
        customer=customer_at(data, "MSISDN"),
        status=S.PARTIALLY_PAID,  # until something knows the order's amount
        raw_status=text_at(data, "TransactionType") or "C2B",
        currency=CURRENCY,
        payment=Payment(ref=receipt, status=S.PAID, amount=paid),
        occurred_at=compact_at(data, "TransTime"),
    )


def sample(order_id: str, status: str, at: datetime) -> bytes:
    """An STK callback of an invented request; a C2B confirmation, where a part is paid."""
    time = at.astimezone(EAST_AFRICA).strftime("%Y%m%d%H%M%S")
    if status == S.PARTIALLY_PAID:
        told: JSON = {"TransactionType": "Pay Bill", "TransID": f"C2B{time}", "TransTime": time}
        told |= {"TransAmount": "902.10", "BusinessShortCode": "600000"}
        return json.dumps(told | {"BillRefNumber": order_id}, indent=2).encode()
    codes = {S.PAID: 0, S.FAILED: 1, S.EXPIRED: 1019, S.CANCELLED: 1032}
    code = {ours.value: code for ours, code in codes.items()}.get(status)
    callback: JSON = {
        "MerchantRequestID": "29115-34620561-1",
        "CheckoutRequestID": f"ws_CO_{time}",
        "ResultCode": status if code is None else code,
        "ResultDesc": "The service request is processed successfully." if code == 0 else "No.",
    }
    if code == 0:
        items = [{"Name": "Amount", "Value": 902}, {"Name": "Balance"}]
        items.append({"Name": "MpesaReceiptNumber", "Value": f"SAM{time}"})
        items.append({"Name": "TransactionDate", "Value": int(time)})
        callback["CallbackMetadata"] = {"Item": items}
    return json.dumps({"Body": {"stkCallback": callback}}, indent=2).encode()


class MpesaSettings(ProviderSettings):
    """The shop invents the secret at the end of its URL."""

    makes_secret = True
    url_names_order = True

    @classmethod
    def check_secret(cls, text: str) -> None:
        """What can stand in a URL as it is."""
        usable_in_a_url(text)


def make_mpesa(name: str, settings: MpesaSettings, secrets: Sequence[Secret]) -> Declared:
    """The provider that a table configures."""
    return Declared(
        name=name,
        store=settings.store,
        verifier=SecretPath(secrets),
        read=read,
        sample=sample,
        own_answer=ACCEPTED,
        takes_path=True,
        reads_query=True,
        addresses=settings.addresses,
    )


MPESA = Kind(make_mpesa, MpesaSettings)
