"""Whose token this is: the configured tokens, and those that were made."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from time import monotonic

from adapters.access.roles import CONFIGURED, Caller
from adapters.secrets import API_TOKEN_PREFIX, Tokens, token_sha256
from adapters.storage.access import USE_NOTED_EVERY, TokenRow, TokenStore
from adapters.storage.log import StorageUnavailable, utc_now

FRESH_SECONDS = 1.0  # a revoked or expired token may open doors so much longer


class Doorkeeper:
    """Knows the live tokens. Lives on one event loop.

    It keeps a copy of all live tokens, read again when it is more than a second old and somebody
    asks: a request costs no read, and neither does a stranger's token, however many he tries.
    """

    def __init__(
        self, configured: Tokens, made: TokenStore, clock: Callable[[], float] = monotonic
    ) -> None:
        self._configured = configured
        self._made = made
        self._clock = clock
        self._live: dict[str, TokenRow] = {}  # when they could last be read
        self._failure: str | None = None
        self._read_at: float | None = None
        self._reading = asyncio.Lock()
        self._noted_at: dict[str, float] = {}

    async def admit(self, token: bytes, origin: str) -> Caller | None:
        """The caller who has this token, or None where it opens nothing.

        Raises `StorageUnavailable` where the made tokens cannot be read: then only the configured
        ones are known.
        """
        if self._configured.match(token):
            return replace(CONFIGURED, origin=origin)
        if not token.startswith(API_TOKEN_PREFIX.encode()):
            return None
        return await self._holder_of_made(token_sha256(token), origin)

    async def admit_watcher(self, token: bytes, origin: str) -> Caller | None:
        """`admit` for who asks for figures alone. While the made tokens cannot be read those count
        that were live when they last could be: an alarm has to hear that the database is down.

        Raises `StorageUnavailable` where the token was not among them, or has expired since.
        """
        try:
            return await self.admit(token, origin)
        except StorageUnavailable:
            found = self._live.get(token_sha256(token))
            if found is None or not found.is_live(utc_now()):
                raise
            return Caller(f"token {found.name}", origin, found.roles, found.store)

    async def holder_of(self, sha256: str, origin: str) -> Caller | None:
        """The caller whose token has this digest, for whoever showed the token before; else None.

        Raises `StorageUnavailable` as `admit` does.
        """
        if self._configured.match_sha256(sha256):
            return replace(CONFIGURED, origin=origin)
        return await self._holder_of_made(sha256, origin)

    async def _holder_of_made(self, sha256: str, origin: str) -> Caller | None:
        # How long a look into a table of digests takes tells nothing of the tokens behind them.
        found = (await self._live_tokens()).get(sha256)
        if found is None:
            return None
        await self._note_use(found.name)
        return Caller(f"token {found.name}", origin, found.roles, found.store)

    async def _live_tokens(self) -> dict[str, TokenRow]:
        since = self._clock() - FRESH_SECONDS
        if not self._was_read(since):
            async with self._reading:
                if not self._was_read(since):  # nobody else did while this one waited
                    await self._read()
        if self._failure is not None:
            raise StorageUnavailable(self._failure)
        return self._live

    def _was_read(self, since: float) -> bool:
        return self._read_at is not None and self._read_at > since

    async def _read(self) -> None:
        began = self._clock()
        try:
            live = await asyncio.to_thread(self._made.live)
        except StorageUnavailable as error:
            self._failure = str(error)
            self._read_at = self._clock()  # a database that is down is not asked at every request
        else:
            self._live, self._failure = {token.sha256: token for token in live}, None
            self._read_at = began

    async def _note_use(self, name: str) -> None:
        now = self._clock()
        noted_at = self._noted_at.get(name)
        if noted_at is not None and now - noted_at < USE_NOTED_EVERY.total_seconds():
            return
        self._noted_at[name] = now
        with suppress(StorageUnavailable):  # a full disk keeps nobody from reading
            await asyncio.to_thread(self._made.note_use, name)
