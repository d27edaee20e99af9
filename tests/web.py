"""Servers of other people, on loopback: a shop's, which answers, refuses, hangs or dies, and Sevi's
API, which speaks its documented schema."""

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self

HANG = 0  # in the place of a status: the answer never comes
DIE = -1  # the connection is cut
DRIP = -2  # a head that goes on for ever, byte by byte


@dataclass(frozen=True)
class Came:
    """A request that came."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """What to answer."""

    status: int = 204
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class FakeServer:
    """A server on a free port. It keeps what came, and asks `answer` what to say."""

    def __init__(self, answer: Callable[[Came], Reply] | None = None, port: int = 0) -> None:
        self.came: list[Came] = []
        self.replies: list[Reply] = []  # the next ones, before `otherwise`
        self.otherwise = Reply()
        self._answer = answer or (lambda _: self.replies.pop(0) if self.replies else self.otherwise)
        self._over = Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/ledger"

    def close(self) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                came = Came({k.lower(): v for k, v in self.headers.items()}, body)
                fake.came.append(came)
                reply = fake._answer(came)
                self.close_connection = reply.status <= 0
                if reply.status == HANG:
                    fake._over.wait()
                elif reply.status == DRIP:
                    _drip(self, fake._over)
                elif reply.status != DIE:
                    _say(self, reply)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        return Handler


def _say(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
    handler.send_response(reply.status)
    for name, value in reply.headers.items():
        handler.send_header(name, value)
    if reply.status != 204:
        handler.send_header("Content-Length", str(len(reply.body)))
    handler.end_headers()
    handler.wfile.write(reply.body)


def _drip(handler: BaseHTTPRequestHandler, over: Event) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    with suppress(OSError):
        while not over.wait(0.05):
            handler.wfile.write(b"x")


class FakeSevi(FakeServer):
    """Sevi's GraphQL API with some orders and transactions in it."""

    def __init__(self, token: str = "sevi-api-token") -> None:
        self.token = token
        self.orders: dict[str, dict[str, Any]] = {}
        self.transactions: list[str] = []  # as JSON, so that amounts stay as they are written
        self.asked: list[tuple[str, Any]] = []  # operation and variables
        self.forgets_after_delivery: int | None = None  # answered with, instead of success
        self.refuses: str | None = None
        super().__init__(self._graphql)

    def add_order(self, order_id: str, payment: str = "PAID", **more: Any) -> None:
        known = {"status": "AWAITING_SHIPMENT", "platformReference": None}
        self.orders[order_id] = {"id": order_id, "paymentStatus": payment, **known, **more}

    @property
    def delivered(self) -> list[str]:
        """The orders that `orderDeliver` was called for."""
        return [asked["orderId"] for name, asked in self.asked if name == "orderDeliver"]

    def _graphql(self, came: Came) -> Reply:
        if came.headers.get("authorization") != self.token:
            return Reply(401, b'{"errors": [{"message": "Unauthorized"}]}')
        if self.refuses is not None:
            return Reply(200, json.dumps({"errors": [{"message": self.refuses}]}).encode())
        query, variables = came.json["query"], came.json["variables"]
        match = re.search(r"{ (orderSearch|orderDeliver|transactionSearch)\(", query)
        assert match, query
        self.asked.append((match[1], variables))
        return getattr(self, f"_{match[1]}")(variables)  # type: ignore[no-any-return]

    def _orderSearch(self, variables: Any) -> Reply:  # noqa: N802
        ((name, value),) = variables["input"].items()
        hits = [order for order in self.orders.values() if order[name] == value]
        return _data("orderSearch", json.dumps({"hits": hits, "total": len(hits)}))

    def _orderDeliver(self, variables: Any) -> Reply:  # noqa: N802
        order = self.orders[variables["orderId"]]
        order["status"] = "DELIVERED"
        if self.forgets_after_delivery is not None:
            return Reply(self.forgets_after_delivery)
        return _data("orderDeliver", json.dumps({"order": {"amount": 5.0, "status": "DELIVERED"}}))

    def _transactionSearch(self, variables: Any) -> Reply:  # noqa: N802
        wanted = variables["input"]
        offset, limit = wanted["offset"], wanted["limit"]
        hits = ",".join(self.transactions[offset : offset + limit])
        told = f'{{"hits": [{hits}], "total": {len(self.transactions)}}}'
        return _data("transactionSearch", told)


def _data(name: str, told: str) -> Reply:
    return Reply(200, f'{{"data": {{"{name}": {told}}}}}'.encode())
