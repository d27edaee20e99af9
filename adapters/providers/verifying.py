"""The kinds of verifier: each says of a request whether a live secret proves its sender.

They work over the raw bytes with the standard library, compare in constant time, accept several
live secrets, and raise nothing. A header that stands there twice proves nothing.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol
from urllib.parse import quote

from adapters.providers.base import (
    Headers,
    Outgoing,
    Reason,
    Refused,
    Request,
    Secret,
    Verdict,
    Verified,
)
from adapters.providers.reserialising import BODY_BYTES_MAX, reserialised
from adapters.secrets import Tokens

TOLERANCE_SECONDS = 300
ENTRIES_MAX = 32
HEADER_BYTES_MAX = 8192
_UNIX_SECONDS = re.compile(rb"0|[1-9]\d{0,10}")
ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "hex": lambda digest: digest.hex().encode(),
    "base64": base64.b64encode,
}


class Verifier(Protocol):
    """One scheme with its live secrets."""

    needs_body: bool

    def verify(self, request: Request) -> Verdict:
        """Whether a live secret proves the sender."""

    def explain(self, request: Request, refused: Refused) -> Refused:
        """The refusal after a closer look."""

    def sign(self, body: bytes, at: datetime, order_id: str | None = None) -> Outgoing:
        """What the sender adds to a body. Raises `CannotSign`."""


def only(headers: Headers, *names: bytes) -> bytes | Refused:
    """The value of the first of these headers that is there, if it is there once."""
    for name in names:
        values = [value for given, value in headers if given == name]
        if len(values) > 1:
            return Refused(
                Reason.SEVERAL_SIGNATURES, f"the header {name.decode().title()} stands there twice"
            )
        if values and len(values[0]) > HEADER_BYTES_MAX:
            return Refused(Reason.MALFORMED, f"the header {name.decode().title()} is too long")
        if values:
            return values[0]
    return Refused(Reason.NO_SIGNATURE, f"there is no header {names[0].decode().title()}")


def in_time(sent: int, request: Request, tolerance_seconds: int) -> Refused | None:
    """A refusal where a signed time is further from the time of receipt than is tolerated."""
    late = int(request.received_at.timestamp()) - sent
    if late > tolerance_seconds:
        return Refused(
            Reason.TOO_OLD,
            f"the signature is right, but {late} seconds old; {tolerance_seconds} are tolerated: "
            "a delivery of long ago, or a clock that is wrong",
        )
    if -late > tolerance_seconds:
        return Refused(
            Reason.TOO_EARLY,
            f"the signature is right, but {-late} seconds ahead; {tolerance_seconds} are "
            "tolerated: a clock is wrong",
        )
    return None


def signer_of(
    expected: Sequence[tuple[bytes, Verified]], given: Sequence[bytes]
) -> Verified | None:
    """The first secret that makes one of the given signatures. All are compared, always."""
    found = None
    for signature, verified in expected:
        for one in given:
            if hmac.compare_digest(signature, one):
                found = found or verified
    return found


def unix_seconds(value: bytes) -> int | None:
    """A time as a header writes it: digits, no sign, no leading zero."""
    return int(value) if _UNIX_SECONDS.fullmatch(value) else None


class TokenInHeader:
    """Token-equals: a header holds one of the live tokens as it is."""

    needs_body = False

    def __init__(
        self, secrets: Sequence[Secret], header: str = "authorization", bearer: bool = False
    ) -> None:
        self._name = header
        self._header = header.lower().encode()
        self._bearer = bearer
        self._newest = secrets[0].value
        self._live = Tokens(secret.value for secret in secrets)
        self._verdicts = [Verified(secret.key_id) for secret in secrets]

    def verify(self, request: Request) -> Verdict:
        """Whether the header is there once, and holds a live token, bare or as Bearer."""
        token = only(request.headers, self._header)
        if isinstance(token, Refused):
            return token
        if self._bearer and token[:7].lower() == b"bearer ":
            token = token[7:]
        number = self._live.which(token)
        if number is None:
            return Refused(Reason.WRONG_TOKEN, f"the header {self._name} holds no live token")
        return self._verdicts[number]

    def explain(self, request: Request, refused: Refused) -> Refused:
        """Nothing more can be said of a token."""
        return refused

    def sign(self, body: bytes, at: datetime, order_id: str | None = None) -> Outgoing:
        """The header that proves possession of the newest token."""
        return Outgoing({self._name: self._newest})


class SecretPath:
    """None + network rule: the URL ends in a live secret."""

    needs_body = False

    def __init__(self, secrets: Sequence[Secret]) -> None:
        self._newest = secrets[0].value
        self._live = Tokens(secret.value for secret in secrets)
        self._verdicts = [Verified(secret.key_id) for secret in secrets]

    def verify(self, request: Request) -> Verdict:
        """Whether what follows the provider's name is a live secret."""
        if not request.path:
            return Refused(Reason.NO_SIGNATURE, "the URL does not end in the secret")
        number = self._live.which(request.path.encode("utf-8", "surrogatepass"))
        if number is None:
            return Refused(Reason.WRONG_TOKEN, "the URL ends in no live secret")
        return self._verdicts[number]

    def explain(self, request: Request, refused: Refused) -> Refused:
        """Nothing more can be said of a secret path."""
        return refused

    def sign(self, body: bytes, at: datetime, order_id: str | None = None) -> Outgoing:
        """The path of the newest secret, and the order that an STK callback is about."""
        query = f"order_id={quote(order_id, safe='')}" if order_id else ""
        return Outgoing({}, path=self._newest, query=query)


