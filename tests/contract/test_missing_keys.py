"""A ledger whose events are there and whose keys are not makes no others: on both databases."""

from pathlib import Path

import pytest

from adapters.service import Service
from adapters.settings import Settings
from adapters.vault import VaultTrouble
from tests.notices import delivery, notice


def opened(url: str, master: Path) -> Service:
    return Service(Settings(database_url=url, master_key_file=master))


def lose(service: Service, tables: tuple[str, ...]) -> None:
    """Have tables empty, as they are after the events of a backup were restored alone."""
    is_file = service.settings.database_path is not None
    with service.evidence.transaction(commit=True) as c:
        if not is_file:
            c.execute("RESET ROLE")
        for table in tables:
            if is_file:
                c.execute(f"DROP TRIGGER {table}_no_delete")
            else:
                c.execute(f"ALTER TABLE order_ledger.{table} DISABLE TRIGGER USER")
            c.execute(f"DELETE FROM {service.vault.tables.schema}{table}")


@pytest.mark.parametrize("gone", [("master_keys",), ("master_keys", "ledger_keys", "order_keys")])
def test_no_key_is_made_where_events_are_and_their_keys_are_not(
    url: str, tmp_path: Path, gone: tuple[str, ...]
) -> None:
    """Another hash key would take everything that providers send again for new."""
    master = tmp_path / "master" / "keys.txt"
    first = opened(url, master)
    first.ledger.record([delivery(notice("42"))])
    lose(first, gone)
    first.close()
    right = master.read_text()
    for left in (right, None):
        if left is None:
            master.unlink()
        service = opened(url, master)
        with pytest.raises(VaultTrouble, match="order-ledger db restore EVENTS KEYS"):
            service.vault.open()
        assert service.vault.tables.masters() == []
        service.close()
        assert (master.read_text() if master.exists() else None) == left
