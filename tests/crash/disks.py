"""A disk that can be filled: a small tmpfs where it may be mounted, else a quota on processes."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

TMPFS_BYTES = 1 << 30
PAGE = os.sysconf("SC_PAGE_SIZE")
SLACK_PAGES = 4  # the service writes on while the room shrinks
FILL_TRIES = 12


class Disk(Protocol):
    """Room for a ledger that can be used up and given back."""

    name: str

    def fill(self) -> None:
        """Leave no room."""

    def free(self) -> None:
        """Give it back."""

    def close(self) -> None:
        """Leave nothing behind."""


class Tmpfs:
    """A tmpfs of our own. It is full when it is made as small as what it holds."""

    name = "tmpfs"

    def __init__(self, path: Path) -> None:
        self._path = path
        path.mkdir()
        options = f"size={TMPFS_BYTES},mode=0711"
        _run("mount", "-t", "tmpfs", "-o", options, "order-ledger-crash", str(path))

    def fill(self) -> None:
        """Shrink it to what it holds, and a little more at each try: it grows meanwhile."""
        for attempt in range(FILL_TRIES):
            room = os.statvfs(self._path)
            used = (room.f_blocks - room.f_bfree) * room.f_frsize
            with suppress(subprocess.CalledProcessError):
                self._resize(used + (SLACK_PAGES * PAGE << attempt))
                return
        raise OSError(f"{self._path} could not be made smaller")

    def free(self) -> None:
        """Make it as large as it was."""
        self._resize(TMPFS_BYTES)

    def close(self) -> None:
        """Unmount it."""
        try:
            _run("umount", str(self._path))
        except subprocess.CalledProcessError:
            _run("umount", "-l", str(self._path))

    def _resize(self, size: int) -> None:
        _run("mount", "-o", f"remount,size={size}", str(self._path))


class Quota:
    """A limit on the size of the files of running processes, no larger than one of them is."""

    name = "quota"

    def __init__(self, pids: Callable[[], Iterable[int]], growing: Path) -> None:
        self._pids = pids
        self._growing = growing
        self._limited: list[int] = []

    def fill(self) -> None:
        """No file grows beyond the size of the one that the ledger grows by."""
        size = self._growing.stat().st_size if self._growing.exists() else 0
        self._limited = list(self._pids())
        for pid in self._limited:
            _limit_files(pid, max(size, PAGE))

    def free(self) -> None:
        """Files may grow again."""
        for pid in self._limited:
            with suppress(ProcessLookupError):
                _limit_files(pid, None)

    def close(self) -> None:
        """Processes take their limits with them."""


def can_mount() -> bool:
    """Whether a tmpfs may be mounted here."""
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        return False
    with tempfile.TemporaryDirectory() as folder:
        try:
            Tmpfs(Path(folder) / "try").close()
        except (OSError, subprocess.CalledProcessError):
            return False
    return True


def can_limit() -> bool:
    """Whether the size of another process's files can be limited here."""
    return sys.platform == "linux"


def _limit_files(pid: int, size: int | None) -> None:
    import resource  # not on every system

    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard if size is None else size, hard))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
