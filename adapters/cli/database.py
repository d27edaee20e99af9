"""`order-ledger db`: the database of a ledger, its schema and its backups."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from adapters.cli.opening import configured, opened
from adapters.cli.options import ending, group
from adapters.cli.output import Failed, complain

if TYPE_CHECKING:
    from adapters.service import Service

BACKUP_EXAMPLES = ("db backup --events /backup/events --keys /safe/keys",)
RESTORE_EXAMPLES = ("db restore ledger-20260105T073000Z.events ledger-20260105T073000Z.keys",)
Folder = Annotated[Path, typer.Option(metavar="FOLDER", help="Where the events' file is put.")]
KeysFolder = Annotated[
    Path, typer.Option(metavar="FOLDER", help="Where that of the orders' keys is put: elsewhere.")
]
EventsFile = Annotated[Path, typer.Argument(metavar="EVENTS", help="The file of the events.")]
KeysFile = Annotated[Path, typer.Argument(metavar="KEYS", help="The file of the keys.")]

app = group(
    "The database: its schema, backup and restore.",
    ending("db init", "db check", *BACKUP_EXAMPLES, *RESTORE_EXAMPLES),
)


class Schema(Protocol):
    """What knows the schema of one kind of database."""

    def init(self, url: str) -> list[str]:
        """Make what is missing, and say what was."""

    def check(self, url: str) -> list[str]:
        """What is wrong, a line each."""


@app.command("init", epilog=ending("db init"))
def init() -> None:
    """Create what is missing, as the owner of the database.

    The owner has to be allowed to create roles: the service works as the role
    order_ledger_service, which may read the log and append to it, and nothing else. Doing it twice
    is no harm. The service does it by itself where its own user may, as in an SQLite file.
    """
    schema, url = _schema()
    applied = schema.init(url)
    for name in applied:
        typer.echo(f"applied {name}")
    typer.echo("the schema is up to date" if applied else "nothing was missing")


@app.command("check", epilog=ending("db check"))
def check() -> None:
    """Say whether the schema is this release's own."""
    schema, url = _schema()
    problems = schema.check(url)
    if problems:
        told = "; ".join(problems)
        mended = any(problem.endswith("is missing") for problem in problems)
        raise Failed(f"{told}: run order-ledger db init" if mended else told)
    typer.echo("the schema is this release's own")


@app.command("backup", epilog=ending(*BACKUP_EXAMPLES))
def backup(events: Folder, keys: KeysFolder) -> None:
    """Back up the ledger while it is in use, in two files.

    One holds the events with everything beside them, the other the orders' keys: keep them apart.
    The secrets that the ledger does not hold are named at the end; keep those in a third place. It
    is in the operators' log. PostgreSQL wants pg_dump.
    """
    from adapters.access.roles import user_of_this_process
    from adapters.backups import Backup, BackupFailed, back_up
    from adapters.storage.access import Operation

    if events.resolve() == keys.resolve():
        raise typer.BadParameter("keep the keys apart from the events", param_hint="--keys")
    name = f"ledger-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    wanted = Backup(events / f"{name}.events", keys / f"{name}.keys")
    with opened() as service:
        done = Operation.by(user_of_this_process(), "db backup", wanted.events.name)
        service.operators.append(done)
        try:
            back_up(service.settings.database_url, wanted)
        except BackupFailed as error:
            raise Failed(str(error)) from None
        for path in wanted:
            typer.echo(path)
        secrets = service.secret_files
    typer.echo("to be kept in a third place: " + ", ".join(str(s) for s in secrets), err=True)


@app.command("restore", epilog=ending(*RESTORE_EXAMPLES))
def restore(events: EventsFile, keys: KeysFile) -> None:
    """Make the ledger that a backup holds, where there is none.

    ORDER_LEDGER_DATABASE_URL names where: a file that is not there, or an empty database. Put the
    secrets back before; read models are made anew. What breaks off leaves no ledger: run it again.
    PostgreSQL wants pg_restore and psql, and the database's owner.
    """
    from adapters.access.roles import user_of_this_process
    from adapters.backups import Backup, BackupFailed
    from adapters.backups import restore as bring_back
    from adapters.storage.access import Operation

    try:
        bring_back(configured().database_url, Backup(events, keys))
    except BackupFailed as error:
        raise Failed(str(error)) from None
    with opened() as service:
        done = Operation.by(user_of_this_process(), "db restore", events.name)
        service.operators.append(done)
        head = service.ledger.event_log.head()
        lacks = _lacks(service)
        last = service.signer.last_signed()
        if last is not None and last.checkpoint.size > (head.index if head else 0):
            complain(
                f"warning: {last.checkpoint.size} events were signed, more than the backup holds. "
                f"What says so lies in {service.signer.set_last_aside()} now; checkpoints from "
                "here on contradict those that were given out since the backup"
            )
    upto = head or "its beginning"
    if lacks:
        complain(f"warning: it does not start yet: {lacks}")
    then = "then start it, and" if lacks else "start it, then"
    typer.echo(f"the ledger is back, up to {upto}: {then} run order-ledger verify")


def _lacks(service: "Service") -> str:
    """Which secret a ledger lacks, to be started."""
    from adapters.vault import VaultTrouble

    if service.vault.tables.masters():  # one that was never started makes its own
        try:
            service.vault.open()
        except VaultTrouble as trouble:
            return str(trouble)
    return ""


def _schema() -> tuple[Schema, str]:
    """What makes and checks the schema of the configured database, and its URL."""
    settings = configured()
    if settings.database_path is not None:
        from adapters.storage import sqlite_schema

        return sqlite_schema, settings.database_url
    from adapters.storage import postgres_schema

    return postgres_schema, settings.database_url
