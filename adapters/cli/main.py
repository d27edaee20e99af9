"""The command `order-ledger`: its sub-commands, and how their errors are told.

Modules of commands import what they need when they run: help comes at once, and no command waits
for the web server but `serve`.
"""

import io
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from adapters.cli import (
    bodies,
    database,
    deliveries,
    effects,
    evidence,
    operators,
    orders,
    payments,
    projections,
    providers,
    quarantine,
    review,
    tokens,
)
from adapters.cli.demo import demo
from adapters.cli.diagnose import EXAMPLES as DIAGNOSE_EXAMPLES
from adapters.cli.diagnose import diagnose
from adapters.cli.diff import EXAMPLES as DIFF_EXAMPLES
from adapters.cli.diff import diff
from adapters.cli.erase import EXAMPLES as ERASE_EXAMPLES
from adapters.cli.erase import erase
from adapters.cli.importing import EXAMPLES as IMPORT_EXAMPLES
from adapters.cli.importing import import_events
from adapters.cli.options import ending, group
from adapters.cli.output import Failed, complain
from adapters.cli.reconcile import EXAMPLES as RECONCILE_EXAMPLES
from adapters.cli.reconcile import reconcile
from adapters.cli.send import EXAMPLES as SEND_EXAMPLES
from adapters.cli.send import send
from adapters.cli.totals import EXAMPLES as TOTALS_EXAMPLES
from adapters.cli.totals import show_totals

NAME = "order-ledger"
EXIT_FAILED = 1
EXIT_USAGE = 2

ABOUT = """\
An event-sourced ledger of order payments behind your provider's webhook.

Reading commands open the ledger itself and need no server. The configuration is order-ledger.toml
(or the file that ORDER_LEDGER_CONFIG names) with environment variables over it:
ORDER_LEDGER_DATABASE_URL says where the ledger is.
"""

app = group(
    ABOUT,
    ending(
        "demo                                 see an order's life in seconds",
        "serve                                take in webhooks",
        "send sevi --order-id 42              try the webhook out",
        "orders history 42                    how did order 42 come where it is?",
        "payments export > payments.csv       for the auditor",
        "quarantine list                      what could not be read, and why",
        "projections list                     which read models want to be made anew?",
        "deliveries refused                   what did not authenticate, and why",
    ),
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"{NAME} {version(NAME)}")
        raise typer.Exit


@app.callback(help=ABOUT)
def about(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


@app.command("serve", epilog=ending("serve", "serve --host 0.0.0.0 --port 8080"))
def serve(
    host: Annotated[
        str | None,
        typer.Option(metavar="HOST", help="Listen on this address, not the configured one."),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            metavar="PORT",
            min=0,
            max=65535,
            help="Listen on this port, not the configured one; 0 takes a free one.",
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(metavar="N", min=1, max=64, help="Web processes; several want PostgreSQL."),
    ] = 1,
    keeper: Annotated[
        bool,
        typer.Option(
            "--keeper/--no-keeper",
            help="Without it `order-ledger keep` has to run: it keeps the read models.",
        ),
    ] = True,
) -> None:
    """Take in webhooks and answer queries until stopped.

    At its start it prints the webhook URLs, the tokens that it made where none is configured, and
    lines to try it out with.
    """
    from adapters.cli.serve import serve as run

    run(host, port, workers, keeper)


@app.command("keep", epilog=ending("keep"))
def keep() -> None:
    """Keep the read models, seal, and carry out effects.

    It runs until it is stopped. `serve` starts such a process of its own, unless told not to: this
    is for where the two run in containers or on machines of their own. Of several one works, and
    another takes over.
    """
    from adapters.cli.serve import keep as run

    run()


app.command("demo", epilog=ending("demo"))(demo)
app.command("import", epilog=IMPORT_EXAMPLES)(import_events)
app.command("send", epilog=SEND_EXAMPLES)(send)
app.command("reconcile", epilog=RECONCILE_EXAMPLES)(reconcile)
app.add_typer(orders.app, name="orders")
app.add_typer(review.app, name="review")
app.command("diff", epilog=DIFF_EXAMPLES)(diff)
app.command("erase", epilog=ERASE_EXAMPLES)(erase)
app.command("totals", epilog=TOTALS_EXAMPLES)(show_totals)
app.add_typer(database.app, name="db")
app.add_typer(bodies.app, name="bodies")
app.add_typer(payments.app, name="payments")
app.add_typer(projections.app, name="projections")
app.command("diagnose", epilog=DIAGNOSE_EXAMPLES)(diagnose)
app.add_typer(deliveries.app, name="deliveries")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(providers.app, name="providers")
app.command("verify", epilog=evidence.VERIFY_EXAMPLES)(evidence.verify)
app.command("bundle", epilog=evidence.BUNDLE_EXAMPLES)(evidence.bundle)
app.add_typer(evidence.checkpoint, name="checkpoint")
app.add_typer(evidence.keys, name="keys")
app.add_typer(effects.app, name="effects")
app.add_typer(tokens.app, name="tokens")
app.add_typer(operators.app, name="operators")


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line. A problem that the user can mend is a line, not a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # in a terminal without UTF-8
    try:
        code = app(args=args, prog_name=NAME, standalone_mode=False)
    except typer.TyperException as error:
        code = _tell_usage(error)
    except Exception as error:
        code = _tell(error)
        if code is None:
            raise
    sys.exit(code or 0)


def _tell_usage(error: typer.TyperException) -> int:
    message = error.format_message()
    context = getattr(error, "ctx", None)
    if context is not None and message == context.get_help():  # a group without a command
        typer.echo(message, err=True)
    else:
        path = context.command_path if context is not None else NAME
        complain(f"{message} (see {path} --help)")
    return error.exit_code


def _tell(error: Exception) -> int | None:
    """Say what went wrong; returns the exit code, or None for what nobody foresaw."""
    from adapters.evidence import EvidenceTrouble
    from adapters.settings import ConfigurationError
    from adapters.storage.log import StorageUnavailable
    from adapters.vault import VaultTrouble

    match error:
        case Failed():
            complain(str(error))
        case ConfigurationError():
            for line in str(error).splitlines():
                complain(f"configuration: {line}")
            return EXIT_USAGE
        case EvidenceTrouble():
            complain(f"evidence: {error}")
        case VaultTrouble():
            complain(f"vault: {error}")
        case StorageUnavailable():
            complain(f"storage: {error}")
        case OSError():
            complain(f"{error.filename or 'output'}: {error.strerror or error}")
        case _:
            return None
    return EXIT_FAILED
