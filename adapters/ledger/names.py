"""Which orders go by which names, as far as a batch has to know."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from adapters.storage.log import NamedOrder, OrderNames

StoreName = tuple[str, str]


class Directory:
    """The names that a batch looked up, and those that it gives itself."""

    def __init__(self, found: Iterable[NamedOrder] = ()) -> None:
        self._registered: dict[StoreName, str] = {}
        self._waiting: defaultdict[StoreName, dict[str, None]] = defaultdict(dict)
        for store, name, order_id, waits in found:
            self._keep(store, name, order_id, waits)

    def registered(self, store: str, names: Sequence[str]) -> list[str]:
        """The ids of the registered orders that go by these names, each once."""
        found = (self._registered.get((store, name)) for name in names)
        return list(dict.fromkeys(order_id for order_id in found if order_id is not None))

    def waiting(self, store: str, names: Sequence[str]) -> list[str]:
        """The ids of the orders under these names that have parked news, each once."""
        found = (self._waiting.get((store, name), {}) for name in names)
        return list(dict.fromkeys(order_id for each in found for order_id in each))

    def take(self, given: OrderNames) -> None:
        """Know names that the batch gives."""
        if given.anew:
            self._forget(given.store, given.order_id)
        for name in given.names:
            self._keep(given.store, name, given.order_id, given.waits)

    def _keep(self, store: str, name: str, order_id: str, waits: bool) -> None:
        if waits:
            self._waiting[store, name][order_id] = None
        else:
            self._registered[store, name] = order_id

    def _forget(self, store: str, order_id: str) -> None:
        gone = [key for key, id_ in self._registered.items() if (key[0], id_) == (store, order_id)]
        for key in gone:
            del self._registered[key]
        for key, waiting in self._waiting.items():
            if key[0] == store:
                waiting.pop(order_id, None)
