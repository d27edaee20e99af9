"""What the webhook endpoint answers, row by row of the table that a provider relies on."""

import asyncio
import gc
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.http.webhooks import _Refused
from adapters.providers import Ignored
from adapters.providers.sevi import Sevi
from domain.log import Position
from domain.payment import Outcome
from tests.adapters.http.local import API_TOKEN, TOKENS, LocalService, Message, problem, raw_post
from tests.adapters.providers.sevi_bodies import CUSTOMER, bare, encode, lone_transaction

BODY_BYTES_MAX = 1024
AUTHENTIC = (b"authorization", TOKENS["sevi"].encode())


def answer(
    outcome: str,
    status: str | None,
    position: str | None,
    order_id: str | None = "1",
    **review: str,
) -> Any:
    return {
        "outcome": outcome,
        "order_id": order_id,
        "order_status": status,
        "position": position,
        **review,
    }


# -------------------------------------------------------------------------------- authentic: 200


def test_what_is_new_is_recorded(local: LocalService) -> None:
    assert local.tell("1", "PENDING") == answer("recorded", "AWAITING_PAYMENT", "0-1")
    assert local.tell("1", "FAILED") == answer("recorded", "PAYMENT_FAILED", "0-3")
    assert local.tell("1", "PAID") == answer("recorded", "DELIVERED", "0-5")


def test_the_answer_is_json_of_exactly_this_length(local: LocalService) -> None:
    response = local.deliver(bare())
    assert response.headers["content-type"] == "application/json"
    assert response.headers["content-length"] == str(len(response.content))


def test_what_was_seen_before_is_a_duplicate_with_the_originals_position(
    local: LocalService,
) -> None:
    local.tell("1", "PAID")
    local.tell("2", "PAID")
    assert local.tell("1", "PAID") == answer("duplicate", "DELIVERED", "0-2")
    assert local.tell("1", "PAID") == answer("duplicate", "DELIVERED", "0-2")


def test_a_late_word_after_paid_is_stale(local: LocalService) -> None:
    local.tell("1", "PAID")
    assert local.tell("1", "PENDING") == answer("stale", "DELIVERED", "0-3")
    assert local.tell("1", "PENDING") == answer("duplicate", "DELIVERED", "0-3")


def test_a_known_key_that_says_something_else_is_a_conflict(
    local: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    translate = Sevi.translate

    def under_one_key(self: Sevi, *args: Any) -> Any:
        told = translate(self, *args)
        assert not isinstance(told, Ignored)
        return tuple(replace(notice, delivery_key="evt-1") for notice in told)

    monkeypatch.setattr(Sevi, "translate", under_one_key)
    local.tell("1", "PENDING")
    reviewed = answer("conflict", "AWAITING_PAYMENT", "0-3", review="delivery_conflict")
    assert local.tell("1", "PAID") == reviewed
    local.settle()
    assert local.json("/orders/1")["review"] == "delivery_conflict"


@pytest.mark.parametrize(
    "body",
    [
        lone_transaction(paymentType="SETTLEMENT", orderId=None),
        encode({"customer": CUSTOMER}),
    ],
)
def test_what_is_none_of_an_orders_business_is_ignored_and_kept(
    local: LocalService, body: bytes
) -> None:
    response = local.deliver(body)
    assert (response.status_code, response.json()) == (200, answer("ignored", None, None, None))
    (row,) = local.deliveries
    assert (row.outcome, row.position, row.stream) == (Outcome.IGNORED, None, None)
    assert row.reason
    assert local.kept_body(row) == body


@pytest.mark.parametrize(
    "body", [b"", b"not json", b"\xff\x00", b"[]", b'{"orderId":1}', b'{"a":NaN}', b"[" * 1000]
)
def test_what_cannot_be_read_is_quarantined_and_kept(local: LocalService, body: bytes) -> None:
    response = local.deliver(body)
    assert (response.status_code, response.json()) == (200, answer("quarantined", None, None, None))
    (row,) = local.deliveries
    assert (row.outcome, row.position, row.stream) == (Outcome.QUARANTINED, None, None)
    assert row.reason
    assert local.kept_body(row) == body


def test_an_unknown_word_is_recorded_and_calls_for_a_review(local: LocalService) -> None:
    reviewed = answer("recorded", "AWAITING_PAYMENT", "0-2", review="unrecognized_status")
    assert local.tell("1", "paid") == reviewed
    local.settle()
    assert local.json("/orders/1")["review"] == "unrecognized_status"


def test_every_authentic_delivery_leaves_one_row_in_the_delivery_log(local: LocalService) -> None:
    bodies = [bare("1", "PENDING"), bare("1"), bare("1"), bare("1", "PENDING"), b"?", b"?"]
    for body in bodies:
        local.deliver(body)
    rows = local.deliveries
    assert [row.outcome.value for row in rows] == (
        "recorded recorded duplicate duplicate quarantined quarantined".split()
    )
    digests = local.service.bodies.digests(rows)
    assert [digests[row.id] for row in rows] == [hashlib.sha256(b).hexdigest() for b in bodies]
    assert [row.position for row in rows[:4]] == [Position(0, n) for n in (1, 3, 3, 1)]
    assert {row.provider for row in rows} == {"sevi"}


@pytest.mark.parametrize("scheme", ["", "Bearer ", "bearer "])
def test_the_token_may_stand_bare_or_behind_bearer(local: LocalService, scheme: str) -> None:
    headers = {"Authorization": scheme + TOKENS["sevi"]}
    assert local.run(local.post(bare(), headers=headers)).status_code == 200


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "?"])
def test_the_body_is_read_whatever_its_content_type_says(
    local: LocalService, content_type: str
) -> None:
    headers = {"Authorization": TOKENS["sevi"], "Content-Type": content_type}
    assert local.run(local.post(bare(), headers=headers)).json()["outcome"] == "recorded"


