"""The configuration: where it comes from, what is said of a wrong one, and secrets made here."""

import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from adapters.secrets import Tokens, made_once
from adapters.service import api_credentials, providers, webhook_credentials
from adapters.settings import (
    ConfigurationError,
    Settings,
    load_settings,
    open_to_others,
    unknown_variables,
)

SECRET = "s3cret-value-91c4"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to run in, and no variable of ours."""
    monkeypatch.chdir(tmp_path)
    for variable in os.environ:
        if variable.upper().startswith("ORDER_LEDGER_"):
            monkeypatch.delenv(variable)
    return tmp_path


def write(text: str, name: str = "order-ledger.toml") -> Path:
    path = Path(name)
    path.write_text(text)
    return path


def set_all(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"ORDER_LEDGER_{name}", value)


def problem(**overrides: Any) -> str:
    """What is said of a configuration that cannot be used."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings(**overrides)
    return str(caught.value)


def tokens_of(settings: Settings, provider: str = "sevi") -> list[str]:
    return [one.value.get_secret_value() for one in settings.providers[provider].secrets]


# --------------------------------------------------------------------------- where it comes from


def test_without_any_configuration_there_is_a_local_ledger_for_sevi() -> None:
    settings = load_settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.database_url == "sqlite:///var/ledger.db"
    assert settings.body_bytes_max == 1024 * 1024
    assert list(settings.providers) == ["sevi"]
    assert settings.providers["sevi"].store == "default"
    assert settings.trusted_proxies == ()


def test_the_file_is_read() -> None:
    write(
        f"""
        port = 9000
        api_tokens = ["{SECRET}"]
        [providers.sevi]
        tokens = ["new", "old"]
        [providers.kampala]
        kind = "sevi"
        store = "uganda"
        """
    )
    settings = load_settings()
    assert settings.port == 9000
    assert [token.get_secret_value() for token in settings.api_tokens] == [SECRET]
    assert tokens_of(settings) == ["new", "old"]
    assert settings.providers["kampala"].store == "uganda"
    assert providers(settings)["kampala"].store == "uganda"


def test_a_file_in_another_place_is_read_instead(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("port = 9000")
    other = write("port = 9001", "elsewhere.toml")
    monkeypatch.setenv("ORDER_LEDGER_CONFIG", str(folder / other))
    assert load_settings().port == 9001


def test_a_variable_comes_before_the_file_and_an_argument_before_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write('port = 9000\nhost = "10.0.0.1"')
    set_all(monkeypatch, PORT="9001")
    settings = load_settings()
    assert (settings.port, settings.host) == (9001, "10.0.0.1")
    assert load_settings(port=9002).port == 9002


def test_a_variable_changes_one_thing_of_a_provider_and_leaves_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write('[providers.sevi]\nstore = "kenya"\ntokens = ["old"]')
    set_all(monkeypatch, PROVIDERS__SEVI__TOKENS='["new", "old"]')
    settings = load_settings()
    assert tokens_of(settings) == ["new", "old"]
    assert settings.providers["sevi"].store == "kenya"


def test_every_setting_can_be_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(
        monkeypatch,
        DATABASE_URL="sqlite:///elsewhere/orders.db",
        HOST="0.0.0.0",
        PORT="0",
        API_TOKENS='["a", "b"]',
        BODY_BYTES_MAX="2048",
        TRUSTED_PROXIES='["127.0.0.1/32", "fd00::/8"]',
        PROVIDERS__SEVI__TOKENS='["t"]',
        PROVIDERS__KAMPALA__KIND="sevi",
        PROVIDERS__KAMPALA__STORE="uganda",
    )
    settings = load_settings()
    assert settings.database_path == Path("elsewhere/orders.db")
    assert (settings.host, settings.port, settings.body_bytes_max) == ("0.0.0.0", 0, 2048)
    assert [token.get_secret_value() for token in settings.api_tokens] == ["a", "b"]
    assert [str(network) for network in settings.trusted_proxies] == ["127.0.0.1/32", "fd00::/8"]
    assert tokens_of(settings) == ["t"]
    assert settings.providers["kampala"].store == "uganda"


def test_providers_can_be_given_as_one_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, PROVIDERS='{"sevi": {"tokens": ["t"]}}')
    assert tokens_of(load_settings()) == ["t"]


@pytest.mark.parametrize(
    ("url", "path"),
    [("sqlite:///ledger.db", "ledger.db"), ("sqlite:////srv/ledger.db", "/srv/ledger.db")],
)
def test_a_database_url_names_a_file(url: str, path: str) -> None:
    assert load_settings(database_url=url).database_path == Path(path)


