"""Bounds on the bodies of every route but the webhooks', which have their own.

The framework reads a body before it looks at the token, so whoever sends one is a stranger still.
"""

import asyncio

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope

BODY_BYTES_MAX = 64 * 1024  # a registered order with its references is a tenth of it
BODY_SECONDS = 15.0


def bounded(scope: Scope, receive: Receive) -> Receive:
    """What an application receives, until the body is whole or too much: 413, or too late: 408."""
    size = 0
    is_whole = False
    deadline = asyncio.get_running_loop().time() + BODY_SECONDS

    async def next_message() -> Message:
        nonlocal size, is_whole
        if is_whole:  # from now on it waits for the client to go
            return await receive()
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            late = f"the body was not whole after {BODY_SECONDS:g} seconds"
            raise HTTPException(408, late, {"Connection": "close"}) from None
        size += len(message.get("body", b""))
        if size > BODY_BYTES_MAX or _announced(scope) > BODY_BYTES_MAX:
            large = f"a body has at most {BODY_BYTES_MAX} bytes here"
            raise HTTPException(413, large, {"Connection": "close"})
        is_whole = not message.get("more_body", False)
        return message

    return next_message


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:18])
    return 0