class SignedBody:
    """What the schemes over the body share: the closer look at a refusal."""

    needs_body = True

    def verify(self, request: Request) -> Verdict:
        """Whether a live secret proves the sender."""
        raise NotImplementedError

    def explain(self, request: Request, refused: Refused) -> Refused:
        """Whether the body was written anew on its way, or another URL was signed."""
        if refused.reason is not Reason.WRONG_SIGNATURE:
            return refused
        for what, body in reserialised(request.body):
            verdict = self.verify(replace(request, body=body))
            if isinstance(verdict, Verified) or _is_untimely(verdict):
                return Refused(
                    Reason.RESERIALISED,
                    f"the secret is right, but the body was changed on its way: {what}; "
                    "pass the raw bytes on",
                )
        return refused


def _is_untimely(verdict: Verdict) -> bool:
    """Whether only the time was wrong: then the signature was right."""
    untimely = (Reason.TOO_OLD, Reason.TOO_EARLY)
    return isinstance(verdict, Refused) and verdict.reason in untimely


WRONG_SIGNATURE = Refused(
    Reason.WRONG_SIGNATURE,
    "the signature is of no live secret: another secret, or a body that was changed on its way",
)


@dataclass(frozen=True, kw_only=True)
class HmacScheme:
    """How a provider signs with an HMAC: which header holds it, and what is signed.

    `message` may hold {body}, {url}, {timestamp} and {id}; the last two are read from headers of
    their own. `several` lets the header hold or be more than one signature, any of which counts.
    """

    headers: tuple[str, ...]
    algorithm: str = "sha256"
    encoding: str = "hex"
    prefix: str = ""
    message: str = "{body}"
    url: str = ""
    url_key: str = "verify.url"
    timestamp_header: str | None = None
    id_header: str | None = None
    tolerance_seconds: int = TOLERANCE_SECONDS
    several: bool = False
    key: Callable[[str], bytes] = str.encode

    def parts(self) -> list[str]:
        """The message cut into placeholders and the text between them."""
        return [part for part in re.split(r"(\{\w*\})", self.message) if part]


