"""The web service in this process, without a socket: a request is one call of its application."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine, Mapping, MutableMapping, Sequence
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from fastapi import FastAPI

from adapters.http import create_app
from adapters.service import Service
from adapters.settings import load_settings
from adapters.storage.log import DeliveryRow
from domain.payment import Outcome

API_TOKEN = "api-token-5b1e"
SETTLE_SECONDS = 10
TOKENS = {
    "sevi": "sevi-token-77c2",
    "sevi-uganda": "uganda-token-90ab",
    "second": "second-token-1f",
}
PROVIDERS: dict[str, Any] = {
    "sevi": {"tokens": [TOKENS["sevi"]]},
    "sevi-uganda": {"kind": "sevi", "store": "uganda", "tokens": [TOKENS["sevi-uganda"]]},
    "second": {"kind": "sevi", "tokens": [TOKENS["second"]]},
}
Answer = TypeVar("Answer")
Headers = Sequence[tuple[bytes, bytes]]
Message = MutableMapping[str, Any]


class LocalService:
    """A service with an empty ledger in a folder, its application, and a loop that runs it."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        url = f"sqlite:///{folder / 'ledger.db'}"
        given = {"database_url": url, "api_tokens": [API_TOKEN], "providers": PROVIDERS} | settings
        self.service = Service(load_settings(**given))
        self.app: FastAPI = self.make_app(self.service)

    def make_app(self, service: Service) -> FastAPI:
        """The application over the service."""
        return create_app(service)

    def __enter__(self) -> Self:
        self._loop = asyncio.Runner()
        self._lifespan = self.app.router.lifespan_context(self.app)
        self.run(self._lifespan.__aenter__())
        # An error that the application lets through is answered, and seen as the 500 that it is.
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://ledger")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.run(self.http.aclose())
        self.run(self._lifespan.__aexit__(None, None, None))
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Run to its end on the service's loop."""
        return self._loop.run(work)

    async def post(
        self,
        body: bytes | AsyncIterator[bytes],
        provider: str = "sevi",
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """POST a body to a provider's webhook; unless told else, as that provider would."""
        if headers is None:
            headers = {"Authorization": TOKENS[provider], "Content-Type": "application/json"}
        return await self.http.post(f"/webhooks/{provider}", content=body, headers=headers)

    def deliver(self, body: bytes, provider: str = "sevi") -> httpx.Response:
        """POST a body as the provider would."""
        return self.run(self.post(body, provider))

    def tell(self, order_id: str, status: str, provider: str = "sevi", **more: Any) -> Any:
        """Deliver news of an order, which has to be taken; returns the answer's body."""
        body = json.dumps({"orderId": order_id, "orderPayment": status, **more})
        response = self.deliver(body.encode(), provider)
        assert response.status_code == 200, response.text
        return response.json()

    async def ask(self, path: str, **params: Any) -> httpx.Response:
        """Ask the query API, with its token."""
        params = {name.rstrip("_"): value for name, value in params.items()}
        authorization = {"Authorization": f"Bearer {API_TOKEN}"}
        return await self.http.get(path, params=params or None, headers=authorization)

    def get(self, path: str, **params: Any) -> httpx.Response:
        """Ask the query API. `from_` stands for the parameter `from`."""
        return self.run(self.ask(path, **params))

    def json(self, path: str, **params: Any) -> Any:
        """What the query API answers to a question that it has to answer."""
        response = self.get(path, **params)
        assert response.status_code == 200, response.text
        return response.json()

    def settle(self) -> None:
        """Wait until the read models know everything that is in the log."""
        head = self.service.ledger.event_log.head()
        if head is None:
            return
        # A history waits for both of its read models before it looks for the order.
        response = self.get("/orders/nobody/history", min_position=str(head))
        assert response.status_code == 404, response.text
        deadline = monotonic() + SETTLE_SECONDS
        while self.service.views.checkpoint("money") != head:
            assert monotonic() < deadline, "the totals stand still"
            sleep(0.01)

    @property
    def deliveries(self) -> list[DeliveryRow]:
        """The delivery log, oldest first."""
        return list(self.service.ledger.event_log.deliveries(list(Outcome), None, 1000))[::-1]

    def kept_body(self, row: DeliveryRow) -> bytes | None:
        """The body that a row of the delivery log kept."""
        found = self.service.bodies.kept_with([row.id]).get(row.id)
        return found.body if found else None


async def raw_post(
    app: FastAPI, headers: Headers, messages: Sequence[Message], path: str = "sevi"
) -> tuple[int, bytes]:
    """One webhook request as a server hands it over, for what no HTTP client would send.

    Asking for more messages than there are is an error.
    """
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": f"/webhooks/{path}",
        "raw_path": f"/webhooks/{path}".encode(),
        "query_string": b"",
        "root_path": "",
        "headers": list(headers),
        "client": ("127.0.0.1", 1),
        "server": ("ledger", 80),
    }
    left = iter(messages)
    sent: list[dict[str, Any]] = []

    async def receive() -> Message:
        return next(left)

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


def problem(response: httpx.Response, status: int) -> str:
    """The detail of an answer that has to be a problem of this status."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    told = response.json()
    assert set(told) == {"type", "title", "status", "detail"}
    assert (told["type"], told["status"]) == ("about:blank", status)
    assert told["title"]
    detail: str = told["detail"]
    return detail


def ids(page: Any) -> list[str]:
    """The orders on a page."""
    return [order["order_id"] for order in page["items"]]


def pages(local: LocalService, path: str, **params: Any) -> list[Any]:
    """Every item, page by page."""
    items: list[Any] = []
    after: dict[str, str] = {}
    while True:
        page = local.json(path, **params, **after)
        items += page["items"]
        if page["next"] is None:
            return items
        assert page["items"]
        after = {"after": page["next"]}
