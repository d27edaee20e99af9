"""`custom` and `standard-webhooks`: a provider that the configuration alone describes, no code.

`verify` says how it signs; paths say where in the JSON body its order, status, amount and times
are; `statuses` says which of its words mean what. A word that no list holds is UNRECOGNIZED.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from adapters.providers.base import JSON, Ignored, Request, Secret, Told, Unreadable
from adapters.providers.configuration import ProviderSettings, usable_in_a_url, usable_token
from adapters.providers.fields import (
    ISO_4217,
    customer_at,
    iso_at,
    lookup,
    major,
    references_of,
    scalar_word,
    text_at,
    unix_at,
    unix_milliseconds_at,
    upper_currency,
)
from adapters.providers.reading import Number
from adapters.providers.signed import Declared, Kind, Read
from adapters.providers.standard_webhooks import (
    SIGNATURE_HEADERS,
    StandardSignature,
    delivery_id,
    key_of,
    signed_headers,
)
from adapters.providers.verifying import (
    TOLERANCE_SECONDS,
    HmacHeader,
    HmacScheme,
    SecretPath,
    TimedHeader,
    TokenInHeader,
    Verifier,
    decoded,
)
from domain.payment import Payment, PaymentStatus

MILLISECONDS_DIGITS = 13
TOKEN_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie"})
Path = Annotated[str, Field(pattern=r"^[^.\s]+(\.[^.\s]+)*$", max_length=255)]
Header = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$")]
Word = Annotated[str, Field(min_length=1, max_length=255)]


class VerifySettings(BaseModel):
    """How a custom provider proves itself: `verify = { scheme = "...", header = "...", ... }`."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    scheme: Literal["token", "hmac", "timed", "standard-webhooks", "secret-path"] = Field(
        description="token: the header holds a secret; hmac: the HMAC of a message; timed: "
        "t=TIME,v1=HMAC; standard-webhooks: its three headers; secret-path: nothing is signed, "
        "the URL ends in a secret"
    )
    header: Header | None = Field(None, description="the header that holds token or signature")
    algorithm: Literal["sha256", "sha512", "sha1"] = Field("sha256", description="hmac only")
    encoding: Literal["hex", "base64"] = Field("hex", description="hmac: of the signature")
    prefix: str = Field("", max_length=64, description="hmac: what stands before the signature")
    message: str = Field(
        "{body}",
        max_length=255,
        description="hmac: what is signed, of {body}, {url}, {timestamp} and {id}",
    )
    url: str | None = Field(
        None, pattern=r"^https?://[!-~]+$", description="hmac: the URL that the sender signs"
    )
    timestamp_header: Header | None = Field(None, description="hmac: what {timestamp} is read from")
    id_header: Header | None = Field(None, description="hmac: what {id} is read from")
    key: Literal["text", "hex", "base64"] = Field(
        "text", description="hmac: how the secret is written"
    )
    tolerance_seconds: int = Field(
        TOLERANCE_SECONDS, ge=1, le=86400, description="how far a signed time may be off"
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.scheme in ("token", "hmac", "timed") and self.header is None:
            raise ValueError('header: name the header, say header = "X-Signature"')
        unknown = set(re.findall(r"\{.*?\}", self.message)) - {
            "{body}",
            "{url}",
            "{timestamp}",
            "{id}",
        }
        if unknown or self.message.count("{body}") != 1:
            raise ValueError(
                "message: write {body} once, and of the rest only {url}, {timestamp} and {id}"
            )
        for placeholder, key in (
            ("{url}", self.url),
            ("{timestamp}", self.timestamp_header),
            ("{id}", self.id_header),
        ):
            name = {"{url}": "url"}.get(placeholder, f"{placeholder[1:-1]}_header")
            if (placeholder in self.message) != (key is not None):
                raise ValueError(f"message: {placeholder} and {name} want each other")
        return self

    def signature_headers(self) -> tuple[str, ...] | None:
        """The headers that a signature needs; None where nothing is signed, or where a header is
        for tokens by its name."""
        match self.scheme:
            case "standard-webhooks":
                return SIGNATURE_HEADERS
            case "hmac" | "timed":
                named = (self.header, self.timestamp_header, self.id_header)
                headers = tuple(name for name in named if name is not None)
                has_tokens = any(name.lower() in TOKEN_HEADERS for name in headers)
                return None if has_tokens else headers
        return None


class MappedSettings(ProviderSettings):
    """Where in a body its news stands. Paths are keys joined by dots; a number counts in a list."""

    makes_secret = False

    delivery_id: Path | None = Field(
        None, description="the delivery's id; a hash of the body where left out"
    )
    payment_ref: Path | None = Field(None, description="the provider's name of the payment")
    order_id: Path = Field(description="the order's id")
    references: tuple[Path, ...] = Field((), description="other names of the order")
    customer: Path | None = Field(
        None, description="who buys, kept sealed and found by `--customer`; never a reference"
    )
    status: Path = Field(description="the word that the statuses are of")
    statuses: Mapping[PaymentStatus, tuple[Word, ...]] = Field(
        description='which words mean what: { PAID = ["settled"], PENDING = ["open"] }'
    )
    event: Path | None = Field(None, description="the kind of event, where `events` picks some")
    events: tuple[Word, ...] = Field((), description="the events to take; others are ignored")
    amount: Path | None = Field(None, description="the order's amount")
    amount_unit: Literal["minor", "major"] = Field(
        "major", description="whether amounts are whole minor units or decimals of the major one"
    )
    currency: str | None = Field(
        None, description="the path of the currency, or three capital letters for all"
    )
    occurred_at: Path | None = Field(
        None, description="the time of the news: ISO 8601, or seconds or milliseconds since 1970"
    )

    @field_validator("statuses")
    @classmethod
    def _unambiguous(
        cls, statuses: Mapping[PaymentStatus, tuple[Word, ...]]
    ) -> Mapping[PaymentStatus, tuple[Word, ...]]:
        words = [word for told in statuses.values() for word in told]
        if PaymentStatus.UNRECOGNIZED in statuses:
            raise ValueError("UNRECOGNIZED is what no list holds; leave it out")
        if not words or len(set(words)) < len(words):
            raise ValueError("write each word once, under the one status that it means")
        return statuses

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.event is None) != (not self.events):
            raise ValueError("event and events want each other")
        if self.amount and self.amount_unit == "minor" and self.currency is None:
            raise ValueError("currency: an amount in minor units wants the path of its currency")
        return self


