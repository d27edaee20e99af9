"""`order-ledger orders`: where orders stand, and how they came there."""

from datetime import datetime
from decimal import Decimal
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from adapters.cli.opening import configured, opened
from adapters.cli.options import (
    After,
    AnyStore,
    AsJson,
    AsOf,
    Limit,
    OccurredBefore,
    OneProvider,
    OneStore,
    OrderName,
    ending,
    group,
    instant,
    name,
    one_of,
)
from adapters.cli.output import (
    Failed,
    exact_time,
    money,
    print_facts,
    print_json,
    print_table,
    print_text,
    short_time,
    words,
)
from adapters.cli.timeline import print_timeline
from domain.order import OrderStatus
from projections.audit_history import AUDIT_HISTORY
from projections.order_status import ORDER_STATUS

if TYPE_CHECKING:
    from adapters.queries.order_search import OrderFilter
    from adapters.queries.queries import OrderDetail, OrderPage, Queries
    from adapters.service import Service

app = group(
    "Where orders stand, and how they came there.",
    ending("orders list --review open", "orders show 42", "orders history 42"),
)


@app.command(
    "show",
    epilog=ending(
        "orders show 42",
        "orders show ORD-204518 --store shop-2",
        "orders show 42 --as-of 2026-01-05T07:30:00Z --json",
    ),
)
def show(
    order_id: OrderName,
    store: OneStore = "default",
    as_of: AsOf = None,
    occurred_before: OccurredBefore = None,
    as_json: AsJson = False,
) -> None:
    """Show an order: its status, its payment, its review.

    With --as-of and --occurred-before as it was: what was known at the one instant of what had
    happened before the other.
    """
    with opened(ORDER_STATUS.name) as service:
        from adapters.queries.past import Clocks

        found = find_order(service.queries, store, order_id)
        if as_of is None and occurred_before is None:
            order = service.queries.order(store, found)
        else:
            clocks = Clocks(as_of, occurred_before)
            order = service.past.order(store, found, clocks)
            if order is None and found != order_id:  # its news was moved to that order later
                order = service.past.order(store, order_id, clocks)
        if order is None:
            raise Failed(f"nothing was known of order {found}, or had happened to it, then")
        if as_json:
            print_json(order)
        else:
            print_facts(_facts(order))


def _amount(text: str) -> Decimal:
    from adapters.queries.order_search import amount_asked

    try:
        return Decimal(str(amount_asked(text)))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _currency(text: str) -> str:
    if len(text) != 3 or not text.isascii() or not text.isalpha() or not text.isupper():
        raise typer.BadParameter("three capital letters are wanted, such as KES")
    return text


OneStatus = Annotated[
    OrderStatus | None,
    typer.Option(
        metavar="STATUS",
        parser=one_of(OrderStatus),
        help=f"Only orders that are {', '.join(OrderStatus)}.",
    ),
]
OneReference = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT", parser=name, help="Only orders of this reference, or this very id."
    ),
]
OneCustomer = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT", parser=name, help="Only orders of who has this name at the provider."
    ),
]
OneAmount = Annotated[
    Decimal | None,
    typer.Option(metavar="AMOUNT", parser=_amount, help="Only of this amount, such as 902.10."),
]
OneCurrency = Annotated[
    str | None,
    typer.Option(metavar="CODE", parser=_currency, help="Only of this currency, such as KES."),
]
Sort = Annotated[
    Literal["id", "newest"],
    typer.Option(metavar="ORDER", help="id, or newest: the last changed first."),
]
ChangedSince = Annotated[
    datetime | None,
    typer.Option(
        "--from", metavar="TIME", parser=instant, help="Last changed then or later (RFC 3339)."
    ),
]
ChangedUntil = Annotated[
    datetime | None,
    typer.Option("--to", metavar="TIME", parser=instant, help="Last changed before (RFC 3339)."),
]


