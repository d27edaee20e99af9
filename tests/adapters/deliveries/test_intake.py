"""Whatever brings news in, it is translated the same way, and says how it came."""

from datetime import UTC, datetime

from adapters.deliveries.intake import delivery_of
from adapters.providers import Request, Secret
from adapters.providers.sevi import Sevi
from domain.payment import Origin, Outcome, PaymentStatus
from tests.vaults import HASHING

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
SEVI = Sevi("sevi", "default", [Secret("key", "a-token")])
PAID = SEVI.sample("42", "PAID", NOW)


def test_a_webhook_is_translated_and_names_who_proved_it_and_from_where() -> None:
    request = Request([], PAID, NOW, client="192.0.2.7")
    delivery = delivery_of(SEVI, request, "key", HASHING)
    (notice,) = delivery.notices
    assert (notice.order_id, notice.status, notice.key_id) == ("42", PaymentStatus.PAID, "key")
    assert (delivery.origin, notice.origin) == (Origin.WEBHOOK, Origin.WEBHOOK)
    assert (delivery.key_id, delivery.address) == ("key", "192.0.2.7")
    assert delivery.body_hash == notice.delivery_key == HASHING.body(PAID)


def test_what_came_on_another_way_says_so_in_its_notices() -> None:
    delivery = delivery_of(SEVI, Request([], PAID, NOW), "key", HASHING, Origin.REPLAY, 7)
    assert (delivery.origin, delivery.replay_of) == (Origin.REPLAY, 7)
    assert [notice.origin for notice in delivery.notices] == [Origin.REPLAY]


def test_what_cannot_be_read_or_is_no_order_s_is_set_aside_with_the_reason() -> None:
    broken = delivery_of(SEVI, Request([], b"{", NOW), "key", HASHING)
    assert (broken.outcome, broken.notices) == (Outcome.QUARANTINED, ())
    assert broken.reason
    top_up = b'{"transactionType": "CREDIT", "paymentType": "TOP_UP", "status": "COMPLETED"}'
    ignored = delivery_of(SEVI, Request([], top_up, NOW), "key", HASHING)
    assert (ignored.outcome, ignored.reason) == (Outcome.IGNORED, "a transaction without an order")