class CustomSettings(MappedSettings):
    """A `kind = "custom"` table."""

    verify: VerifySettings = Field(description="how it proves itself: the keys below")

    @model_validator(mode="after")
    def _keys(self) -> Self:
        for secret in self.secrets:
            text = secret.value.get_secret_value()
            if self.verify.scheme == "standard-webhooks":
                StandardSettings.check_secret(text)
            elif self.verify.scheme == "secret-path":
                usable_in_a_url(text)
            elif self.verify.scheme == "token":
                usable_token(text)
            elif self.verify.scheme == "hmac" and not _key(self.verify.key, text):
                raise ValueError(f"secrets: a secret is not written in {self.verify.key}")
        return self

    def signature_headers(self) -> tuple[str, ...] | None:
        """What its scheme needs, where that signs the body."""
        return self.verify.signature_headers()


class StandardSettings(MappedSettings):
    """A `kind = "standard-webhooks"` table."""

    found_in = "the sender's webhook settings (whsec_..., or whpk_... for v1a)"

    @classmethod
    def check_secret(cls, text: str) -> None:
        """`whsec_` and base64, or a public key `whpk_` and base64."""
        usable_token(text)
        if key_of(text) is None:
            raise ValueError("a secret of Standard Webhooks is whsec_ (or whpk_) and base64")

    def signature_headers(self) -> tuple[str, ...]:
        """The headers that hold the signature."""
        return SIGNATURE_HEADERS


def _key(written: str, text: str) -> bytes | None:
    if written == "text":
        return text.encode()
    if written == "base64":
        return decoded(text)
    try:
        return bytes.fromhex(text)
    except ValueError:
        return None


def _verifier(verify: VerifySettings, secrets: Sequence[Secret]) -> Verifier:
    if verify.scheme == "standard-webhooks":
        return StandardSignature(secrets, verify.tolerance_seconds)
    if verify.scheme == "secret-path":
        return SecretPath(secrets)
    assert verify.header is not None
    if verify.scheme == "token":
        return TokenInHeader(secrets, verify.header, bearer=True)
    if verify.scheme == "timed":
        return TimedHeader(secrets, verify.header, verify.tolerance_seconds)
    scheme = HmacScheme(
        headers=(verify.header,),
        algorithm=verify.algorithm,
        encoding=verify.encoding,
        prefix=verify.prefix,
        message=verify.message,
        url=verify.url or "",
        timestamp_header=verify.timestamp_header,
        id_header=verify.id_header,
        tolerance_seconds=verify.tolerance_seconds,
        key=lambda text: _key(verify.key, text) or b"",
    )
    return HmacHeader(secrets, scheme)


