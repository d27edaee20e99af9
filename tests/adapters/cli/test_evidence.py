"""What an auditor does on the command line: verify, bundle, checkpoint, keys."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from adapters.evidence.notes import PublicKey, SignedCheckpoint
from tests.adapters.cli.shops import CommandLine, Shop
from tests.adapters.evidence.ledgers import tamper_sqlite

SCRIPT = Path(__file__).parents[3] / "scripts" / "verify_bundle.py"


@pytest.fixture
def sealed(shop: Shop) -> Shop:
    """A shop whose ledger is sealed."""
    shop.hears(("42", "PENDING"), ("42", "PAID"), ("43", "PAID"))
    seal(shop)
    return shop


def seal(shop: Shop) -> None:
    with shop.service() as service:
        service.sealer.seal()


def test_a_sound_ledger(sealed: Shop, order_ledger: CommandLine) -> None:
    ran = order_ledger("verify")
    assert ran.code == 0, ran.stderr
    assert ran.lines == [
        "verdict         sound",
        "events          5",
        "deliveries      3",
        "checkpoints     1",
        "sealed up to    0-5",
        "not sealed yet  0",
    ]
    told = json.loads(order_ledger("verify", "--json").out)
    assert told["is_sound"] is True
    assert told["findings"] == []


def test_a_ledger_that_was_touched(sealed: Shop, order_ledger: CommandLine) -> None:
    tamper_sqlite(sealed.path, "UPDATE stored_events SET topic = 'PaymentFailed' WHERE idx = 3")
    ran = order_ledger("verify")
    assert ran.code == 3
    told = [" ".join(line.split()) for line in ran.lines]
    assert "0-3 not the event that was sealed here" in told
    assert json.loads(order_ledger("verify", "--json").out)["findings"][0]["at"] == "0-3"


def test_a_checkpoint_that_was_kept(
    sealed: Shop, order_ledger: CommandLine, tmp_path: Path
) -> None:
    Path("kept").mkdir()
    assert order_ledger("checkpoint", "publish", "kept").code == 0
    kept = "kept/checkpoint-0-000000000005.txt"
    sealed.hears(("44", "PAID"))
    assert order_ledger("verify", "--since", kept).code == 0
    seal(sealed)
    assert order_ledger("bundle", "42", "--since", kept, "-o", "42.json").code == 0
    command = [sys.executable, str(SCRIPT), "42.json", "--since", kept]
    told = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (told.returncode, told.stderr) == (0, "")
    (tmp_path / "no-checkpoint").write_text("hello")
    ran = order_ledger("verify", "--since", "no-checkpoint")
    assert (ran.code, "is no checkpoint" in ran.complaint) == (1, True)
    assert order_ledger("verify", "--since", "nothing").code == 1


def test_a_bundle_of_what_is_not_sealed_yet(sealed: Shop, order_ledger: CommandLine) -> None:
    sealed.hears(("50", "PAID"))
    ran = order_ledger("bundle", "50")
    assert ran.code == 0, ran.stderr
    bundle = json.loads(ran.out)
    assert bundle["unsealed"] == [], "the command seals what it bundles"
    assert [event["version"] for event in bundle["events"]] == [1, 2]
    assert order_ledger("bundle", "nobody").code == 1


def test_checkpoints_are_listed_and_shown(sealed: Shop, order_ledger: CommandLine) -> None:
    sealed.hears(("44", "PENDING"))
    ran = order_ledger("checkpoint", "list")
    assert ran.lines[0] == "sealed up to      0-5"
    assert ran.lines[1] == "not sealed yet    1 events"
    told = json.loads(order_ledger("checkpoint", "list", "--json").out)
    assert (told["unsealed_events"], told["items"][0]["size"], told["next"]) == (1, 5, None)
    seal(sealed)
    page = json.loads(order_ledger("checkpoint", "list", "--json", "--limit", "1").out)
    assert (page["items"][0]["size"], page["next"]) == (6, 2)
    page = json.loads(order_ledger("checkpoint", "list", "--json", "--after", "2").out)
    assert [item["size"] for item in page["items"]] == [5]
    note = order_ledger("checkpoint", "show", "--size", "5").out
    assert SignedCheckpoint.parse(note).checkpoint.size == 5
    assert SignedCheckpoint.parse(order_ledger("checkpoint", "show").out).checkpoint.size == 6
    assert order_ledger("checkpoint", "show", "--size", "3").code == 1


def test_a_ledger_that_never_sealed(shop: Shop, order_ledger: CommandLine) -> None:
    shop.hears(("42", "PAID"))
    assert order_ledger("checkpoint", "list").lines[0] == "sealed up to      -"
    assert "nothing is sealed yet" in order_ledger("checkpoint", "publish", "x").complaint
    assert order_ledger("keys", "list").lines == [
        "No key has signed yet: the service makes one when it starts."
    ]
    assert order_ledger("verify").code == 0


@contextmanager
def witness(status: int) -> Iterator[tuple[str, list[bytes]]]:
    """A web server that takes checkpoints, and what it was given."""
    given: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            given.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/add", given
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "code"), [(200, 0), (500, 1), (302, 1)])
def test_a_witness_gets_the_newest_checkpoint(
    sealed: Shop,
    order_ledger: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    code: int,
) -> None:
    with witness(status) as (url, given):
        monkeypatch.setenv("ORDER_LEDGER_WITNESS_URL", url)
        assert order_ledger("checkpoint", "publish").code == code
    assert given == [order_ledger("checkpoint", "show").stdout]


@pytest.mark.parametrize("url", ["http://example.org/", "ftp://example.org/", "x", "http://[/"])
def test_a_witness_is_told_over_an_encrypted_connection(
    sealed: Shop, order_ledger: CommandLine, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("ORDER_LEDGER_WITNESS_URL", url)
    ran = order_ledger("checkpoint", "publish")
    assert (ran.code, "write https://" in ran.complaint) == (2, True)


def test_a_folder_that_is_not_mounted_is_not_made(sealed: Shop, order_ledger: CommandLine) -> None:
    ran = order_ledger("checkpoint", "publish", "not/mounted")
    assert ran.code == 1
    assert "mount it, or make it before" in ran.complaint
    assert not Path("not").exists()


def test_to_publish_nowhere_is_an_error(sealed: Shop, order_ledger: CommandLine) -> None:
    ran = order_ledger("checkpoint", "publish")
    assert (ran.code, "name a folder" in ran.complaint) == (2, True)


def test_keys_are_listed_exported_and_rotated(sealed: Shop, order_ledger: CommandLine) -> None:
    (old,) = order_ledger("keys", "export").lines
    new = order_ledger("keys", "rotate", "--overlap", "90").out.strip()
    assert order_ledger("keys", "export").lines == [old, new]
    told = json.loads(order_ledger("keys", "list", "--json").out)["items"]
    assert [key["public_key"] for key in told] == [old, new]
    assert [key["signs"] for key in told] == [True, True]
    assert "keys rotate" in order_ledger("operators", "log").out
    assert PublicKey.parse(new).fingerprint in order_ledger("keys", "list").out
    seal(sealed)
    assert order_ledger("verify").code == 0


def test_without_its_key_a_ledger_signs_no_more_and_says_so(
    sealed: Shop, order_ledger: CommandLine, tmp_path: Path
) -> None:
    key_file = sealed.path.with_name("ledger-seal-keys.pem")
    assert key_file.stat().st_mode & 0o777 == 0o600
    key_file.unlink()
    sealed.hears(("44", "PAID"))
    ran = order_ledger("bundle", "44")
    assert ran.code == 0
    assert json.loads(ran.out)["unsealed"] == ["0-6", "0-7"]
    ran = order_ledger("keys", "rotate")
    assert (ran.code, "put its key file back" in ran.complaint) == (1, True)
    command = [sys.executable, "-m", "adapters.cli", "serve", "--port", "0"]  # it sets up logs
    env = {**os.environ, "PYTHONPATH": str(SCRIPT.parents[1])}
    served = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert (served.returncode, "put its key file back" in served.stderr) == (2, True)
    assert order_ledger("keys", "rotate", "--lost").code == 0
    assert json.loads(order_ledger("bundle", "44").out)["unsealed"] == []
    assert order_ledger("verify").code == 0
