"""`order-ledger import`: what webhooks lost, brought in from a provider's export."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from adapters.access.roles import user_of_this_process
from adapters.cli.opening import opened
from adapters.cli.options import AsJson, ending, name
from adapters.cli.output import Failed, complain, print_facts, print_json, print_table, print_text

if TYPE_CHECKING:
    from adapters.imports.importing import Tally
    from adapters.providers import Provider
    from adapters.settings import Settings

EXAMPLES = ending(
    "import --provider sevi events.jsonl --dry-run",
    "import --provider sevi events.jsonl --reason 'the server was down on Sunday'",
    "import --provider till export.csv",
)


class Form(StrEnum):
    """How a file of bodies is written."""

    JSONL = "jsonl"
    CSV = "csv"


ProviderName = Annotated[
    str,
    typer.Option("--provider", metavar="NAME", parser=name, help="The provider that they are of."),
]
File = Annotated[
    typer.FileBinaryRead,
    typer.Argument(metavar="FILE", help="The export; - reads standard input."),
]
Format = Annotated[
    Form | None,
    typer.Option(
        "--format", metavar="FORMAT", help="jsonl or csv, if the file's name does not say."
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only say what would become of them; change nothing.")
]
Reason = Annotated[
    str | None, typer.Option(metavar="TEXT", parser=name, help="Why, for the operators' log.")
]


def import_events(
    provider: ProviderName,
    file: File,
    form: Format = None,
    dry_run: DryRun = False,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """Take in a provider's export, as if its webhooks came now.

    JSON lines hold one webhook body each, in the provider's own shape. CSV has one body a row;
    its first line names the paths of the cells in the body, where dots nest: data.total.

    What is known already is a duplicate, so an import can be repeated, also beside a running
    server. The events say that they are of an import. Lines that cannot be read are quarantined
    and listed; then, or where it stops midway, it exits with 1.
    """
    with opened() as service:
        from adapters.imports.exported import UnusableExport, csv_rows, json_lines
        from adapters.imports.importing import Import
        from adapters.storage.access import Operation

        named = getattr(file, "name", "<stdin>")
        shown = "standard input" if named in ("-", "<stdin>") else Path(named).name
        sender = configured_provider(service.settings, provider)
        read = csv_rows if _form(form, shown) is Form.CSV else json_lines
        taking = Import(service.ledger, sender, dry=dry_run)

        def log(outcome: str) -> None:
            if not dry_run:
                caller, what = user_of_this_process(), f"{provider} from {shown}"
                service.operators.append(
                    Operation(caller.who, caller.origin, "import", what, reason, outcome)
                )

        log("begun")
        ended = "broken off"
        try:
            with _progress(file) as tell:
                for upto in taking.take(read(file, service.settings.body_bytes_max)):
                    tell(upto)
            ended = "done"
        except UnusableExport as error:
            raise Failed(f"{shown}: {error}") from None
        except BaseException:
            complain(
                f"broken off after line {taking.tally.last_line} ({taking.tally}); run it again: "
                "what was taken in is a duplicate then"
            )
            raise
        finally:
            log(f"{ended}: {taking.tally}")
    _show(taking.tally, provider, dry_run=dry_run, as_json=as_json)


def configured_provider(
    settings: "Settings", named: str, hint: str = "--provider", advice: str = ""
) -> "Provider":
    """The provider of this name; a wrong one is told by where it was given."""
    from adapters.providers import Secret, make_provider
    from adapters.service import webhook_credentials

    table = settings.providers.get(named)
    if table is None:
        known = ", ".join(settings.providers)
        raise typer.BadParameter(f"configured are: {known}{advice}", param_hint=hint)
    live = webhook_credentials(settings, named).tokens
    return make_provider(named, table, [Secret("live", secret) for secret in live])


def _form(given: Form | None, shown: str) -> Form:
    if given is not None:
        return given
    ending = Path(shown).suffix.lower()
    if ending not in (".csv", ".jsonl", ".ndjson"):
        raise typer.BadParameter(f"say which of {', '.join(Form)} it is", param_hint="--format")
    return Form.CSV if ending == ".csv" else Form.JSONL


@contextmanager
def _progress(file: BinaryIO) -> Iterator[Callable[[int], None]]:
    """A bar on standard error, where that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("import", total=_size(file))
        yield lambda upto: bar.update(task, completed=upto)


def _size(file: BinaryIO) -> int | None:
    try:
        found = os.fstat(file.fileno())
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _show(tally: "Tally", provider: str, *, dry_run: bool, as_json: bool) -> None:
    from adapters.imports.import_views import import_view

    view = import_view(tally, provider, dry_run=dry_run)
    if as_json:
        print_json(view)
    else:
        print_text(f"{view.bodies} bodies of {provider}" + (", nothing changed" * dry_run))
        print_facts((outcome, str(count)) for outcome, count in view.outcomes.items())
        if view.unread:
            rows = [[str(one.line), one.reason] for one in view.unread]
            print_table(["Line", "Quarantined, because"], rows, folds=["Quarantined, because"])
        if view.unread_more:
            print_text(f"and {view.unread_more} more: order-ledger quarantine list", "dim")
    if view.unread:
        raise typer.Exit(1)
