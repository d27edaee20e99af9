"""What the numbers were taken on: without it they say nothing."""

import os
import platform
import sqlite3
import subprocess
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import psutil  # type: ignore[import-untyped]

from tests.bench.figures import Report, spread

PACKAGES = "fastapi uvicorn uvloop httptools psycopg eventsourcing pydantic msgspec".split()
SYNCS = 100


def machine() -> Report:
    """Processors, memory, kernel, disk, and how busy all that is already."""
    with TemporaryDirectory(prefix="order-ledger-bench-") as folder:
        return {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
            "kernel": f"{platform.system()} {platform.release()}",
            "file_system": _file_system(Path(folder)),
            "fsync_ms": fsync_ms(Path(folder)),
            "load_average": load_average(),
        }


def fsync_ms(folder: Path) -> dict[str, float]:
    """How long the disk takes to make 8 KiB durable, behind a file that grows."""
    took = []
    with (folder / "sync").open("wb", buffering=0) as file:
        for _ in range(SYNCS):
            file.write(bytes(8192))
            started = perf_counter()
            os.fsync(file.fileno())
            took.append((perf_counter() - started) * 1000)
    return {key: round(value, 3) for key, value in spread(took).items()}


def versions() -> Report:
    """Of everything that takes part, PostgreSQL excepted: its server tells."""
    return {
        "order-ledger": _revision(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "sqlite": sqlite3.sqlite_version,
        **{package: version(package) for package in PACKAGES},
    }


def _revision() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    return f"{version('order-ledger')} {done.stdout.strip()}".strip()


def _processor() -> str:
    told = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip()
        for line in (told.read_text().splitlines() if told.exists() else [])
        if line.startswith("model name")
    ]
    return names[0] if names else platform.machine()


def _file_system(folder: Path) -> str:
    mounts = [
        disk
        for disk in psutil.disk_partitions(all=True)
        if folder.resolve().is_relative_to(disk.mountpoint)
    ]
    return str(max(mounts, key=lambda disk: len(disk.mountpoint)).fstype) if mounts else "?"


def load_average() -> list[float]:
    """How many processes wanted to run in the last 1, 5 and 15 minutes."""
    return [round(load, 2) for load in os.getloadavg()]
