"""What a backup holds is a whole ledger, its keys lie apart, and neither file alone says who."""

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters import backups
from tests import postgres
from tests.servers import RunningServer

ROOT = Path(__file__).parents[2]
TOKEN = "sevi-token-77c2"
API_TOKEN = "api-token-5b1e"
PERSON = "Amina Wanjiru"
NOBODYS = b'"name": "Amina'  # broken off, so that no order takes it in


class Shop:
    """A ledger, and a place to restore it to, both in files or both in PostgreSQL."""

    def __init__(self, folder: Path, urls: list[str] | None) -> None:
        self.folder = folder
        self.files = [folder / name / "ledger.db" for name in ("old", "new")]
        self.is_file = urls is None
        self.urls = urls or [f"sqlite:///{path}" for path in self.files]

    def env(self, number: int) -> dict[str, str]:
        """The variables for the first ledger, or for the restored one."""
        return {
            "ORDER_LEDGER_DATABASE_URL": self.urls[number],
            "ORDER_LEDGER_API_TOKENS": json.dumps([API_TOKEN]),
            "ORDER_LEDGER_PROVIDERS__SEVI__TOKENS": json.dumps([TOKEN]),
            "XDG_DATA_HOME": str(self.folder / "secrets"),
            "PATH": f"{postgres.binaries()}:/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
        }

    def start(self, number: int = 0) -> RunningServer:
        """A server on one of the ledgers."""
        return RunningServer(self.folder, self.env(number))

    def run(self, number: int, *words: str, code: int = 0) -> subprocess.CompletedProcess[bytes]:
        """A command on one of the ledgers."""
        done = subprocess.run(
            [sys.executable, "-m", "adapters.cli", *words],
            cwd=self.folder,
            env=self.env(number),
            capture_output=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def back_up(self) -> tuple[Path, Path]:
        """The two files of a backup of the first ledger."""
        places = ("--events", str(self.folder / "events"), "--keys", str(self.folder / "keys"))
        events, keys = self.run(0, "db", "backup", *places).stdout.decode().split()
        return Path(events), Path(keys)

    def restore(self, events: Path, keys: Path) -> str:
        """Restore, after the secrets; those of a ledger in PostgreSQL stay where they are. What it
        warned of."""
        if self.is_file:
            self.files[1].parent.mkdir(mode=0o700, exist_ok=True)
            for secret in [
                *self.files[0].parent.glob("*-keys.*"),
                self.files[0].parent / "key-id-key",
            ]:
                shutil.copy(secret, self.files[1].parent)
        done = self.run(1, "db", "restore", str(events), str(keys))
        assert b"run order-ledger verify" in done.stdout
        return done.stderr.decode()


@pytest.fixture(params=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    """An empty shop."""
    if request.param == "sqlite":
        yield Shop(tmp_path, None)
        return
    server = request.getfixturevalue("postgres_server")
    with postgres.database(server) as old, postgres.database(server) as new:
        yield Shop(tmp_path, [old, new])


def body(order_id: str) -> bytes:
    return json.dumps(
        {"orderId": order_id, "orderPayment": "PAID", "customer": {"name": PERSON}}
    ).encode()


def deliver(server: RunningServer, content: bytes) -> dict[str, object]:
    headers = {"Authorization": TOKEN}
    answer = server.http.post("/webhooks/sevi", content=content, headers=headers)
    told: dict[str, object] = answer.raise_for_status().json()
    return told


def history(server: RunningServer, order_id: str, position: object) -> object:
    headers = {"Authorization": f"Bearer {API_TOKEN}"}
    path = f"/orders/{order_id}/history?min_position={position}"
    return server.http.get(path, headers=headers).raise_for_status().json()


def test_a_restored_ledger_is_the_one_that_was_backed_up_while_it_ran(shop: Shop) -> None:
    server = shop.start()
    first = deliver(server, body("1"))
    deliver(server, b"no JSON of Amina's")
    backup = shop.back_up()
    deliver(server, body("2"))
    before = history(server, "1", first["position"])
    server.stop()

    assert "4 events were signed, more than the backup holds" in shop.restore(*backup)
    server = shop.start(1)
    assert history(server, "1", first["position"]) == before
    assert deliver(server, body("1")) == first | {"outcome": "duplicate"}
    second = deliver(server, body("2"))
    assert (second["outcome"], second["position"]) == ("recorded", "0-4"), "what came later is not"
    server.stop()
    assert shop.run(1, "deliveries", "show", "1", "--raw").stdout == body("1")
    assert shop.run(1, "quarantine", "show", "2", "--raw").stdout == b"no JSON of Amina's"
    shop.run(1, "verify")
    actions = [
        o["action"] for o in json.loads(shop.run(1, "operators", "log", "--json").stdout)["items"]
    ]
    assert actions[-2:] == ["db restore", "db backup"]


def test_the_events_hold_no_key_and_nobody_but_the_owner_reads_either(shop: Shop) -> None:
    server = shop.start()
    deliver(server, body("1"))
    server.stop()
    events, keys = shop.back_up()
    assert [path.stat().st_mode & 0o777 for path in (events, keys)] == [0o600, 0o600]
    for path in (events, keys):
        assert PERSON.encode() not in path.read_bytes()
    assert [_rows(shop, path, "order_keys") for path in (events, keys)] == [0, 1]
    assert [_rows(shop, path, "stored_events") for path in (events, keys)] == [2, 0]
    assert [path.name for path in events.parent.iterdir()] == [events.name], "nothing is left over"


def _rows(shop: Shop, path: Path, table: str) -> int:
    if shop.is_file:
        with sqlite3.connect(path) as connection:
            there = connection.execute(f"SELECT 1 FROM sqlite_master WHERE name = '{table}'")
            if not there.fetchone():
                return 0
            (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        connection.close()
        return int(count)
    program = str(postgres.binaries() / "pg_restore")
    command = [program, f"--table={table}", "--data-only", "-f", "-", str(path)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    copied = [n for n, line in enumerate(lines) if line.startswith("COPY ")]
    return lines.index("\\.", copied[0]) - copied[0] - 1 if copied else 0


def test_who_was_erased_since_stays_so_where_the_keys_are_of_a_later_backup(shop: Shop) -> None:
    server = shop.start()
    for order_id in ("1", "2"):
        deliver(server, body(order_id))
    events, _ = shop.back_up()
    deliver(server, body("3"))
    deliver(server, NOBODYS)
    shop.run(0, "erase", "1", "--reason", "request 17", "--yes")
    server.stop()
    for path in (shop.folder / "events").iterdir():
        path.rename(path.with_name("first.events"))
    _, keys = shop.back_up()

    shop.restore(shop.folder / "events" / "first.events", keys)
    shop.run(1, "deliveries", "show", "1", "--raw", code=1)
    assert shop.run(1, "deliveries", "show", "2", "--raw").stdout == body("2")
    server = shop.start(1)
    assert deliver(server, body("4"))["position"] == "0-6", "an order in the place of the third"
    deliver(server, NOBODYS)
    server.stop()
    assert shop.run(1, "quarantine", "show", "4", "--raw").stdout == NOBODYS
    assert shop.run(1, "deliveries", "show", "3", "--raw").stdout == body("4")
    assert events.name


def test_nothing_is_restored_over_a_ledger_or_from_what_is_no_backup(shop: Shop) -> None:
    server = shop.start()
    deliver(server, body("1"))
    server.stop()
    events, keys = shop.back_up()
    refused = shop.run(0, "db", "restore", str(events), str(keys), code=1)
    assert b"a ledger is or was here" in refused.stderr or b"there is a ledger" in refused.stderr
    (shop.folder / "wrong").write_bytes(b"no backup")
    refused = shop.run(1, "db", "restore", str(events), "wrong", code=1)
    assert b"wrong is no backup of a ledger in" in refused.stderr
    refused = shop.run(1, "db", "restore", str(keys), str(events), code=1)
    assert f"{keys} is a file of keys, and one of events is wanted".encode() in refused.stderr
    refused = shop.run(1, "db", "restore", str(events), str(events), code=1)
    assert b"is a file of events, and one of keys is wanted" in refused.stderr
    same = str(shop.folder)
    shop.run(0, "db", "backup", "--events", same, "--keys", same, code=2)


def test_the_newest_keys_open_older_events_after_the_master_key_was_rotated(shop: Shop) -> None:
    server = shop.start()
    deliver(server, body("1"))
    server.stop()
    for path in shop.back_up():
        path.rename(shop.folder / f"first{path.suffix}")
    shop.run(0, "keys", "rotate-master")
    _, keys = shop.back_up()

    shop.restore(shop.folder / "first.events", keys)
    assert shop.run(1, "deliveries", "show", "1", "--raw").stdout == body("1")
    server = shop.start(1)
    assert deliver(server, body("1"))["outcome"] == "duplicate"
    assert deliver(server, body("2"))["outcome"] == "recorded"
    server.stop()
    shop.run(1, "keys", "rotate-master")
    shop.run(1, "verify")


def test_who_is_erased_in_the_events_stays_so_with_older_keys(shop: Shop) -> None:
    server = shop.start()
    for order_id in ("1", "2"):
        deliver(server, body(order_id))
    deliver(server, b'{"orderId": "1", ' + NOBODYS)
    deliver(server, b'{"orderId": "2", ' + NOBODYS)
    deliver(server, b'{"about": "1", ' + NOBODYS)
    _, keys = shop.back_up()
    keys = keys.rename(shop.folder / "first.keys")
    shop.run(0, "erase", "1", "--reason", "request 17", "--yes")
    told = shop.run(0, "quarantine", "erase", "5", "--reason", "request 17", "--yes")
    assert (told.stdout, told.stderr) == (b"5 is erased: nobody can read it any more\n", b"")
    server.stop()
    events, _ = shop.back_up()

    shop.restore(events, keys)
    for gone in ("1", "3", "5"):
        shop.run(1, "deliveries", "show", gone, "--raw", code=1)
    assert shop.run(1, "deliveries", "show", "2", "--raw").stdout == body("2")
    assert shop.run(1, "deliveries", "show", "4", "--raw").stdout.endswith(NOBODYS)
    shop.start(1).stop()  # which makes the tree again
    shop.run(1, "verify")


def test_no_journal_of_the_events_ever_holds_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "ledger.db"
    with closing(sqlite3.connect(source)) as connection:
        for name in (*backups.ALL_TABLES, "stored_events", "kept_refusals"):
            connection.execute(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, wrapped BLOB)")
        connection.execute("CREATE TABLE effects (id INTEGER PRIMARY KEY, excerpt TEXT)")
        connection.execute("INSERT INTO order_keys VALUES (1, randomblob(60))")
        connection.commit()
    seen: list[str] = []
    unguarded = backups._unguarded

    @contextmanager
    def watched(copy: sqlite3.Connection, table: str) -> Iterator[None]:
        with unguarded(copy, table):
            yield
            seen.extend(path.name for path in (tmp_path / "events").iterdir())

    monkeypatch.setattr(backups, "_unguarded", watched)
    wanted = backups.Backup(tmp_path / "events" / "e", tmp_path / "keys" / "k")
    backups.back_up(f"sqlite:///{source}", wanted)
    assert seen
    assert [name for name in seen if "-journal" in name] == []


def test_a_restore_that_breaks_off_leaves_nothing_and_is_simply_run_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = shop.start()
    deliver(server, body("1"))
    server.stop()
    events, keys = shop.back_up()
    broken = shop.folder / "broken.keys"
    broken.write_bytes(keys.read_bytes()[:-600])
    shop.run(1, "db", "restore", str(events), str(broken), code=1)

    for name, value in shop.env(1).items():
        monkeypatch.setenv(name, value)
    run = backups._run

    def killed(command: list[str], *more: Any, **named: Any) -> None:
        if str(keys) in command and "--list" not in command:
            raise KeyboardInterrupt
        run(command, *more, **named)

    if not shop.is_file:
        monkeypatch.setattr(backups, "_run", killed)
        with pytest.raises(KeyboardInterrupt):
            backups.restore(shop.urls[1], backups.Backup(events, keys))

    shop.restore(events, keys)
    assert shop.run(1, "deliveries", "show", "1", "--raw").stdout == body("1")


def test_the_events_alone_are_never_made_a_ledger(shop: Shop) -> None:
    """Another hash key would take everything that providers send again for new."""
    server = shop.start()
    deliver(server, body("1"))
    server.stop()
    events, _ = shop.back_up()
    if shop.is_file:
        shop.files[1].parent.mkdir(mode=0o700)
        shutil.copy(events, shop.files[1])
    else:
        program = str(postgres.binaries() / "pg_restore")
        command = [program, "--no-owner", f"--dbname={shop.urls[1]}", str(events)]
        subprocess.run(command, check=True)
    refused = shop.run(1, "serve", "--port", "0", code=2)
    assert b"order-ledger db restore EVENTS KEYS" in refused.stderr
    shop.run(1, "keys", "rotate-master", code=1)
    assert not [*shop.folder.glob("new/*master*")]


def test_a_restore_says_that_the_master_key_is_to_be_put_back(shop: Shop) -> None:
    server = shop.start()
    deliver(server, body("1"))
    server.stop()
    events, keys = shop.back_up()
    for secret in (shop.folder / "secrets").rglob("master-keys.txt"):
        secret.unlink()
    told = shop.run(1, "db", "restore", str(events), str(keys))
    assert b"it does not start yet" in told.stderr
    assert b"put it back there" in told.stderr


def test_an_old_program_is_told_in_a_line_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "pg_dump: error: aborting because of server version mismatch\npg_dump: detail: 17; 15\n"
    program = tmp_path / "pg_dump"
    program.write_text(f"#!/bin/sh\nprintf '{said}' >&2\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(backups.BackupFailed) as failed, (tmp_path / "out").open("wb") as out:
        backups._run([str(program)], {}, out)
    assert "\n" not in str(failed.value)
    assert "first in PATH" in str(failed.value)
