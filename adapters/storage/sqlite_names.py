"""The names that orders go by, in the file of an embedded ledger."""

from eventsourcing.sqlite import SQLiteCursor

from adapters.storage.log import OrderNames


def keep_names(c: SQLiteCursor, names: OrderNames) -> None:
    """Keep names of an order. Where one is taken, this raises the library's `IntegrityError`."""
    store, order_id, wanted, waits, anew = names
    if anew:
        c.execute("DELETE FROM order_names WHERE store = ? AND order_id = ?", (store, order_id))
    c.execute("INSERT OR IGNORE INTO naming_stores VALUES (?)", (store,))
    for name in wanted:
        c.execute(
            "INSERT INTO order_names (store, order_id, name, waits) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (store, order_id, name) DO NOTHING",
            (store, order_id, name, int(waits)),
        )
