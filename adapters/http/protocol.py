"""The head of a request within bounds: uvicorn's HTTP protocol takes one of any size, for ever.

The parser keeps a header until it is whole, and the server waits for it without a limit; both
belong to whoever has opened a connection. Here a request that is too large before or beside its
body is answered 431, one whose body is cut too fine 400, and one whose body has not begun in time
408; then the connection ends. So it does where nobody reads what was answered.
"""

import asyncio
from collections.abc import Callable, Sized
from http import HTTPStatus
from typing import Any, NoReturn

from starlette.types import Send
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from adapters.http.problems import MEDIA_TYPE, problem_body

HEAD_BYTES_MAX = 32 * 1024  # of the request line and all headers; what providers send is below 4
# Until the head is whole and the body has begun, from the first byte, or from the connection's
# beginning. The body's own time is the webhook endpoint's.
HEAD_SECONDS = 10.0
# A chunked body has up to five bytes of framing for one of its own; what is beyond that are
# extensions and trailers, of which nobody reads any.
WIRE_BYTES_PER_BODY_BYTE = 8
# Each piece of a body costs the event loop a call: who cuts his so fine wants just that. The first
# ones are free; pieces of the network are larger than those of the rest have to be.
PIECES_FREE = 1024
BODY_BYTES_PER_PIECE = 256
# Requests that may wait for the answer to an earlier one of their connection. Reading goes on when
# none waits, but one read may bring thousands, and each costs a hundred times its bytes.
QUEUED_MAX = 256
# How long an answer may lie here without its client taking any of it.
UNREAD_SECONDS = 30.0
# How long a client may go on unheard after it was refused here. Closing at once would reset the
# connection while it still sends, and the answer with it.
LINGER_SECONDS = 5.0

ENDLESS = "order_ledger.endless"  # where a scope says that its answer ends only with the service

TOO_LARGE = f"the request line and the headers have at most {HEAD_BYTES_MAX} bytes"
TOO_LATE = f"the request's head was not whole, or its body not begun, in {HEAD_SECONDS:g} seconds"
TOO_FINE = f"the body came in too many pieces of less than {BODY_BYTES_PER_PIECE} bytes"
TOO_MANY = f"more than {QUEUED_MAX} requests wait for the answer to an earlier one"
UNREADABLE = "this is no HTTP request"


