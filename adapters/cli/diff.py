"""`order-ledger diff`: which orders changed between two instants, and because of which events."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from adapters.cli.opening import opened
from adapters.cli.options import After, AnyStore, AsJson, Limit, ending, instant
from adapters.cli.output import print_json, print_table, print_text, words
from adapters.cli.timeline import told

if TYPE_CHECKING:
    from adapters.queries.past import OrderChange, Standing
    from adapters.queries.queries import EventView

EXAMPLES = ending(
    "diff --from 2026-01-05T00:00:00Z --to 2026-01-06T00:00:00Z",
    "diff --from 2026-01-05T00:00:00Z --to 2026-01-06T00:00:00Z --store shop-2 --json",
)


def diff(
    since: Annotated[
        datetime,
        typer.Option("--from", metavar="TIME", parser=instant, help="As the ledger knew it then."),
    ],
    until: Annotated[
        datetime,
        typer.Option("--to", metavar="TIME", parser=instant, help="And as it knew it then."),
    ],
    store: AnyStore = None,
    after: After = None,
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """Tell which orders changed between two instants, and why.

    An order is listed whose status or review is another at the end than at the beginning, both as
    --as-of means them, in the order of the first event that each had in between. Because names the
    events that made it so, after those that they follow from.
    """
    if until < since:
        raise typer.BadParameter("it is before --from", param_hint="--to")
    with opened() as service:
        from adapters.queries.order_search import BadCursor
        from adapters.queries.past import UNBOUND

        try:
            page = service.past.changes(since, until, store, after, limit, UNBOUND)
        except BadCursor as error:
            raise typer.BadParameter(str(error), param_hint="--after") from None
    if as_json:
        print_json(page)
        return
    if not page.items:
        print_text("No order changed.")
        return
    columns = ["Order", "Before", "After", "Because"]
    rows = [_row(change) for change in page.items]
    if {change.store for change in page.items} != {"default"}:
        columns.insert(0, "Store")
        rows = [[change.store, *row] for change, row in zip(page.items, rows, strict=True)]
    print_table(columns, rows, folds=["Because", "After", "Before"])
    if page.next:
        print_text(f"There are more: add --after {page.next}", "dim")


def _row(change: "OrderChange") -> list[str | None]:
    because = "; ".join(_event(event) for event in change.because)
    return [change.order_id, _standing(change.before), _standing(change.after), because]


def _standing(standing: "Standing | None") -> str:
    if standing is None:
        return "unknown"
    review = f", review: {words(standing.review)}" if standing.review else ""
    return f"{standing.status}{review}"


def _event(event: "EventView") -> str:
    said = told(event) or words(event.reason)
    return f"{event.position} {event.type}" + (f" ({said})" if said else "")
