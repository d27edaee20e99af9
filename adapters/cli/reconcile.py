"""`order-ledger reconcile`: a provider's own statement held against the ledger."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adapters.access.roles import user_of_this_process
from adapters.cli.importing import configured_provider
from adapters.cli.opening import opened
from adapters.cli.options import AsJson, ending, instant, name
from adapters.cli.output import Failed, money, print_blank, print_json, print_table, print_text

if TYPE_CHECKING:
    from adapters.imports.exported import Exported
    from adapters.imports.reconcile_views import FindingView, ReconciliationView, Report
    from adapters.service import Service
    from adapters.settings import Settings

EXIT_DIFFERS = 3
ENDINGS = (".csv", ".jsonl", ".ndjson")
EXAMPLES = (
    ending(
        "reconcile sevi --since 2026-01-05T00:00:00Z",
        "reconcile sevi --since 2026-01-05T00:00:00Z --apply --reason 'down on Sunday'",
        "reconcile statement.csv --provider till --json",
    )
    + " And 3: something does not agree."
)


def reconcile(
    statement: Annotated[
        str,
        typer.Argument(
            metavar="PROVIDER|FILE", parser=name, help="sevi, or a statement with --provider."
        ),
    ],
    since: Annotated[
        datetime | None,
        typer.Option(metavar="TIME", parser=instant, help="From then on (RFC 3339)."),
    ] = None,
    provider: Annotated[
        str | None,
        typer.Option(metavar="NAME", parser=name, help="The provider that a file is of."),
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Bring in what is missing or differs.")
    ] = False,
    reason: Annotated[
        str | None, typer.Option(metavar="TEXT", parser=name, help="Why, for the operators' log.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell what a provider's own list has and the ledger has not.

    Of Sevi the list is asked for over its API, with the api_token of the provider's table. A file
    is JSON lines of webhook bodies, or CSV whose first line names the paths of its cells in a body,
    where dots nest: data.total.

    With --apply what is missing or differs is taken in like a webhook, marked as reconciled: an
    order that was paid is delivered, and its effects follow. It can be repeated, also beside a
    running server. It exits with 3 where something does not agree, with --apply where something
    still does not.
    """
    named = provider if provider is not None else statement
    with opened() as service:
        from adapters.imports.reconcile_views import Report
        from adapters.imports.reconciling import Reconciliation

        hint = "--provider" if provider else "PROVIDER|FILE"
        advice = "; a file wants --provider"
        sender = configured_provider(service.settings, named, hint, advice)
        work, report = Reconciliation(service.ledger, sender, apply=apply), Report()
        shown = statement if provider is None else f"{provider} from {Path(statement).name}"
        with (
            _entries(service.settings, statement, provider, since) as entries,
            _logged(service, shown, reason, report, apply=apply),
        ):
            report.take(work.findings(entries))
        view = report.view(named, dict(work.tally), applied=apply)
    if as_json:
        print_json(view)
    else:
        _print(view)
    raise typer.Exit(EXIT_DIFFERS if view.unsettled else 0)


@contextmanager
def _entries(
    settings: "Settings", statement: str, provider: str | None, since: datetime | None
) -> Iterator["Iterator[Exported]"]:
    """The entries of the statement, be it a file or Sevi's list."""
    from adapters.imports.exported import UnusableExport, csv_rows, json_lines

    if provider is None:
        with _listed(settings, statement, since) as entries:
            yield entries
        return
    if since is not None:
        raise typer.BadParameter("a file is taken whole", param_hint="--since")
    suffix = Path(statement).suffix.lower()
    if suffix not in ENDINGS:
        raise typer.BadParameter(
            f"its name has to end in one of {', '.join(ENDINGS)}", param_hint="PROVIDER|FILE"
        )
    read = csv_rows if suffix == ".csv" else json_lines
    with Path(statement).open("rb") as file:
        try:
            yield read(file, settings.body_bytes_max)
        except UnusableExport as error:
            raise Failed(f"{statement}: {error}") from None


@contextmanager
def _listed(
    settings: "Settings", named: str, since: datetime | None
) -> Iterator["Iterator[Exported]"]:
    from adapters.imports.reconciling import sevi_statement
    from adapters.providers.sevi import SeviSettings
    from adapters.sevi_api import SeviApi, SeviRefused

    table = settings.providers[named]
    if not isinstance(table, SeviSettings):
        raise typer.BadParameter(
            f"the list of {named} cannot be asked for; give its statement as a file: "
            f"reconcile FILE --provider {named}",
            param_hint="PROVIDER|FILE",
        )
    if table.api_token is None:
        raise Failed(f"set providers.{named}.api_token, which Sevi shows under Settings")
    if since is None:
        raise typer.BadParameter("say from when on", param_hint="--since")
    with SeviApi(table) as api:
        try:
            yield sevi_statement(api, since)
        except SeviRefused as refused:
            raise Failed(f"Sevi's list cannot be read: {refused}") from None


@contextmanager
def _logged(
    service: "Service", shown: str, reason: str | None, report: "Report", *, apply: bool
) -> Iterator[None]:
    """What is brought in is in the operators' log, before it begins and when it ended."""
    from adapters.storage.access import Operation

    def log(outcome: str) -> None:
        if apply:
            caller = user_of_this_process()
            service.operators.append(
                Operation(caller.who, caller.origin, "reconcile", shown, reason, outcome)
            )

    log("begun")
    ended = "broken off"
    try:
        yield
        ended = "done"
    finally:
        log(f"{ended}: {report.count} did not agree")


def _print(view: "ReconciliationView") -> None:
    told = ", ".join(f"{count} {sort}" for sort, count in view.entries.items() if count)
    print_text(f"{view.provider}: {told or 'the statement is empty'}.")
    if not view.findings:
        return
    print_blank()
    columns = ["Entry", "Order", "Payment", "Status", "Amount", "Finding", "Brought in"]
    print_table(columns, map(_row, view.findings), folds=["Finding", "Brought in"])
    if view.more:
        print_text(f"There are {view.more} more.", "dim")
    if not view.applied:
        print_text("Nothing was changed; --apply brings in what is missing or differs.", "dim")


def _row(finding: "FindingView") -> list[str | None]:
    differences = [
        f"{one.what} is {one.theirs} there, {one.ours} here" for one in finding.differences
    ]
    why = "; ".join(differences) or finding.reason
    applied = None
    if finding.outcome is not None:
        applied = f"{finding.outcome}; the order is {finding.order_status}"
        applied += "" if finding.settled else ", not as stated"
    return [
        str(finding.line),
        finding.order_id,
        finding.payment_ref,
        finding.status,
        money(finding.amount, finding.currency),
        f"{finding.sort}: {why}",
        applied,
    ]
