"""The events of a backup, kept for ever, give nobody back once the old files of keys are gone."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.backups import Backup, back_up, restore
from adapters.effects.state import State
from adapters.service import Service
from adapters.storage.effects import Attempt, NewEffect
from adapters.storage.refusals import KeptRefusal
from adapters.vault.rotating import Rotation
from tests import postgres
from tests.contract.test_erasure import PERSON, body, erase, readable, tell

SAID = f"no customer {PERSON}"


@pytest.fixture
def place(
    url: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Where a ledger is restored to."""
    if url.startswith("sqlite"):
        yield f"sqlite:///{tmp_path / 'restored' / 'ledger.db'}"
        return
    monkeypatch.setenv("PATH", f"{postgres.binaries()}:/usr/bin:/bin")
    with postgres.database(request.getfixturevalue("postgres_server")) as empty:
        yield empty


@contextmanager
def restored(service: Service, place: str, backup: Backup) -> Iterator[Service]:
    restore(place, backup)
    again = Service(service.settings.model_copy(update={"database_url": place}))
    try:
        yield again
    finally:
        again.close()


def answer(service: Service) -> None:
    """Have a target refuse an order by the person's name."""
    service.effects.register("shop", 0)
    told = NewEffect("e1", "default", "100017", 2, 2, "Delivered")
    assert service.effects.enqueue("shop", 0, 1, [told])
    row = service.effects.get("e1")
    assert row is not None
    refused = Attempt(State.DEAD, datetime.now(UTC), "HTTP 400", SAID, None, 1, None)
    assert service.effects.settle(row, refused)
    effects = service.effects.tables
    with effects.transaction(commit=False) as c:
        c.execute(f"SELECT excerpt FROM {effects.effects}")
        assert PERSON not in c.fetchone()[0], "it is sealed where it is stored"


def excerpt(service: Service) -> str | None:
    row = service.effects.get("e1")
    assert row is not None
    return row.excerpt


def test_old_events_give_nobody_back_with_the_newest_keys(
    service: Service, tmp_path: Path, place: str
) -> None:
    tell(service, body("100017"), b'{"orderId": "100017", ' + PERSON.encode())
    answer(service)
    kept = KeptRefusal(datetime.now(UTC), "sevi", "wrong_secret", None, [], body("100017"))
    service.refusals.add([], [kept])
    assert (excerpt(service), len(service.refusals.kept())) == (SAID, 1)
    url = service.settings.database_url
    old = Backup(tmp_path / "old.events", tmp_path / "old.keys")
    back_up(url, old)
    for file in old:
        assert PERSON.encode() not in file.read_bytes()
    erase(service)
    Rotation(service.vault).run()
    new = Backup(tmp_path / "new.events", tmp_path / "new.keys")
    back_up(url, new)
    old.keys.unlink()

    with restored(service, place, Backup(old.events, new.keys)) as again:
        assert readable(again) == {}
        assert again.refusals.kept() == []
        assert excerpt(again) is None


def test_who_was_not_erased_is_back_with_what_a_target_answered(
    service: Service, tmp_path: Path, place: str
) -> None:
    tell(service, body("100017"))
    answer(service)
    backup = Backup(tmp_path / "a.events", tmp_path / "a.keys")
    back_up(service.settings.database_url, backup)
    with restored(service, place, backup) as again:
        assert readable(again) == {1: body("100017")}
        assert excerpt(again) == SAID


def test_what_an_earlier_release_kept_in_clear_is_in_no_backup(
    service: Service, tmp_path: Path, place: str
) -> None:
    tell(service, body("100017"))
    answer(service)
    effects = service.effects.tables
    with effects.transaction(commit=True) as c:
        c.execute(f"UPDATE {effects.effects} SET excerpt = ?", (SAID,))
    assert excerpt(service) == SAID
    backup = Backup(tmp_path / "a.events", tmp_path / "a.keys")
    back_up(service.settings.database_url, backup)
    with restored(service, place, backup) as again:
        assert excerpt(again) is None
    if place.startswith("sqlite"):  # in PostgreSQL a migration has let go of it
        assert PERSON.encode() not in backup.events.read_bytes()
