"""POST /webhooks/{provider}: authenticate, translate, record, and answer once it is on disk.

A lean ASGI path inside the FastAPI application: the framework describes the route in its OpenAPI
document, and the application hands deliveries straight to the endpoint.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter
from typing import Literal, NotRequired

import msgspec
from fastapi.routing import APIRoute
from starlette.types import Message, Receive, Scope, Send
from typing_extensions import TypedDict  # pydantic wants this one before Python 3.12

from adapters.access.addresses import Network, client_address, parse_address
from adapters.access.limiter import FailureLimiter
from adapters.deliveries.intake import delivery_of
from adapters.deliveries.refusals import RefusalNotes
from adapters.http.problems import MEDIA_TYPE, RETRY_AFTER_SECONDS, problem_body
from adapters.http.protocol import answer_whole
from adapters.ledger.application import Receipt
from adapters.ledger.group_commit import GroupCommit, Overloaded
from adapters.providers import Ping, Provider, Refused, Request, Verified
from adapters.storage.log import StorageUnavailable
from adapters.telemetry.logs import DeliveryLines, discreetly
from adapters.telemetry.tally import Tally
from adapters.vault.keys import Hashing
from domain.log import split_stream

log = logging.getLogger("order_ledger.deliveries")
lines = DeliveryLines(log.name)

PATH = "/webhooks/"
BODY_SECONDS = 15.0
WEBHOOK_TOKEN = "webhookToken"  # noqa: S105  (the scheme's name in the OpenAPI document)
LENGTH_DIGITS_MAX = 18
REFUSAL_LOG_SECONDS = 1.0  # a stranger may knock as often as he likes without filling the log


class WebhookAnswer(TypedDict):
    """What became of a delivery. `position` is that of the last event that it appended, for a
    duplicate the original's, null where nothing was appended. `review` says why a person has to
    look at the order, and is there only where one has to."""

    outcome: Literal["recorded", "duplicate", "stale", "conflict", "ignored", "quarantined"]
    order_id: str | None
    order_status: str | None
    position: str | None
    review: NotRequired[str]


class _Refused(Exception):
    """The delivery is answered with a problem."""

    def __init__(
        self,
        status: int,
        detail: str,
        retry: bool = False,
        retry_after: str = RETRY_AFTER_SECONDS,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.retry = retry
        self.retry_after = retry_after
        self.reason = detail  # for the shop's own log: a stranger learns less


class _Unproven(_Refused):
    """The sender did not prove to be the provider."""

    def __init__(self, provider: Provider, request: Request, verdict: Refused) -> None:
        super().__init__(401, "the credentials are wrong or missing")
        self.verdict = verdict
        self.provider = provider
        self.request = request
        # Not explained here: a closer look is for the notes, which are written off the loop.
        self.reason = verdict.detail


@dataclass
class _Refusals:
    """Refusals of one kind so far, and until when no further line is written about them."""

    count: int = 0
    quiet_until: float = 0.0


class WebhookEndpoint:
    """The ASGI application behind the webhook route."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        queue: GroupCommit,
        hashing: Hashing,
        body_bytes_max: int,
        notes: RefusalNotes,
        tally: Tally,
        trusted_proxies: Sequence[Network] = (),
    ) -> None:
        self._providers = providers
        self._notes = notes
        self._tally = tally
        self._queue = queue
        self._hashing = hashing
        self._body_bytes_max = body_bytes_max
        self._trusted_proxies = trusted_proxies
        self._failures = FailureLimiter()
        self._refusals: dict[tuple[str | None, int], _Refusals] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one delivery."""
        started = perf_counter()
        name, _, path = scope["path"].removeprefix(PATH).removesuffix("/").partition("/")
        provider = self._providers.get(name)
        try:
            if provider is None:
                raise _Refused(404, "no provider of this name is configured")
            if path and not provider.takes_path:
                raise _Refused(404, "this provider's URL ends with its name")
            request = self._request(scope, path)
            if not provider.needs_body:
                verdict = _verify(provider, request)
            request.body = body = await _read_body(scope, receive, self._body_bytes_max)
            if provider.needs_body:
                verdict = _verify(provider, request)
            if isinstance(verdict, Ping):
                await _send(send, 200, b"text/plain", b"")
                return
            receipt = await self._record(provider, request, verdict.key_id)
        except _Refused as refused:
            # Its traceback holds the frames that hold it, and the body with them, until the
            # collector comes, which is rarely.
            refusal = self._limited(scope, refused).with_traceback(None)
            if isinstance(refusal, _Unproven):  # and no 429, however many there are of those
                size = len(refusal.request.body) or _announced(scope)
                self._notes.note(refusal.provider, refusal.request, refusal.verdict, size)
            self._log_refusal(name, refusal)
            await _send_problem(send, refusal)
            return
        seconds = perf_counter() - started
        _log_delivery(name, receipt, len(body), seconds)
        self._tally.acknowledged(name, receipt.outcome.value, seconds)
        own = provider.own_answer
        if own is None:
            content_type, answer = b"application/json", _answer(receipt)
        else:
            content_type, answer = own.content_type.encode(), own.body
        if not answer_whole(send, content_type, answer):
            await _send(send, 200, content_type, answer)

    async def _record(self, provider: Provider, request: Request, key_id: str) -> Receipt:
        try:
            return await self._queue.submit(delivery_of(provider, request, key_id, self._hashing))
        except Overloaded:
            raise _Refused(503, "too many deliveries at once; try again", retry=True) from None
        except Exception as error:
            # An unreachable database says so in words of its own, which repeat nothing of a body.
            told = str(error) if isinstance(error, StorageUnavailable) else discreetly(error)
            log.error("a delivery could not be stored: %s", told)
            raise _Refused(503, "the ledger cannot store now; try again", retry=True) from None

    def _request(self, scope: Scope, path: str) -> Request:
        return Request(
            scope["headers"],
            b"",
            datetime.now(UTC),
            path,
            scope["query_string"],
            self._client(scope),
        )

    def _client(self, scope: Scope) -> str | None:
        """The client's address: the peer's, or whom a trusted proxy names."""
        client = scope.get("client")
        peer: str | None = client[0] if client else None
        if not self._trusted_proxies:
            return peer
        address = client_address(peer, scope["headers"], self._trusted_proxies)
        return str(address) if address else None

    def _limited(self, scope: Scope, refusal: _Refused) -> _Refused:
        """The refusal, or 429 where its address has failed to authenticate too often.

        Only then: who authenticates never comes here, whatever came from the address before.
        """
        if refusal.status != 401:
            return refusal
        seconds = self._failures.failed(parse_address(self._client(scope) or ""))
        if seconds is None:
            return refusal
        detail = "too many deliveries with wrong credentials came from this address"
        return _Refused(429, detail, retry=True, retry_after=str(seconds))

    def _log_refusal(self, provider: str, refusal: _Refused) -> None:
        known = provider if provider in self._providers else None
        self._tally.refusals[known or "", refusal.status] += 1
        refusals = self._refusals.setdefault((known, refusal.status), _Refusals())
        refusals.count += 1
        now = perf_counter()
        if now < refusals.quiet_until:
            return
        refusals.quiet_until = now + REFUSAL_LOG_SECONDS
        log.warning(
            "refused",
            extra={
                "provider": known,
                "status": refusal.status,
                "reason": refusal.reason,
                "refusals": refusals.count,
            },
        )


def webhook_route(endpoint: WebhookEndpoint) -> APIRoute:
    """The route as FastAPI documents it and guards its method; the endpoint answers."""
    problems = (400, 401, 404, 408, 413, 429, 503)
    route = APIRoute(
        f"{PATH}{{provider:path}}",  # a secret may follow
        receive_webhook,
        methods=["POST"],
        response_model=WebhookAnswer,
        responses={status: {} for status in problems},
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": {"type": "object"}}},
            },
            "security": [{WEBHOOK_TOKEN: []}],
        },
        tags=["webhooks"],
    )
    route.app = endpoint
    return route


async def receive_webhook(provider: str) -> None:
    """Take in a provider's webhook; the answer comes after the commit.

    Everything authentic is answered 200, also what repeats or cannot be read: then the sender
    has no reason to send again. A provider that signs nothing has a secret at the end of its URL:
    `/webhooks/{provider}/{secret}`. `outcome` is one of recorded, duplicate, stale, conflict,
    ignored, quarantined. Whatever is not 200 was not taken and may be sent again.
    """
    raise NotImplementedError(f"WebhookEndpoint answers for {provider}")


def _verify(provider: Provider, request: Request) -> Verified | Ping:
    try:
        verdict = provider.verify(request)
    except Exception as error:  # none of ours raises; a package's may
        log.error("the verifier of %s failed: %s", provider.name, discreetly(error))
        raise _Refused(503, "who sent this cannot be verified now; try again", True) from None
    if isinstance(verdict, Refused):
        raise _Unproven(provider, request, verdict)
    return verdict


def _announced(scope: Scope) -> int | None:
    """The size of a body that was not read, if the headers tell it."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and len(value) <= LENGTH_DIGITS_MAX:
            return int(value)
    return None


