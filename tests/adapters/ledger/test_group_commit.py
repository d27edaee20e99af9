"""Group commit: what arrives while a batch commits shares the next one, and each gets its own."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from threading import Event, current_thread, main_thread

import pytest

from adapters.ledger import group_commit
from adapters.ledger.application import Command, Delivery, Receipt
from adapters.ledger.group_commit import GroupCommit, Limits, Overloaded
from adapters.storage.log import StorageUnavailable
from domain.log import Position
from domain.payment import Outcome
from tests.notices import NOON

WAIT_SECONDS = 10
Test = Callable[[], Awaitable[None]]


def delivery(number: int, size: int = 10) -> Delivery:
    """A delivery that carries its number, with a body of a size."""
    return Delivery("sevi", NOON, b"x" * size, str(number))


class Writer:
    """A commit that notes its batches, fails as told, and waits at each until it is let on."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.committed: list[int] = []
        self.fails: dict[int, Exception] = {}
        self.reached, self.go_on = Event(), Event()
        self.go_on.set()

    def __call__(self, commands: Sequence[Command]) -> list[Receipt]:
        assert current_thread() is not main_thread()
        numbers = [int(c.body_hash) for c in commands if isinstance(c, Delivery)]
        self.batches.append(numbers)
        self.reached.set()
        assert self.go_on.wait(WAIT_SECONDS)
        for number in numbers:
            if number in self.fails:
                raise self.fails[number]
        self.committed += numbers
        return [Receipt(Outcome.RECORDED, None, Position(0, number)) for number in numbers]

    async def at_first_batch(self) -> None:
        assert await asyncio.to_thread(self.reached.wait, WAIT_SECONDS)


@pytest.fixture
def writer() -> Iterator[Writer]:
    writing = Writer()
    yield writing
    writing.go_on.set()


def number_of(receipt: Receipt) -> int:
    assert receipt.position is not None
    return receipt.position.index


async def submit_all(
    queue: GroupCommit, numbers: range, size: int = 10
) -> list[asyncio.Task[Receipt]]:
    """Submit in order, and come back when each stands in the queue."""
    tasks = [asyncio.create_task(queue.submit(delivery(n, size))) for n in numbers]
    await asyncio.sleep(0)
    return tasks


async def held_with_waiting(
    queue: GroupCommit, writer: Writer, waiting: range, size: int = 10
) -> list[asyncio.Task[Receipt]]:
    """Delivery 0 is being committed, and others wait behind it."""
    writer.go_on.clear()
    first = await submit_all(queue, range(1), size)
    await writer.at_first_batch()
    return first + await submit_all(queue, waiting, size)


def test_what_arrives_in_one_turn_of_the_loop_is_one_batch(writer: Writer) -> None:
    async def scenario() -> None:
        queue = GroupCommit(writer)
        receipts = await asyncio.gather(*await submit_all(queue, range(1, 21)))
        assert [number_of(receipt) for receipt in receipts] == list(range(1, 21))
        await queue.close()

    asyncio.run(scenario())
    assert writer.batches == [list(range(1, 21))]


def test_what_arrives_while_a_batch_commits_is_the_next_batch_in_order(writer: Writer) -> None:
    async def scenario() -> None:
        queue = GroupCommit(writer)
        tasks = await held_with_waiting(queue, writer, range(1, 8))
        writer.go_on.set()
        assert [number_of(r) for r in await asyncio.gather(*tasks)] == list(range(8))
        await queue.close()

    asyncio.run(scenario())
    assert writer.batches == [[0], [1, 2, 3, 4, 5, 6, 7]]


def test_a_batch_is_bounded_by_its_count(writer: Writer) -> None:
    async def scenario() -> None:
        queue = GroupCommit(writer, Limits(batch_count_max=3))
        await asyncio.gather(*await submit_all(queue, range(1, 9)))
        await queue.close()

    asyncio.run(scenario())
    assert writer.batches == [[1, 2, 3], [4, 5, 6], [7, 8]]


def test_a_batch_is_bounded_by_its_bytes_but_never_empty(writer: Writer) -> None:
    async def scenario() -> None:
        queue = GroupCommit(writer, Limits(batch_bytes_max=100))
        sizes = [40, 60, 1, 99, 500, 100, 1]
        tasks = [asyncio.create_task(queue.submit(delivery(n, s))) for n, s in enumerate(sizes)]
        await asyncio.gather(*tasks)
        await queue.close()

    asyncio.run(scenario())
    assert writer.batches == [[0, 1], [2, 3], [4], [5], [6]]


def test_a_queue_that_is_full_by_count_refuses_at_once_and_later_takes_again(
    writer: Writer,
) -> None:
    async def scenario() -> None:
        queue = GroupCommit(writer, Limits(queue_count_max=2))
        tasks = await held_with_waiting(queue, writer, range(1, 3))
        with pytest.raises(Overloaded):
            await queue.submit(delivery(3))
        writer.go_on.set()
        await asyncio.gather(*tasks)
        assert number_of(await queue.submit(delivery(4))) == 4
        await queue.close()

    asyncio.run(scenario())
    assert writer.committed == [0, 1, 2, 4]


