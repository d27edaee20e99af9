"""Refusals leave a bounded trace: why, how often and from where, never a token, never a 429."""

import asyncio
import hmac
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from threading import get_ident
from time import time
from typing import Any

import pytest

from adapters.access.roles import Caller
from adapters.deliveries.refusals import RefusedDeliveries
from adapters.providers import Provider, Refused, Request
from adapters.providers.verifying import HmacHeader
from adapters.service import providers
from adapters.storage.log import StorageUnavailable
from tests.adapters.http.local import PROVIDERS, LocalService

SECRET = "the-right-secret"
TILL: dict[str, Any] = {
    "kind": "custom",
    "keep_refused": True,
    "verify": {"scheme": "hmac", "header": "X-Signature", "timestamp_header": "X-Time"}
    | {"message": "{timestamp}.{body}"},
    "order_id": "order",
    "status": "state",
    "statuses": {"PAID": ["settled"]},
}
NEWS = json.dumps({"order": "1", "state": "settled"}).encode()
ALICE = Caller.with_every_role("user alice", "command line")


def tables(secret: str) -> dict[str, Any]:
    return PROVIDERS | {"till": TILL | {"secrets": [{"name": "current", "value": secret}]}}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[LocalService]:
    with LocalService(tmp_path, providers=tables("a-wrong-secret")) as local:
        yield local


def signed(body: bytes, at: int, secret: str = SECRET) -> dict[str, str]:
    signature = hmac.digest(secret.encode(), b"%d.%s" % (at, body), "sha256").hex()
    return {
        "X-Signature": signature,
        "X-Time": str(at),
        "Content-Type": "application/json",
        "Authorization": "Bearer a-token-of-somebody",
        "Cookie": "session=somebody",
    }


def now() -> int:
    return int(time())


def send(local: LocalService, *sent: tuple[str, bytes, dict[str, str]]) -> list[int]:
    """Send deliveries in one turn of the loop, wait for the notes, and return the statuses."""

    async def send_all() -> list[int]:
        answers = [await local.post(body, name, headers) for name, body, headers in sent]
        await asyncio.sleep(0.1)
        return [answer.status_code for answer in answers]

    return local.run(send_all())


def refusals(local: LocalService) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = local.json("/refusals")["items"]
    return items


def test_a_refusal_is_noted_with_its_diagnosis(service: LocalService) -> None:
    wrong = {"Authorization": "not-the-token"}
    assert send(service, ("sevi", b'{"orderId": "1"}', wrong), ("till", NEWS, {})) == [401, 401]
    till, sevi = sorted(refusals(service), key=lambda one: one["provider"], reverse=True)
    assert (sevi["provider"], sevi["reason"], sevi["count"]) == ("sevi", "wrong_token", 1)
    assert (sevi["body_bytes"], sevi["address"]) == (16, "127.0.0.1")
    assert "Authorization" in sevi["diagnosis"]
    assert (till["reason"], till["diagnosis"]) == ("no_signature", "there is no header X-Signature")


def test_a_body_that_was_written_anew_is_told_from_another_secret(tmp_path: Path) -> None:
    compact = json.dumps(json.loads(NEWS), separators=(",", ":")).encode()
    with LocalService(tmp_path, providers=tables(SECRET)) as local:
        send(local, ("till", NEWS, signed(compact, now())))
        (row,) = refusals(local)
    assert row["reason"] == "reserialised"
    assert "the secret is right" in row["diagnosis"]


