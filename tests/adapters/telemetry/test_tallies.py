"""Several processes count; whichever is asked tells of all."""

import asyncio
import os
from pathlib import Path

from adapters.telemetry.tallies import GONE_SECONDS, Tallies
from adapters.telemetry.tally import Tally


def counted(provider: str, *seconds: float) -> Tally:
    tally = Tally()
    for each in seconds:
        tally.acknowledged(provider, "recorded", each)
    tally.refusals[provider, 401] += 1
    tally.batches.note(len(seconds))
    return tally


async def _told(folder: Path, *processes: Tallies) -> None:
    for process in processes:
        process.start()
    for process in processes:
        await process.close()


def test_each_process_tells_the_sum(tmp_path: Path) -> None:
    one = Tallies(counted("sevi", 0.001, 0.002), lambda: 3, tmp_path)
    other = Tallies(counted("sevi", 10), lambda: 4, tmp_path)
    asyncio.run(_told(tmp_path, one, other))
    total = one.total()
    assert total == other.total()
    assert total.deliveries == {("sevi", "recorded"): 3}
    assert total.refusals == {("sevi", 401): 2}
    assert (sum(total.ack_counts), total.ack_counts[-1], total.ack_sum) == (3, 1, 10.003)
    assert (sum(total.batch_counts), total.batch_sum) == (2, 3)
    assert total.waiting == 7


def test_what_an_ended_process_counted_stays_and_nothing_waits_there(tmp_path: Path) -> None:
    ended = Tallies(counted("sevi", 0.001), lambda: 4, tmp_path)
    asyncio.run(_told(tmp_path, ended))
    (told,) = tmp_path.iterdir()
    long_ago = told.stat().st_mtime - 2 * GONE_SECONDS
    os.utime(told, (long_ago, long_ago))
    total = Tallies(counted("sevi", 0.001), lambda: 1, tmp_path).total()
    assert (total.deliveries, total.waiting) == ({("sevi", "recorded"): 2}, 1)


def test_a_process_that_has_told_nothing_yet_counts_nothing(tmp_path: Path) -> None:
    (tmp_path / "new.tally").touch()
    assert Tallies(counted("sevi", 0.001), lambda: 0, tmp_path).total().waiting == 0


def test_a_process_alone_writes_nothing(tmp_path: Path) -> None:
    alone = Tallies(counted("sevi", 0.001), lambda: 2)
    asyncio.run(_told(tmp_path, alone))
    assert alone.total().deliveries == {("sevi", "recorded"): 1}
    assert list(tmp_path.iterdir()) == []