@app.command(
    "list",
    epilog=ending(
        "orders list --status AWAITING_PAYMENT",
        "orders list --review open --json",
        "orders list --reference ORD-204518",
        "orders list --amount 902.10 --currency KES --sort newest",
        "orders list --as-of 2026-01-05T07:30:00Z --status DELIVERED",
    ),
)
def list_orders(
    status: OneStatus = None,
    review: Annotated[
        Literal["open"] | None,
        typer.Option(metavar="open", help="Only orders that a person has to look at."),
    ] = None,
    parked: Annotated[
        bool, typer.Option("--parked", help="Only orders whose news waits to be registered.")
    ] = False,
    reference: OneReference = None,
    customer: OneCustomer = None,
    provider: OneProvider = None,
    amount: OneAmount = None,
    currency: OneCurrency = None,
    since: ChangedSince = None,
    until: ChangedUntil = None,
    sort: Sort = "id",
    store: AnyStore = None,
    as_of: AsOf = None,
    occurred_before: OccurredBefore = None,
    after: After = None,
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """List orders in the order of store and id, a page at a time.

    Between two times the last changed comes first. With --as-of and --occurred-before as they were,
    in the order of their first events.
    """
    if sort == "newest" and (as_of is not None or occurred_before is not None):
        raise typer.BadParameter("a list of the past is in the order of first events: leave it out")
    with opened(ORDER_STATUS.name) as service:
        from adapters.queries.order_search import OrderFilter

        wanted = OrderFilter(
            store=store,
            status=status.value if status else None,
            review_open=review == "open",
            parked=parked,
            reference=reference,
            customer=customer,
            provider=provider,
            amount=amount,
            currency=currency,
            since=since,
            until=until,
            newest=sort == "newest",
        )
        page = _page(service, wanted, as_of, occurred_before, after, limit)
        if as_json:
            print_json(page)
        else:
            _print_page(page, with_version=wanted.review_open)


def _page(
    service: "Service",
    wanted: "OrderFilter",
    as_of: datetime | None,
    occurred_before: datetime | None,
    after: str | None,
    limit: int,
) -> "OrderPage":
    from adapters.queries.order_search import BadCursor
    from adapters.queries.past import UNBOUND, Clocks

    try:
        if as_of is None and occurred_before is None:
            return service.queries.orders(wanted, after, limit)
        clocks = Clocks(as_of, occurred_before)
        return service.past.orders(clocks, wanted, after, limit, UNBOUND)
    except BadCursor as error:
        raise typer.BadParameter(str(error), param_hint="--after") from None


@app.command(
    "register",
    epilog=ending(
        "orders register 42 --amount 902.10 --currency KES",
        "orders register 42 --amount 902.10 --currency KES --reference ORD-204518",
    ),
)
def register(
    order_id: Annotated[
        str, typer.Argument(metavar="ORDER_ID", parser=name, help="The shop's id of the order.")
    ],
    amount: Annotated[
        str, typer.Option(metavar="AMOUNT", help="What is to be paid, in major units.")
    ],
    currency: Annotated[str, typer.Option(metavar="CODE", help="As ISO 4217 writes it: KES.")],
    reference: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT", parser=name, help="A name that providers know it by; may be repeated."
        ),
    ] = None,
    store: OneStore = "default",
    as_json: AsJson = False,
) -> None:
    """Register an order: what is to be paid for it.

    A PAID counts if amount and currency match; else it is held for a review. The same again changes
    nothing. Other terms do, before any news of a payment came; after that they are refused. News
    that waited for the order is decided at once.
    """
    from pydantic import ValidationError

    from adapters.access.roles import user_of_this_process
    from adapters.cli.commanding import command
    from adapters.ledger.registering import Terms
    from adapters.wrong_input import said

    try:
        told = {"amount": amount, "currency": currency, "references": tuple(reference or ())}
        terms = Terms.model_validate(told)
    except ValidationError as error:
        problem = error.errors()[0]
        raise typer.BadParameter(said(problem), param_hint=f"--{problem['loc'][0]}") from None
    by = user_of_this_process().who
    command(terms.placement(store, order_id, configured().amount_tolerance, by), as_json)


