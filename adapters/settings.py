"""The configuration: a TOML file, and environment variables over it."""

import json
import os
import stat
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from ipaddress import ip_network
from pathlib import Path
from tomllib import TOMLDecodeError
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from adapters.effects.configuration import EffectSettings
from adapters.effects.registry import effect_kind_of
from adapters.providers import ProviderSettings, kind_of
from adapters.providers.configuration import Name, Network, usable_token
from adapters.providers.sevi import SeviSettings
from adapters.storage.urls import POSTGRES, SQLITE, is_safe, is_sqlite, sqlite_path
from adapters.vault.masters import MasterSource
from adapters.wrong_input import said
from domain.money import exact_amount

PREFIX = "ORDER_LEDGER_"
CONFIG_VARIABLE = "ORDER_LEDGER_CONFIG"
CONFIG_FILE = "order-ledger.toml"
LISTS = ("PROVIDERS", "TOKENS", "SECRETS", "EFFECTS", "__ON", "__COMMAND")

# A name of C2SP's signed notes, best a URL without its scheme: no spaces, no plus.
LEDGER_NAME = r"^[A-Za-z0-9][A-Za-z0-9._~/-]{0,199}$"


def _network(text: object) -> object:
    try:
        return ip_network(str(text))
    except ValueError as error:
        raise ValueError(f"{error}; write networks, as 127.0.0.1/32 or fd00::/8") from None


TrustedNetwork = Annotated[Network, BeforeValidator(_network)]
LedgerName = Annotated[str, Field(pattern=LEDGER_NAME)]


def _exact(value: object) -> object:
    """A number of which no digit was lost: TOML's 0.05 is a float, its text is exact."""
    if isinstance(value, float):
        raise ValueError('write it as a text, such as "0.05"')
    try:
        return exact_amount(Decimal(str(value)), None)
    except InvalidOperation:
        raise ValueError('a decimal number is wanted, such as "0.05"') from None


class ConfigurationError(Exception):
    """The configuration cannot be used; the message names each key and what to do."""


def _as_its_kind(table: Any) -> Any:
    """A `[providers.NAME]` table, read with the keys that its kind takes."""
    if not isinstance(table, dict):
        return table
    return kind_of(str(table.get("kind"))).settings.model_validate(table)


def _as_its_effect(table: Any) -> Any:
    """An `[effects.NAME]` table, read with the keys that its kind takes."""
    if not isinstance(table, dict):
        return table
    return effect_kind_of(str(table.get("kind"))).settings.model_validate(table)


class Settings(BaseSettings):
    """Everything that can be configured."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    database_url: str = Field(
        "sqlite:///var/ledger.db",
        repr=False,
        description="where the ledger is; a file's path is relative to the working folder",
    )
    host: str = Field("127.0.0.1", description="the address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="the port to listen on; 0 takes a free one")
    api_tokens: tuple[SecretStr, ...] = Field(
        (), description="bearer tokens of the query API; without any, one is made and kept"
    )
    trusted_proxies: tuple[TrustedNetwork, ...] = Field(
        (), description="networks whose X-Forwarded-For is believed, such as 127.0.0.1/32"
    )
    body_bytes_max: int = Field(
        1024 * 1024, ge=1024, le=64 * 1024 * 1024, description="larger webhook bodies are refused"
    )
    seal_seconds: int = Field(
        60, ge=0, le=86400, description="seconds between signed checkpoints; 0 seals nothing"
    )
    ledger_name: LedgerName | None = Field(
        None, description="what checkpoints are signed under; without it a name that was made"
    )
    seal_keys_file: Path | None = Field(
        None, description="the private keys that sign; without it they are made and kept"
    )
    master_keys: tuple[SecretStr, ...] = Field(
        (),
        description="the keys that wrap the orders' keys, newest first: base64 of 32 bytes each; "
        "without them they are in master_key_file",
    )
    master_key_file: Path | None = Field(
        None, description="the same, one a line; without it one is made with the ledger, and kept"
    )
    witness_url: str | None = Field(
        None, repr=False, description="where `checkpoint publish` sends a checkpoint"
    )
    require_registered_orders: bool = Field(
        False, description="news of an order that nobody registered waits until somebody does"
    )
    amount_tolerance: Annotated[Decimal, BeforeValidator(_exact)] = Field(
        Decimal(0),
        description="by how much, in major units, the money may differ from the registered amount",
    )
    providers: dict[Name, Annotated[ProviderSettings, BeforeValidator(_as_its_kind)]] = Field(
        {"sevi": SeviSettings(kind="sevi")},
        min_length=1,
        description="the providers, by the name in their URL",
    )
    effects: dict[Name, Annotated[EffectSettings, BeforeValidator(_as_its_effect)]] = Field(
        {}, description="what follows from events outside of the ledger, by the target's name"
    )

    @field_validator("effects")
    @classmethod
    def _fit(cls, tables: dict[str, EffectSettings], told: ValidationInfo) -> Any:
        for name, table in tables.items():
            problem = table.problem(told.data.get("providers", {}))
            if problem is not None:
                raise ValueError(f"{name}: {problem}")
        return tables

    @field_validator("api_tokens")
    @classmethod
    def _usable(cls, tokens: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        return usable_tokens(tokens)

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, url: str) -> str:
        if not url.startswith((SQLITE, *POSTGRES)) or url == SQLITE:
            raise ValueError("write sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE")
        return url

    @field_validator("witness_url")
    @classmethod
    def _safe_witness(cls, url: str | None) -> str | None:
        if url is not None and not is_safe(url):
            raise ValueError("write https://..., or http:// to this machine only")
        return url

    @field_validator("providers", mode="before")
    @classmethod
    def _kinds(cls, tables: Any) -> Any:
        """A table that names no kind is of the kind of its own name."""
        if not isinstance(tables, dict):
            return tables
        return {
            name: {"kind": name, **table} if isinstance(table, dict) else table
            for name, table in tables.items()
        }

    @property
    def database_path(self) -> Path | None:
        """The file of the ledger, where it is one."""
        return sqlite_path(self.database_url) if is_sqlite(self.database_url) else None

    def folder(self, ledger_id: str) -> Path:
        """Where secrets that were made are kept: beside the ledger's file, or, for a ledger in
        PostgreSQL, in the user's data folder (XDG), never relative to the working folder."""
        if self.database_path is not None:
            return self.database_path.parent
        data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
        return data / "order-ledger" / ledger_id

    def seal_keys_path(self, ledger_id: str) -> Path:
        """The file of the keys that sign: configured, or in the ledger's folder."""
        return self.seal_keys_file or self._made(ledger_id, "seal-keys.pem")

    def master_source(self, ledger_id: str) -> MasterSource:
        """Where the master key is: configured, or in the ledger's folder."""
        configured = [key.get_secret_value() for key in self.master_keys]
        path = self.master_key_file or self._made(ledger_id, "master-keys.txt")
        return MasterSource(path, tuple(configured))

    def _made(self, ledger_id: str, name: str) -> Path:
        """A file beside the ledger's; one folder may hold several ledgers in files."""
        prefix = f"{self.database_path.stem}-" if self.database_path is not None else ""
        return self.folder(ledger_id) / f"{prefix}{name}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments over environment over file."""
        file = TomlConfigSettingsSource(settings_cls, _config_file())
        return init_settings, env_settings, file