async def _read_body(scope: Scope, receive: Receive, size_max: int) -> bytes:
    too_large = _Refused(413, f"a body has at most {size_max} bytes")
    announced: int | None = None
    for name, value in scope["headers"]:
        if name == b"connection" and b"upgrade" in value.lower():
            # The server drops the body of a request that wants another protocol.
            raise _Refused(400, "a delivery cannot change the protocol")
        if name == b"content-length" and value.isdigit():
            digits = value.lstrip(b"0") or b"0"
            if len(digits) > LENGTH_DIGITS_MAX or int(digits) > size_max:
                raise too_large
            announced = int(digits)
    message = await receive()
    if not message.get("more_body", False):
        chunks = [_chunk(message)]  # nearly always: it came with the headers
    else:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                chunks = await _read_chunks(message, receive, size_max)
        except TimeoutError:
            late = f"the body was not whole after {BODY_SECONDS:g} seconds"
            raise _Refused(408, late) from None
    body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
    if len(body) > size_max:
        raise too_large
    if announced is not None and announced != len(body):
        raise _Refused(400, "the body is not as long as its Content-Length says")
    return body


async def _read_chunks(message: Message, receive: Receive, size_max: int) -> list[bytes]:
    """All chunks of a body, or as many as make it too large."""
    chunks = [_chunk(message)]
    size = len(chunks[0])
    while message.get("more_body", False) and size <= size_max:
        message = await receive()
        chunks.append(_chunk(message))
        size += len(chunks[-1])
    return chunks