def reader(settings: MappedSettings, signs_ids: bool) -> Read:
    """The reader of bodies that a table describes."""
    words = {word: status for status, told in settings.statuses.items() for word in told}

    def read(data: JSON, request: Request) -> Told | Ignored:
        if settings.event and _word(data, settings.event) not in settings.events:
            return Ignored("an event that the configuration does not take")
        word = _word(data, settings.status)
        status = words.get(word, PaymentStatus.UNRECOGNIZED)
        currency = _currency(data, settings.currency)
        amount = _amount(data, settings, currency)
        order_id = _text(data, settings.order_id)
        if order_id is None:
            raise Unreadable(f"{settings.order_id}: it names no order")
        ref = _text(data, settings.payment_ref)
        others = (_text(data, path) for path in settings.references)
        signed_id = delivery_id(request.headers) if signs_ids else None
        return Told(
            order_id=order_id,
            references=references_of(*others),
            status=status,
            raw_status=word,
            amount=amount,
            currency=currency,
            payment=Payment(ref=ref, status=status, amount=amount) if ref else None,
            occurred_at=_time(data, settings.occurred_at),
            delivery_id=_required(data, settings.delivery_id) or signed_id,
            customer=customer_at(*lookup(data, settings.customer)) if settings.customer else None,
        )

    return read


def _word(data: JSON, path: str) -> str:
    parent, key = lookup(data, path)
    try:
        return scalar_word(parent, key)
    except Unreadable:
        raise Unreadable(f"{path}: not a word") from None


def _text(data: JSON, path: str | None) -> str | None:
    if path is None:
        return None
    parent, key = lookup(data, path)
    return text_at(parent, key)


def _required(data: JSON, path: str | None) -> str | None:
    value = _text(data, path)
    if path is not None and value is None:
        raise Unreadable(f"{path}: missing, and it names the delivery")
    return value


def _currency(data: JSON, path: str | None) -> str | None:
    if path is None or re.fullmatch("[A-Z]{3}", path):
        return path
    parent, key = lookup(data, path)
    return upper_currency(parent, key)


def _amount(data: JSON, settings: MappedSettings, currency: str | None) -> Any:
    if settings.amount is None:
        return None
    parent, key = lookup(data, settings.amount)
    read = ISO_4217.amount if settings.amount_unit == "minor" else major
    return read(parent, key, currency)


def _time(data: JSON, path: str | None) -> datetime | None:
    if path is None:
        return None
    parent, key = lookup(data, path)
    value = parent.get(key)
    if isinstance(value, Number) or (isinstance(value, str) and value.isdigit()):
        is_fine = len(value) >= MILLISECONDS_DIGITS
        return unix_milliseconds_at(parent, key) if is_fine else unix_at(parent, key)
    return iso_at(parent, key)


def sampler(settings: MappedSettings) -> Any:
    """A maker of samples in the shape that a table describes."""

    def sample(order_id: str, status: str, at: datetime) -> bytes:
        known = {ours.value: words[0] for ours, words in settings.statuses.items() if words}
        word = known.get(status, status)
        body: JSON = {}
        number = hashlib.sha256(f"{order_id} {word}".encode()).hexdigest()[:16]
        is_minor = settings.amount_unit == "minor"
        for path, value in (
            (settings.event, settings.events[0] if settings.events else None),
            (settings.delivery_id, f"sample-{number}"),
            (settings.payment_ref, f"payment-{number}"),
            (settings.order_id, order_id),
            (settings.status, word),
            (settings.amount, 90210 if is_minor else "902.10"),
            (settings.currency, "KES"),
            (settings.occurred_at, at.isoformat(timespec="seconds")),
        ):
            if path is not None and not re.fullmatch("[A-Z]{3}", path):
                _put(body, path.split("."), value)
        return json.dumps(body, indent=2).encode()

    return sample


def _put(body: JSON, steps: list[str], value: Any) -> None:
    *before, last = steps
    for step in before:
        body = body.setdefault(step, {})
    body[last] = value


def make_custom(name: str, settings: CustomSettings, secrets: Sequence[Secret]) -> Declared:
    """The provider that a `custom` table configures."""
    is_standard = settings.verify.scheme == "standard-webhooks"
    return Declared(
        name=name,
        store=settings.store,
        verifier=_verifier(settings.verify, secrets),
        read=reader(settings, signs_ids=is_standard),
        sample=sampler(settings),
        takes_path=settings.verify.scheme == "secret-path",
        reads_headers=signed_headers if is_standard else None,
        addresses=settings.addresses,
    )


def make_standard(name: str, settings: StandardSettings, secrets: Sequence[Secret]) -> Declared:
    """The provider that a `standard-webhooks` table configures."""
    return Declared(
        name=name,
        store=settings.store,
        verifier=StandardSignature(secrets),
        read=reader(settings, signs_ids=True),
        sample=sampler(settings),
        reads_headers=signed_headers,
        addresses=settings.addresses,
    )


CUSTOM = Kind(make_custom, CustomSettings)
STANDARD_WEBHOOKS = Kind(make_standard, StandardSettings)
