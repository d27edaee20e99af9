"""The `[providers.NAME]` tables: what all kinds share, and the checks that name key and fix."""

import re
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

SILENCE_SECONDS_MAX = 10 * 366 * 24 * 3600
PLACEHOLDER = "..."
NAME = r"^[a-z0-9][a-z0-9_-]{0,62}$"
Name = Annotated[str, Field(pattern=NAME)]
Network = IPv4Network | IPv6Network


class SecretSettings(BaseModel):
    """A live secret; its name, where it has one, says in the records which one verified."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    value: SecretStr
    name: Name | None = None


class ProviderSettings(BaseModel):
    """What every kind of provider can be told. Kinds that need more derive from it."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    # Where the shop invents the secret, one is made and kept; else the provider shows it.
    makes_secret: ClassVar[bool] = False
    found_in: ClassVar[str] = "the provider's dashboard"
    url_names_order: ClassVar[bool] = False

    kind: str = Field(description="what it speaks; its name where left out")
    store: Name = Field("default", description="the store whose orders it speaks of")
    secrets: tuple[SecretSettings, ...] = Field(
        (),
        validation_alias=AliasChoices("secrets", "tokens"),
        description="live secrets, the newest first; several allow a rotation; `tokens` is the "
        'same; each is a text or { name = "...", value = "..." }',
    )
    addresses: tuple[Network, ...] = Field(
        (), description="addresses or networks that it may call from; any where left out"
    )

    keep_refused: bool = Field(
        False,
        description="keep the newest deliveries whose signature did not verify, to verify them "
        "again once a secret was mended",
    )
    silence_seconds: int | None = Field(
        None,
        ge=0,
        le=SILENCE_SECONDS_MAX,
        description="how long it may be quiet; learnt from its deliveries where left out, and 0 "
        "for any length",
    )

    @field_validator("secrets", mode="before")
    @classmethod
    def _bare_texts(cls, secrets: Any) -> Any:
        if not isinstance(secrets, (list, tuple)):
            raise ValueError('write a list: ["..."]')
        return [{"value": s} if isinstance(s, (str, SecretStr)) else s for s in secrets]

    @field_validator("secrets")
    @classmethod
    def _usable(cls, secrets: tuple[SecretSettings, ...]) -> tuple[SecretSettings, ...]:
        for secret in secrets:
            no_placeholder(secret.value.get_secret_value())
            cls.check_secret(secret.value.get_secret_value())
        names = [secret.name for secret in secrets if secret.name]
        if len(set(names)) < len(names):
            raise ValueError("two secrets have one name; give each its own")
        return secrets

    @model_validator(mode="after")
    def _there(self) -> Self:
        if not self.secrets and not self.makes_secret:
            raise ValueError(f'set secrets = ["..."]; it is found in {self.found_in}')
        return self

    @model_validator(mode="after")
    def _keeps_no_token(self) -> Self:
        if self.keep_refused and self.signature_headers() is None:
            raise ValueError(
                "keep_refused: this sender proves itself by a token or a secret URL, and what "
                "might be one is never stored; take keep_refused out"
            )
        return self

    def signature_headers(self) -> tuple[str, ...] | None:
        """The headers that a signature of the body needs, which are no secret themselves; None
        where nothing is signed."""
        return None

    def with_secret(self, text: str) -> Self:
        """The same table with this one secret. Raises `ValueError`, which never names it."""
        table = {**self.model_dump(exclude={"secrets"}), "secrets": [text]}
        try:
            return self.model_validate(table)
        except ValidationError as error:
            said = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise ValueError(said) from None

    @classmethod
    def check_secret(cls, text: str) -> None:
        """Raise `ValueError` for a secret that this kind cannot use, never naming it."""
        if not text or text != text.strip():
            raise ValueError("a secret is one or more characters without blanks around them")


def no_placeholder(text: str) -> None:
    """Raise `ValueError` for what only stands for a secret, as the documentation's `"..."`."""
    if PLACEHOLDER in text:
        raise ValueError(
            f'a secret with "{PLACEHOLDER}" in it is a placeholder, which anybody knows: put the '
            "real one in its place"
        )


def usable_token(text: str) -> None:
    """Raise `ValueError`, never naming it, for a token that cannot be sent in a header, or that
    only stands for one."""
    no_placeholder(text)
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("a token is one or more printable ASCII characters without spaces")


def usable_in_a_url(text: str) -> None:
    """Raise `ValueError`, never naming it, for a secret that cannot end a URL."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", text):
        raise ValueError("a secret of a URL is 1 to 128 letters, digits, - and _; make it long")
