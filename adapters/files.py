"""Small files that must be whole, and on the disk, before anybody relies on them."""

import os
from pathlib import Path
from tempfile import mkstemp


def draft_of(path: Path, content: bytes) -> Path:
    """What is to be in a file, in one beside it that is on the disk and that its owner alone can
    read (0600): give it the name when it may have it. Raises `OSError`."""
    descriptor, draft = mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return Path(draft)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk as well. Raises `OSError`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
