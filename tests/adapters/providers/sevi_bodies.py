"""Bodies in every shape that Sevi documents, with all their fields and invented values."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

ORDER_ID = "5d1c7a90-4e1b-4c57-9a3e-27f0c1a2b3d4"
TRANSACTION_ID = "b7e6f2d0-0c55-4f0e-8a77-90d1e2f3a4b5"

# What belongs to a person and must appear in no log.
PERSONAL = (
    "Wanjiru",
    "Kamau",
    "wanjiru@shop.example",
    "+254700000111",
    "29871234",
    "Moi Avenue",
)

_PLACE: dict[str, Any] = {
    "id": "adr-88",
    "firstName": "Wanjiru",
    "lastName": "Kamau",
    "company": "Kamau Fruits",
    "address1": "Moi Avenue 12",
    "address2": "Stall 4",
    "city": "Mombasa",
    "state": "Mombasa",
    "postcode": "80100",
    "country": "KE",
    "email": "wanjiru@shop.example",
    "phoneNumber": "+254700000111",
}
SHIPPING: dict[str, Any] = _PLACE | {
    "landmark": "Behind the post office",
    "longitude": "39.6682",
    "latitude": "-4.0435",
    "shippingType": "PICKUP",
    "shippingFee": Decimal("150.5"),
    "isDefault": True,
    "createdAt": "2026-01-04T06:00:00.000Z",
}
BILLING: dict[str, Any] = _PLACE | {"id": "adr-89"}
CUSTOMER: dict[str, Any] = {
    "name": "Wanjiru Kamau",
    "email": "wanjiru@shop.example",
    "reference": "CUS-000017",
    "phoneNumbers": ["+254700000111", "+254700000112"],
}
WALLET: dict[str, Any] = {
    "name": "Kamau Fruits",
    "account": "WAL-2201",
    "category": "grocery",
    "status": "ACTIVE",
    "type": "BUSINESS",
    "currency": "KES",
    "picture": "https://pictures.example/kamau.png",
    "tags": ["fruit"],
}
USER: dict[str, Any] = {
    "name": "Wanjiru Kamau",
    "phoneNumber": "+254700000111",
    "email": "wanjiru@shop.example",
    "countryCode": "KE",
    "userPhoto": None,
    "companyName": "Kamau Fruits",
    "documentId": "29871234",
}
ORDER: dict[str, Any] = {
    "id": ORDER_ID,
    "referenceNumber": "ORD-700431",
    "platformReference": "SHOP-5512",
    "platformId": "woo-91",
    "vendorId": "WAL-2201",
    "customerId": "WAL-3307",
    "status": "AWAITING_SHIPMENT",
    "paymentStatus": "PAID",
    "paymentMethod": "SEVI_WALLET",
    "amount": Decimal("902.1"),
    "originalAmount": Decimal("1002.10"),
    "discount": Decimal("100.00"),
    "fixedVat": Decimal("0.00"),
    "percentageVat": Decimal("16.00"),
    "rewardAmount": Decimal("0.25"),
    "currency": "KES",
    "name": "Three crates of passion fruit",
    "phoneNumber": "+254700000111",
    "notes": "Call Wanjiru first",
    "items": [{"id": "41", "name": "Passion fruit", "price": Decimal("300.70"), "quantity": 3}],
    "ecommercePlatform": "WOOCOMMERCE",
    "creditConfigurationId": "crd-6",
    "paymentReferenceNumber": "wf-1188",
    "returnURL": "https://shop.example/thanks",
    "deliverDirect": False,
    "createdByCustomer": True,
    "createdAt": "2026-01-05T07:30:00.000Z",
    "approvedByVendor": "2026-01-05T07:31:00.000Z",
    "shipping": SHIPPING,
    "billing": BILLING,
}
NEVER_NULL = frozenset(
    "id paymentStatus amount originalAmount discount fixedVat percentageVat rewardAmount "
    "createdAt".split()
)
ORDER_OF_NULLS: dict[str, Any] = {
    key: value if key in NEVER_NULL else None for key, value in ORDER.items()
}
LINKED_ORDER: dict[str, Any] = {
    key: ORDER[key]
    for key in (
        "id referenceNumber platformReference status paymentStatus amount currency name "
        "phoneNumber items createdAt shipping billing"
    ).split()
}
TRANSACTION: dict[str, Any] = {
    "id": TRANSACTION_ID,
    "amount": Decimal("450.05"),
    "fee": Decimal("4.50"),
    "totalAmount": Decimal("454.55"),
    "description": "Part of an order",
    "paymentType": "ORDER",
    "currency": "KES",
    "transactionType": "CREDIT",
    "method": "MPESA",
    "walletId": "WAL-2201",
    "createdAt": "2026-01-05T08:00:00.000Z",
    "name": "From Wanjiru Kamau",
    "orderId": ORDER_ID,
    "status": "COMPLETED",
}

encode = msgspec.json.Encoder(decimal_format="number").encode


def raw(text: str) -> msgspec.Raw:
    """A piece of JSON to stand in a body exactly as it is written here."""
    return msgspec.Raw(text.encode())


def order_webhook(**changes: Any) -> bytes:
    """The order webhook of today; changes are fields of the order."""
    return encode({"order": ORDER | changes, "customer": CUSTOMER})


def order_webhook_with_users(**changes: Any) -> bytes:
    """The oldest documented order webhook, which told of wallets and of who administers them."""
    order = ORDER | {"vendorWallet": WALLET, "customer": WALLET, "user": USER} | changes
    administrator = {"userId": "usr-5", "walletId": "WAL-3307", "role": "ADMIN", "user": USER}
    return encode({"order": order, "users": [administrator]})


def order_webhook_with_customer_vendor(**changes: Any) -> bytes:
    """The order webhook that came between the two."""
    return encode({"order": ORDER | changes, "customerVendor": CUSTOMER})


def linked_transaction(order: Mapping[str, Any] | None = None, **changes: Any) -> bytes:
    """A transaction that brings its order along; `order` changes fields of the order."""
    linked = LINKED_ORDER | dict(order or {})
    return encode(TRANSACTION | changes | {"order": linked, "customer": CUSTOMER})


def lone_transaction(**changes: Any) -> bytes:
    """A transaction that names its order and brings nothing of it."""
    return encode(TRANSACTION | changes)


def bare(order_id: Any = ORDER_ID, status: Any = "PAID", **more: Any) -> bytes:
    """The flat form of the first page: an order id and its payment status."""
    return encode({"orderId": order_id, "orderPayment": status, **more})
