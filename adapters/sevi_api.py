"""Sevi's GraphQL API: the three operations that the ledger needs.

Source: docs.sevi.io, "API" (orderDeliver, Transactions, Introduction, Testing) and the webhooks'
payloads, which correspond to the API's types. The documentation names `orderSearch` and the inputs
of both searches without showing their fields: the fields used here are our reading, in one place
below. Where Sevi reads them otherwise it answers with an error, and nothing is changed.

No personal data is asked for.
"""

from collections.abc import Iterator
from types import TracebackType
from typing import Any, Literal, Self

import msgspec

from adapters.effects.base import excerpt
from adapters.providers.sevi import SeviSettings
from adapters.web import NoReply, Web

ENDPOINTS = {
    "production": "https://partner.sevi.io/graphql",
    "sandbox": "https://sandbox.sevi.io/graphql",
}
SECONDS = 30.0
ANSWER_BYTES_MAX = 8 * 1024 * 1024
PAGE_SIZE = 100
PAGES_MAX = 10_000

ORDER_FIELDS = (
    "id referenceNumber platformReference platformId status paymentStatus amount currency"
)
ORDER_SEARCH = (
    "query orderSearch($input: OrderSearchInput!) "
    "{ orderSearch(input: $input) { hits { id platformReference status paymentStatus } total } }"
)
ORDER_DELIVER = (
    "mutation OrderDeliver($orderId: String!) "
    "{ orderDeliver(orderId: $orderId) { order { amount status } } }"
)
TRANSACTION_SEARCH = (
    "query transactionSearch($input: TransactionSearchInput!) "
    "{ transactionSearch(input: $input) { hits { id amount totalAmount currency paymentType "
    "transactionType method createdAt orderId status order { " + ORDER_FIELDS + " } } total } }"
)


class SeviRefused(Exception):
    """Sevi did not do what it was asked, or did not answer. The message is fit to be shown."""


class SeviOrder(msgspec.Struct):
    """What Sevi says of an order; `id` is Sevi's own."""

    id: str
    status: str | None = None
    paymentStatus: str | None = None  # noqa: N815  (Sevi's spelling)
    platformReference: str | None = None  # noqa: N815


class _Orders(msgspec.Struct):
    hits: list[SeviOrder]


class _OrdersFound(msgspec.Struct):
    orderSearch: _Orders  # noqa: N815


class _Told(msgspec.Struct):
    status: str | None = None


class _Delivered(msgspec.Struct):
    order: _Told


class _OrderDelivered(msgspec.Struct):
    orderDeliver: _Delivered  # noqa: N815


class _Transactions(msgspec.Struct):
    hits: list[msgspec.Raw]
    total: int


class _TransactionsFound(msgspec.Struct):
    transactionSearch: _Transactions  # noqa: N815


class _Error(msgspec.Struct):
    message: str = ""


class _Answer(msgspec.Struct):
    data: msgspec.Raw = msgspec.Raw(b"null")
    errors: list[_Error] | None = None


class SeviApi:
    """One shop's access. Use it on one thread."""

    def __init__(self, settings: SeviSettings) -> None:
        assert settings.api_token is not None, "the caller has seen that there is one"
        self._url = ENDPOINTS.get(settings.api_endpoint, settings.api_endpoint)
        self._headers = {"Authorization": settings.api_token.get_secret_value()}
        self._web = Web(SECONDS)

    def close(self) -> None:
        """Close the connections."""
        self._web.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def find_order(self, field: Literal["id", "platformReference"], name: str) -> SeviOrder | None:
        """The only order that has this id at Sevi, or that carries this as the shop's reference.

        Raises `SeviRefused`.
        """
        wanted = {"input": {field: name}}
        answer: _OrdersFound = self._ask(ORDER_SEARCH, wanted, _OrdersFound)
        # Whatever the search took for a match: only what is called so is the order.
        found = {hit.id: hit for hit in answer.orderSearch.hits if getattr(hit, field) == name}
        if len(found) != 1:
            return None
        (order,) = found.values()
        return order

    def deliver(self, order_id: str) -> str | None:
        """Tell Sevi that an order is delivered; returns the status that it has there by now. This
        starts the buyer's credit and releases the seller's money. Raises `SeviRefused`."""
        wanted = {"orderId": order_id}
        answer: _OrderDelivered = self._ask(ORDER_DELIVER, wanted, _OrderDelivered)
        return answer.orderDeliver.order.status

    def transactions(self) -> Iterator[bytes]:
        """Every transaction that Sevi lists, as the JSON that it sent. Raises `SeviRefused`."""
        seen: set[bytes] = set()
        offset = 0
        for _ in range(PAGES_MAX):
            wanted = {"input": {"offset": offset, "limit": PAGE_SIZE}}
            page = self._ask(TRANSACTION_SEARCH, wanted, _TransactionsFound).transactionSearch
            new = [raw for hit in page.hits if (raw := bytes(hit)) not in seen]
            if page.hits and not new:
                raise SeviRefused("Sevi sends the same page again: it pages in another way")
            seen.update(new)
            yield from new
            offset += len(page.hits)
            if not page.hits or offset >= page.total:
                return
        raise SeviRefused(f"Sevi lists more than {PAGES_MAX * PAGE_SIZE:,} transactions")

    def _ask(self, query: str, variables: dict[str, Any], wanted: type[Any]) -> Any:
        body = msgspec.json.encode({"query": query, "variables": variables})
        try:
            reply = self._web.post(self._url, body, self._headers, ANSWER_BYTES_MAX)
        except NoReply as error:
            raise SeviRefused(str(error)) from None
        if not reply.is_whole:
            raise SeviRefused(f"the answer has more than {ANSWER_BYTES_MAX:,} bytes")
        try:
            answer = msgspec.json.decode(reply.body, type=_Answer)
            if answer.errors:
                said = excerpt("; ".join(e.message for e in answer.errors).encode())
                raise SeviRefused(f"Sevi refused: {said}")
            if reply.status == 200:
                return msgspec.json.decode(answer.data, type=wanted)
        except msgspec.MsgspecError:
            if reply.status == 200:
                raise SeviRefused("Sevi's answer has not the documented form") from None
        raise SeviRefused(f"Sevi answered HTTP {reply.status}")
