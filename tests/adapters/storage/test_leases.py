"""Who leads holds the lock of a file, which is nobody else's to hold."""

from pathlib import Path

from adapters.storage.sqlite import Datastore
from adapters.storage.sqlite_views import SQLiteViews


def test_only_its_owner_can_open_the_file_of_a_lease(tmp_path: Path) -> None:
    views = SQLiteViews(Datastore(str(tmp_path / "views.db"), "NORMAL"))
    assert views.leads("orders")
    (lease,) = tmp_path.glob("*-leader-orders")
    assert lease.stat().st_mode & 0o777 == 0o600
    views.close()
