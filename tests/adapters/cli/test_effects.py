"""`order-ledger effects`, as an operator uses it."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.storage.log import utc_now
from tests.adapters.cli.shops import CommandLine
from tests.adapters.effects.ledgers import REFUSED, SECRET, SENT, Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger whose target takes order a, and refused order b to the end."""
    (tmp_path / "var").mkdir()
    (tmp_path / "order-ledger.toml").write_text(
        f'[effects.shop]\nkind = "webhook"\nurl = "http://127.0.0.1:1/x"\nsecret = "{SECRET}"\n'
    )
    ledger = Ledger(tmp_path / "var", tries=1)
    ledger.store.clock = utc_now
    ledger.hears("a", "PAID")
    ledger.works()
    ledger.sender.answer = lambda _: REFUSED
    ledger.hears("b", "PAID")
    ledger.works()
    ledger.sender.answer = lambda _: SENT
    yield ledger
    ledger.close()


def test_effects_and_targets_are_listed(ledger: Ledger, order_ledger: CommandLine) -> None:
    lines = order_ledger("effects", "list").lines
    assert lines[1].split() == ["shop", "sends", "0-4", "0", "0", "1"]
    assert lines[4].split()[2:8] == ["shop", "Delivered", "b", "dead", "1", "HTTP"]
    assert lines[5].split()[2:8] == ["shop", "Delivered", "a", "sent", "1", "HTTP"]
    assert len(order_ledger("effects", "list", "--state", "dead").lines) == 5
    assert order_ledger("effects", "list", "--order-id", "x").lines[-1] == "No effects."


def test_pages_follow_each_other(ledger: Ledger, order_ledger: CommandLine) -> None:
    first = json.loads(order_ledger("effects", "list", "--limit", "1", "--json").stdout)
    assert [item["order_id"] for item in first["items"]] == ["b"]
    before = str(first["next"])
    second = json.loads(order_ledger("effects", "list", "--after", before, "--json").stdout)
    assert [item["order_id"] for item in second["items"]] == ["a"]
    assert second["next"] is None


def test_one_is_shown_whole(ledger: Ledger, order_ledger: CommandLine) -> None:
    row = ledger.row("b")
    out = order_ledger("effects", "show", row.id).out
    assert "oh no" in out
    assert "Delivered at 0-4" in out
    assert order_ledger("effects", "show", "x").complaint == (
        "order-ledger: there is no effect x: see order-ledger effects list"
    )


def test_a_dead_one_is_retried_and_sent(ledger: Ledger, order_ledger: CommandLine) -> None:
    row = ledger.row("b")
    ran = order_ledger("effects", "retry", row.id, "--reason", "it is back")
    assert (ran.code, ran.lines) == (0, [f"{row.id} will be tried again"])
    ledger.works()
    assert ledger.row("b").state == "sent"
    ran = order_ledger("effects", "retry", row.id)
    assert (ran.code, ran.complaint) == (
        1,
        f"order-ledger: {row.id} is sent: the receiver has it",
    )
    assert "it is back" in order_ledger("operators", "log").out


def test_all_dead_ones_of_a_target_are_retried_together(
    ledger: Ledger, order_ledger: CommandLine
) -> None:
    assert order_ledger("effects", "retry", "--target", "shop").lines == ["1 will be tried again"]
    assert order_ledger("effects", "retry", "--target", "shop").lines == ["0 will be tried again"]
    assert "1 dead of shop" in order_ledger("operators", "log").out
    for wrong in (["--target", "x"], [], ["ID", "--target", "shop"]):
        assert order_ledger("effects", "retry", *wrong).code in (1, 2)


def test_one_is_skipped_once(ledger: Ledger, order_ledger: CommandLine) -> None:
    row = ledger.row("b")
    assert order_ledger("effects", "skip", row.id).lines == [f"{row.id} is skipped"]
    ran = order_ledger("effects", "skip", row.id)
    assert (ran.code, ran.complaint) == (1, f"order-ledger: {row.id} is skipped already")


def test_a_target_is_paused_and_resumed(ledger: Ledger, order_ledger: CommandLine) -> None:
    assert order_ledger("effects", "pause", "shop", "--reason", "it moves").code == 0
    ledger.hears("c", "PAID")
    ledger.works()
    assert ledger.row("c").state == "pending"
    assert "paused: it moves" in order_ledger("effects", "list").out
    assert order_ledger("effects", "resume", "shop").code == 0
    ledger.works()
    assert ledger.row("c").state == "sent"
    for action in ("pause", "resume"):
        assert order_ledger("effects", action, "x").complaint == (
            "order-ledger: there is no target x; there are: shop"
        )


def test_a_target_that_is_left_alone_or_gone_says_so(
    ledger: Ledger, order_ledger: CommandLine, tmp_path: Path
) -> None:
    until = utc_now() + timedelta(hours=1)
    at = ledger.store.target("shop")
    assert at is not None
    with ledger.store.tables.transaction(commit=True) as c:
        c.execute("UPDATE effect_targets SET open_until = ?", (ledger.store.tables.to_time(until),))
    assert "left alone until" in order_ledger("effects", "list").out
    (tmp_path / "order-ledger.toml").unlink()
    assert "not configured" in order_ledger("effects", "list").out


def test_the_history_of_an_order_shows_what_followed(
    ledger: Ledger, order_ledger: CommandLine
) -> None:
    lines = order_ledger("orders", "history", "a").lines
    assert lines[-2].split() == ["At", "When", "Because", "of", "To", "State", "Answer"]
    assert lines[-1].split()[2:] == ["Delivered", "shop", "sent", "HTTP", "204"]