def test_a_queue_that_is_full_by_bytes_refuses_what_does_not_fit(writer: Writer) -> None:
    async def scenario() -> None:
        queue = GroupCommit(writer, Limits(queue_bytes_max=100))
        tasks = await held_with_waiting(queue, writer, range(1, 3), size=40)
        with pytest.raises(Overloaded):
            await queue.submit(delivery(3, 21))
        tasks += await submit_all(queue, range(4, 5), size=20)
        writer.go_on.set()
        await asyncio.gather(*tasks)
        assert number_of(await queue.submit(delivery(5, 100))) == 5, "the bytes are free again"
        await queue.close()

    asyncio.run(scenario())
    assert writer.committed == [0, 1, 2, 4, 5]


def test_one_that_fails_does_not_fail_its_neighbours(writer: Writer) -> None:
    writer.fails = {2: ValueError("two")}

    async def scenario() -> None:
        queue = GroupCommit(writer)
        tasks = await submit_all(queue, range(1, 4))
        one, two, three = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(one, Receipt)
        assert isinstance(three, Receipt)
        assert two is writer.fails[2]
        await queue.close()

    asyncio.run(scenario())
    assert writer.committed == [1, 3]
    assert writer.batches == [[1, 2, 3], [1], [2], [3]]


def test_storage_that_is_down_fails_the_batch_without_trying_each(writer: Writer) -> None:
    writer.fails = {2: StorageUnavailable("down")}

    async def scenario() -> None:
        queue = GroupCommit(writer)
        results = await asyncio.gather(
            *await submit_all(queue, range(1, 4)), return_exceptions=True
        )
        assert all(isinstance(result, StorageUnavailable) for result in results)
        writer.fails = {}
        assert number_of(await queue.submit(delivery(5))) == 5, "the queue goes on"
        await queue.close()

    asyncio.run(scenario())
    assert writer.batches == [[1, 2, 3], [5]]


def test_what_waits_behind_a_batch_that_storage_failed_is_answered_with_it(writer: Writer) -> None:
    """To wait for a dead database once more for each batch would outlast every sender."""
    writer.fails = {0: StorageUnavailable("down")}

    async def scenario() -> None:
        queue = GroupCommit(writer)
        tasks = await held_with_waiting(queue, writer, range(1, 4))
        writer.go_on.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [StorageUnavailable] * 4
        assert queue.depth == 0
        assert number_of(await queue.submit(delivery(5))) == 5, "the queue goes on"
        await queue.close()

    asyncio.run(scenario())
    assert writer.batches == [[0], [5]]


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_a_waiting_client_that_goes_away_changes_nothing_for_anyone(
    writer: Writer, gone: int
) -> None:
    async def scenario() -> None:
        queue = GroupCommit(writer)
        tasks = await held_with_waiting(queue, writer, range(1, 4))
        tasks[gone].cancel()
        writer.go_on.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(results.pop(gone), asyncio.CancelledError)
        assert all(isinstance(result, Receipt) for result in results)
        await queue.close()

    asyncio.run(scenario())
    assert writer.committed == [0, 1, 2, 3], "what was taken is committed all the same"


def test_closing_commits_what_was_taken_and_takes_no_more(writer: Writer) -> None:
    async def scenario() -> None:
        queue = GroupCommit(writer, Limits(batch_count_max=2))
        tasks = await held_with_waiting(queue, writer, range(1, 6))
        closing = asyncio.create_task(queue.close())
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await queue.submit(delivery(9))
        assert not closing.done()
        writer.go_on.set()
        await closing
        assert [number_of(task.result()) for task in tasks] == list(range(6))

    asyncio.run(scenario())
    assert writer.committed == list(range(6))


def test_the_event_loop_lets_the_writer_go_ahead_until_it_waits_for_the_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It would wait for as long as it is here allowed to, if nobody told it to go on."""
    monkeypatch.setattr(group_commit, "TURN_SECONDS", 3600)
    told: list[str] = []
    loop_goes_on = Event()

    def commit(commands: Sequence[Command]) -> list[Receipt]:
        told.append("the writer decides")
        queue.writer_waits()
        assert loop_goes_on.wait(WAIT_SECONDS)
        told.append("it is on disk")
        return [Receipt(Outcome.RECORDED, None, None) for _ in commands]

    async def scenario() -> None:
        (task,) = await submit_all(queue, range(1))
        await asyncio.sleep(0)
        told.append("the loop goes on")
        loop_goes_on.set()
        await task
        await queue.close()

    queue = GroupCommit(commit)
    asyncio.run(scenario())
    assert told == ["the writer decides", "the loop goes on", "it is on disk"]


def test_the_event_loop_goes_on_also_behind_a_writer_that_only_fails(
    monkeypatch: pytest.MonkeyPatch, writer: Writer
) -> None:
    monkeypatch.setattr(group_commit, "TURN_SECONDS", 3600)
    writer.fails[0] = StorageUnavailable("gone")

    async def scenario() -> None:
        queue = GroupCommit(writer)
        with pytest.raises(StorageUnavailable):
            await queue.submit(delivery(0))
        await queue.close()

    asyncio.run(scenario())


def test_a_queue_that_never_had_work_closes_at_once(writer: Writer) -> None:
    async def scenario() -> None:
        await asyncio.wait_for(GroupCommit(writer).close(), WAIT_SECONDS)

    asyncio.run(scenario())
    assert writer.batches == []


def test_thousands_at_once_are_each_answered_with_their_own(writer: Writer) -> None:
    async def scenario() -> None:
        queue = GroupCommit(writer)
        receipts = await asyncio.gather(*await submit_all(queue, range(4000)))
        assert [number_of(receipt) for receipt in receipts] == list(range(4000))
        await queue.close()

    asyncio.run(scenario())
    assert len(writer.batches) < 20
