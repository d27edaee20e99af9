"""A program reads the same from the command line as over HTTP, byte for byte."""

from pathlib import Path

import pytest

from tests.adapters.cli.shops import CommandLine
from tests.servers import RunningServer

SAMPLE = """{"order": {"id": "42", "referenceNumber": "ORD-1", "paymentStatus": "%s",
"amount": 902.1, "currency": "KES"}}"""

EARLIER, LATER = "2000-01-01T00:00:00Z", "2999-01-01T00:00:00Z"
LAST_TWO = {"order_id": "42", "limit": "2"}


@pytest.fixture
def busy(server: RunningServer) -> RunningServer:
    """A server that heard of two orders, and of something that it could not read."""
    for status in ("PENDING", "PAID", "FAILED", "Paid"):
        server.deliver(SAMPLE % status)
    last = server.deliver('{"orderId": "\u00e9=1+1", "orderPayment": "PAID"}').json()["position"]
    server.deliver("{")
    server.get("/orders/42/history", min_position=last).raise_for_status()
    return server


def test_the_command_line_and_http_say_the_same(
    busy: RunningServer, order_ledger: CommandLine
) -> None:
    questions: list[tuple[str, str, dict[str, str]]] = [
        ("orders show ORD-1 --json", "/orders/42", {}),
        ("orders history 42 --json", "/orders/42/history", {}),
        ("orders list --json", "/orders", {}),
        ("orders list --limit 1 --json", "/orders", {"limit": "1"}),
        ("orders list --review open --json", "/orders", {"review": "open"}),
        (f"orders list --as-of {LATER} --json", "/orders", {"as_of": LATER}),
        (f"orders list --occurred-before {LATER} --json", "/orders", {"occurred_before": LATER}),
        (f"diff --from {EARLIER} --to {LATER} --json", "/diff", {"from": EARLIER, "to": LATER}),
        ("payments export", "/payments", {"format": "csv"}),
        ("payments export --format jsonl", "/payments", {"format": "jsonl"}),
        ("payments export --order-id 42", "/payments", {"format": "csv", "order_id": "42"}),
        ("deliveries list --json", "/deliveries", {}),
        ("deliveries list --order-id 42 --limit 2 --json", "/deliveries", LAST_TWO),
        ("deliveries refused --json", "/refusals", {}),
        ("quarantine list --json", "/quarantine", {}),
        ("quarantine list --settled-too --json", "/quarantine", {"settled_too": "true"}),
        ("quarantine show 6 --json", "/quarantine/6", {"body": "true"}),
        ("quarantine refused --json", "/refusals/kept", {}),
    ]
    for command, path, params in questions:
        ran = order_ledger(*command.split())
        assert (ran.code, ran.stderr) == (0, b""), command
        end = b"\n" if "--json" in command else b""
        assert ran.stdout == busy.get(path, **params).content + end, command


def test_a_server_is_not_needed_and_its_files_stay_its_own(
    busy: RunningServer, order_ledger: CommandLine, tmp_path: Path
) -> None:
    expected = order_ledger("orders", "history", "42", "--json").stdout
    assert busy.stop() in (0, -15)
    before = {path.name for path in (tmp_path / "var").iterdir()}
    assert order_ledger("orders", "history", "42", "--json").stdout == expected
    assert {path.name for path in (tmp_path / "var").iterdir()} == before
    busy.start()
    assert busy.get("/orders/42/history").content + b"\n" == expected