def _chunk(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise _Refused(400, "the connection was closed before the body was whole")
    chunk: bytes = message.get("body", b"")
    return chunk


def _answer(receipt: Receipt) -> bytes:
    order = receipt.order
    answer = {
        "outcome": receipt.outcome.value,
        "order_id": split_stream(order.id)[1] if order else None,
        "order_status": order.status.value if order else None,
        "position": str(receipt.position) if receipt.position else None,
    }
    if order is not None and order.review is not None:
        answer["review"] = order.review.value
    return msgspec.json.encode(answer)


def _log_delivery(provider: str, receipt: Receipt, size: int, seconds: float) -> None:
    lines.write(
        "delivery",
        provider=provider,
        outcome=receipt.outcome.value,
        position=str(receipt.position) if receipt.position else None,
        reason=receipt.reason,
        body_bytes=size,
        duration_ms=round(seconds * 1000, 2),
    )


async def _send_problem(send: Send, refusal: _Refused) -> None:
    headers = []
    if refusal.retry:
        headers.append((b"retry-after", refusal.retry_after.encode()))
    if refusal.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    body = problem_body(refusal.status, refusal.detail)
    await _send(send, refusal.status, MEDIA_TYPE.encode(), body, headers)


async def _send(
    send: Send,
    status: int,
    content_type: bytes,
    body: bytes,
    headers: list[tuple[bytes, bytes]] | None = None,
) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", content_type),
                (b"content-length", str(len(body)).encode()),
                *(headers or ()),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})