# -------------------------------------------------------------------------- what is said of errors


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('port = "eighty"', "port"),
        ("port = 70000", "port"),
        ("port = -1", "port"),
        ("body_bytes_max = 10", "body_bytes_max"),
        ('trusted_proxies = "127.0.0.1"', "trusted_proxies"),
        ('trusted_proxies = ["proxy.internal"]', "write networks, as 127.0.0.1/32"),
        ('trusted_proxies = ["10.0.0.1/8"]', "host bits set"),
        ('database_url = "mysql://localhost/ledger"', "database_url"),
        ('database_url = "sqlite:///"', "database_url"),
        ('database_url = "ledger.db"', "database_url"),
        ('prot = 8000\nhost = "127.0.0.1"', "prot"),
        ("[providers.sevi]\ntoken = ['t']", "providers.sevi.token"),
        ('[providers.sevi]\nstore = "a/b"', "providers.sevi.store"),
        ('[providers.sevi]\nstore = ""', "providers.sevi.store"),
        ('[providers.paypal]\ntokens = ["t"]', "providers.paypal"),
        ('[providers.kampala]\nstore = "uganda"', "providers.kampala"),
        ('[providers.sevi]\nkind = "stripe"', "providers.sevi"),
        ('[providers."Not A Name"]\nkind = "sevi"', "providers.Not A Name"),
    ],
)
def test_a_wrong_value_in_the_file_is_named_with_its_key_and_its_variable(
    text: str, key: str
) -> None:
    write(text)
    told = problem()
    assert key in told
    assert "order-ledger.toml" in told
    assert "ORDER_LEDGER_" in told


def test_an_unknown_kind_of_provider_is_told_with_those_that_exist() -> None:
    write('[providers.paypal]\ntokens = ["t"]')
    assert re.search(r"'paypal'.*set kind to one of.*sevi", problem())


def test_every_wrong_value_is_told_at_once() -> None:
    write('port = "eighty"\nbody_bytes_max = 1\n[providers.sevi]\nstore = "/"')
    assert len(problem().splitlines()) == 3


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "eighty"),
        ("BODY_BYTES_MAX", "1MB"),
        ("DATABASE_URL", "mysql://x"),
        ("TRUSTED_PROXIES", "127.0.0.1/32"),
        ("TRUSTED_PROXIES", '["x"]'),
        ("PROVIDERS__SEVI__STORE", "a/b"),
        ("PROVIDERS__SEVI__TOKEN", "t"),
        ("PROVIDERS__SEVI__TOKENS", "t"),
    ],
)
def test_a_wrong_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    set_all(monkeypatch, **{variable: value})
    assert f"ORDER_LEDGER_{variable}" in problem()


def test_a_variable_that_is_right_is_not_blamed_for_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_all(monkeypatch, PROVIDERS__SEVI__STORE="kenya", API_TOKENS="no list")
    told = problem()
    assert "ORDER_LEDGER_API_TOKENS" in told
    assert "STORE" not in told


@pytest.mark.parametrize("variable", ["API_TOKENS", "PROVIDERS__SEVI__TOKENS"])
@pytest.mark.parametrize(
    "value",
    [
        SECRET,
        f'"{SECRET}"',
        f"[{SECRET}]",
        f'["{SECRET}"',
        f'["{SECRET} "]',
        f'["{SECRET}\\n"]',
        f'["{SECRET}\u00e9"]',
        f'["{SECRET}", ""]',
        f'["{SECRET}", null]',
        f'["{SECRET}", 1]',
        f'{{"token": "{SECRET}"}}',
    ],
)
def test_a_wrong_token_is_told_by_its_key_and_never_by_its_value(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    set_all(monkeypatch, **{variable: value})
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    told = str(caught.value)
    key = variable.lower().partition("__")[0]
    assert key in told.lower()
    assert SECRET not in told
    for error in (caught.value.__cause__, caught.value.__context__):
        assert SECRET not in str(error), "a traceback would show it"


@pytest.mark.parametrize(
    "text",
    [
        f'api_tokens = "{SECRET}"',
        f'api_tokens = ["{SECRET} x"]',
        f"api_tokens = [{SECRET}]",
        f'[providers.sevi]\ntokens = "{SECRET}"',
        f'[providers.sevi]\ntokens = ["{SECRET}", ""]',
        f'[providers.sevi]\ntoken = "{SECRET}"',
        f'[providers]\nsevi = "{SECRET}"',
        f'[providers.sevi]\ntokens = ["{SECRET}"',
    ],
)
def test_a_wrong_token_in_the_file_is_not_repeated_either(text: str) -> None:
    write(text)
    assert SECRET not in problem()


@pytest.mark.parametrize("placeholder", ["...", "whsec_...", "sk_live_..."])
def test_a_placeholder_of_the_documentation_is_no_token(placeholder: str) -> None:
    for text in (
        f'api_tokens = ["{SECRET}", "{placeholder}"]',
        f'[providers.sevi]\napi_token = "{placeholder}"',
    ):
        write(text)
        assert "put the real one in its place" in problem()


def test_settings_do_not_show_their_tokens() -> None:
    settings = load_settings(api_tokens=[SECRET], providers={"sevi": {"tokens": [SECRET]}})
    assert SECRET not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_settings_do_not_show_the_password_of_a_database() -> None:
    settings = load_settings(database_url=f"postgresql://ledger:{SECRET}@localhost/ledger")
    assert SECRET not in f"{settings!r} {settings}"
    assert SECRET not in problem(database_url=f"postgresqll://ledger:{SECRET}@localhost/ledger")


@pytest.mark.parametrize("text", [b"port = ", b"port 9000", b"[providers", b"\xff\xfe = 1"])
def test_a_file_that_is_no_toml_is_told_with_its_name(text: bytes) -> None:
    Path("order-ledger.toml").write_bytes(text)
    assert "order-ledger.toml" in problem()


def test_a_named_file_that_is_missing_is_told_with_the_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ORDER_LEDGER_CONFIG", "missing.toml")
    told = problem()
    assert "ORDER_LEDGER_CONFIG" in told
    assert "missing.toml" in told


def test_a_service_without_any_provider_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, PROVIDERS="{}")
    assert "providers" in problem()


