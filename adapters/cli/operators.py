"""`order-ledger operators`: who used an operator's right, on what, and why."""

from typing import TYPE_CHECKING

from adapters.cli.opening import opened
from adapters.cli.options import AfterNumber, AsJson, Limit, ending, group
from adapters.cli.output import print_json, print_table, print_text, short_time

if TYPE_CHECKING:
    from adapters.access.views import OperationPage

EXAMPLES = ending("operators log", "operators log --limit 10 --json")
app = group("What operators did.", EXAMPLES)


@app.callback()
def operators() -> None:
    """What operators did."""


@app.command("log", epilog=EXAMPLES)
def show_log(after: AfterNumber = None, limit: Limit = 100, as_json: AsJson = False) -> None:
    """List every use of an operator's right, newest first.

    Nobody can change or remove a line; the numbers count without a gap.
    """
    with opened() as service:
        from adapters.access.views import operation_page

        page = operation_page(service.operators.page(after, limit + 1), limit)
    if as_json:
        print_json(page)
    else:
        _print_page(page)


def _print_page(page: "OperationPage") -> None:
    if not page.items:
        print_text("No operations.")
        return
    rows = [
        [
            str(operation.id),
            short_time(operation.at),
            operation.who,
            operation.origin,
            operation.action,
            operation.object,
            operation.outcome,
            operation.reason,
        ]
        for operation in page.items
    ]
    columns = ["ID", "At", "Who", "From", "Action", "Object", "Outcome", "Reason"]
    print_table(columns, rows, folds=["Object", "Outcome", "Reason"], gives_way="From")
    if page.next:
        print_text(f"There are more: add --after {page.next}", "dim")
