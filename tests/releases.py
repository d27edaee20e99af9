"""Releases of this service with a difference: copies of its code with a few words changed."""

import shutil
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("domain", "projections", "adapters")

Changes = Mapping[str, tuple[str, str]]  # by file: what stands there, and what instead

# A read model that never learns that a payment failed.
BUG: Changes = {
    "projections/order_status.py": (
        'return {"status": OrderStatus.PAYMENT_FAILED.value}',
        "return {}",
    )
}
# A rebuild in so many steps that there is time to kill it between two.
SMALL_STEPS: Changes = {
    "adapters/storage/sqlite_views.py": ("chunk_events = 2000", "chunk_events = 10"),
    "adapters/storage/postgres_views.py": ("chunk_events = 10_000", "chunk_events = 10"),
}


def release(folder: Path, changes: Changes) -> Path:
    """Copy the code to a folder, with changes."""
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
    for name, (there, instead) in changes.items():
        file = folder / name
        code = file.read_text()
        assert code.count(there) == 1, f"{name} does not say {there!r} once"
        file.write_text(code.replace(there, instead))
    return folder
