"""The command `order-ledger`: its sub-commands, and how their errors are told."""

import sys

import typer

from adapters.cli.serve import serve
from adapters.settings import ConfigurationError
from adapters.storage.log import StorageUnavailable

EXIT_FAILED = 1
EXIT_USAGE = 2

app = typer.Typer(
    name="order-ledger",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def about() -> None:
    """An event-sourced ledger of order payments behind your payment provider's webhook."""


app.command()(serve)


def main() -> None:
    """Run the command line. A problem that the user can mend is one message, not a traceback."""
    try:
        app()
    except ConfigurationError as error:
        _fail(f"configuration: {error}", EXIT_USAGE)
    except StorageUnavailable as error:
        _fail(f"storage: {error}", EXIT_FAILED)


def _fail(message: str, code: int) -> None:
    sys.stderr.write(f"order-ledger: {message}\n")
    raise SystemExit(code)
