"""The headers by which a browser does nothing with an answer but show it to whoever asked."""

from collections.abc import Sequence

from fastapi import Request
from starlette.types import Message, Send

from adapters.access.addresses import Network, is_trusted_peer

SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
]


def with_security_headers(send: Send) -> Send:
    """The same way to answer, with the headers on every answer that does not say otherwise of the
    same matter, as the console's pages do. No CORS: no other site may ask."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = list(message.get("headers", ()))
            said = {name for name, _ in own}
            more = [(name, value) for name, value in SECURITY_HEADERS if name not in said]
            message["headers"] = [*own, *more]
        await send(message)

    return send_with_headers


def is_secure(request: Request, trusted: Sequence[Network]) -> bool:
    """Whether the client came over TLS, by the word of a trusted proxy or by our own."""
    if request.url.scheme == "https":
        return True
    peer = request.client.host if request.client else None
    told = request.headers.get("x-forwarded-proto", "")
    return is_trusted_peer(peer, trusted) and told.split(",")[-1].strip().lower() == "https"