# ------------------------------------------------------------------------------ unknown variables


def test_a_variable_that_is_no_setting_is_told_with_what_was_meant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_all(monkeypatch, PROT="1", API_TOKEN=SECRET, XYZZY="1", PORT="1", CONFIG="x")
    told = unknown_variables()
    assert len(told) == 3
    (prot,) = [line for line in told if line.startswith("ORDER_LEDGER_PROT ")]
    assert "ORDER_LEDGER_PORT" in prot
    (token,) = [line for line in told if line.startswith("ORDER_LEDGER_API_TOKEN ")]
    assert "ORDER_LEDGER_API_TOKENS" in token
    assert SECRET not in " ".join(told)


def test_variables_of_tests_and_of_other_programs_are_nobodys_mistake(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_all(monkeypatch, TEST_POSTGRES_URL="x", PROVIDERS__SEVI__TOKENS='["t"]')
    monkeypatch.setenv("ORDER_BOOK", "x")
    assert unknown_variables() == []


# ------------------------------------------------------------------------------- tokens made here


def test_without_configured_tokens_one_is_made_once_and_stays_the_same(folder: Path) -> None:
    made = api_credentials(load_settings())
    assert made.made_here
    assert len(made.tokens[0]) >= 40
    assert api_credentials(load_settings()) == made
    webhook = webhook_credentials(load_settings(), "sevi")
    assert webhook.tokens != made.tokens
    assert (folder / "var" / "api-token").read_text().strip() == made.tokens[0]


def test_a_token_that_was_made_can_be_read_by_its_owner_alone(folder: Path) -> None:
    old = os.umask(0)
    try:
        made_once(folder, "a-token")
    finally:
        os.umask(old)
    assert stat.S_IMODE((folder / "a-token").stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == ["a-token"], "no draft is left"


def test_each_provider_has_a_token_of_its_own() -> None:
    settings = load_settings(providers={"sevi": {}, "kampala": {"kind": "sevi"}})
    made = {webhook_credentials(settings, name).tokens for name in ("sevi", "kampala")}
    assert len(made) == 2


def test_with_configured_tokens_none_is_made(folder: Path) -> None:
    settings = load_settings(api_tokens=["a", "b"], providers={"sevi": {"tokens": ["t"]}})
    assert (api_credentials(settings).tokens, api_credentials(settings).made_here) == (
        ("a", "b"),
        False,
    )
    assert webhook_credentials(settings, "sevi").tokens == ("t",)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("left", ["", "\n", "  \n"])
@pytest.mark.parametrize("whose", ["api-token", "webhook-token-sevi"])
def test_a_token_file_that_was_emptied_opens_no_door(folder: Path, whose: str, left: str) -> None:
    (folder / "var").mkdir()
    (folder / "var" / whose).write_text(left)
    live: list[str] = []
    with suppress(ConfigurationError):  # to refuse to start is as good as to make a new one
        live += api_credentials(load_settings()).tokens
        live += webhook_credentials(load_settings(), "sevi").tokens
    assert not Tokens(live).match(b"")


# ---------------------------------------------------------------------------- a file with secrets


@pytest.mark.parametrize(
    "text",
    [
        f'[providers.sevi]\nsecrets = ["{SECRET}"]\n',
        f'api_tokens = ["{SECRET}"]\n',
        f'database_url = "postgresql://shop:{SECRET}@127.0.0.1/shop"\n',
    ],
)
def test_a_file_with_secrets_that_others_may_read_is_pointed_out(text: str) -> None:
    path = write(text)
    path.chmod(0o644)
    told = open_to_others(load_settings())
    assert told is not None
    assert told.endswith("chmod 600 order-ledger.toml")
    assert SECRET not in told
    path.chmod(0o600)
    assert open_to_others(load_settings()) is None


def test_a_file_without_secrets_is_nobody_s_concern(monkeypatch: pytest.MonkeyPatch) -> None:
    write("port = 8001\n").chmod(0o644)
    set_all(monkeypatch, API_TOKENS=f'["{SECRET}"]')
    assert open_to_others(load_settings()) is None
