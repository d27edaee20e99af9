"""Someone who sets the webhook up tries it out against a running server."""

import base64
import json
from pathlib import Path

import pytest

from tests.adapters.cli.shops import CommandLine
from tests.adapters.providers.tables import KINDS, NEEDS, secret_of
from tests.servers import RunningServer

NOWHERE = "http://127.0.0.1:9"  # the port of the discard service, where nobody listens


def test_a_sample_is_taken_as_if_the_provider_had_sent_it(
    server: RunningServer, order_ledger: CommandLine
) -> None:
    ran = order_ledger("send", "sevi", "--url", server.url, "--order-id", "42")
    assert ran.code == 0
    assert ran.out == "200 recorded at 0-2: new, and on disk; order 42 is DELIVERED\n"
    again = order_ledger("send", "sevi", "--url", f"{server.url}/", "--order-id", "42")
    assert again.out == "200 duplicate at 0-2: known, nothing appended; order 42 is DELIVERED\n"
    late = order_ledger(
        "send", "sevi", "--url", server.url, "--order-id", "42", "--status", "PENDING", "--json"
    )
    assert json.loads(late.out) == {
        "outcome": "stale",
        "order_id": "42",
        "order_status": "DELIVERED",
        "position": "0-3",
    }


def test_an_order_that_a_person_has_to_look_at_is_told(
    server: RunningServer, order_ledger: CommandLine
) -> None:
    status = ("--status", "REFUNDED")
    ran = order_ledger("send", "sevi", "--url", server.url, "--order-id", "42", *status)
    told = "200 recorded at 0-2: new, and on disk; order 42 is AWAITING_PAYMENT, under review:"
    assert " ".join(ran.out.split()) == f"{told} refunded"


def test_a_file_or_standard_input_is_sent_as_it_is(
    server: RunningServer, order_ledger: CommandLine, tmp_path: Path
) -> None:
    (tmp_path / "body.json").write_bytes(b'{"orderId": \xff}')
    ran = order_ledger("send", "sevi", "--url", server.url, "--file", "body.json")
    assert ran.code == 0
    assert ran.out == "200 quarantined: kept whole, since it cannot be read or attributed\n"
    assert order_ledger("quarantine", "show", "1", "--raw").stdout == b'{"orderId": \xff}'
    body = b'{"orderId": "7", "orderPayment": "PAID"}'
    ran = order_ledger("send", "sevi", "--url", server.url, "--file", "-", stdin=body)
    assert "order 7 is DELIVERED" in ran.out


def test_a_refusal_is_a_failure_in_one_line(
    server: RunningServer, order_ledger: CommandLine
) -> None:
    ran = order_ledger("send", "sevi", "--url", server.url, "--token", "wrong")
    assert (ran.code, ran.out) == (1, "")
    assert "401 Unauthorized: the credentials are wrong or missing" in ran.complaint
    ran = order_ledger("send", "sevi", "--url", server.url, "--token", "wrong", "--json")
    assert ran.code == 1
    assert json.loads(ran.out)["status"] == 401


def test_the_configured_address_is_the_default(
    server: RunningServer, order_ledger: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDER_LEDGER_PORT", server.url.rpartition(":")[2])
    monkeypatch.setenv("ORDER_LEDGER_HOST", "0.0.0.0")
    ran = order_ledger("send", "sevi")
    assert ran.out == "200 recorded at 0-2: new, and on disk; order first-order is DELIVERED\n"


def test_a_server_that_is_not_there_is_said_with_its_remedy(order_ledger: CommandLine) -> None:
    ran = order_ledger("send", "sevi", "--url", NOWHERE, "--token", "t")
    assert ran.code == 1
    for word in (NOWHERE, "order-ledger serve", "--url"):
        assert word in ran.complaint


@pytest.mark.parametrize("url", ["127.0.0.1:9", "ftp://127.0.0.1", "http://a:b"])
def test_a_url_that_is_none_is_wrong_usage(order_ledger: CommandLine, url: str) -> None:
    ran = order_ledger("send", "sevi", "--url", url, "--token", "t")
    assert ran.code == 2
    assert "--url" in ran.complaint


def test_no_token_is_made_up(order_ledger: CommandLine, tmp_path: Path) -> None:
    ran = order_ledger("send", "sevi", "--url", NOWHERE)
    assert ran.code == 1
    assert "--token" in ran.complaint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (["paypal"], "sevi"),
        (["sevi", "--token", "two words"], "--token"),
        (["sevi", "--token", ""], "--token"),
        (["sevi", "--file", "absent.json"], "--file"),
        (["sevi", "--file", "-", "--order-id", "42"], "--file"),
        (["sevi", "--file", "-", "--status", "PAID"], "--file"),
    ],
)
def test_what_cannot_be_sent_is_wrong_usage(
    order_ledger: CommandLine, args: list[str], named: str
) -> None:
    ran = order_ledger("send", "--url", NOWHERE, *args)
    assert (ran.code, ran.out) == (2, "")
    assert named in ran.complaint


def test_every_kind_of_provider_can_be_sent(
    tmp_path: Path, order_ledger: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = {k: {**NEEDS[k], "kind": k, "secrets": [secret_of(k, "new")]} for k in KINDS}
    monkeypatch.setenv("ORDER_LEDGER_PROVIDERS", json.dumps(tables))
    server = RunningServer(tmp_path)
    try:
        for kind in KINDS:
            ran = order_ledger("send", kind, "--url", server.url, "--order-id", f"of-{kind}")
            assert ran.code == 0, ran.complaint
            assert ran.out.startswith("200")
            shown = order_ledger("orders", "show", f"of-{kind}", "--json")
            assert json.loads(shown.out)["status"] == "DELIVERED"
        body = b'{"Body":{"stkCallback":{"ResultCode":1032}}}'
        args = ("--url", server.url, "--file", "-", "--order-id", "77")
        assert order_ledger("send", "mpesa", *args, stdin=body).code == 0
        shown = order_ledger("orders", "show", "77", "--json")
        assert json.loads(shown.out)["status"] == "PAYMENT_FAILED"
    finally:
        server.stop()


@pytest.mark.parametrize("kind", ["adyen", "standard-webhooks", "hooks", "mpesa"])
def test_a_secret_that_the_kind_cannot_use_is_wrong_usage(
    order_ledger: CommandLine, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    tables = {k: {**NEEDS[k], "kind": k, "secrets": [secret_of(k, "new")]} for k in KINDS}
    hooks = {"verify": {"scheme": "standard-webhooks"}, "secrets": ["whsec_AAAA"]}
    tables["hooks"] = {**NEEDS["custom"], **hooks}
    monkeypatch.setenv("ORDER_LEDGER_PROVIDERS", json.dumps(tables))
    ran = order_ledger("send", kind, "--url", NOWHERE, "--token", "no/such-key!")
    assert ran.code == 2
    assert "--token" in ran.complaint
    assert "no/such-key!" not in ran.complaint
    good = secret_of(kind if kind in KINDS else "standard-webhooks", "other")
    ran = order_ledger("send", kind, "--url", NOWHERE, "--token", good)
    assert ran.code == 1, "it could be signed, and nobody listens"


def test_what_can_only_verify_says_so(
    order_ledger: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    public = "whpk_" + base64.b64encode(bytes(32)).decode()
    table = {**NEEDS["standard-webhooks"], "kind": "standard-webhooks", "secrets": [public]}
    monkeypatch.setenv("ORDER_LEDGER_PROVIDERS", json.dumps({"hooks": table}))
    ran = order_ledger("send", "hooks", "--url", NOWHERE)
    assert ran.code == 1
    assert "whsec_" in ran.complaint
