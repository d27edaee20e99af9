"""Sessions of the console: a cookie that only this service can read or make.

It holds no token, but its digest, so that a token that is revoked or expires ends its sessions. It
is encrypted and authenticated (AES-256-GCM) under a key that is kept beside the ledger, so every
process of a service knows the sessions of the others.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from adapters.storage.ended_sessions import EndedSessions

SESSION_SECONDS = 8 * 60 * 60  # a working day; then the token is asked for again
NONCE_BYTES = 12
SIGNED_IN, FORM = "session", "sign-in"  # what the cookies are sealed for
SEALED_TEXT_MAX = 4096  # what a browser keeps of a cookie

Clock = Callable[[], float]


class Box:
    """Seals small values so that nobody else can read, make or change them; each for a purpose."""

    def __init__(self, key: str) -> None:
        self._cipher = AESGCM(hashlib.sha256(key.encode()).digest())

    def seal(self, purpose: str, value: Any) -> str:
        """The value, which JSON can hold, as a text that fits a cookie."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, json.dumps(value).encode(), purpose.encode())
        return base64.urlsafe_b64encode(nonce + sealed).decode()

    def opened(self, purpose: str, text: str | None) -> Any:
        """What was sealed for this purpose; None where this box did not do it."""
        if not text or len(text) > SEALED_TEXT_MAX:
            return None
        try:
            raw = base64.b64decode(text.encode(), altchars=b"-_", validate=True)
            plain = self._cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], purpose.encode())
        except (InvalidTag, ValueError):
            return None
        return json.loads(plain)


@dataclass(frozen=True, slots=True)
class Session:
    """Who looks at the console: the digest of the token that was shown (empty where this is only
    the form to show one), the secret that the forms of this session repeat, and when it began
    (seconds since 1970)."""

    token_sha256: str
    form_secret: str
    began_at: int

    def is_form_of_ours(self, told: str) -> bool:
        """Whether a form comes from a page of this session, and from no other site."""
        return hmac.compare_digest(self.form_secret.encode(), told.encode())


class Sessions:
    """Makes sessions and knows them again.

    A session that was signed out of is remembered until it would have ended by itself, by every
    process of the service.
    """

    def __init__(self, box: Box, clock: Clock, ended: EndedSessions) -> None:
        self._box = box
        self._clock = clock
        self._ended = ended

    def begin(self, token_sha256: str) -> tuple[Session, str]:
        """A new session of somebody who signed in, and the cookie that it is known by."""
        return self._made(SIGNED_IN, token_sha256)

    def begin_form(self) -> tuple[Session, str]:
        """What a form to sign in belongs to, and a cookie for that alone."""
        return self._made(FORM, "")

    def known(self, cookie: str | None) -> Session | None:
        """The session of a cookie; None where there is none, or it has ended. Blocks; raises
        `StorageUnavailable`."""
        session = self._opened(SIGNED_IN, cookie)
        return None if session is None or self._ended.has(_name(session)) else session

    def known_form(self, cookie: str | None) -> Session | None:
        """What the form to sign in that came with a cookie belongs to."""
        return self._opened(FORM, cookie)

    def _made(self, purpose: str, token_sha256: str) -> tuple[Session, str]:
        session = Session(token_sha256, secrets.token_urlsafe(), int(self._clock()))
        values = [session.token_sha256, session.form_secret, session.began_at]
        return session, self._box.seal(purpose, values)

    def _opened(self, purpose: str, cookie: str | None) -> Session | None:
        values = self._box.opened(purpose, cookie)
        if values is None:
            return None
        session = Session(*values)
        return None if self._clock() - session.began_at >= SESSION_SECONDS else session

    def end(self, session: Session) -> None:
        """Let nobody use a session any more, also who has copied its cookie. Blocks; raises
        `StorageUnavailable`."""
        until = datetime.fromtimestamp(session.began_at, UTC) + timedelta(seconds=SESSION_SECONDS)
        self._ended.add(_name(session), datetime.fromtimestamp(self._clock(), UTC), until)


def _name(session: Session) -> str:
    """What a session is kept under: nobody who reads it can send a form of the session."""
    return hashlib.sha256(session.form_secret.encode()).hexdigest()