@app.command(
    "history",
    epilog=ending(
        "orders history 42",
        "orders history 42 --as-of 2026-01-05T07:30:00Z",
        "orders history 42 --json",
    ),
)
def history(
    order_id: OrderName,
    store: OneStore = "default",
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Tell an order's life: what was told when, and what it did.

    Each event has its position in the log (At), the time of its recording, what the provider said
    (Told), and what that did to the order (Effect). Nothing is left out: what came too late or
    contradicts is there too, and says so. With --as-of what was recorded by then, without what
    effects did.
    """
    with opened(ORDER_STATUS.name, AUDIT_HISTORY.name) as service:
        from adapters.queries.past import Clocks

        queries = service.queries
        found = find_order(queries, store, order_id)
        events = queries.history(store, found, as_of)
        if as_of is None:
            order = queries.order(store, found)
        else:
            order = service.past.order(store, found, Clocks(as_of))
            if order is None:
                raise Failed(f"nothing was known of order {found} then")
        if order is None or events is None:
            raise Failed(f"the history of order {found} is not there yet")
        if as_json:
            print_json(events)
        else:
            print_timeline(order, events)


def find_order(queries: "Queries", store: str, named: str) -> str:
    """The id of the order that has this id, or this reference alone."""
    from adapters.queries.queries import AmbiguousReference

    try:
        found = queries.find(store, named)
    except AmbiguousReference:
        raise Failed(
            f"several orders carry the reference {named}: "
            f"order-ledger orders list --reference {quote(named)} --store {quote(store)}"
        ) from None
    if found is None:
        raise Failed(f"no order of store {store} has the id or reference {named}")
    return found


def require_an_id(store: str | None, named: str) -> None:
    """Raise `Failed`, which names the id, where this is a reference of an order."""
    with opened(ORDER_STATUS.name) as service:
        told = service.queries.named_otherwise(store, named)
    if told is not None:
        raise Failed(told)


def _facts(order: "OrderDetail") -> list[tuple[str, str | None]]:
    return [
        ("Order", order.order_id),
        ("Store", order.store),
        ("Version", str(order.version)),
        ("Status", order.status),
        ("Payment", order.payment_status),
        ("Review", words(order.review)),
        ("Amount", money(order.amount, order.currency)),
        ("Paid", money(order.paid_amount, order.currency)),
        ("Registered", "yes" if order.registered else "no"),
        ("Personal data", "erased" if order.erased else "kept"),
        ("Parked since", exact_time(order.parked_since)),
        ("References", ", ".join(order.references) or None),
        ("Provider", order.provider),
        ("Delivered", exact_time(order.delivered_at)),
        ("Updated", exact_time(order.updated_at)),
        ("Position", order.position),
    ]


def _print_page(page: "OrderPage", with_version: bool) -> None:
    if not page.items:
        print_text("No orders.")
        return
    columns = ["Order", "Status", "Payment", "Review", "Amount", "Updated"]
    rows = [
        [
            order.order_id,
            order.status,
            order.payment_status,
            words(order.review),
            money(order.amount, order.currency),
            short_time(order.updated_at),
        ]
        for order in page.items
    ]
    if with_version:  # a decision names it
        columns.insert(1, "Version")
        for row, order in zip(rows, page.items, strict=True):
            row.insert(1, str(order.version))
    if {order.store for order in page.items} != {"default"}:
        columns.insert(0, "Store")
        for row, order in zip(rows, page.items, strict=True):
            row.insert(0, order.store)
    print_table(columns, rows, folds=["Review"], gives_way="Updated")
    if page.next:
        print_text(f"There are more: add --after {page.next}", "dim")