# ------------------------------------------------------------------------- refused: nothing is kept


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "wrong"},
        {"Authorization": f"Bearer {API_TOKEN}"},
        {"Authorization": TOKENS["second"]},
        {"Authorization": f"Basic {TOKENS['sevi']}"},
        {"X-Authorization": TOKENS["sevi"]},
    ],
    ids=str,
)
def test_wrong_or_missing_credentials_are_401(local: LocalService, headers: dict[str, str]) -> None:
    response = local.run(local.post(bare(), headers=headers))
    assert "credentials" in problem(response, 401)
    assert response.headers["www-authenticate"] == "Bearer"
    assert local.deliveries == []
    assert local.service.ledger.event_log.head() is None


@pytest.mark.parametrize("values", [(b"\xff\xfe",), (b"", b""), (TOKENS["sevi"].encode(),) * 2])
def test_headers_that_no_client_would_send_are_401_too(
    local: LocalService, values: tuple[bytes, ...]
) -> None:
    headers = [(b"authorization", value) for value in values]
    message = {"type": "http.request", "body": bare(), "more_body": False}
    status, _ = local.run(raw_post(local.app, headers, [message]))
    assert (status, local.deliveries) == (401, [])


@pytest.mark.parametrize(
    "name", ["unknown", "SEVI", "sevi%00", "sevi%20", "s%C3%A9vi", "x" * 10_000, "%FF", ".%2E"]
)
def test_an_unknown_provider_is_404(local: LocalService, name: str) -> None:
    headers = {"Authorization": TOKENS["sevi"]}
    response = local.run(local.http.post(f"/webhooks/{name}", content=bare(), headers=headers))
    assert len(problem(response, 404)) < 200
    assert local.deliveries == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_another_method_is_405_and_says_which_is_right(local: LocalService, method: str) -> None:
    headers = {"Authorization": TOKENS["sevi"]}
    response = local.run(local.http.request(method, "/webhooks/sevi", headers=headers))
    problem(response, 405) if method != "HEAD" else None
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    assert local.deliveries == []


def test_a_url_with_a_slash_too_many_is_taken_and_not_redirected(local: LocalService) -> None:
    headers = {"Authorization": TOKENS["sevi"]}
    response = local.run(local.http.post("/webhooks/sevi/", content=bare(), headers=headers))
    assert (response.status_code, response.json()["outcome"]) == (200, "recorded")


# ------------------------------------------------------------------------------------- size: 413


def padded(size: int) -> bytes:
    return bare() + b" " * (size - len(bare()))


