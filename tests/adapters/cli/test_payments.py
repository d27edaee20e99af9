"""An auditor takes the payment news away, however much there is."""

import csv
import io
import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from adapters.queries import exports, queries
from adapters.queries.queries import EventView
from tests.adapters.cli.shops import CommandLine, Shop

MANY = 400
TOO_LATE = ["--from", "2999-01-01T00:00:00Z"]
TOO_EARLY = ["--to", "2000-01-01T00:00:00Z"]


def told(text: str) -> list[tuple[str, str]]:
    return [(row["order_id"], row["payment_status"]) for row in csv.DictReader(io.StringIO(text))]


def bodies(count: int) -> list[str]:
    return [f'{{"orderId": "{n}", "orderPayment": "PAID"}}' for n in range(count)]


def test_every_payment_news_is_a_line(shop: Shop, order_ledger: CommandLine) -> None:
    shop.hears(("1", "PENDING"), ("1", "PAID"), ("1", "PAID"), ("2", "FAILED"))
    ran = order_ledger("payments", "export")
    assert told(ran.out) == [("1", "PENDING"), ("1", "PAID"), ("2", "FAILED")]
    assert (ran.code, ran.stderr) == (0, b"")
    lines = order_ledger("payments", "export", "--format", "jsonl").lines
    assert [json.loads(line)["payment_status"] for line in lines] == ["PENDING", "PAID", "FAILED"]


def test_what_is_not_wanted_is_left_out(shop: Shop, order_ledger: CommandLine) -> None:
    shop.hears(("1", "PENDING"), ("1", "PAID"), ("2", "FAILED"))
    shop.store = "second"
    shop.hears(("3", "PAID"))
    questions = {
        ("--status", "paid"): ["1", "3"],
        ("--order-id", "2"): ["2"],
        ("--store", "second"): ["3"],
        ("--provider", "stripe"): [],
        tuple(TOO_LATE): [],
        tuple(TOO_EARLY): [],
        ("--from", TOO_EARLY[1], "--to", TOO_LATE[1], "--store", "default"): ["1", "1", "2"],
    }
    for question, orders in questions.items():
        ran = order_ledger("payments", "export", *question)
        assert [order_id for order_id, _ in told(ran.out)] == orders, question


def test_from_is_included_and_to_is_not(shop: Shop, order_ledger: CommandLine) -> None:
    shop.hears(("1", "PENDING"))
    shop.hears(("2", "PENDING"))
    rows = list(csv.DictReader(io.StringIO(order_ledger("payments", "export").out)))
    first, second = (row["recorded_at"] for row in rows)
    ran = order_ledger("payments", "export", "--from", first, "--to", second)
    assert told(ran.out) == [("1", "PENDING")]


def test_an_export_goes_into_a_file(shop: Shop, order_ledger: CommandLine, tmp_path: Path) -> None:
    shop.hears(("1", "PAID"), ("2", "PAID"))
    ran = order_ledger("payments", "export", "-o", "out.csv")
    assert (ran.code, ran.out) == (0, "")
    assert "2 payments written to out.csv" in ran.complaint
    expected = order_ledger("payments", "export", "-o", "-").stdout
    assert (tmp_path / "out.csv").read_bytes() == expected
    assert b"\r\n" in expected


def test_half_an_export_takes_no_name(
    shop: Shop, order_ledger: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Iterable[EventView]) -> Iterator[str]:
        yield "half"
        raise OSError(28, "No space left on device")

    shop.hears(("1", "PAID"))
    (tmp_path / "out.csv").write_text("yesterday's")
    monkeypatch.setattr(exports, "FORMATS", {"csv": broken})
    before = sorted(tmp_path.iterdir())
    ran = order_ledger("payments", "export", "-o", "out.csv")
    assert ran.code == 1
    assert "No space left on device" in ran.complaint
    assert (tmp_path / "out.csv").read_text() == "yesterday's"
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_that_cannot_be_written_is_named(shop: Shop, order_ledger: CommandLine) -> None:
    shop.hears(("1", "PAID"))
    ran = order_ledger("payments", "export", "-o", "nowhere/out.csv")
    assert ran.code == 1
    assert "cannot write nowhere/out.csv: No such file" in ran.complaint


def test_an_export_goes_into_a_pipe_that_has_a_name(
    shop: Shop, order_ledger: CommandLine, tmp_path: Path
) -> None:
    shop.hears(("1", "PAID"))
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    assert order_ledger("payments", "export", "-o", "pipe").code == 0
    assert told(os.read(reader, 65536).decode()) == [("1", "PAID")]
    os.close(reader)


def test_memory_stays_flat_however_much_there_is(
    shop: Shop, order_ledger: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "STREAM_PAGE_SIZE", 20)
    peaks: list[int] = []
    for _ in range(2):
        shop.hears_at_once(bodies(len(peaks) * 9 * MANY + MANY))
        order_ledger("payments", "export", "-o", "warm.csv")
        tracemalloc.start()
        order_ledger("payments", "export", "-o", "out.csv")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.5


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_whoever_has_read_enough_may_close_the_pipe(shop: Shop, tmp_path: Path, form: str) -> None:
    shop.hears_at_once(bodies(MANY))
    command = [sys.executable, "-m", "adapters.cli", "payments", "export", "--format", form]
    reader, writer = os.pipe()
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        stdout=writer,
        stderr=subprocess.PIPE,
    )
    os.close(writer)
    assert os.read(reader, 10)
    os.close(reader)
    _, errors = process.communicate(timeout=30)
    assert errors == b""
    assert process.returncode == 1