class QueueingFlow(FlowControl):
    """uvicorn's flow control, but for this: while requests wait, no more are read."""

    def __init__(self, transport: asyncio.Transport, waiting: Sized) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        """Read on, unless requests wait; what answers the last of those comes here as well."""
        if self.read_paused and not self._waiting:
            super().resume_reading()


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with bounds on what the application cannot bound.

    A request that arrives whole costs a few additions; a timer runs only while one is under way.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._wire_bytes = 0  # of the request under way
        self._body_bytes = 0
        self._pieces = 0  # of the body
        self._refusal = (400, UNREADABLE)  # what the parser's stop means
        self._is_ended = False
        self._has_said_all = False
        self._deadline: asyncio.TimerHandle | None = None
        self._unread_bytes = 0
        self._unread_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Who connects has to say something in time, too."""
        super().connection_made(transport)
        self.flow = QueueingFlow(transport, self.pipeline)
        self._set_deadline(HEAD_SECONDS, self._end_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """No timer outlives the connection, and no request that waited: the collector, which would
        find that it is no one's, comes rarely (`adapters/collector.py`)."""
        self._drop_deadline()
        self._drop_unread_deadline()
        super().connection_lost(exc)
        for cycle, _ in self.pipeline:
            cycle.on_response = _nothing
        self.pipeline.clear()

    def data_received(self, data: bytes) -> None:
        """Take in a piece of a request, of several, or of none."""
        if self._is_ended:
            return
        self._wire_bytes += len(data)
        super().data_received(data)
        if self._wire_bytes or self._deadline is not None:
            self._bound()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Who only stops speaking still hears the answer to what was said whole."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.more_body or cycle.response_started:
            return False
        self._has_said_all = True
        return True

    def on_response_complete(self) -> None:
        """Go on to the next request, if there can be one."""
        super().on_response_complete()
        if self.transport.is_closing() or (self._has_said_all and self.cycle.response_complete):
            self._close()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing came after the last answer."""
        self._close()

    def _close(self) -> None:
        # What is written goes out first, which takes as long as the client likes.
        self.transport.close()
        if self._unread_deadline is None and self.transport.get_write_buffer_size():
            self._wait_for_reader()

    def shutdown(self) -> None:
        """Let what is under way end before the service stops, but for what has no end."""
        super().shutdown()
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and cycle.scope.get(ENDLESS):
            self.transport.close()

    def _bound(self) -> None:
        """See to the request that is under way, or to the timer of the one that was."""
        if self._is_ended or self.transport.is_closing():
            return
        if not self._wire_bytes:
            self._drop_deadline()
        elif self._wire_bytes > HEAD_BYTES_MAX + WIRE_BYTES_PER_BODY_BYTE * self._body_bytes:
            self._end(431, TOO_LARGE)
        elif self._body_bytes and not self.cycle.response_complete:
            self._drop_deadline()
        elif self._deadline is None:  # a request that was answered has so long to end, too
            self._set_deadline(HEAD_SECONDS, self._end_late)

    def on_headers_complete(self) -> None:
        """The head is whole: trailers, which come like headers, are none."""
        if len(self.pipeline) >= QUEUED_MAX:
            self._refuse(400, TOO_MANY)
        super().on_headers_complete()
        self.headers = []

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if self._wire_bytes > HEAD_BYTES_MAX and not self._body_bytes:
            self._refuse_large_head()
        self._body_bytes += len(body)
        self._pieces += 1
        if self._pieces > PIECES_FREE + self._body_bytes // BODY_BYTES_PER_PIECE:
            self._refuse(400, TOO_FINE)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole; what comes next is another."""
        if self._wire_bytes > HEAD_BYTES_MAX and not self._body_bytes:
            self._refuse_large_head()
        self._wire_bytes = self._body_bytes = self._pieces = 0
        super().on_message_complete()

    def _refuse_large_head(self) -> None:
        """A head may come in one piece with what follows it, and be too large all the same."""
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.scope["headers"])
        if size > HEAD_BYTES_MAX:
            self._refuse(431, TOO_LARGE)

    def _refuse(self, status: int, detail: str) -> NoReturn:
        self._refusal = status, detail
        raise ValueError(detail)  # the parser stops, and asks for `send_400_response`

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser refuses."""
        self._end(*self._refusal)

    def pause_writing(self) -> None:
        """The client does not take its answer as fast as it is made."""
        super().pause_writing()
        if self._unread_deadline is None:
            self._wait_for_reader()

    def resume_writing(self) -> None:
        """Most of it is taken."""
        super().resume_writing()
        self._drop_unread_deadline()

    def _wait_for_reader(self) -> None:
        self._unread_bytes = self.transport.get_write_buffer_size()
        self._unread_deadline = self.loop.call_later(UNREAD_SECONDS, self._end_unread)

    def _end_unread(self) -> None:
        # A slow client may be slow; one that took nothing at all has gone, or is none.
        self._unread_deadline = None
        unread = self.transport.get_write_buffer_size()
        if unread >= self._unread_bytes:
            self.transport.abort()
        elif unread:
            self._wait_for_reader()

    def _drop_unread_deadline(self) -> None:
        if self._unread_deadline is not None:
            self._unread_deadline.cancel()
            self._unread_deadline = None

    def _end_late(self) -> None:
        # A connection on which nobody said anything is closed without a word.
        if self._wire_bytes:
            self._end(408, TOO_LATE)
        else:
            self._close()

    def _end(self, status: int, detail: str) -> None:
        """Answer the request under way, unless its answer has begun, and hear no more."""
        self._is_ended = True
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None:
            is_own = cycle.scope is self.scope  # else it is that of the request before
            if cycle.response_started if is_own else not cycle.response_complete:
                self.transport.close()  # nothing may stand within that answer
                return
            cycle.disconnected = True  # the application's own answer would come too late
            cycle.message_event.set()
        body = problem_body(status, detail)
        lines = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
            f"content-type: {MEDIA_TYPE}",
            f"content-length: {len(body)}",
            "connection: close",
        )
        self.transport.write("".join(f"{line}\r\n" for line in (*lines, "")).encode() + body)
        self.transport.write_eof()
        self._set_deadline(LINGER_SECONDS, self._close)

    def _set_deadline(self, seconds: float, then: Callable[[], None]) -> None:
        self._drop_deadline()
        self._deadline = self.loop.call_later(seconds, then)

    def _drop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _nothing() -> None:
    """What the end of a request that never began is to."""


def answer_whole(send: Send, content_type: bytes, body: bytes) -> bool:
    """Answer a request 200 in one piece, and say whether that could be: not where the server is
    another one, or where somebody in between wants to hear of the answer.

    Two ASGI messages, each looked through for what a framework may have got wrong, cost a tenth of
    the event loop's time for a delivery.
    """
    cycle = getattr(send, "__self__", None)  # not kept in the scope, which the cycle holds
    if not isinstance(cycle, RequestResponseCycle) or send != cycle.send:
        return False
    if cycle.disconnected or cycle.response_started or cycle.flow.write_paused:
        return False
    fields = b"".join([b"%b: %b\r\n" % header for header in cycle.default_headers])
    end = b"" if cycle.keep_alive else b"connection: close\r\n"
    cycle.response_started = cycle.response_complete = True
    cycle.transport.write(
        b"HTTP/1.1 200 OK\r\n%bcontent-type: %b\r\ncontent-length: %d\r\n%b\r\n%b"
        % (fields, content_type, len(body), end, body)
    )
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
    return True
