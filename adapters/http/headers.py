"""The headers by which a browser does nothing with an answer but show it to whoever asked."""

from starlette.types import Message, Send

SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
]


def with_security_headers(send: Send) -> Send:
    """The same way to answer, with the headers on every answer. No CORS: no other site may ask."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *SECURITY_HEADERS]
        await send(message)

    return send_with_headers
