"""The signature of Standard Webhooks: v1 (HMAC-SHA256) and v1a (Ed25519) over `id.time.body`.

Source: the specification at standardwebhooks.com. The older header names `svix-*` are read too.
Several secrets and several signatures may be live at once; an entry that cannot be read never
hides a good one. Times are tolerated in both directions.
"""

import base64
import hmac
import re
from collections.abc import Sequence
from datetime import datetime

from adapters.providers.base import (
    CannotSign,
    Headers,
    Outgoing,
    Reason,
    Refused,
    Request,
    Secret,
    Verdict,
    Verified,
)
from adapters.providers.verifying import (
    ENTRIES_MAX,
    TOLERANCE_SECONDS,
    WRONG_SIGNATURE,
    SignedBody,
    decoded,
    in_time,
    made_id,
    only,
    signer_of,
    unix_seconds,
)

FAMILIES = ("webhook", "svix")
SIGNATURE_HEADERS = tuple(
    f"{family}-{part}" for family in FAMILIES for part in ("id", "timestamp", "signature")
)
PUBLIC_KEY_BYTES = 32
_ID = re.compile(rb"[\x21-\x7e]{1,255}")


def key_of(text: str) -> bytes | None:
    """The key in a secret, `whsec_` or `whpk_` and base64 with or without padding; None where it
    is none."""
    encoded = text.removeprefix("whpk_").removeprefix("whsec_").rstrip("=")
    key = decoded(encoded + "=" * (-len(encoded) % 4))
    is_public = text.startswith("whpk_")
    return None if not key or (is_public and len(key) != PUBLIC_KEY_BYTES) else key


def family_of(headers: Headers) -> str:
    """The family of names that a delivery is signed under; what other names say, nobody signed."""
    names = {name for name, _ in headers}
    return next((f for f in FAMILIES if f"{f}-signature".encode() in names), FAMILIES[0])


def delivery_id(headers: Headers) -> str | None:
    """The signed id of a verified delivery."""
    value = only(headers, f"{family_of(headers)}-id".encode())
    return None if isinstance(value, Refused) else value.decode("latin-1")


def signed_headers(headers: Headers) -> Headers:
    """What a later reading needs of the headers: the signed id, under the one name."""
    named = delivery_id(headers)
    return [] if named is None else [(b"webhook-id", named.encode("latin-1"))]


class PublicKey:
    """An Ed25519 key. Its library is loaded for who configures one: it is slow to load."""

    def __init__(self, key: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        self._key = Ed25519PublicKey.from_public_bytes(key)

    def signed(self, signature: bytes, message: bytes) -> bool:
        """Whether the key's owner made this signature of the message."""
        from cryptography.exceptions import InvalidSignature

        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


class StandardSignature(SignedBody):
    """The three headers of Standard Webhooks."""

    def __init__(
        self, secrets: Sequence[Secret], tolerance_seconds: int = TOLERANCE_SECONDS
    ) -> None:
        self._tolerance_seconds = tolerance_seconds
        self._shared: list[tuple[bytes, Verified]] = []
        self._public: list[tuple[PublicKey, Verified]] = []
        for secret in secrets:
            verified = Verified(secret.key_id)
            key = key_of(secret.value)
            assert key is not None, "the configuration checks keys"
            if secret.value.startswith("whpk_"):
                self._public.append((PublicKey(key), verified))
            else:
                self._shared.append((key, verified))

    def verify(self, request: Request) -> Verdict:
        """Whether a live secret makes one of the signatures, and the time is near."""
        family = family_of(request.headers)
        parts = []
        for what in ("signature", "id", "timestamp"):
            value = only(request.headers, f"{family}-{what}".encode())
            if isinstance(value, Refused):
                return value
            parts.append(value)
        signatures, message_id, timestamp = parts
        sent = unix_seconds(timestamp)
        if sent is None or not _ID.fullmatch(message_id):
            return Refused(Reason.MALFORMED, f"{family}-id or {family}-timestamp is none")
        message = b"%s.%s.%s" % (message_id, timestamp, request.body)
        found = self._find(message, signatures.split(b" ")[:ENTRIES_MAX])
        if found is None:
            return WRONG_SIGNATURE
        return in_time(sent, request, self._tolerance_seconds) or found

    def _find(self, message: bytes, entries: list[bytes]) -> Verified | None:
        expected = [
            (b"v1," + base64.b64encode(hmac.digest(key, message, "sha256")), verified)
            for key, verified in self._shared
        ]
        found = signer_of(expected, entries)
        for entry in entries:
            if found is None and entry.startswith(b"v1a,"):
                found = self._find_public(message, entry[4:])
        return found

    def _find_public(self, message: bytes, encoded: bytes) -> Verified | None:
        signature = decoded(encoded.decode("latin-1"))
        for key, verified in self._public if signature else ():
            if key.signed(signature or b"", message):
                return verified
        return None

    def sign(self, body: bytes, at: datetime, order_id: str | None = None) -> Outgoing:
        """The headers of a body, signed with the newest secret."""
        if not self._shared:
            raise CannotSign("a public key (whpk_) only verifies; add a whsec_ secret to sign")
        sent = str(int(at.timestamp()))
        message_id = made_id(body)
        key, _ = self._shared[0]
        message = b"%s.%s.%s" % (message_id, sent.encode(), body)
        signature = base64.b64encode(hmac.digest(key, message, "sha256")).decode()
        headers = {"webhook-id": message_id.decode(), "webhook-timestamp": sent}
        return Outgoing(headers | {"webhook-signature": f"v1,{signature}"})
