"""Secrets that the service makes for itself where none is configured, and how tokens compare."""

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from adapters.files import draft_of

API_TOKEN_PREFIX = "olt_"  # noqa: S105  (by which scanners of leaked secrets know ours)


def made_once(folder: Path, name: str) -> str:
    """A token that is made on first use and kept in a file that only its owner can read."""
    path = folder / name
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not _read(path):
        # Written whole before it gets its name: two starting processes agree on one token.
        draft = draft_of(path, f"{secrets.token_urlsafe(32)}\n".encode())
        if path.exists():  # but empty: a token that anybody could guess
            draft.replace(path)
        else:
            with suppress(FileExistsError):
                os.link(draft, path)
            draft.unlink()
    return _read(path)


def new_api_token() -> str:
    """A token for the query API: 256 random bits behind a prefix of ours."""
    return API_TOKEN_PREFIX + secrets.token_urlsafe(32)


def token_sha256(token: bytes) -> str:
    """The form in which a made token is kept, in hex.

    A fast hash without salt is enough: nobody tries 2^256 tokens, and no two are the same. Slow
    hashes are for what people think up.
    """
    return _digest(token).hex()


def _read(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""


KEY_ID_DIGITS = 12


def key_id_of(secret: str, key: str) -> str:
    """An id for a secret without a name: keyed, so that nobody can try secrets against it."""
    digest = hmac.digest(key.encode(), secret.encode(), "sha256").hex()
    return f"key-{digest[:KEY_ID_DIGITS]}"


class Tokens:
    """Live tokens, to be compared with a given one in constant time."""

    def __init__(self, tokens: Iterable[str]) -> None:
        self._digests = tuple(_digest(token.encode()) for token in tokens if token)

    def match(self, given: bytes) -> bool:
        """Whether this is a live token."""
        return self.which(given) is not None

    def match_sha256(self, given: str) -> bool:
        """Whether this is the digest, in hex, of a live token."""
        matches = [hmac.compare_digest(given, live.hex()) for live in self._digests]
        return True in matches

    def which(self, given: bytes) -> int | None:
        """The number of the live token that this is. Every live one is compared, as digests of
        equal length."""
        digest = _digest(given)
        matches = [hmac.compare_digest(digest, live) for live in self._digests]
        return matches.index(True) if True in matches else None


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
