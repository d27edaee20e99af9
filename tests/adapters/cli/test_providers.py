"""Looking after providers: which secret can be retired, and who has fallen silent."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from adapters.storage.log import LogEntry
from domain.payment import Outcome
from tests.adapters.cli.shops import CommandLine, Shop

TABLE = """
[providers.till]
kind = "sevi"
secrets = [{ name = "new", value = "till-new-1" }, { name = "old", value = "till-old-1" }]
silence_seconds = 3600

[providers.push]
kind = "mpesa"
secrets = ["push-secret-1"]
"""


@pytest.fixture
def run(order_ledger: CommandLine, shop: Shop, tmp_path: Path) -> CommandLine:
    """The command, where the till called with its old secret, two hours ago."""
    (tmp_path / "order-ledger.toml").write_text(TABLE)
    calls(shop, "old", "old", "former")
    return order_ledger


def calls(shop: Shop, *key_ids: str, hours_ago: int = 2) -> None:
    at = datetime.now(UTC) - timedelta(hours=hours_ago)
    shop.path.parent.mkdir(exist_ok=True)
    with shop.service() as service:
        service.ledger.event_log.append(
            [LogEntry("till", Outcome.DUPLICATE, at, "00" * 32, key_id=key) for key in key_ids]
        )


def test_a_list_says_which_secret_was_last_used_when(run: CommandLine) -> None:
    ran = run("providers", "list")
    assert (ran.code, ran.stderr) == (0, b"")
    heading, push, new, old, former, *_ = ran.lines
    assert heading.split("  ")[0] == "Provider"
    assert push.startswith("push")
    assert push.split()[-2:] == ["never", "0"]
    assert new.split()[:3] == ["till", "sevi", "default"]
    assert "silent" in new
    assert new.split()[-3:] == ["new", "never", "0"]
    at = f"{datetime.now(UTC) - timedelta(hours=2):%Y-%m-%d}"
    assert old.split()[0] == "old"
    assert at in old
    assert old.endswith("2")
    assert former.strip().startswith("former (former)")


def test_programs_get_the_same_as_from_http(run: CommandLine) -> None:
    push, till = json.loads(run("providers", "list", "--json").out)["items"]
    assert till == json.loads(run("providers", "show", "till", "--json").out)
    assert (till["silent"], till["deliveries"]) == (True, 3)
    assert [s["key_id"] for s in till["secrets"]] == ["new", "old"]
    assert push["path"] == "/webhooks/push/{secret}"


def test_what_is_shown_is_as_new_as_the_log(run: CommandLine, shop: Shop) -> None:
    run("providers", "list")
    calls(shop, "new", hours_ago=0)
    till = json.loads(run("providers", "show", "till", "--json").out)
    assert (till["silent"], till["secrets"][0]["deliveries"]) == (False, 1)


def test_one_provider_is_shown_with_its_gaps(run: CommandLine) -> None:
    lines = [line.split("  ", 1) for line in run("providers", "show", "till").lines if line]
    shown = {line[0]: line[-1].strip() for line in lines}
    assert shown["URL"] == "/webhooks/till"
    assert shown["Usual gap"] == "not known yet"
    assert shown["Silent after"] == "1:00:00"
    assert shown["State"] == "silent"


def test_an_unknown_provider_is_named_with_those_that_there_are(run: CommandLine) -> None:
    ran = run("providers", "show", "nobody")
    assert ran.code == 2
    assert "push, till" in ran.complaint


def test_no_secret_is_shown(run: CommandLine) -> None:
    shown = run("providers", "list").out + run("providers", "list", "--json").out
    for secret in ("till-new-1", "till-old-1", "push-secret-1"):
        assert secret not in shown
