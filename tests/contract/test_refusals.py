"""The contract of the rings of what was refused, on both databases."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.storage import postgres_schema, refusals
from adapters.storage.postgres import Database
from adapters.storage.postgres_access import PostgresAccess
from adapters.storage.postgres_vault import PostgresVault
from adapters.storage.refusals import KeptRefusal, RefusalRow, Refusals
from adapters.storage.sqlite import Datastore
from adapters.storage.sqlite_access import SQLiteAccess
from adapters.storage.sqlite_log import SQLiteLog
from adapters.storage.sqlite_vault import SQLiteVault
from adapters.vault.vault import Vault
from tests.contract.logs import DATABASES, START
from tests.vaults import SOURCE

ROW = RefusalRow(START, "till", "wrong_signature", "another secret", "192.0.2.7", 120, 3)
SIGNATURE = [(b"x-signature", b"\xff00"), (b"content-type", b"application/json")]


def kept(body: bytes, provider: str = "till") -> KeptRefusal:
    return KeptRefusal(START, provider, "too_old", None, SIGNATURE, body)


@pytest.fixture(params=DATABASES)
def rings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Refusals]:
    if request.param == "sqlite":
        datastore = Datastore(str(tmp_path / "ledger.db"), "FULL")
        SQLiteLog(datastore).create_table()
        file = SQLiteAccess(datastore)
        file.create()
        file.create()  # opening it again changes nothing
        yield Refusals(file, Vault(SQLiteVault(datastore), SOURCE))
        datastore.close()
    else:
        url = request.getfixturevalue("postgres_url")
        postgres_schema.init(url)
        database = Database(url)
        yield Refusals(PostgresAccess(database), Vault(PostgresVault(database), SOURCE))
        database.close()


def test_rows_come_back_newest_first_and_page_by_page(rings: Refusals) -> None:
    later = replace(ROW, at=START + timedelta(seconds=1), address=None, body_bytes=None, count=1)
    rings.add([ROW, later])
    rings.add([replace(ROW, provider="sevi")])
    sevi, second, first = rings.page(None, 10)
    assert (first, second) == (replace(ROW, id=1), replace(later, id=2))
    assert (sevi.provider, sevi.id) == ("sevi", 3)
    assert rings.page(3, 1) == [second]
    assert rings.page(None, 10, ["till"]) == [second, first]
    assert rings.page(None, 10, []) == []


def test_a_ring_holds_no_more_than_its_rows_and_the_newest_ones(
    rings: Refusals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "RING_ROWS", 10)
    monkeypatch.setattr(refusals, "KEPT_ROWS", 4)
    rings.add([ROW] * 7, [kept(b"%d" % n) for n in range(6)])
    rings.add([ROW] * 16)
    assert [row.id for row in rings.page(None, 100)] == list(range(23, 13, -1))
    assert [one.body for one in rings.kept()] == [b"2", b"3", b"4", b"5"]


def test_what_is_kept_comes_back_as_it_came_until_it_is_let_go(rings: Refusals) -> None:
    rings.add([], [kept(b"\x00\xff"), kept(b"second")])
    first, second = rings.kept()
    assert first == replace(kept(b"\x00\xff"), id=1)
    assert rings.one_kept(2) == second
    rings.let_go(2)
    assert rings.kept() == [first]
    assert rings.one_kept(2) is None
    rings.add([], [kept(b"third")])
    assert [one.id for one in rings.kept()] == [1, 3], "a number is never used twice"


def test_the_same_body_of_a_provider_is_kept_once(rings: Refusals) -> None:
    rings.add([], [kept(b"same"), kept(b"same")])
    rings.add([], [kept(b"same"), kept(b"same", "other")])
    assert [(one.id, one.provider) for one in rings.kept()] == [(1, "till"), (2, "other")]
