"""The servers that the service is compared with: `python -m tests.bench.responders NAME`.

`empty` is the ceiling: FastAPI with a handler that does nothing. `straightforward` is described in
its own module. Both run under the very configuration of `order-ledger serve`. `lean` answers
without any framework; it only shows how much the load generator could do.
"""

import asyncio
import socket
import sys
from typing import Any

import uvicorn
import uvloop
from fastapi import FastAPI

from adapters.cli import serve
from tests.bench.straightforward import create_app

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


def empty_app() -> FastAPI:
    """FastAPI with an empty handler."""
    app = FastAPI()

    @app.post("/webhooks/{provider}")
    async def receive(provider: str) -> dict[str, str]:
        return {}

    return app


class Lean(asyncio.Protocol):
    """Answers every request as soon as its last byte is there."""

    def __init__(self) -> None:
        self._pending = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._pending:
            data = self._pending + data
        end = data.find(b"\r\n\r\n")
        at = data.find(b"Content-Length: ", 0, end) + 16
        if end < 0 or len(data) < end + 4 + int(data[at : data.find(b"\r", at)]):
            self._pending = data
            return
        self._pending = b""
        self._transport.write(ANSWER)


async def _serve_lean(listener: socket.socket) -> None:
    server = await asyncio.get_running_loop().create_server(Lean, sock=listener)
    await server.serve_forever()


def main(name: str) -> None:
    """Serve until stopped."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    sys.stdout.write(f"{name} listens on http://127.0.0.1:{listener.getsockname()[1]}, \n")
    sys.stdout.flush()
    if name == "lean":
        uvloop.run(_serve_lean(listener))
        return
    app = {"empty": empty_app, "straightforward": create_app}[name]()
    uvicorn.Server(serve._config(app)).run(sockets=[listener])


if __name__ == "__main__":
    main(sys.argv[1])
