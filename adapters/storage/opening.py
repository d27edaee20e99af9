"""Opening the storage that a database URL names."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eventsourcing.persistence import OperationalError

from adapters.storage.access import AccessTables
from adapters.storage.effects import EffectTables
from adapters.storage.events import Events
from adapters.storage.evidence import EvidenceStore
from adapters.storage.evidence_sqlite import SQLiteEvidence
from adapters.storage.log import EventLog, StorageUnavailable
from adapters.storage.sqlite import Datastore
from adapters.storage.sqlite_access import SQLiteAccess
from adapters.storage.sqlite_effects import SQLiteEffects
from adapters.storage.sqlite_events import SQLiteEvents
from adapters.storage.sqlite_log import SQLiteLog
from adapters.storage.sqlite_vault import SQLiteVault
from adapters.storage.sqlite_views import SQLiteViews
from adapters.storage.traffic import TrafficTables
from adapters.storage.urls import is_sqlite, sqlite_path
from adapters.storage.vault import VaultTables
from adapters.storage.views import Views
from projections.model import Projection


@dataclass(frozen=True)
class Storage:
    """An open log, how projections read it, the read models with what is known of who calls, and
    beside the log the tables of tokens and operations, those of the outbox, the evidence, and the
    keys that seal."""

    log: EventLog
    events: Events
    views: Views
    access: AccessTables
    traffic: TrafficTables
    evidence: EvidenceStore
    effects: EffectTables
    vault: VaultTables

    def close(self) -> None:
        """Close all; the tables beside the log share its connections."""
        self.effects.close()
        self.evidence.close()
        self.views.close()
        self.log.close()


def open_storage(url: str, projections: Sequence[Projection]) -> Storage:
    """Open what the URL names, and create what is missing. Raises `StorageUnavailable`."""
    storage = _open_sqlite(sqlite_path(url)) if is_sqlite(url) else _open_postgres(url)
    try:
        storage.views.prepare(projections)
        storage.traffic.create()
    except StorageUnavailable as error:
        storage.close()
        damaged = is_sqlite(url) and not isinstance(error.__cause__, OperationalError)
        if damaged:
            raise StorageUnavailable(
                f"the read models are damaged ({error}): they are made from the log, so stop the "
                f"service and delete {_views_path(sqlite_path(url))}*"
            ) from error
        raise
    return storage


def _open_sqlite(path: Path) -> Storage:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    views_path, tree_path = _views_path(path), tree_path_of(path)
    for file in (path, views_path, tree_path):
        file.touch(mode=0o600)  # bodies hold personal data; SQLite's other files get the same mode
    datastore = Datastore(str(path), "FULL")
    log = SQLiteLog(datastore)
    log.create_table()
    access = SQLiteAccess(datastore)
    access.create()
    evidence = SQLiteEvidence(datastore, Datastore(str(tree_path), "NORMAL"))
    evidence.create()
    effects = SQLiteEffects(datastore)
    effects.create()
    views = SQLiteViews(Datastore(str(views_path), "NORMAL"))
    return Storage(
        log,
        SQLiteEvents(datastore),
        views,
        access,
        TrafficTables(views),
        evidence,
        effects,
        SQLiteVault(datastore),
    )


def _views_path(path: Path) -> Path:
    return path.with_name(f"{path.stem}-views{path.suffix}")


def beside(path: Path) -> tuple[Path, Path]:
    """The files beside a ledger's own that are made from it: the read models, and the tree."""
    return _views_path(path), tree_path_of(path)


def open_evidence(url: str) -> EvidenceStore:
    """The evidence of a ledger that is there, on connections of its own. Nothing is created."""
    if is_sqlite(url):
        path = sqlite_path(url)
        ledger, tree = (Datastore(str(each), "FULL") for each in (path, tree_path_of(path)))
        return SQLiteEvidence(ledger, tree)
    from adapters.storage.evidence_postgres import PostgresEvidence
    from adapters.storage.postgres import Database

    return PostgresEvidence(Database(url))


def open_vault(url: str) -> VaultTables:
    """The tables of a ledger's keys, on connections of their own. Nothing is created."""
    if is_sqlite(url):
        return SQLiteVault(Datastore(str(sqlite_path(url)), "FULL"))
    from adapters.storage.postgres import Database
    from adapters.storage.postgres_vault import PostgresVault

    return PostgresVault(Database(url))


def tree_path_of(path: Path) -> Path:
    """The file of the tree beside a ledger's own."""
    return path.with_name(f"{path.stem}-tree{path.suffix}")


def _open_postgres(url: str) -> Storage:
    # Imported here: its driver takes a tenth of a second, and an embedded ledger needs none.
    from adapters.storage import postgres_schema
    from adapters.storage.evidence_postgres import PostgresEvidence
    from adapters.storage.postgres import Database
    from adapters.storage.postgres_access import PostgresAccess
    from adapters.storage.postgres_effects import PostgresEffects
    from adapters.storage.postgres_events import PostgresEvents
    from adapters.storage.postgres_log import PostgresLog
    from adapters.storage.postgres_vault import PostgresVault
    from adapters.storage.postgres_views import PostgresViews

    if postgres_schema.is_behind(url):
        postgres_schema.init(url)
    database = Database(url)
    access, evidence = PostgresAccess(database), PostgresEvidence(Database(url))
    views = PostgresViews(Database(url))
    return Storage(
        PostgresLog(database),
        PostgresEvents(database),
        views,
        access,
        TrafficTables(views),
        evidence,
        PostgresEffects(database),
        PostgresVault(database),
    )
