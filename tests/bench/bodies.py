"""What is sent: Sevi order webhooks of one size, each about an order of its own.

A request is a head, an id and a tail. The id is the only thing that differs, so a load generator
puts a request together without thinking, and its own cost stays small.
"""

import json
from dataclasses import dataclass

BODY_BYTES = 1700
ID_LENGTH = 24
DUPLICATE_EVERY = 10  # in the mix: one delivery of ten was sent before
DUPLICATE_BACK = 505  # how long before: longer than any number of requests in flight
ID_PLACE = "#" * ID_LENGTH
SCATTER = 2_654_435_761  # spreads neighbours over the index, as ids of real orders are spread


@dataclass(frozen=True)
class Request:
    """The bytes before and after the id."""

    head: bytes
    tail: bytes


def order_id(prefix: str, number: int, duplicates: bool = False) -> str:
    """The id of the order that delivery `number` of a load tells of."""
    if duplicates and number % DUPLICATE_EVERY == 0 and number > DUPLICATE_BACK:
        number -= DUPLICATE_BACK
    return f"{number * SCATTER % 2**32:08x}{prefix:>8.8}{number:08d}"


def body(id_text: str = ID_PLACE) -> bytes:
    """An order webhook of `BODY_BYTES` in Sevi's documented shape, PAID."""
    order = {
        "id": id_text,
        "referenceNumber": "ORD-204518",
        "platformReference": "SHOP-7731",
        "platformId": None,
        "status": "AWAITING_SHIPMENT",
        "paymentStatus": "PAID",
        "paymentMethod": "SEVI_PAY",
        "amount": 902.1,
        "originalAmount": 950.0,
        "discount": 47.9,
        "currency": "KES",
        "name": "Two crates of mangoes",
        "phoneNumber": "+254700000000",
        "shipping": {"name": "Amina Otieno", "city": "Nakuru", "address": "Kenyatta Avenue 12"},
        "billing": {"name": "Amina Otieno", "city": "Nakuru", "address": "Kenyatta Avenue 12"},
        "items": [
            {"id": str(n), "name": f"Mangoes, crate {n}", "price": 451.05, "quantity": 2}
            for n in range(4)
        ],
        "note": "",
        "createdAt": "2026-01-05T07:30:00.000Z",
    }
    customer = {"name": "Amina Otieno", "reference": "C-17", "phoneNumbers": ["+254700000000"]}
    webhook = {"order": order, "customer": customer}
    order["note"] = "." * (BODY_BYTES - len(json.dumps(webhook)))
    return json.dumps(webhook).encode()


def request(host: str, token: str) -> Request:
    """The HTTP request that brings such a body, cut at the id."""
    content = body()
    headers = (
        f"POST /webhooks/sevi HTTP/1.1\r\nHost: {host}\r\nAuthorization: {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    head, tail = (headers.encode() + content).split(ID_PLACE.encode())
    return Request(head, tail)
