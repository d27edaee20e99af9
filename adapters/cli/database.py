"""`order-ledger db`: the schema of a ledger in PostgreSQL."""

import typer

from adapters.cli.opening import configured
from adapters.cli.options import ending, group
from adapters.cli.output import Failed

app = group("Create and check the schema of the database.", ending("db init", "db check"))


@app.command("init", epilog=ending("db init"))
def init() -> None:
    """Create what is missing, as the owner of the database.

    The owner has to be allowed to create roles: the service works as the role
    order_ledger_service, which may read the log and append to it, and nothing else. Doing it twice
    is no harm. The service does it by itself where its own user may.
    """
    from adapters.storage import postgres_schema

    applied = postgres_schema.init(_url())
    for name in applied:
        typer.echo(f"applied {name}")
    typer.echo("the schema is up to date" if applied else "nothing was missing")


@app.command("check", epilog=ending("db check"))
def check() -> None:
    """Say whether the schema is this release's own."""
    from adapters.storage import postgres_schema

    problems = postgres_schema.check(_url())
    if problems:
        raise Failed("; ".join(problems) + ": run order-ledger db init")
    typer.echo("the schema is this release's own")


def _url() -> str:
    settings = configured()
    if settings.database_path is not None:
        raise Failed("an SQLite ledger makes its schema by itself; db is for PostgreSQL")
    return settings.database_url
