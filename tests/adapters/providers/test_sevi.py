"""Every documented shape of Sevi's webhooks, and the exact notice that it becomes."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from adapters.providers import Ignored, Request, Secret
from adapters.providers.sevi import Sevi
from domain.payment import Payment, PaymentStatus
from tests.adapters.providers.sevi_bodies import (
    BILLING,
    CUSTOMER,
    ORDER,
    ORDER_ID,
    ORDER_OF_NULLS,
    SHIPPING,
    TRANSACTION,
    TRANSACTION_ID,
    bare,
    encode,
    linked_transaction,
    lone_transaction,
    order_webhook,
    order_webhook_with_customer_vendor,
    order_webhook_with_users,
)
from tests.adapters.providers.translating import (
    RECEIVED_AT,
    SEVI,
    expected,
    ignored,
    noticed,
    text_of,
    unreadable,
)

S = PaymentStatus
ORDER_SHAPES = [order_webhook, order_webhook_with_users, order_webhook_with_customer_vendor]
each_order_shape = pytest.mark.parametrize("shape", ORDER_SHAPES)
OF_THE_ORDER = {
    "references": ("ORD-700431", "SHOP-5512", "woo-91"),
    "amount": Decimal("902.10"),
    "currency": "KES",
}

# ------------------------------------------------------------------------------ the order webhook


@each_order_shape
def test_each_shape_of_the_order_webhook_tells_the_same(shape: Callable[..., bytes]) -> None:
    body = shape()
    told = noticed(body)
    assert told == expected(body, **OF_THE_ORDER)
    assert text_of(told.amount) == "902.10"


@each_order_shape
def test_each_shape_tells_of_a_payment_that_is_not_complete(shape: Callable[..., bytes]) -> None:
    body = shape(paymentStatus="PENDING")
    assert noticed(body) == expected(body, status=S.PENDING, raw_status="PENDING", **OF_THE_ORDER)


@pytest.mark.parametrize("extra", [{"customer": None}, {"users": []}, {"customerVendor": None}, {}])
def test_an_order_in_which_all_that_may_be_null_is_null(extra: dict[str, Any]) -> None:
    body = encode({"order": ORDER_OF_NULLS, **extra})
    told = noticed(body)
    assert told == expected(body, amount=Decimal("902.1"))
    assert text_of(told.amount) == "902.1"


@pytest.mark.parametrize("status", ["PENDING", "AWAITING_SHIPMENT", "DELIVERED", "ARCHIVED", None])
def test_the_state_of_the_shipment_says_nothing_of_the_payment(status: str | None) -> None:
    assert noticed(order_webhook(status=status, paymentStatus="PENDING")).status is S.PENDING


@pytest.mark.parametrize("gone", ["shipping", "billing", "items", "currency", "amount", "notes"])
def test_fields_that_no_decision_needs_may_be_missing(gone: str) -> None:
    order = {key: value for key, value in ORDER.items() if key != gone}
    assert noticed(encode({"order": order, "customer": CUSTOMER})).status is S.PAID


def test_an_order_without_an_amount_has_none() -> None:
    assert noticed(order_webhook(amount=None)).amount is None


def test_the_orders_own_time_is_not_the_time_of_the_news() -> None:
    assert noticed(order_webhook()).occurred_at is None


# -------------------------------------------------------------------------------- the bare forms


@pytest.mark.parametrize(
    "data",
    [
        {"orderId": ORDER_ID, "orderPayment": "PAID"},
        {"orderId": ORDER_ID, "orderPayment": {"status": "PAID"}},
        {"orderId": ORDER_ID, "orderPayment": {"status": "PAID", "method": "MPESA", "fee": 3}},
        {"orderId": ORDER_ID, "paymentStatus": "PAID"},
        {"id": ORDER_ID, "orderPayment": "PAID"},
        {"order": {"id": ORDER_ID, "orderPayment": "PAID"}},
        {"order": {"id": ORDER_ID, "orderPayment": {"status": "PAID"}}},
        {"order": {"id": ORDER_ID}, "orderPayment": "PAID"},
        {"order": {"id": ORDER_ID}, "orderPayment": {"status": "PAID"}},
        {"order": {}, "orderId": ORDER_ID, "orderPayment": "PAID"},
        {"order": None, "orderId": ORDER_ID, "orderPayment": "PAID"},
    ],
    ids=str,
)
def test_an_order_id_with_its_payment_status_is_enough(data: dict[str, Any]) -> None:
    body = encode(data)
    assert noticed(body) == expected(body)


def test_a_bare_form_may_bring_amount_currency_and_references() -> None:
    body = bare(amount=Decimal("902.1"), currency="KES", referenceNumber="ORD-1", platformId=None)
    assert noticed(body) == expected(
        body, amount=Decimal("902.10"), currency="KES", references=("ORD-1",)
    )


def test_what_is_said_twice_in_the_same_words_is_no_contradiction() -> None:
    body = encode(
        {
            "orderId": ORDER_ID,
            "orderPayment": "PAID",
            "order": {"id": ORDER_ID, "paymentStatus": "PAID", "orderPayment": {"status": "PAID"}},
        }
    )
    assert noticed(body) == expected(body)


# --------------------------------------------------------------------------- transactions webhook


def payment(status: PaymentStatus = S.PAID, amount: str = "450.05") -> Payment:
    return Payment(ref=TRANSACTION_ID, status=status, amount=Decimal(amount))


def test_a_transaction_with_its_order_tells_the_orders_state_and_its_own() -> None:
    body = linked_transaction()
    told = noticed(body)
    references = ("ORD-700431", "SHOP-5512")
    assert told == expected(body, **OF_THE_ORDER | {"references": references}, payment=payment())
    assert told.payment is not None
    assert (text_of(told.amount), text_of(told.payment.amount)) == ("902.10", "450.05")


def test_a_completed_transaction_of_an_unpaid_order_is_what_the_order_says() -> None:
    told = noticed(linked_transaction({"paymentStatus": "PENDING"}))
    assert (told.status, told.raw_status, told.payment) == (S.PENDING, "PENDING", payment())


@pytest.mark.parametrize("order_word", ["PENDING", "PARTIALLY_PAID"])
def test_a_failed_transaction_of_an_unpaid_order_is_a_failure(order_word: str) -> None:
    body = linked_transaction({"paymentStatus": order_word}, status="FAILED")
    told = noticed(body)
    assert (told.status, told.raw_status, told.payment) == (S.FAILED, "FAILED", payment(S.FAILED))


def test_a_failed_transaction_of_a_paid_order_leaves_it_paid() -> None:
    told = noticed(linked_transaction(status="FAILED"))
    assert (told.status, told.raw_status, told.payment) == (S.PAID, "PAID", payment(S.FAILED))


@pytest.mark.parametrize("transaction_type", ["CREDIT", "DEBIT", None])
@pytest.mark.parametrize("payment_type", ["ORDER", "INSTALLMENT", "SETTLEMENT", "CASHBACK", None])
def test_with_an_order_along_the_kind_of_transaction_decides_nothing(
    payment_type: str | None, transaction_type: str | None
) -> None:
    body = linked_transaction(paymentType=payment_type, transactionType=transaction_type)
    assert noticed(body).status is S.PAID


def test_an_unknown_word_of_a_transaction_leaves_the_orders_word_alone() -> None:
    told = noticed(linked_transaction(status="ON_HOLD"))
    assert (told.status, told.raw_status) == (S.PAID, "PAID")
    assert told.payment == payment(S.UNRECOGNIZED)


def test_a_linked_order_without_a_currency_has_the_transactions() -> None:
    told = noticed(linked_transaction({"currency": None}))
    assert told.currency == "KES"
    assert text_of(told.amount) == "902.10", "shown with the minor digits of its currency"


@pytest.mark.parametrize("payment_type", ["ORDER", "INSTALLMENT"])
def test_a_completed_credit_with_only_an_order_id_pays_a_part(payment_type: str) -> None:
    body = lone_transaction(paymentType=payment_type)
    assert noticed(body) == expected(
        body, status=S.PARTIALLY_PAID, raw_status="COMPLETED", currency="KES", payment=payment()
    )


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"status": "PENDING"}, S.PENDING),
        ({"status": "FAILED"}, S.FAILED),
        ({"status": "REVERSED"}, S.UNRECOGNIZED),
        ({"status": "completed"}, S.UNRECOGNIZED),
        ({"status": "PAID"}, S.UNRECOGNIZED),
    ],
    ids=str,
)
def test_a_customers_transaction_that_is_not_completed_pays_nothing(
    changes: dict[str, Any], status: PaymentStatus
) -> None:
    told = noticed(lone_transaction(**changes))
    assert told.status is status
    assert told.raw_status == changes.get("status", "COMPLETED")
    assert told.payment is not None
    assert told.payment.ref == TRANSACTION_ID


NOT_THE_CUSTOMERS: list[dict[str, Any]] = [
    {"transactionType": "DEBIT"},
    {"paymentType": "SETTLEMENT"},
    {"paymentType": "SETTLEMENT", "transactionType": "DEBIT"},
    {"paymentType": "CASHBACK", "transactionType": "DEBIT"},
]
UNKNOWN_KINDS: list[dict[str, Any]] = [
    {"transactionType": None},
    {"transactionType": "credit"},
    {"paymentType": "CASHBACK"},
    {"paymentType": None},
]


@pytest.mark.parametrize("status", ["COMPLETED", "PENDING", "FAILED"])
@pytest.mark.parametrize("kind", NOT_THE_CUSTOMERS, ids=str)
def test_money_that_is_not_the_customers_tells_nothing_of_the_orders_payment(
    kind: dict[str, Any], status: str
) -> None:
    assert "not the customer's" in ignored(lone_transaction(**kind, status=status)).reason


@pytest.mark.parametrize("status", ["COMPLETED", "PENDING", "FAILED"])
@pytest.mark.parametrize("kind", UNKNOWN_KINDS, ids=str)
def test_whose_money_it_is_is_never_guessed(kind: dict[str, Any], status: str) -> None:
    told = noticed(lone_transaction(**kind, status=status))
    assert (told.status, told.payment) == (S.UNRECOGNIZED, None)
    assert told.raw_status.split()[0] == status


@pytest.mark.parametrize("kind", NOT_THE_CUSTOMERS + UNKNOWN_KINDS, ids=str)
@pytest.mark.parametrize(
    ("order_word", "transaction_word"), [("PAID", "COMPLETED"), ("PENDING", "FAILED")]
)
def test_only_the_customers_money_is_a_payment_of_the_order_that_is_along(
    order_word: str, transaction_word: str, kind: dict[str, Any]
) -> None:
    body = linked_transaction({"paymentStatus": order_word}, status=transaction_word, **kind)
    told = noticed(body)
    assert (told.status.value, told.raw_status, told.payment) == (order_word, order_word, None)


def test_a_transaction_with_all_that_may_be_null() -> None:
    nulls = dict.fromkeys("description transactionType method walletId name order customer".split())
    body = lone_transaction(**nulls)
    assert noticed(body) == expected(
        body, status=S.UNRECOGNIZED, raw_status="COMPLETED ORDER", currency="KES"
    )


@pytest.mark.parametrize("payment_type", ["SETTLEMENT", "TOP_UP", "WITHDRAWAL", None])
@pytest.mark.parametrize("order_id", [{"orderId": None}, {}])
def test_a_transaction_that_concerns_no_order_is_ignored(
    payment_type: str | None, order_id: dict[str, Any]
) -> None:
    nameless = {key: value for key, value in TRANSACTION.items() if key != "orderId"}
    body = encode(nameless | order_id | {"paymentType": payment_type, "transactionType": "DEBIT"})
    assert "without an order" in ignored(body).reason


@pytest.mark.parametrize("payment_type", ["ORDER", "INSTALLMENT"])
def test_a_transaction_for_an_order_that_names_none_is_unreadable(payment_type: str) -> None:
    assert "orderId" in unreadable(lone_transaction(paymentType=payment_type, orderId=None))


def test_a_transaction_without_an_id_is_unreadable() -> None:
    assert "id" in unreadable(lone_transaction(id=None))


# -------------------------------------------------------------------------------------- the rest


def test_a_customers_news_is_ignored() -> None:
    assert "customer" in ignored(encode({"customer": CUSTOMER})).reason


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"order": None},
        {"order": {}},
        {"order": {"id": ORDER_ID}},
        {"orderId": ORDER_ID},
        {"orderPayment": "PAID"},
        {"order": {"orderPayment": "PAID"}},
        {"shipping": SHIPPING, "billing": BILLING},
        {"event": "order.paid"},
    ],
    ids=str,
)
def test_what_names_no_order_or_no_status_is_unreadable(data: dict[str, Any]) -> None:
    unreadable(encode(data))


@pytest.mark.parametrize(
    "data",
    [
        {"orderId": "1", "orderPayment": "PAID", "paymentStatus": "PENDING"},
        {"order": {"id": "1", "paymentStatus": "PAID", "orderPayment": "PENDING"}},
        {"order": {"id": "1", "paymentStatus": "PAID"}, "orderPayment": {"status": "FAILED"}},
        {"order": {"id": "1", "paymentStatus": "PAID"}, "paymentStatus": "paid"},
        {"order": {"id": "1", "paymentStatus": "PAID"}, "orderId": "2"},
        {"order": {"id": "1", "paymentStatus": "PAID"}, "orderId": 2},
        TRANSACTION | {"order": ORDER | {"id": "another"}},
        TRANSACTION | {"order": ORDER | {"orderPayment": "FAILED"}},
    ],
    ids=str,
)
def test_a_body_that_contradicts_itself_is_unreadable(data: dict[str, Any]) -> None:
    unreadable(encode(data))


def test_an_order_id_as_number_and_as_text_is_one_id() -> None:
    assert noticed(b'{"order":{"id":17,"paymentStatus":"PAID"},"orderId":"17"}').order_id == "17"


def test_the_name_and_the_store_are_the_configured_ones() -> None:
    body = bare()
    sevi = Sevi("sevi-uganda", "uganda", [Secret("key", "t")])
    told = sevi.translate(Request([], body, RECEIVED_AT), "digest", None)
    assert not isinstance(told, Ignored)
    (notice,) = told
    assert (notice.provider, notice.store, notice.delivery_key) == (
        "sevi-uganda",
        "uganda",
        "digest",
    )


@pytest.mark.parametrize("status", ["PAID", "PENDING", 'a "quoted" word'])
@pytest.mark.parametrize("order_id", ["order-1", 'a "quoted" id', "malipo-\u00e9"])
def test_a_sample_is_a_body_that_is_read(order_id: str, status: str) -> None:
    told = noticed(SEVI.sample(order_id, status, RECEIVED_AT))
    assert (told.order_id, told.raw_status, text_of(told.amount)) == (order_id, status, "902.10")
