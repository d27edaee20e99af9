"""Parts of pages that stay fresh while somebody looks: server-sent events (WHATWG HTML, section
9.2), each of which is the whole part as it is drawn now."""

import asyncio
from collections.abc import AsyncIterator, Callable
from time import monotonic

from fastapi import Response
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse, format_sse_event
from starlette.exceptions import HTTPException

from adapters.http.console.context import Console, SignInWanted, Visit
from adapters.http.protocol import ENDLESS
from adapters.storage.log import StorageUnavailable

JOB_SECONDS = 1.0  # how often a job's part is drawn
STREAMS_MAX = 64  # of one process
STREAM_SECONDS = 300.0  # then the browser connects anew
RETRY_MILLISECONDS = 1000
NO_BUFFERING = {"X-Accel-Buffering": "no"}  # nginx would keep events until it has many

Draw = Callable[[Visit], str]


class Live:
    """The streams of one process. For one event loop."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._open = 0

    def stream(self, visit: Visit, seconds: float, draw: Draw) -> Response:
        """A part, drawn every so many seconds and sent whenever it changed, for as long as whoever
        looks is signed in and may what he might at first."""
        if self._open >= STREAMS_MAX:
            raise HTTPException(503, f"{STREAMS_MAX} parts of pages are kept fresh already")
        if visit.request.method == "HEAD":
            return Response(media_type=EventSourceResponse.media_type, headers=NO_BUFFERING)
        visit.request.scope[ENDLESS] = True
        return EventSourceResponse(self._events(visit, seconds, draw), headers=NO_BUFFERING)

    async def _events(self, visit: Visit, seconds: float, draw: Draw) -> AsyncIterator[bytes]:
        self._open += 1
        try:
            yield format_sse_event(retry=RETRY_MILLISECONDS)
            async for part in self._parts(visit, seconds, draw):
                yield format_sse_event(data_str=part)
        except SignInWanted:
            yield format_sse_event(event="signed-out", data_str="")
        except StorageUnavailable:
            return  # the browser tries again, and says so if that lasts
        finally:
            self._open -= 1

    async def _parts(self, visit: Visit, seconds: float, draw: Draw) -> AsyncIterator[str]:
        shown = ""
        until = monotonic() + STREAM_SECONDS
        while True:
            now = await self._console.visit(visit.request)
            if now.caller != visit.caller:
                raise SignInWanted
            part = await run_in_threadpool(draw, now)
            if part != shown:
                yield part
            shown = part
            if monotonic() >= until:
                return
            await asyncio.sleep(seconds)
