"""`order-ledger review`: orders that a person has to look at, and what the person decides."""

from typing import Annotated, Literal

import typer

from adapters.access.roles import user_of_this_process
from adapters.cli.commanding import command
from adapters.cli.options import AnyStore, AsJson, Limit, OneStore, ending, group, name
from adapters.cli.orders import list_orders

app = group(
    "Orders that a person has to look at.",
    ending(
        "review list",
        "review accept 42 --reason 'the shop gave a discount'",
        "review reject 42 --reason 'the customer pays again'",
    ),
)
OrderId = Annotated[str, typer.Argument(metavar="ORDER_ID", parser=name, help="The order's id.")]
Reason = Annotated[
    str, typer.Option(metavar="TEXT", parser=name, help="Why, for the order's history.")
]


@app.command("list", epilog=ending("review list", "review list --store shop-2 --json"))
def list_reviews(
    store: AnyStore = None,
    after: Annotated[
        str | None, typer.Option(metavar="CURSOR", help="Go on where an earlier page ended.")
    ] = None,
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """List the orders whose review is open."""
    list_orders(review="open", store=store, after=after, limit=limit, as_json=as_json)


@app.command("accept", epilog=ending("review accept 42 --reason 'the shop gave a discount'"))
def accept(
    order_id: OrderId, reason: Reason, store: OneStore = "default", as_json: AsJson = False
) -> None:
    """Close a review; a PAID that it holds delivers the order."""
    _resolve("accept", order_id, store, reason, as_json)


@app.command("reject", epilog=ending("review reject 42 --reason 'the customer pays again'"))
def reject(
    order_id: OrderId, reason: Reason, store: OneStore = "default", as_json: AsJson = False
) -> None:
    """Close a review; a PAID that it holds counts for nothing."""
    _resolve("reject", order_id, store, reason, as_json)


def _resolve(
    decision: Literal["accept", "reject"], order_id: str, store: str, reason: str, as_json: bool
) -> None:
    from adapters.ledger.registering import VERDICTS
    from adapters.storage.access import Operation
    from domain.registration import Resolution

    caller = user_of_this_process()
    resolution = Resolution(
        store=store, order_id=order_id, verdict=VERDICTS[decision], by=caller.who, reason=reason
    )
    what = f"{store}/{order_id}"
    command(resolution, as_json, Operation.by(caller, f"review {decision}", what, reason))