async def in_pieces(body: bytes, size: int = 100) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_the_size_allowed_is_taken_and_one_byte_more_is_413(
    tmp_path: Path, chunked: bool
) -> None:
    with LocalService(tmp_path, body_bytes_max=BODY_BYTES_MAX) as local:
        fits, too_large = padded(BODY_BYTES_MAX), padded(BODY_BYTES_MAX + 1)
        response = local.run(local.post(in_pieces(too_large) if chunked else too_large))
        assert str(BODY_BYTES_MAX) in problem(response, 413)
        assert local.deliveries == []
        response = local.run(local.post(in_pieces(fits) if chunked else fits))
        assert response.json()["outcome"] == "recorded"
        assert local.kept_body(local.deliveries[0]) == fits


def test_an_announced_length_that_is_too_large_is_413_before_the_body_is_read(
    local: LocalService,
) -> None:
    status, _ = local.run(raw_post(local.app, [(b"content-length", b"20000000"), AUTHENTIC], []))
    assert status == 413


def test_a_body_without_an_end_is_413_once_it_is_too_large(local: LocalService) -> None:
    piece = {"type": "http.request", "body": b"x" * 2**18, "more_body": True}
    status, _ = local.run(raw_post(local.app, [AUTHENTIC], [piece] * 5))
    assert status == 413


@pytest.mark.parametrize("length", [b"0" * 5000 + b"38", b"9" * 5000, b"", b"-1", b"1e3", b"\xb2"])
def test_a_strange_content_length_is_no_error_of_ours(local: LocalService, length: bytes) -> None:
    message = {"type": "http.request", "body": bare(), "more_body": False}
    headers = [(b"content-length", length), AUTHENTIC]
    status, _ = local.run(raw_post(local.app, headers, [message]))
    assert status in {200, 400, 413}


def test_a_body_shorter_than_announced_is_not_taken(local: LocalService) -> None:
    message = {"type": "http.request", "body": b"", "more_body": False}
    headers = [(b"content-length", b"38"), (b"upgrade", b"h2c"), AUTHENTIC]
    status, _ = local.run(raw_post(local.app, headers, [message]))
    assert status == 400, "what is not 200 is sent again, and the news is not lost"
    assert local.deliveries == []


def test_a_connection_that_breaks_off_leaves_nothing(local: LocalService) -> None:
    messages: list[Message] = [
        {"type": "http.request", "body": bare()[:10], "more_body": True},
        {"type": "http.disconnect"},
    ]
    local.run(raw_post(local.app, [AUTHENTIC], messages))
    assert local.deliveries == []


@pytest.mark.parametrize(
    ("status", "messages"),
    [
        (413, [{"type": "http.request", "body": b"x" * 2**18, "more_body": True}] * 5),
        (
            400,
            [
                {"type": "http.request", "body": b"x", "more_body": True},
                {"type": "http.disconnect"},
            ],
        ),
        (401, [{"type": "http.request", "body": b"x", "more_body": False}]),
    ],
)
def test_what_was_refused_is_gone_before_the_collector_comes(
    local: LocalService, status: int, messages: list[Message]
) -> None:
    gc.collect()
    gc.disable()
    try:
        headers = [AUTHENTIC] if status != 401 else []
        assert local.run(raw_post(local.app, headers, messages))[0] == status
        kept = [thing for thing in gc.get_objects() if isinstance(thing, _Refused)]
    finally:
        gc.enable()
    assert kept == []


# ------------------------------------------------------------------------------------ many at once


def test_the_same_payment_sixty_four_times_at_once_delivers_once(local: LocalService) -> None:
    async def flood() -> list[Any]:
        responses = await asyncio.gather(*(local.post(bare("1")) for _ in range(64)))
        return [response.json() for response in responses]

    outcomes = [told["outcome"] for told in local.run(flood())]
    assert sorted(outcomes) == ["duplicate"] * 63 + ["recorded"]
    local.settle()
    events = local.json("/orders/1/history")["events"]
    assert [event["type"] for event in events] == ["PaymentReceived", "Delivered"]
    assert len(local.deliveries) == 64


def test_each_of_many_orders_at_once_gets_its_own_answer(local: LocalService) -> None:
    async def flood() -> list[Any]:
        bodies = [bare(f"order-{n}", "PAID" if n % 2 else "PENDING") for n in range(100)]
        return list(await asyncio.gather(*map(local.post, bodies)))

    for n, response in enumerate(local.run(flood())):
        told = json.loads(response.content)
        assert told["order_id"] == f"order-{n}"
        assert told["order_status"] == ("DELIVERED" if n % 2 else "AWAITING_PAYMENT")
