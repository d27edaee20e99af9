"""What a process and its children use: processor time and memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread

import psutil  # type: ignore[import-untyped]

SAMPLE_SECONDS = 0.2


@dataclass
class Usage:
    """Seconds of processor time, and the most memory that was in use at once."""

    cpu_seconds: float = 0.0
    rss_bytes_max: int = 0
    _stop: Event = field(default_factory=Event)


@contextmanager
def measured(pid: int | None) -> Iterator[Usage]:
    """Measure a process and its children, while the block runs; nothing where there is no pid."""
    usage = Usage()
    if pid is None:
        yield usage
        return
    sampler = Thread(target=_sample, args=(pid, usage), daemon=True)
    before = cpu_seconds(pid)
    sampler.start()
    try:
        yield usage
    finally:
        usage.cpu_seconds = cpu_seconds(pid) - before
        usage._stop.set()
        sampler.join()


def _sample(pid: int, usage: Usage) -> None:
    while True:
        usage.rss_bytes_max = max(usage.rss_bytes_max, sum(rss_bytes(pid).values()))
        if usage._stop.wait(SAMPLE_SECONDS):
            return


def cpu_seconds(pid: int) -> float:
    """Processor time of a process tree so far, children that have ended included."""
    total = 0.0
    for process in _tree(pid):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def rss_bytes(pid: int) -> dict[int, int]:
    """Resident memory of each process of a tree, by process id."""
    sizes = {}
    for process in _tree(pid):
        try:
            sizes[process.pid] = int(process.memory_info().rss)
        except psutil.NoSuchProcess:
            continue
    return sizes


def _tree(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
