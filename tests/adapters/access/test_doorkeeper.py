"""Whose token it is, how soon a revocation is seen, and what a stranger costs."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest

from adapters.access import doorkeeper
from adapters.access.doorkeeper import Doorkeeper
from adapters.access.roles import CONFIGURED, Caller, Role
from adapters.secrets import Tokens, new_api_token, token_sha256
from adapters.storage.access import Operation, OperatorLog, TokenRow, TokenStore
from adapters.storage.log import StorageUnavailable
from adapters.storage.sqlite import Datastore
from adapters.storage.sqlite_access import SQLiteAccess
from tests.contract.logs import START, FakeClock

OPERATION = Operation("user alice", "command line", "tokens", "books")
SECRET = new_api_token()
BOOKS = TokenRow(
    "books",
    frozenset({Role.AUDITOR}),
    "uganda",
    token_sha256(SECRET.encode()),
    START,
    START + timedelta(hours=1),
)


class CountingStore(TokenStore):
    """A store that counts how often it is asked, and may be out of order."""

    reads = writes = 0
    broken = False

    def live(self) -> list[TokenRow]:
        self.reads += 1
        if self.broken:
            raise StorageUnavailable("the disk is gone")
        return super().live()

    def note_use(self, name: str) -> None:
        if self.broken:
            raise StorageUnavailable("the disk is gone")
        self.writes += 1
        super().note_use(name)


class Door:
    """A doorkeeper, its store, and the clocks of both."""

    def __init__(self, tables: SQLiteAccess) -> None:
        self.clock = FakeClock()
        self.store = CountingStore(tables, OperatorLog(tables, self.clock), self.clock)
        self.seconds = 100.0
        self.loop = asyncio.Runner()
        self.keeper = Doorkeeper(Tokens(["configured"]), self.store, lambda: self.seconds)

    def admit(self, *tokens: str) -> list[Caller | None]:
        async def ask() -> list[Caller | None]:
            asked = (self.keeper.admit(token.encode(), "192.0.2.1") for token in tokens)
            return await asyncio.gather(*asked)

        return self.loop.run(ask())

    def wait(self, seconds: float) -> None:
        self.seconds += seconds
        self.clock.advance(seconds=seconds)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    datastore = Datastore(str(tmp_path / "ledger.db"), "FULL")
    tables = SQLiteAccess(datastore)
    tables.create()
    door = Door(tables)
    yield door
    door.loop.close()
    datastore.close()


def test_a_configured_token_may_do_everything_and_asks_no_database(door: Door) -> None:
    door.store.broken = True
    assert door.admit("configured") == [replace(CONFIGURED, origin="192.0.2.1")]
    assert CONFIGURED.roles == set(Role)
    assert CONFIGURED.store is None


def test_a_made_token_may_do_what_it_was_made_for(door: Door) -> None:
    door.store.create(BOOKS, OPERATION)
    caller = Caller("token books", "192.0.2.1", frozenset({Role.AUDITOR}), "uganda")
    assert door.admit(SECRET) == [caller]


@pytest.mark.parametrize(
    "other",
    [SECRET[:-1], SECRET + "x", SECRET.lower(), "", "olt_", "x"],
    ids=["shorter", "longer", "in lower case", "none", "the prefix", "something else"],
)
def test_any_other_is_a_strangers(door: Door, other: str) -> None:
    door.store.create(BOOKS, OPERATION)
    assert door.admit(other) == [None]
    assert door.admit(BOOKS.sha256) == [None], "what is kept opens nothing"


def test_a_token_made_elsewhere_opens_within_a_second(door: Door) -> None:
    assert door.admit(SECRET) == [None]
    door.store.create(BOOKS, OPERATION)
    door.wait(1)
    assert door.admit(SECRET) != [None]


def test_one_revoked_elsewhere_is_closed_within_a_second(door: Door) -> None:
    door.store.create(BOOKS, OPERATION)
    assert door.admit(SECRET) != [None]
    door.store.revoke("books", OPERATION)
    door.wait(1)
    assert door.admit(SECRET) == [None]


def test_an_expired_one_as_well(door: Door) -> None:
    door.store.create(BOOKS, OPERATION)
    door.wait(3599)
    assert door.admit(SECRET) != [None]
    door.wait(1)
    assert door.admit(SECRET) == [None]


def test_requests_of_the_same_second_share_one_read(door: Door) -> None:
    door.store.create(BOOKS, OPERATION)
    door.admit(*[SECRET] * 10, *(new_api_token() for _ in range(100)))
    door.wait(0.9)
    door.admit(*[SECRET] * 10, *(new_api_token() for _ in range(100)))
    assert door.store.reads == 1
    door.wait(0.1)
    door.admit(*[SECRET] * 10)
    assert door.store.reads == 2


def test_where_the_tokens_cannot_be_read_nobody_is_let_in_on_an_old_copy(door: Door) -> None:
    door.store.create(BOOKS, OPERATION)
    assert door.admit(SECRET) != [None]
    door.store.broken = True
    door.wait(1)
    for _ in range(3):
        with pytest.raises(StorageUnavailable):
            door.admit(SECRET)
    assert door.store.reads == 2, "a database that is down is not asked at every request"
    door.store.broken = False
    door.wait(1)
    assert door.admit(SECRET) != [None]


def test_requests_that_wait_for_a_slow_read_share_it(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    door.store.create(BOOKS, OPERATION)

    asked = Event()

    def slow() -> list[TokenRow]:
        asked.wait(10)
        door.seconds += 5
        return CountingStore.live(door.store)

    monkeypatch.setattr(door.store, "live", slow)

    async def ask() -> list[Caller | None]:
        asking = [asyncio.create_task(door.keeper.admit(SECRET.encode(), "")) for _ in range(10)]
        await asyncio.sleep(0)  # all are asking now
        asked.set()
        return await asyncio.gather(*asking)

    assert None not in door.loop.run(ask())
    assert door.store.reads == 1


def test_a_use_is_written_once_a_minute(door: Door) -> None:
    door.store.create(BOOKS, OPERATION)
    for _ in range(7):
        door.admit(SECRET)
        door.wait(20)
    assert door.store.writes == 3
    assert door.store.all()[0].last_used_at == START + timedelta(seconds=120)


def test_a_use_that_cannot_be_written_keeps_nobody_from_reading(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    door.store.create(BOOKS, OPERATION)
    monkeypatch.setattr(doorkeeper, "FRESH_SECONDS", 1e9)
    door.admit(new_api_token())  # the copy is read
    door.store.broken = True
    assert door.admit(SECRET) != [None]


def test_made_tokens_are_long_random_and_known_to_scanners() -> None:
    made = {new_api_token() for _ in range(100)}
    assert len(made) == 100
    assert all(token.startswith("olt_") and len(token) == 47 for token in made)


def test_a_watcher_is_known_while_the_tokens_cannot_be_read(door: Door) -> None:
    lasting, unseen = (new_api_token() for _ in range(2))
    row = replace(BOOKS, name="prometheus", sha256=token_sha256(lasting.encode()), expires_at=None)
    door.store.create(row, OPERATION)
    door.store.create(BOOKS, OPERATION)  # by the clock on the wall it has expired since

    def watch(token: str) -> Caller | None:
        return door.loop.run(door.keeper.admit_watcher(token.encode(), "192.0.2.1"))

    assert watch(lasting) is not None
    door.store.broken = True
    door.wait(2)
    caller = watch(lasting)
    assert caller is not None
    assert (caller.who, caller.roles) == ("token prometheus", BOOKS.roles)
    for token in (SECRET, unseen):
        with pytest.raises(StorageUnavailable):
            watch(token)
    with pytest.raises(StorageUnavailable):
        door.admit(lasting)
