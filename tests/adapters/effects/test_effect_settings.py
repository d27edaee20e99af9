"""The `[effects.NAME]` tables: what is wrong is told with its key and the fix."""

from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest

from adapters import kinds
from adapters.effects import registry
from adapters.effects.base import EffectKind
from adapters.effects.command import Command, CommandSettings, make_command
from adapters.settings import ConfigurationError, load_settings
from tests.adapters.effects.ledgers import SECRET, SHOP


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to run in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def problem(**tables: dict[str, Any]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(effects=tables)
    return str(caught.value)


def test_a_table_of_the_file_is_read(folder: Path) -> None:
    (folder / "order-ledger.toml").write_text(
        f'[effects.shop]\nkind = "webhook"\nurl = "https://shop.example.com/x"\n'
        f'secret = "{SECRET}"\non = ["Delivered"]\n'
    )
    table = load_settings().effects["shop"]
    assert (table.kind, table.on, table.store, table.tries) == ("webhook", ("Delivered",), None, 20)


def test_a_table_of_variables_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in (SHOP | {"on": '["Delivered"]'}).items():
        monkeypatch.setenv(f"ORDER_LEDGER_EFFECTS__SHOP__{key.upper()}", value)
    assert load_settings().effects["shop"].on == ("Delivered",)
    monkeypatch.setenv("ORDER_LEDGER_EFFECTS__SHOP__ON", "Delivered")
    assert problem() == ("ORDER_LEDGER_EFFECTS__SHOP__ON: write it as JSON, a list as '[\"...\"]'")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "fax"}, "no kind 'fax'; set kind to one of: webhook, command, sevi-order"),
        ({"url": "http://shop.example.com"}, "use https; plain http is for this machine only"),
        ({"url": "http://10.0.0.1/x"}, "use https"),
        ({"url": "shop"}, "write a URL, as https://"),
        ({"url": "ftp://127.0.0.1"}, "write a URL, as https://"),
        ({"url": "https://[x/"}, "write a URL, as https://"),
        ({"secret": "hunter2-hunter2"}, "write whsec_ and 24 to 64 random bytes in base64"),
        ({"secret": "whsec_c2hvcnQ="}, "write whsec_ and 24 to 64 random bytes in base64"),
        ({"secret": "whsec_!"}, "write whsec_ and 24 to 64 random bytes in base64"),
        ({"on": []}, "at least 1"),
        ({"on": ["Paid"]}, "'Delivered', 'PaymentFailed' or 'ReviewRequired'"),
        ({"on": ["Delivered", "Delivered"]}, "an event stands there twice"),
        ({"tries": 0}, "greater than or equal to 1"),
        ({"begin_after": "5"}, "a position looks like 0-42"),
        ({"begin_after": "1-5"}, "there is one partition, 0"),
        ({"retries": 5}, "there is no such key here"),
    ],
)
def test_a_wrong_value_is_told_with_its_key(change: dict[str, Any], said: str) -> None:
    text = problem(shop=SHOP | change)
    assert text.startswith("effects.shop"), text
    assert said in text
    (key,) = change
    assert key in text
    if key == "secret":
        assert change["secret"] not in text


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"command": "notify --order"}, 'write a list: ["/usr/local/bin/notify", "--order"]'),
        ({"command": []}, "at least 1"),
        ({"command": [""]}, "the first of the list is a program"),
        ({"command": ["x"], "seconds": 0}, "greater than or equal to 1"),
        ({}, "set it; it has no default"),
    ],
)
def test_a_wrong_command_is_told(table: dict[str, Any], said: str) -> None:
    assert said in problem(notify={"kind": "command", **table})


def test_sevi_is_told_of_deliveries_only_with_a_token_of_its_api() -> None:
    table = {"kind": "sevi-order-deliver"}
    assert "deliver: set providers.sevi.api_token" in problem(deliver=table)
    assert "deliver: provider: other is no configured provider of kind sevi" in problem(
        deliver=table | {"provider": "other"}
    )
    assert "Delivered" in problem(deliver=table | {"on": ["ReviewRequired"]})
    providers = {"sevi": {"api_token": "t", "api_endpoint": "sandbox"}}
    assert load_settings(effects={"deliver": table}, providers=providers).effects
    for wrong in ("staging", "http://sevi.example.com"):
        with pytest.raises(ConfigurationError):
            load_settings(providers={"sevi": {"api_token": "t", "api_endpoint": wrong}})


@pytest.fixture
def offers(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Pretends that an installed package offers the kind `fax`."""

    def offer(value: str) -> None:
        point = EntryPoint("fax", value, registry.ENTRY_POINTS)
        monkeypatch.setattr(kinds, "entry_points", lambda group: EntryPoints([point]))

    return offer


FAX = EffectKind(make_command, CommandSettings)


def test_a_package_offers_a_kind(offers: Callable[[str], None]) -> None:
    offers(f"{__name__}:FAX")
    settings = load_settings(effects={"fax": {"kind": "fax", "command": ["fax"]}})
    assert registry.effect_kind_of("fax") is FAX
    sender = registry.make_sender("fax", settings.effects["fax"], {})
    assert isinstance(sender, Command)
    offers("adapters.effects.registry:KINDS")
    assert "is no adapters.effects.base.EffectKind" in problem(fax={"kind": "fax"})
