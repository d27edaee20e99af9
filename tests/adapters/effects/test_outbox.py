"""Which events ask for an effect, from where on, and under which id."""

from pathlib import Path
from uuid import UUID

import pytest

from adapters.effects.outbox import effect_id
from adapters.ledger import mapper
from domain.payment import Origin
from tests.adapters.effects.ledgers import SHOP, Ledger


def test_each_of_the_three_events_asks_for_an_effect(ledger: Ledger) -> None:
    ledger.hears("a", "PENDING")
    ledger.hears("a", "FAILED")
    ledger.hears("a", "PAID")
    ledger.hears("a", "REFUNDED")
    ledger.works()
    assert ledger.sender.orders == ["a:PaymentFailed", "a:Delivered", "a:ReviewRequired"]
    assert [row.state for row in ledger.rows] == ["sent"] * 3


def test_only_the_wanted_events_of_the_wanted_store_ask(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, on=["Delivered"])
    ledger.hears("a", "FAILED")
    ledger.hears("a", "PAID")
    ledger.works()
    assert ledger.sender.orders == ["a:Delivered"]
    ledger.close()
    ledger.targets["shop"] |= {"store": "uganda"}
    ledger.open()
    ledger.hears("b", "PAID")
    ledger.works()
    assert ledger.sender.orders == ["a:Delivered"]
    ledger.close()


def test_the_same_news_again_asks_for_nothing(ledger: Ledger) -> None:
    ledger.hears("a", "PAID")
    ledger.hears("a", "PAID")
    ledger.hears("a", "PAID", amount=5)
    ledger.works()
    assert ledger.sender.orders == ["a:Delivered"]


@pytest.mark.parametrize("origin", [Origin.WEBHOOK, Origin.RECONCILE, Origin.REPLAY])
def test_what_was_lost_and_found_asks_like_a_webhook(ledger: Ledger, origin: Origin) -> None:
    ledger.hears("a", "PAID", origin)
    ledger.works()
    assert ledger.sender.orders == ["a:Delivered"]


def test_an_import_of_history_asks_for_nothing_but_what_follows_it_does(ledger: Ledger) -> None:
    ledger.hears("old", "PAID", Origin.IMPORT)
    ledger.hears("open", "PENDING", Origin.IMPORT)
    ledger.works()
    assert ledger.rows == []
    ledger.hears("open", "PAID")
    ledger.hears("old", "REFUNDED")
    ledger.works()
    assert ledger.sender.orders == ["open:Delivered", "old:ReviewRequired"]


def test_a_rebuild_asks_for_nothing(ledger: Ledger, tmp_path: Path) -> None:
    ledger.hears("a", "PAID")
    ledger.works()
    ledger.close()
    for file in tmp_path.glob("ledger-views.db*"):
        file.unlink()
    ledger.open()
    ledger.service.runner.catch_up()
    assert ledger.service.queries.order("default", "a") is not None, "the read models are there"
    ledger.works()
    assert ledger.sender.orders == ["a:Delivered"]


def test_a_target_that_moves_goes_on_where_it_stood(ledger: Ledger) -> None:
    ledger.hears("a", "PAID")
    ledger.close()
    ledger.targets["shop"] |= {"url": "http://127.0.0.1:2/y", "begin_after": "0-2"}
    ledger.open()
    ledger.works()
    assert ledger.sender.orders == ["a:Delivered"]


@pytest.mark.parametrize(
    ("begin_after", "told"),
    [(None, []), ("0-0", ["a:Delivered", "b:Delivered"]), ("0-2", ["b:Delivered"])],
)
def test_a_new_target_begins_where_the_log_ends_or_where_it_is_told(
    ledger: Ledger, begin_after: str | None, told: list[str]
) -> None:
    ledger.hears("a", "PAID")
    ledger.hears("b", "PAID")
    ledger.close()
    ledger.targets = {"late": SHOP | {"begin_after": begin_after}}
    ledger.open()
    ledger.hears("c", "PAID")
    ledger.works()
    assert ledger.sender.orders == [*told, "c:Delivered"]


def test_an_id_is_the_same_for_ever_and_no_other_effects(ledger: Ledger) -> None:
    # Written out once: were it computed in another way, shops could not know what they have.
    assert effect_id("ledger-1", "default/a", 2, "Delivered", "shop") == (
        "b420e519-067b-52ba-aa8f-ec27c0c23c1c"
    )
    others = {
        effect_id("ledger-2", "default/a", 2, "Delivered", "shop"),
        effect_id("ledger-1", "default/a", 3, "Delivered", "shop"),
        effect_id("ledger-1", "default/a", 2, "Delivered", "mail"),
        effect_id("ledger-1", "default/b", 2, "Delivered", "shop"),
        effect_id("ledger-1", "default/a", 2, "ReviewRequired", "shop"),
    }
    assert len(others) == 5
    ledger.hears("a", "PAID")
    ledger.works()
    (row,) = ledger.rows
    assert row.id == effect_id(ledger.store.ledger_id(), "default/a", 2, "Delivered", "shop")
    assert UUID(row.id).version == 5


def test_the_order_is_told_as_it_stood_right_after_the_event(ledger: Ledger) -> None:
    ledger.hears("a", "FAILED")
    ledger.hears("a", "PAID")
    ledger.works()
    failed, delivered = ledger.sender.sent
    assert (failed.order.status, failed.order.payment_status) == ("PAYMENT_FAILED", "FAILED")
    assert (delivered.order.status, delivered.order.version) == ("DELIVERED", 4)
    assert (failed.position, failed.order.position) == ("0-2", "0-2")
    ledger.service.runner.catch_up()
    assert delivered.order == ledger.service.queries.order("default", "a")


def test_many_orders_at_once_are_taken_in_over_several_batches(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.effects.outbox.EVENTS_MAX", 3)  # a batch ends amid an append
    for number in range(7):
        ledger.hears(f"o-{number}", "PAID")
    ledger.works()
    assert ledger.sender.orders == [f"o-{number}:Delivered" for number in range(7)]


def test_what_comes_before_an_unreadable_event_is_sent(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.hears("a", "PAID")
    ledger.hears("b", "PAID")
    ledger.hears("a", "REFUNDED")
    forms = dict(mapper.FORMS)
    del forms["ReviewRequired"]
    with monkeypatch.context() as older:
        older.setattr(mapper, "FORMS", forms)
        ledger.works()
    assert ledger.sender.orders == ["a:Delivered", "b:Delivered"]


def test_a_target_stands_still_before_an_event_that_cannot_be_read(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.hears("a", "PAID")
    forms = dict(mapper.FORMS)
    del forms["Delivered"]
    with monkeypatch.context() as older:
        older.setattr(mapper, "FORMS", forms)
        ledger.works()
        ledger.works()
        at = ledger.store.target("shop")
        assert at is not None
        assert (at.position, at.problem) == (1, "the event at 0-2 cannot be read")
    ledger.works()
    assert ledger.sender.orders == ["a:Delivered"]
