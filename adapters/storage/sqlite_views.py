"""The read models of an embedded ledger, in a file of their own beside the log.

Apart, because then the projections' writes and the webhooks' never wait for each other, and
because the file can be deleted at any time: it is made again from the log.
"""

from contextlib import AbstractContextManager

from adapters.storage.sqlite import Datastore
from adapters.storage.views import Cursor, Views


class SQLiteViews(Views):
    """The read models in an SQLite file."""

    def __init__(self, datastore: Datastore) -> None:
        self._datastore = datastore

    def transaction(self, *, commit: bool) -> AbstractContextManager[Cursor]:
        """A transaction of the file."""
        return self._datastore.transaction(commit=commit)

    def close(self) -> None:
        """Close the file."""
        self._datastore.close()
