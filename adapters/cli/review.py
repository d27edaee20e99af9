"""`order-ledger review`: orders that a person has to look at, and what the person decides."""

import sys
from typing import Annotated, Literal

import typer

from adapters.access.roles import user_of_this_process
from adapters.cli.commanding import command
from adapters.cli.opening import opened
from adapters.cli.options import AnyStore, AsJson, Limit, OneStore, ending, group, name
from adapters.cli.orders import list_orders
from adapters.cli.output import Failed, money, print_facts, require_yes, words
from domain.log import stream_of
from domain.order import Order, PaymentReceived, project

app = group(
    "Orders that a person has to look at.",
    ending(
        "review list",
        "review accept 42 --version 3 --reason 'the shop gave a discount'",
        "review reject 42 --version 3 --reason 'the customer pays again'",
    ),
)
OrderId = Annotated[str, typer.Argument(metavar="ORDER_ID", parser=name, help="The order's id.")]
Reason = Annotated[
    str, typer.Option(metavar="TEXT", parser=name, help="Why, for the order's history.")
]
Version = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="The order's version that you looked at (review list); without it you are shown the "
        "order and asked.",
    ),
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


@app.command(
    "accept",
    epilog=ending(
        "review accept 42 --version 3 --reason 'the shop gave a discount'",
        "review accept 42 --reason 'the shop gave a discount'",
    ),
)
def accept(
    order_id: OrderId,
    reason: Reason,
    version: Version = None,
    store: OneStore = "default",
    as_json: AsJson = False,
) -> None:
    """Close a review; a PAID that it holds delivers the order.

    An order that has moved on since --version is left as it is: look again, then decide.
    """
    _resolve("accept", order_id, store, version, reason, as_json)


@app.command(
    "reject",
    epilog=ending("review reject 42 --version 3 --reason 'the customer pays again'"),
)
def reject(
    order_id: OrderId,
    reason: Reason,
    version: Version = None,
    store: OneStore = "default",
    as_json: AsJson = False,
) -> None:
    """Close a review; a PAID that it holds counts for nothing.

    An order that has moved on since --version is left as it is: look again, then decide.
    """
    _resolve("reject", order_id, store, version, reason, as_json)


def _resolve(
    decision: Literal["accept", "reject"],
    order_id: str,
    store: str,
    version: int | None,
    reason: str,
    as_json: bool,
) -> None:
    from adapters.ledger.registering import VERDICTS
    from adapters.storage.access import Operation
    from domain.registration import Resolution

    caller = user_of_this_process()
    if version is None:
        version = _look(decision, order_id, store, as_json)
    resolution = Resolution(
        store=store,
        order_id=order_id,
        version=version,
        verdict=VERDICTS[decision],
        by=caller.who,
        reason=reason,
    )
    what = f"{store}/{order_id}"
    command(resolution, as_json, Operation.by(caller, f"review {decision}", what, reason))


def _look(decision: str, order_id: str, store: str, as_json: bool) -> int:
    """Show a person what is about to be decided, and ask; returns the version that was shown."""
    if as_json or not sys.stdin.isatty():
        raise typer.BadParameter(
            "wanted where nobody can be asked: the order's version that was looked at, as "
            "order-ledger review list tells it",
            param_hint="--version",
        )
    with opened() as service:
        history = service.ledger.history(stream_of(store, order_id))
    order = project(None, [recorded.event for recorded in history])
    if order is None:
        raise Failed(f"nothing is known of the order {order_id}")
    if order.review is None:
        raise Failed("no review of this order is open")
    print_facts(_facts(order, order_id, store))
    require_yes(f"{decision.capitalize()} this?", "nothing was decided")
    return order.version


def _facts(order: Order, order_id: str, store: str) -> list[tuple[str, str | None]]:
    placed, held = order.placed, order.waiting.news if order.waiting else None
    return [
        ("Order", order_id),
        ("Store", store),
        ("Version", str(order.version)),
        ("Status", order.status),
        ("Review", words(order.review)),
        ("To be paid", money(str(placed.amount), placed.currency) if placed else None),
        ("Held PAID", _held(held) if held else "none waits: the review is closed, no more"),
    ]


def _held(news: PaymentReceived) -> str:
    told = None if news.amount is None else money(str(news.amount), news.currency)
    return f"{told or 'an amount that was not told'}, from {news.provider}"