def load_settings(**overrides: Any) -> Settings:
    """Read the configuration. Raises `ConfigurationError`."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        problems = [_explain(problem["loc"], _said(problem)) for problem in error.errors()]
    except SettingsError as error:
        named = ", ".join(_no_json()) or str(error)
        problems = [f"{named}: write it as JSON, a list as '[\"...\"]'"]
    except (TOMLDecodeError, UnicodeDecodeError) as error:
        problems = [f"{_config_file()} is not TOML: {error}"]
    raise ConfigurationError("\n".join(problems))


def usable_tokens(tokens: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    """The tokens, if each can be sent in a header. Raises `ValueError`, never naming one."""
    for token in tokens:
        usable_token(token.get_secret_value())
    return tokens


def _config_file() -> Path | None:
    named = os.environ.get(CONFIG_VARIABLE)
    if named is None:
        return Path(CONFIG_FILE)
    if not Path(named).is_file():
        raise ConfigurationError(f"{CONFIG_VARIABLE} names no file: {named}")
    return Path(named)


def open_to_others(settings: Settings) -> str | None:
    """A line where the configuration's file holds one of these secrets, and others than its owner
    may read it."""
    path = _config_file()
    if os.name == "nt" or path is None or not path.is_file():
        return None
    if not stat.S_IMODE(path.stat().st_mode) & 0o077:
        return None
    text = path.read_text(encoding="utf-8")
    if all(secret not in text for secret in _secrets_of(settings)):
        return None
    return f"{path} holds secrets, and others may read it: chmod 600 {path}"


def _secrets_of(value: object) -> Iterator[str]:
    match value:
        case SecretStr():
            yield value.get_secret_value()
        case Settings() if password := urlsplit(value.database_url).password:
            yield password
    inner: Iterable[object] = ()
    if isinstance(value, BaseModel):
        inner = [getattr(value, name) for name in type(value).model_fields]
    elif isinstance(value, dict):
        inner = value.values()
    elif isinstance(value, tuple | list):
        inner = value
    for one in inner:
        yield from _secrets_of(one)


def unknown_variables() -> list[str]:
    """A line for each ORDER_LEDGER_ variable that is no setting: a typing error, most likely."""
    known = {PREFIX + name.upper() for name in Settings.model_fields} | {CONFIG_VARIABLE}
    lines = []
    for variable in os.environ:
        stem = variable.upper().partition("__")[0]
        if not stem.startswith(PREFIX) or stem in known or stem.startswith(f"{PREFIX}TEST_"):
            continue
        close = get_close_matches(stem, known, n=1)
        lines.append(f"{variable} is no setting" + (f"; did you mean {close[0]}?" if close else ""))
    return lines


def _no_json() -> list[str]:
    """The variables that should hold JSON and do not."""
    names = []
    for variable, value in os.environ.items():
        tables = variable.startswith((f"{PREFIX}PROVIDERS", f"{PREFIX}EFFECTS"))
        listed = variable.endswith(LISTS)
        named = variable.removeprefix(PREFIX) in ("API_TOKENS", "TRUSTED_PROXIES", "MASTER_KEYS")
        if named or (tables and listed):
            try:
                json.loads(value)
            except ValueError:
                names.append(variable)
    return names


def _said(problem: ErrorDetails) -> str:
    """What is wrong, with what to do."""
    match problem["type"]:
        case "missing":
            return "set it; it has no default"
        case "extra_forbidden":
            return "there is no such key here; correct it or take it out"
    return said(problem)


def _explain(location: tuple[int | str, ...], message: str) -> str:
    parts = [str(part) for part in location]
    variable = PREFIX + "__".join(parts).upper()
    return f"{'.'.join(parts)} (in {CONFIG_FILE}, or {variable}): {message}"
