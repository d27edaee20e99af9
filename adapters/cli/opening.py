"""The ledger that the configuration names, opened for reading, without a server."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from adapters.cli.output import complain

if TYPE_CHECKING:
    from adapters.service import Service
    from adapters.settings import Settings


def configured() -> "Settings":
    """The configuration; a variable that is no setting is pointed out on standard error."""
    from adapters.settings import load_settings, unknown_variables

    for line in unknown_variables():
        complain(f"warning: {line}")
    return load_settings()


def _take_over(service: "Service") -> None:
    """Where no service runs, this command is the one that follows the read models."""
    from projections.known import PROJECTIONS

    for projection in PROJECTIONS:
        if service.views.leads(projection.name):
            service.views.adopt(projection)


def _require_schema(url: str) -> None:
    """A mistyped database is not made a ledger by who only looks."""
    from adapters.settings import ConfigurationError
    from adapters.storage import postgres_schema

    if postgres_schema.NO_SCHEMA in postgres_schema.check(url):
        raise ConfigurationError(
            "there is no ledger in this database: name the server's in ORDER_LEDGER_DATABASE_URL, "
            "or make one with order-ledger serve or db init"
        )


@contextmanager
def opened(*projections: str) -> Iterator["Service"]:
    """The ledger, with these read models as far as the log is.

    A read model that stands still is named on standard error; what can be read is read, and the
    command fails at its end. A ledger that is not there is not made.
    """
    from adapters.service import Service
    from adapters.settings import ConfigurationError

    settings = configured()
    path = settings.database_path
    if path is not None and not path.is_file():
        raise ConfigurationError(
            f"there is no ledger at {path.absolute()}: run this where the server "
            "runs, or set ORDER_LEDGER_DATABASE_URL to its ledger (sqlite:///PATH)"
        )
    if path is None:
        _require_schema(settings.database_url)
    # What stands still is told below, in a line instead of the traceback that a server logs.
    logging.getLogger("order_ledger").addHandler(logging.NullHandler())
    service = Service(settings)
    try:
        if projections:
            _take_over(service)
            service.runner.catch_up()
        standing = {n: p for n, p in service.views.parked().items() if n in projections}
        for name, poison in standing.items():
            complain(f"{name} stands still before {poison.event} at {poison.position}")
        yield service
    finally:
        service.close()
    if standing:
        raise typer.Exit(1)
