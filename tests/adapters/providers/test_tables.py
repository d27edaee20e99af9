"""`[providers.NAME]` tables: their secrets and those secrets' ids, and kinds from elsewhere."""

import re
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from adapters.providers import KINDS, Request, Unreadable, Verified
from adapters.service import providers, webhook_credentials, webhook_secrets
from adapters.settings import ConfigurationError, Settings, load_settings
from domain.payment import PaymentStatus
from tests.adapters.providers.tables import NOON, configured, notice, sample, secret_of


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to run in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings(text: str) -> Settings:
    Path("order-ledger.toml").write_text(text)
    return load_settings()


def problem(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        settings(text)
    return str(caught.value)


# ------------------------------------------------------------------------------------ key ids


def test_a_secret_is_known_by_its_name_or_by_a_keyed_hash() -> None:
    configured_ = settings(
        '[providers.stripe]\nsecrets = [{ name = "spring", value = "s-new" }, "s-old"]'
    )
    named, unnamed = webhook_secrets(configured_, "stripe")
    assert (named.key_id, named.value) == ("spring", "s-new")
    assert unnamed.key_id.startswith("key-")
    assert webhook_secrets(configured_, "stripe") == (named, unnamed), "the same in every process"
    assert "s-new" not in repr(named)


def test_the_hash_of_another_ledger_is_another(folder: Path) -> None:
    text = '[providers.sevi]\ntokens = ["t-1"]'
    (here,) = webhook_secrets(settings(text), "sevi")
    (folder / "var" / "key-id-key").unlink()
    (there,) = webhook_secrets(settings(text), "sevi")
    assert here.key_id != there.key_id
    assert stat.S_IMODE((folder / "var" / "key-id-key").stat().st_mode) == 0o600


def test_the_key_id_of_a_delivery_is_the_one_of_its_secret() -> None:
    table = '[providers.stripe]\nsecrets = [{ name = "spring", value = "s-new" }, "s-old"]'
    stripe = providers(settings(table))["stripe"]
    assert stripe.verify(sample("stripe", configured("stripe", "s-new"))) == Verified("spring")
    old = stripe.verify(sample("stripe", configured("stripe", "s-old")))
    assert isinstance(old, Verified)
    assert old.key_id.startswith("key-")


# ------------------------------------------------------------------------------------- tables


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("placeholder", ["...", "whsec_...", "sk_live_..."])
def test_a_placeholder_of_the_documentation_is_no_secret(kind: str, placeholder: str) -> None:
    with pytest.raises(ValidationError, match="put the real one in its place"):
        configured(kind, secret_of(kind, "new"), placeholder)


INVENTED_BY_THE_SHOP = {
    "sevi",
    "flutterwave-v3",
    "flutterwave-v4",
    "mpesa",
    "woocommerce",
    "razorpay",
}


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"custom", "standard-webhooks", "square"}))
def test_a_secret_that_the_shop_invents_is_made_and_another_asked_for(kind: str) -> None:
    if kind in INVENTED_BY_THE_SHOP:
        made = webhook_credentials(settings(f"[providers.{kind}]"), kind)
        assert made.made_here
        sender = providers(load_settings())[kind]
        assert isinstance(sender.verify(sample(kind, sender)), Verified)
    else:
        told = problem(f"[providers.{kind}]")
        assert f"providers.{kind}" in told
        assert "secrets" in told
        assert "found in" in told


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('[providers.square]\nsecrets = ["s"]', "providers.square.notification_url"),
        ('[providers.square]\nsecrets = ["s"]\nnotification_url = "x"', "notification_url"),
        (f'[providers.adyen]\nsecrets = ["{"ab" * 32}"]\ncapture = "later"', "manual"),
        ('[providers.adyen]\nsecrets = ["xyz"]', "hexadecimal"),
        ('[providers.mpesa]\nsecrets = ["a/b/c/d/e"]', "letters, digits"),
        ('[providers.stripe]\nsecrets = ["s"]\nnotification_url = "x"', "no such key"),
        ('[providers.stripe]\nsecrets = ["s"]\ntokens = ["t"]', "providers.stripe.tokens"),
        ('[providers.stripe]\nsecrets = [{ name = "a" }]', "value"),
        ('[providers.stripe]\nsecrets = [{ name = "A B", value = "s" }]', "name"),
        ('[providers.sevi]\naddresses = ["196.201.214.300"]', "addresses"),
        ('[providers.sevi]\naddresses = ["10.0.0.1/8"]', "addresses"),
        ('[providers.till]\nkind = "custom"\nsecrets = ["s"]', "providers.till.verify"),
    ],
    ids=range(12),
)
def test_a_wrong_table_is_told_with_its_key(text: str, named: str) -> None:
    assert named in problem(text)


# ----------------------------------------------------------------------- kinds of other packages


DOCUMENT = (Path(__file__).parents[3] / "docs" / "providers.md").read_text()
FILLED_IN = DOCUMENT.replace('..."', 'invented"')  # as whoever copies a table has to
TABLES = re.findall(r"```toml\n(.*?)```", FILLED_IN, re.DOTALL)
(PACKAGE,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)


@pytest.fixture
def package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package that offers a kind."""
    site = folder / "site"
    about = site / "shop_provider-1.0.dist-info"
    about.mkdir(parents=True)
    (site / "shop_provider.py").write_text(f"{PACKAGE}\nNOTHING = 17\n")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: shop-provider\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[order_ledger.providers]\nours = shop_provider:OURS\nnothing = shop_provider:NOTHING\n"
    )
    monkeypatch.syspath_prepend(site)


def test_a_package_can_offer_a_kind(package: None) -> None:
    told = problem('[providers.ours]\nsecrets = ["s"]')
    assert "providers.ours.branch" in told
    assert "the chief's drawer" in problem('[providers.ours]\nbranch = "b"')
    (table,) = [table for table in TABLES if "[providers.ours]" in table]
    ours = providers(settings(table))["ours"]
    request = sample("ours", ours)
    assert isinstance(ours.verify(request), Verified)
    assert notice(ours, request).order_id == "nairobi-1"


@pytest.mark.parametrize("table", TABLES, ids=range(len(TABLES)))
def test_each_table_of_the_document_configures_a_provider_that_works(
    package: None, table: str
) -> None:
    ((name, provider),) = providers(settings(table)).items()
    request = replace(sample(name, provider), client="52.31.139.75")
    if "196.201" in table:
        request = replace(request, client="196.201.214.200")
    assert isinstance(provider.verify(request), Verified)
    told = notice(provider, request)
    assert (told.provider, told.status) == (name, PaymentStatus.PAID)


def test_the_document_has_a_section_for_every_kind() -> None:
    kinds = [kind for kind in KINDS if kind not in ("sevi", "flutterwave-v3")]
    missing = [k for k in kinds if not re.search(rf'providers\.{k}\]|kind = "{k}"', DOCUMENT)]
    assert missing == []


def test_what_a_package_offers_has_to_be_a_kind(package: None) -> None:
    assert "is no adapters.providers.signed.Kind" in problem("[providers.nothing]")
    assert "ours" in problem("[providers.unheard-of]"), "it is among those that there are"


def test_without_the_package_the_kind_is_unknown() -> None:
    assert "no kind 'ours'" in problem("[providers.ours]")


def test_a_body_that_is_no_object_is_unreadable_to_every_kind() -> None:
    for kind in KINDS:
        with pytest.raises(Unreadable):
            configured(kind).translate(Request([], b"[]", NOON), "digest", None)
