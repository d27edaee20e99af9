"""What a provider is told when something of ours fails: never that its news was taken."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from adapters.http import webhooks
from adapters.ledger import group_commit
from adapters.ledger.group_commit import Limits
from adapters.providers import Request
from adapters.providers.sevi import Sevi
from adapters.storage.log import LogEntry, StorageUnavailable, VersionConflict
from domain.payment import Outcome
from tests.adapters.http.local import LocalService, problem
from tests.adapters.providers.sevi_bodies import bare

WAIT_SECONDS = 10


@contextmanager
def append_raises(local: LocalService, error: Exception) -> Iterator[None]:
    """For a while, whatever is appended fails before anything is written."""

    def append(entries: Sequence[LogEntry], master: int | None) -> None:
        raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local.service.ledger.event_log, "append", append)
        yield


class Gate:
    """Holds the writer up before each append until it is opened."""

    def __init__(self, local: LocalService, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self._open = Event(), Event()
        log = local.service.ledger.event_log
        append = log.append

        def held(entries: Sequence[LogEntry], master: int | None) -> Any:
            self.reached.set()
            assert self._open.wait(WAIT_SECONDS)
            return append(entries, master)

        monkeypatch.setattr(log, "append", held)

    def open(self) -> None:
        self._open.set()


# ----------------------------------------------------------------------------------- the storage


@pytest.mark.parametrize("error", [StorageUnavailable("disk full"), VersionConflict("raced")])
def test_where_nothing_can_be_stored_it_is_503_and_the_sender_comes_again(
    local: LocalService, error: Exception
) -> None:
    with append_raises(local, error):
        response = local.deliver(bare("1"))
        problem(response, 503)
        assert int(response.headers["retry-after"]) >= 1
        assert "disk" not in response.text
    assert local.service.ledger.event_log.head() is None
    assert local.deliveries == []
    assert local.deliver(bare("1")).json()["outcome"] == "recorded"


@pytest.mark.parametrize("body", [b"unreadable", bare()])
def test_what_is_quarantined_needs_the_storage_too(local: LocalService, body: bytes) -> None:
    with append_raises(local, StorageUnavailable("gone")):
        problem(local.deliver(body), 503)
    assert local.deliveries == []


def test_where_the_orders_cannot_be_read_it_is_503_as_well(
    local: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(streams: object) -> None:
        raise StorageUnavailable("locked")

    with monkeypatch.context() as patch:
        patch.setattr(local.service.ledger.event_log, "load", load)
        problem(local.deliver(bare()), 503)
    assert local.deliveries == []


def test_an_error_that_nobody_expected_is_a_problem_and_takes_nothing(local: LocalService) -> None:
    with append_raises(local, RuntimeError("a defect")):
        response = local.deliver(bare("1"))
    assert response.status_code >= 500
    assert "defect" not in response.text
    problem(response, response.status_code)
    assert local.deliveries == []
    assert local.deliver(bare("1")).json()["outcome"] == "recorded"


# ------------------------------------------------------------------------------------- the queue


def test_a_full_queue_is_503_at_once_and_what_was_taken_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "Limits", lambda: Limits(queue_count_max=1))
    with LocalService(tmp_path) as small:
        gate = Gate(small, monkeypatch)

        async def overload() -> list[Any]:
            committing = asyncio.create_task(small.post(bare("committing")))
            assert await asyncio.to_thread(gate.reached.wait, WAIT_SECONDS)
            rest = {asyncio.create_task(small.post(bare(f"{n}"))) for n in range(5)}
            refused: list[Any] = []
            while len(refused) < 4:
                done, rest = await asyncio.wait(rest, return_when=asyncio.FIRST_COMPLETED)
                refused += [task.result() for task in done]
            gate.open()
            return [refused, await committing, *[await task for task in rest]]

        refused, *taken = small.run(overload())
        for response in refused:
            problem(response, 503)
            assert int(response.headers["retry-after"]) >= 1
        assert [response.json()["outcome"] for response in taken] == ["recorded"] * 2
        assert len(small.deliveries) == 2


def test_a_client_that_hangs_up_while_its_delivery_commits_has_delivered(
    local: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(local, monkeypatch)

    async def hang_up() -> None:
        leaving = asyncio.create_task(local.post(bare("1")))
        assert await asyncio.to_thread(gate.reached.wait, WAIT_SECONDS)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        gate.open()

    local.run(hang_up())
    assert local.deliver(bare("1")).json()["outcome"] == "duplicate"


# ------------------------------------------------------------------------------- a defect of ours


def test_an_adapter_that_fails_quarantines_the_body_that_it_failed_on(
    local: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    translate = Sevi.translate

    def fails_on_one(self: Sevi, request: Request, *args: Any) -> Any:
        if b"unlucky" in request.body:
            raise LookupError(f"in {request.body!r}")
        return translate(self, request, *args)

    monkeypatch.setattr(Sevi, "translate", fails_on_one)

    async def together() -> list[Any]:
        ids = ("a", "unlucky", "b")
        return list(await asyncio.gather(*(local.post(bare(order_id)) for order_id in ids)))

    first, unlucky, last = [response.json() for response in local.run(together())]
    assert (first["outcome"], last["outcome"]) == ("recorded", "recorded")
    assert unlucky["outcome"] == "quarantined"
    row = next(row for row in local.deliveries if row.outcome is Outcome.QUARANTINED)
    assert row.reason == "the adapter failed: LookupError"
    assert local.kept_body(row) == bare("unlucky")


def test_one_delivery_that_cannot_be_written_does_not_fail_its_neighbours(
    local: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = local.service.ledger.event_log
    append = log.append

    def fails_on_one(entries: Sequence[LogEntry], master: int | None) -> Any:
        if any(entry.stream == "default/unlucky" for entry in entries):
            raise RuntimeError("this one cannot be written")
        return append(entries, master)

    monkeypatch.setattr(log, "append", fails_on_one)

    async def together() -> list[Any]:
        ids = ("a", "unlucky", "b")
        return list(await asyncio.gather(*(local.post(bare(order_id)) for order_id in ids)))

    first, unlucky, last = local.run(together())
    assert (first.json()["outcome"], last.json()["outcome"]) == ("recorded", "recorded")
    assert unlucky.status_code >= 500
    assert sorted(row.stream or "" for row in local.deliveries) == ["default/a", "default/b"]


def test_while_the_read_models_cannot_be_read_deliveries_are_taken_and_queries_are_503(
    local: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unusable(*_: object, **__: object) -> None:
        raise StorageUnavailable("views are gone")

    monkeypatch.setattr(local.service.views, "read", unusable)
    assert local.deliver(bare("1")).json()["outcome"] == "recorded"
    for path in ("/orders", "/orders/1", "/orders/1/history", "/payments"):
        response = local.get(path)
        assert "views" not in problem(response, 503)
        assert "retry-after" in response.headers


def test_a_service_that_has_stopped_takes_no_more(local: LocalService) -> None:
    local.tell("1", "PENDING")
    queue = local.app.webhook_endpoint._queue  # type: ignore[attr-defined]
    local.run(queue.close())
    response = local.deliver(bare("2"))
    problem(response, 503)
    assert len(local.deliveries) == 1


def test_a_body_that_does_not_come_to_its_end_is_408(
    local: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "BODY_SECONDS", 0.05)

    async def slow() -> AsyncIterator[bytes]:
        yield b'{"orderId":'
        await asyncio.sleep(5)
        yield b'"1"}'

    assert local.run(local.post(slow())).status_code == 408
    assert local.deliveries == []
