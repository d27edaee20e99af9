"""Requests to other people's servers, bounded in time and in what is read of the answer."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; `body` has at most the bytes that were asked for."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_whole: bool


class NoReply(Exception):
    """No answer came. The message says why and repeats nothing of what was sent."""


class Web:
    """A client for one thread. Redirects are answers like others: nobody is followed anywhere.

    The whole exchange has one deadline. A timeout for each read would let a server that sends a
    byte now and then hold the caller for ever. Its library is loaded with the first of them: it is
    slow to load, and the configuration names us.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._runner = asyncio.Runner()
        self._client: httpx.AsyncClient | None = None

    def post(self, url: str, body: bytes, headers: Mapping[str, str], bytes_max: int) -> Reply:
        """POST a JSON body. Raises `NoReply`."""
        import httpx

        try:
            return self._runner.run(self._post(url, body, headers, bytes_max))
        except TimeoutError:
            raise NoReply(f"no answer within {self._seconds:g} s") from None
        except httpx.HTTPError as error:
            raise NoReply(type(error).__name__) from None

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._runner.run(self._client.aclose())
        self._runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def _post(
        self, url: str, body: bytes, headers: Mapping[str, str], bytes_max: int
    ) -> Reply:
        import httpx

        if self._client is None:
            self._client = httpx.AsyncClient(
                timeout=httpx.Timeout(self._seconds, connect=CONNECT_SECONDS),
                headers={"User-Agent": f"order-ledger/{version('order-ledger')}"},
            )
        every = {"Content-Type": "application/json", "Accept-Encoding": "identity", **headers}
        async with asyncio.timeout(self._seconds):
            request = self._client.stream("POST", url, content=body, headers=every)
            async with request as response:
                read = bytearray()
                async for chunk in response.aiter_raw():
                    read += chunk
                    if len(read) > bytes_max:
                        break
                whole = len(read) <= bytes_max
                return Reply(response.status_code, response.headers, bytes(read[:bytes_max]), whole)