class HmacHeader(SignedBody):
    """HMAC: a header holds the encoded HMAC of a message made from the body."""

    def __init__(self, secrets: Sequence[Secret], scheme: HmacScheme) -> None:
        self._scheme = scheme
        self._headers = tuple(name.lower().encode() for name in scheme.headers)
        self._prefix = scheme.prefix.encode()
        self._encode = ENCODERS[scheme.encoding]
        self._keys = [(scheme.key(s.value), Verified(s.key_id)) for s in secrets]
        self._parts = scheme.parts()
        self._timed = "{timestamp}" in self._parts

    def verify(self, request: Request) -> Verdict:
        """Whether a live secret makes the signature that the header holds."""
        return self._verify(request, self._scheme.url)

    def _verify(self, request: Request, url: str) -> Verdict:
        given = self._given(request.headers)
        if isinstance(given, Refused):
            return given
        values = {"{body}": request.body, "{url}": url.encode()}
        for name, header in (
            ("{timestamp}", self._scheme.timestamp_header),
            ("{id}", self._scheme.id_header),
        ):
            if name in self._parts:
                value = only(request.headers, (header or "").lower().encode())
                if isinstance(value, Refused):
                    return value
                values[name] = value
        sent = unix_seconds(values["{timestamp}"]) if self._timed else 0
        if sent is None:
            return Refused(Reason.MALFORMED, "the time of the signature is no whole number")
        message = b"".join(values.get(part, part.encode()) for part in self._parts)
        found = signer_of(
            [
                (self._encode(hmac.digest(key, message, self._scheme.algorithm)), verified)
                for key, verified in self._keys
            ],
            given,
        )
        if found is None:
            return WRONG_SIGNATURE
        late = in_time(sent, request, self._scheme.tolerance_seconds) if self._timed else None
        return late or found

    def _given(self, headers: Headers) -> list[bytes] | Refused:
        if self._scheme.several:
            values = [
                one.strip()
                for name, value in headers
                if name in self._headers
                for one in value[:HEADER_BYTES_MAX].split(b",")[:ENTRIES_MAX]
            ][:ENTRIES_MAX]
            if not values:
                name = self._scheme.headers[0].title()
                return Refused(Reason.NO_SIGNATURE, f"there is no header {name}")
        else:
            value = only(headers, *self._headers)
            if isinstance(value, Refused):
                return value
            values = [value]
        given = [v[len(self._prefix) :] for v in values if v.startswith(self._prefix)]
        if not given:
            return Refused(
                Reason.MALFORMED, f"the signature does not begin with {self._scheme.prefix!r}"
            )
        return given

    def explain(self, request: Request, refused: Refused) -> Refused:
        """Whether the body was written anew on its way, or another URL was signed."""
        is_small = len(request.body) <= BODY_BYTES_MAX
        if refused.reason is Reason.WRONG_SIGNATURE and "{url}" in self._parts and is_small:
            for url in _other_urls(self._scheme.url, request.headers):
                if isinstance(self._verify(request, url), Verified):
                    return Refused(
                        Reason.WRONG_URL,
                        f"the secret is right, but {url} was signed: set {self._scheme.url_key} "
                        "to exactly what is entered at the provider",
                    )
        return super().explain(request, refused)

    def sign(self, body: bytes, at: datetime, order_id: str | None = None) -> Outgoing:
        """The headers of a body, signed with the newest secret."""
        values = {
            "{body}": body,
            "{url}": self._scheme.url.encode(),
            "{timestamp}": str(int(at.timestamp())).encode(),
            "{id}": made_id(body),
        }
        message = b"".join(values.get(part, part.encode()) for part in self._parts)
        key, _ = self._keys[0]
        signature = self._encode(hmac.digest(key, message, self._scheme.algorithm))
        headers = {self._scheme.headers[0]: (self._prefix + signature).decode()}
        for name, header in (
            ("{timestamp}", self._scheme.timestamp_header),
            ("{id}", self._scheme.id_header),
        ):
            if header and name in self._parts:
                headers[header] = values[name].decode()
        return Outgoing(headers)


def _other_urls(url: str, headers: Headers) -> Iterator[str]:
    """URLs that somebody may have meant: another scheme, another end, the host that was called."""
    host, slash, path = url.partition("://")[2].partition("/")
    hosts = [host]
    called = only(headers, b"host")
    if isinstance(called, bytes) and re.fullmatch(rb"[\w.\[\]:-]{1,255}", called):
        hosts.append(called.decode())
    for one in hosts:
        for start in ("https", "http"):
            for end in (path, path.rstrip("/"), f"{path.rstrip('/')}/"):
                other = f"{start}://{one}{slash}{end}"
                if other != url:
                    yield other


class TimedHeader(SignedBody):
    """`t=...,v1=...` (Stripe): one header holds a time and signatures of `time.body`."""

    def __init__(
        self, secrets: Sequence[Secret], header: str, tolerance_seconds: int = TOLERANCE_SECONDS
    ) -> None:
        self._name = header
        self._header = header.lower().encode()
        self._tolerance_seconds = tolerance_seconds
        self._keys = [(s.value.encode(), Verified(s.key_id)) for s in secrets]

    def verify(self, request: Request) -> Verdict:
        """Whether a live secret makes one of the signatures, and the time is near."""
        header = only(request.headers, self._header)
        if isinstance(header, Refused):
            return header
        pairs = [item.partition(b"=") for item in header.split(b",")[:ENTRIES_MAX]]
        times = [value for name, _, value in pairs if name == b"t"]
        sent = unix_seconds(times[0]) if len(times) == 1 else None
        given = [value for name, _, value in pairs if name == b"v1"]
        if sent is None or not given:
            return Refused(Reason.MALFORMED, f"{self._name} does not read t=TIME,v1=SIGNATURE")
        message = b"%d.%s" % (sent, request.body)
        found = signer_of(
            [
                (hmac.digest(key, message, "sha256").hex().encode(), verified)
                for key, verified in self._keys
            ],
            given,
        )
        if found is None:
            return WRONG_SIGNATURE
        return in_time(sent, request, self._tolerance_seconds) or found

    def sign(self, body: bytes, at: datetime, order_id: str | None = None) -> Outgoing:
        """The header of a body, signed with the newest secret."""
        sent = int(at.timestamp())
        key, _ = self._keys[0]
        signature = hmac.digest(key, b"%d.%s" % (sent, body), "sha256").hex()
        return Outgoing({self._name: f"t={sent},v1={signature}"})


def made_id(body: bytes) -> bytes:
    """An id for a delivery that we send: the same body, the same id, as a retry would have."""
    return b"msg_" + hmac.digest(b"order-ledger send", body, "sha256")[:12].hex().encode()


def decoded(text: str) -> bytes | None:
    """Base64 as a provider writes a key; None where it is none."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
