"""Beside a server or without one: what was set aside is taken in again, or discarded."""

import asyncio
import hmac
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from adapters.deliveries import quarantine
from adapters.deliveries.refusals import RefusalNotes
from adapters.providers import Refused, Request, reading, sevi
from adapters.service import Service, providers
from adapters.settings import load_settings
from tests.adapters.cli.shops import CommandLine, Shop

TOP_UP = '{"transactionType": "CREDIT", "paymentType": "TOP_UP", "status": "COMPLETED"}'
FAILED = '{"orderId": "42", "orderPayment": "FAILED"'
PAID = '{"orderId": "42", "orderPayment": "PAID"'
TILL = """
[providers.till]
kind = "custom"
keep_refused = true
verify = {{ scheme = "hmac", header = "X-Signature" }}
secrets = ["{secret}"]
order_id = "order"
status = "state"
statuses = {{ PAID = ["settled"] }}

[providers.sevi]
tokens = ["token"]
"""
NEWS = b'{"order": "7", "state": "settled"}'
SIGNATURE = hmac.digest(b"right", NEWS, "sha256").hex()


@pytest.fixture
def readable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bodies that lack their end can be read from now on."""

    def read(body: bytes) -> Any:
        return reading.read_object(body if body.endswith(b"}") else body + b"}")

    monkeypatch.setattr(sevi, "read_object", read)


def listed(order_ledger: CommandLine, *options: str) -> list[int]:
    page = json.loads(order_ledger("quarantine", "list", "--json", *options).out)
    return [item["id"] for item in page["items"]]


def operations(order_ledger: CommandLine) -> list[tuple[str, str, str | None, str]]:
    items = json.loads(order_ledger("operators", "log", "--json").out)["items"]
    return [(o["action"], o["object"], o["reason"], o["outcome"]) for o in items[::-1]]


def test_all_is_taken_in_again_the_oldest_first(
    shop: Shop, order_ledger: CommandLine, request: pytest.FixtureRequest
) -> None:
    shop.hears(FAILED, TOP_UP, PAID)
    assert listed(order_ledger) == [3, 2, 1]
    request.getfixturevalue("readable")
    ran = order_ledger("quarantine", "replay", "--all", "--reason", "the adapter was mended")
    assert ran.code == 0
    assert ran.lines == [
        "1: recorded at 0-2; order 42 is PAYMENT_FAILED",
        "3: recorded at 0-4; order 42 is DELIVERED",
    ]
    assert listed(order_ledger) == [2], "what is ignored was read, and stays as it is"
    assert listed(order_ledger, "--settled-too") == [3, 2, 1]
    why = "the adapter was mended"
    assert operations(order_ledger) == [
        ("quarantine replay", "delivery 1", why, "recorded at 0-2"),
        ("quarantine replay", "delivery 3", why, "recorded at 0-4"),
    ]
    shown = order_ledger("quarantine", "show", "1").out
    assert "by delivery 4, which is recorded" in shown


@pytest.mark.usefixtures("readable")
def test_more_than_a_batch_is_taken_in(
    shop: Shop, order_ledger: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "BATCH_COUNT", 3)
    monkeypatch.setattr(quarantine, "BATCH_BYTES", 60)
    monkeypatch.setattr(quarantine, "PAGE", 2)
    with monkeypatch.context() as broken:
        broken.setattr(sevi, "read_object", reading.read_object)
        shop.hears(*(f'{{"orderId": "{n}", "orderPayment": "PAID"' for n in range(8)))
    ran = order_ledger("quarantine", "replay", "--all", "--json")
    items = json.loads(ran.out)["items"]
    assert (ran.code, [item["delivery_id"] for item in items]) == (0, list(range(1, 9)))
    assert {item["outcome"] for item in items} == {"recorded"}
    assert order_ledger("quarantine", "replay", "--all").lines == ["Nothing is set aside."]
    assert len(operations(order_ledger)) == 8


def test_some_are_taken_in_and_what_cannot_be_is_said(
    shop: Shop, order_ledger: CommandLine, request: pytest.FixtureRequest
) -> None:
    shop.hears(PAID, ("1", "PAID"))
    request.getfixturevalue("readable")
    ran = order_ledger("quarantine", "replay", "1", "2", "9")
    assert ran.code == 1
    by_id = dict(line.split(": ", 1) for line in ran.lines)
    assert by_id["1"] == "recorded at 0-4; order 42 is DELIVERED"
    assert "nothing to replay" in by_id["2"]
    assert by_id["9"] == "there is no delivery 9"
    ran = order_ledger("quarantine", "replay", "1", "--json")
    (item,) = json.loads(ran.out)["items"]
    assert (ran.code, set(item)) == (1, {"delivery_id", "problem"})
    assert "taken in already, as delivery 3" in item["problem"]


def test_one_provider_s_are_replayed_alone(shop: Shop, order_ledger: CommandLine) -> None:
    shop.hears(TOP_UP)
    ran = order_ledger("quarantine", "replay", "--all", "--provider", "till")
    assert (ran.code, ran.lines) == (0, ["Nothing is set aside."])
    assert listed(order_ledger, "--provider", "till") == []
    assert listed(order_ledger, "--store", "default") == [1]
    assert listed(order_ledger, "--store", "uganda") == []


def test_what_says_nothing_is_discarded_and_kept(shop: Shop, order_ledger: CommandLine) -> None:
    shop.hears(TOP_UP)
    ran = order_ledger("quarantine", "discard", "1", "--reason", "a top-up")
    assert (ran.code, ran.lines) == (0, ["1 is discarded"])
    assert listed(order_ledger) == []
    (decided,) = operations(order_ledger)
    assert decided == ("quarantine discard", "delivery 1", "a top-up", "discarded")
    assert order_ledger("quarantine", "show", "1", "--raw").out == TOP_UP
    assert operations(order_ledger)[-1][:2] == ("deliveries read body", "delivery 1")
    ran = order_ledger("quarantine", "discard", "1", "--reason", "again")
    assert ran.code == 1
    assert "discarded already" in ran.complaint


def test_a_provider_that_is_gone_is_named(
    shop: Shop, order_ledger: CommandLine, tmp_path: Path
) -> None:
    shop.hears(TOP_UP)
    (tmp_path / "order-ledger.toml").write_text(
        '[providers.other]\nkind = "sevi"\ntokens = ["token"]\n'
    )
    ran = order_ledger("quarantine", "replay", "1")
    assert ran.code == 1
    assert "the provider sevi is not configured any more" in ran.out


@pytest.mark.parametrize(
    "args",
    [
        ["replay"],
        ["replay", "1", "--all"],
        ["replay", "1", "--provider", "sevi"],
        ["replay", "x"],
        ["discard", "1"],
        ["retry-refused"],
        ["retry-refused", "1", "--all"],
    ],
)
def test_what_is_asked_wrongly_is_usage(
    shop: Shop, order_ledger: CommandLine, args: list[str]
) -> None:
    shop.hears(TOP_UP)
    ran = order_ledger("quarantine", *args)
    assert (ran.code, ran.out) == (2, "")


# --------------------------------------------------------------------------------------- refused


@pytest.fixture
def refused(shop: Shop, order_ledger: CommandLine, tmp_path: Path) -> Path:
    """The configuration of a shop whose secret was wrong when the till called."""
    file = tmp_path / "order-ledger.toml"
    file.write_text(TILL.format(secret="wrong"))
    service = Service(load_settings())
    _refuse(service)
    service.close()
    return file


def _refuse(service: Service) -> None:
    async def refuse() -> None:
        notes = RefusalNotes(service.refusals, service.settings.providers)
        till = providers(service.settings)["till"]
        headers = [(b"x-signature", SIGNATURE.encode()), (b"host", b"shop.example")]
        request = Request(headers, NEWS, datetime.now(UTC), client="192.0.2.7")
        verdict = till.verify(request)
        assert isinstance(verdict, Refused)
        notes.note(till, request, verdict, len(NEWS))
        await notes.close()

    asyncio.run(refuse())


def test_refusals_are_listed_with_why(refused: Path, order_ledger: CommandLine) -> None:
    (item,) = json.loads(order_ledger("deliveries", "refused", "--json").out)["items"]
    assert (item["reason"], item["address"], item["count"]) == ("wrong_signature", "192.0.2.7", 1)
    heading, row = order_ledger("deliveries", "refused").lines[:2]
    assert heading.split()[:4] == ["At", "Provider", "Times", "Reason"]
    assert "wrong_signature" in row


def test_a_refused_delivery_is_diagnosed_and_taken_in_once_the_secret_is_mended(
    refused: Path, order_ledger: CommandLine
) -> None:
    (kept,) = json.loads(order_ledger("quarantine", "refused", "--json").out)["items"]
    assert (kept["id"], kept["address"]) == (1, "192.0.2.7")
    assert order_ledger("quarantine", "refused").lines[1].split()[0] == "1"
    ran = order_ledger("diagnose", "--refusal", "1")
    assert (ran.code, ran.out.partition(":")[0]) == (1, "wrong_signature")
    ran = order_ledger("quarantine", "retry-refused", "1")
    assert (ran.code, ran.out.partition(": the")[0]) == (1, "1: refused again")

    refused.write_text(TILL.format(secret="right"))
    assert order_ledger("diagnose", "--refusal", "1").code == 0
    ran = order_ledger("quarantine", "retry-refused", "--all")
    assert (ran.code, ran.lines) == (0, ["1: recorded at 0-2; order 7 is DELIVERED"])
    assert json.loads(order_ledger("orders", "show", "7", "--json").out)["status"] == "DELIVERED"
    assert order_ledger("quarantine", "refused").lines == ["No refused deliveries are kept."]
    for command in (("quarantine", "retry-refused", "1"), ("diagnose", "--refusal", "1")):
        ran = order_ledger(*command)
        assert (ran.code, "no refused delivery 1 is kept" in ran.complaint) == (1, True)


# --------------------------------------------------------------------------------------- diagnose


@pytest.fixture
def till(order_ledger: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "order-ledger.toml").write_text(TILL.format(secret="right"))
    (tmp_path / "body.json").write_bytes(NEWS)


@pytest.mark.usefixtures("till")
@pytest.mark.parametrize(
    ("header", "code", "told"),
    [
        (f"X-Signature: {SIGNATURE}", 0, "it verifies, with the secret key-"),
        (f"x-signature:{SIGNATURE}", 0, "it verifies"),
        (f"X-Signature: {'0' * 64}", 1, "wrong_signature: "),
        (f"X-Signatur: {SIGNATURE}", 1, "no_signature: there is no header X-Signature"),
    ],
)
def test_a_file_is_diagnosed_without_a_ledger(
    order_ledger: CommandLine, header: str, code: int, told: str
) -> None:
    ran = order_ledger("diagnose", "body.json", "--provider", "till", "--header", header)
    assert ran.out.startswith(told), ran.out
    assert ran.code == code
    question = ("diagnose", "body.json", "--provider", "till", "-H", header, "--json")
    assert json.loads(order_ledger(*question).out)["verified"] is (code == 0)


@pytest.mark.usefixtures("till")
def test_a_body_that_was_written_anew_is_told(order_ledger: CommandLine) -> None:
    changed = json.dumps(json.loads(NEWS), separators=(",", ":")).encode()
    header = f"X-Signature: {SIGNATURE}"
    ran = order_ledger("diagnose", "-", "--provider", "till", "--header", header, stdin=changed)
    assert (ran.code, ran.out.partition(":")[0]) == (1, "reserialised")


@pytest.mark.usefixtures("till")
@pytest.mark.parametrize(
    "args",
    [
        [],
        ["body.json"],
        ["body.json", "--refusal", "1"],
        ["body.json", "--provider", "nobody"],
        ["body.json", "--provider", "till", "--header", "no colon"],
        ["body.json", "--provider", "till", "--header", ": empty"],
    ],
)
def test_a_diagnosis_that_lacks_something_is_usage(
    order_ledger: CommandLine, args: list[str]
) -> None:
    ran = order_ledger("diagnose", *args)
    assert (ran.code, ran.out) == (2, "")


def test_a_secret_in_the_url_is_judged_by_the_whole_url(
    order_ledger: CommandLine, tmp_path: Path
) -> None:
    (tmp_path / "order-ledger.toml").write_text(
        '[providers.mpesa]\nsecrets = ["segment"]\naddresses = ["192.0.2.0/24"]\n'
    )
    (tmp_path / "body.json").write_bytes(b"{}")
    for end, code in (("segment", 0), ("other", 1)):
        url = f"https://shop.example/webhooks/mpesa/{end}?order_id=1"
        ran = order_ledger("diagnose", "body.json", "--provider", "mpesa", "--url", url)
        assert ran.code == code, ran.out


# ------------------------------------------------------------------------------ one is erased

WHY = ("--reason", "request 7")


def read(order_ledger: CommandLine, number: int) -> str | None:
    told: str | None = json.loads(order_ledger("deliveries", "show", str(number), "--json").out)[
        "body"
    ]
    return told


def test_one_body_is_erased_once_somebody_said_yes(shop: Shop, order_ledger: CommandLine) -> None:
    shop.hears(PAID, TOP_UP)
    ran = order_ledger("quarantine", "erase", "1", *WHY, stdin=b"n\n")
    assert ran.code == 1
    assert "Nobody can read again what sevi sent as delivery 1." in ran.lines
    assert "nothing was erased" in ran.complaint
    assert "--yes" in order_ledger("quarantine", "erase", "1", *WHY).complaint
    assert read(order_ledger, 1) == PAID
    ran = order_ledger("quarantine", "erase", "1", *WHY, stdin=b"y\n")
    assert (ran.code, ran.lines[-1].strip()) == (0, "1 is erased: nobody can read it any more")
    assert (read(order_ledger, 1), read(order_ledger, 2)) == (None, TOP_UP)
    assert listed(order_ledger) == [2]
    assert "Settled   erased" in order_ledger("quarantine", "show", "1").out
    assert order_ledger("quarantine", "replay", "--all").lines == ["Nothing is set aside."]
    ran = order_ledger("quarantine", "erase", "1", *WHY, "--yes")
    assert (ran.code, ran.lines) == (0, ["1 was erased before: nobody can read it any more"])
    ran = order_ledger("quarantine", "erase", "2", *WHY, "--yes", "--json")
    assert json.loads(ran.out) == {"delivery_id": 2, "outcome": "erased", "left_to_do": None}
    erased = [one for one in operations(order_ledger) if one[0] == "quarantine erase"]
    assert erased == [
        ("quarantine erase", "delivery 1", "request 7", "erased"),
        ("quarantine erase", "delivery 1", "request 7", "unchanged"),
        ("quarantine erase", "delivery 2", "request 7", "erased"),
    ]
    assert order_ledger("verify").code == 0


@pytest.mark.parametrize(
    ("args", "code", "named"),
    [
        (["2", *WHY], 1, "belongs to order 1 of store default: erase that order"),
        (["9", *WHY], 1, "there is no delivery 9"),
        (["1"], 2, "--reason"),
        (["x", *WHY], 2, "whole number"),
    ],
    ids=str,
)
def test_what_cannot_be_erased_by_itself_is_told(
    shop: Shop, order_ledger: CommandLine, args: list[str], code: int, named: str
) -> None:
    shop.hears(PAID, ("1", "PAID"))
    ran = order_ledger("quarantine", "erase", *args, "--yes")
    assert ran.code == code
    assert named in ran.complaint
    assert read(order_ledger, 1) == PAID