def test_the_event_loop_never_takes_the_closer_look(
    service: LocalService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    threads = []

    def explain(_: HmacHeader, request: Request, refused: Refused) -> Refused:
        threads.append(get_ident())
        return Refused(refused.reason, "seen closely")

    async def on_the_loop() -> int:
        return get_ident()

    monkeypatch.setattr(HmacHeader, "explain", explain)
    send(service, ("till", NEWS, signed(NEWS, now())))
    assert [row["diagnosis"] for row in refusals(service)] == ["seen closely"]
    assert len(threads) == 1
    assert service.run(on_the_loop()) not in threads
    assert "no live secret" in caplog.records[-1].__dict__["reason"]


def test_a_flood_makes_one_row_for_what_comes_within_a_second(service: LocalService) -> None:
    wrong = {"Authorization": "not-the-token"}
    statuses = send(service, *[("sevi", b"{}", wrong)] * 40)
    assert statuses.count(401) + statuses.count(429) == 40
    assert statuses.count(429) > 0
    service.run(asyncio.sleep(1.2))
    rows = refusals(service)
    assert len(rows) <= 3
    assert sum(row["count"] for row in rows) == statuses.count(401), "no 429 is noted"


def test_what_was_noted_last_is_written_when_the_service_stops(tmp_path: Path) -> None:
    with LocalService(tmp_path) as local:
        local.run(local.post(b"{}", "sevi", {"Authorization": "wrong"}))
    with LocalService(tmp_path) as local:
        assert [row["count"] for row in refusals(local)] == [1]


def test_storage_that_fails_stops_neither_the_notes_nor_the_deliveries(
    service: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unusable(*_: object) -> None:
        raise StorageUnavailable("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(service.service.refusals, "add", unusable)
        assert send(service, ("sevi", b"{}", {"Authorization": "wrong"})) == [401]
    service.tell("1", "PAID")
    service.run(asyncio.sleep(1.1))
    send(service, ("sevi", b"{}", {"Authorization": "wrong"}))
    assert len(refusals(service)) == 1


def test_an_explanation_that_fails_takes_nothing_from_the_refusal(
    service: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(HmacHeader, "explain", broken)
    assert send(service, ("till", NEWS, signed(NEWS, now()))) == [401]
    assert [row["reason"] for row in refusals(service)] == ["wrong_signature"]


# ------------------------------------------------------------------------------------ kept whole


def retry(local: LocalService, secret: str) -> list[Any]:
    """Verify again what was kept, once the secret is this one."""
    mended = local.service.settings.model_validate(
        local.service.settings.model_dump() | {"providers": tables(secret)}
    )
    senders: dict[str, Provider] = dict(providers(mended))
    refused = RefusedDeliveries(
        local.service.refusals, local.service.ledger, senders, local.service.operators
    )
    return list(refused.retry_all(ALICE))


def test_what_was_refused_is_taken_in_once_the_secret_is_mended(service: LocalService) -> None:
    assert send(service, ("till", NEWS, signed(NEWS, now()))) == [401]
    assert service.deliveries == []
    (kept,) = service.json("/refusals/kept")["items"]
    assert (kept["provider"], kept["reason"]) == ("till", "wrong_signature")

    (again,) = retry(service, "still-wrong")
    assert (again.receipt, len(service.json("/refusals/kept")["items"])) == (None, 1)
    (taken,) = retry(service, SECRET)
    assert taken.receipt.outcome == "recorded"
    assert taken.receipt.order.status == "DELIVERED"
    (row,) = service.deliveries
    assert (row.origin, row.key_id, row.replay_of) == ("webhook", "current", None)
    assert row.received_at.isoformat() == kept["received_at"].replace("Z", "+00:00")
    assert service.json("/refusals/kept")["items"] == []
    assert service.json("/operator-log")["items"][0]["action"] == "quarantine retry-refused"


def test_a_signature_s_time_is_judged_as_of_when_it_came(service: LocalService) -> None:
    """The two came a week ago: one was fresh then, the other an hour old."""
    late = NEWS.replace(b'"1"', b'"2"')
    week, sent = 7 * 86400, now()
    send(
        service,
        ("till", NEWS, signed(NEWS, sent - week)),
        ("till", late, signed(late, sent - week - 3600)),
    )
    with sqlite3.connect(service.service.settings.database_path or "") as database:
        database.execute("UPDATE kept_refusals SET received_at = received_at - ?", (week * 10**6,))
    first, second = retry(service, SECRET)
    assert first.receipt.outcome == "recorded"
    assert "seconds old; 300 are tolerated" in second.refused


def test_nothing_but_the_signature_is_kept_of_the_headers(service: LocalService) -> None:
    send(service, ("till", NEWS, signed(NEWS, now())))
    (kept,) = service.service.refusals.kept()
    assert {name for name, _ in kept.headers} == {b"x-signature", b"x-time", b"content-type"}
    folder = Path(str(service.service.settings.database_path)).parent
    files = b"".join(path.read_bytes() for path in folder.iterdir())
    assert kept.body == NEWS
    assert NEWS not in files, "the body is sealed"
    assert b"a-token-of-somebody" not in files
    assert b"session=somebody" not in files


def test_neither_what_is_large_or_unsigned_nor_what_nobody_asked_for_is_kept(
    service: LocalService,
) -> None:
    large = b"x" * (64 * 1024 + 1)
    send(
        service,
        ("till", large, signed(large, now())),
        ("till", b"", {}),
        ("sevi", NEWS, {"Authorization": "wrong"}),
        ("till", b"unsigned", {}),
        ("till", NEWS, signed(NEWS, now())),
        ("till", NEWS, signed(NEWS, now())),
    )
    kept = service.json("/refusals/kept")["items"]
    assert [(one["provider"], one["body_bytes"]) for one in kept] == [("till", len(NEWS))]
