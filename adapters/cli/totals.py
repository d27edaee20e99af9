"""`order-ledger totals`: what came in and went back, by day, provider, currency and status."""

from datetime import date
from typing import Annotated

import typer

from adapters.cli.opening import opened
from adapters.cli.options import AnyStore, AsJson, ending
from adapters.cli.output import print_json, print_table, print_text
from projections.totals import MONEY

EXAMPLES = ending("totals", "totals --from 2026-01-01 --to 2026-02-01", "totals --csv > totals.csv")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("a day is wanted, such as 2026-01-05") from None


def show_totals(
    since: Annotated[
        date | None, typer.Option("--from", metavar="DAY", parser=_day, help="From this day on.")
    ] = None,
    until: Annotated[
        date | None, typer.Option("--to", metavar="DAY", parser=_day, help="Before this day.")
    ] = None,
    store: AnyStore = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV for a spreadsheet.")] = False,
    as_json: AsJson = False,
) -> None:
    """Add up the money by day, provider, currency and status.

    Each payment counts once, with its latest status and amount, on the day (UTC) on which that was
    recorded; an order whose payments nobody named once, when it is delivered. Nothing is rounded.
    """
    with opened(MONEY.name) as service:
        from adapters.queries.totals import csv_lines, totals

        found = totals(service.views, since, until, store)
    if as_json:
        print_json(found)
    elif as_csv:
        typer.echo("".join(csv_lines(found)), nl=False)
    elif not found.items:
        print_text("No payments.")
    else:
        columns = ["Day", "Provider", "Status", "Payments", "Amount", "Without amount"]
        rows = [
            [
                item.day.isoformat(),
                item.provider,
                item.status,
                str(item.payments),
                f"{item.amount} {item.currency or '(no currency)'}",
                str(item.unknown) if item.unknown else None,
            ]
            for item in found.items
        ]
        print_table(columns, rows)
