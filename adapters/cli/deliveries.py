"""`order-ledger deliveries` and `quarantine`: what came in, and what became of it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from adapters.cli.opening import opened
from adapters.cli.options import AsJson, Before, Limit, ending, group, number
from adapters.cli.output import (
    Failed,
    exact_time,
    print_blank,
    print_facts,
    print_json,
    print_table,
    print_text,
    short_time,
    visible,
)
from domain.payment import Outcome

if TYPE_CHECKING:
    from adapters.cli.delivery_views import DeliveryPage, DeliveryView, WholeDelivery

ABOUT = "Order, or why none"
SET_ASIDE = (Outcome.QUARANTINED, Outcome.IGNORED)

deliveries = group(
    "Every authentic webhook, and what became of it.",
    ending("deliveries list --outcome conflict --outcome stale", "deliveries show 7"),
)
quarantine = group(
    "What could not be read or was no order's, kept whole.",
    ending("quarantine list", "quarantine show 7", "quarantine show 7 --raw > body.json"),
)

DeliveryId = Annotated[
    int, typer.Argument(metavar="ID", parser=number, help="The number that a list shows.")
]
Raw = Annotated[bool, typer.Option("--raw", help="Write nothing but the body's bytes, unchanged.")]


@deliveries.command(
    "list",
    epilog=ending(
        "deliveries list",
        "deliveries list --outcome conflict --outcome stale",
        "deliveries list --before 1201",
    ),
)
def list_deliveries(
    outcome: Annotated[
        list[Outcome] | None,
        typer.Option(
            metavar="OUTCOME",
            help=f"Only these, and it may be repeated: {', '.join(Outcome)}.",
        ),
    ] = None,
    before: Before = None,
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """List the deliveries that were authentic, newest first."""
    _list(tuple(outcome or Outcome), before, limit, as_json)


@deliveries.command(
    "show", epilog=ending("deliveries show 7", "deliveries show 7 --raw > body.json")
)
def show_delivery(delivery_id: DeliveryId, as_json: AsJson = False, raw: Raw = False) -> None:
    """Show a delivery and the body that came with it.

    A duplicate keeps no second copy of the same bytes: its body is with the delivery before it
    that has the same sha256.
    """
    _show(delivery_id, tuple(Outcome), as_json, raw)


@quarantine.command("list", epilog=ending("quarantine list", "quarantine list --limit 10 --json"))
def list_quarantine(before: Before = None, limit: Limit = 100, as_json: AsJson = False) -> None:
    """List what was set aside and why, newest first.

    What is quarantined could not be read or attributed; what is ignored was no order's business.
    """
    _list(SET_ASIDE, before, limit, as_json)


@quarantine.command(
    "show", epilog=ending("quarantine show 7", "quarantine show 7 --raw > body.json")
)
def show_quarantine(delivery_id: DeliveryId, as_json: AsJson = False, raw: Raw = False) -> None:
    """Show what was set aside, why, and the body that came."""
    _show(delivery_id, SET_ASIDE, as_json, raw)


def _list(outcomes: Sequence[Outcome], before: int | None, limit: int, as_json: bool) -> None:
    with opened() as service:
        from adapters.cli.delivery_views import delivery_page

        rows = service.ledger.event_log.deliveries(outcomes, before, limit + 1)
    page = delivery_page(rows, limit)
    if as_json:
        print_json(page)
    else:
        _print_page(page)


def _show(delivery_id: int, outcomes: Sequence[Outcome], as_json: bool, raw: bool) -> None:
    if as_json and raw:
        raise typer.BadParameter("--json and --raw exclude each other", param_hint="--raw")
    with opened() as service:
        from adapters.cli.delivery_views import whole_delivery

        found = service.ledger.event_log.delivery(delivery_id)
    if found is None:
        raise Failed(f"there is no delivery {delivery_id}")
    row, body = found
    if row.outcome not in outcomes:
        raise Failed(
            f"delivery {delivery_id} was not set aside, it is {row.outcome}: "
            f"order-ledger deliveries show {delivery_id}"
        )
    if raw:
        _write_raw(body, row.body_sha256)
    elif as_json:
        print_json(whole_delivery(row, body))
    else:
        _print_whole(whole_delivery(row, body))


def _write_raw(body: bytes | None, body_sha256: str) -> None:
    if body is None:
        raise Failed(
            f"this delivery has no body of its own: the same bytes (sha256 {body_sha256}) "
            "are with an earlier one"
        )
    typer.echo(body, nl=False)


def _print_page(page: "DeliveryPage") -> None:
    if not page.items:
        print_text("No deliveries.")
        return
    columns = ["ID", "Received", "Provider", "Outcome", "At", ABOUT]
    rows = [_row(delivery) for delivery in page.items]
    if not any(delivery.position for delivery in page.items):
        columns.remove("At")
        rows = [[*row[:4], row[5]] for row in rows]
    print_table(columns, rows, folds=[ABOUT])
    if page.next:
        print_text(f"There are more: add --before {page.next}", "dim")


def _row(delivery: "DeliveryView") -> list[str | None]:
    about = delivery.order_id
    if about is not None and delivery.store != "default":
        about += f" (store {delivery.store})"
    return [
        str(delivery.id),
        short_time(delivery.received_at),
        delivery.provider,
        delivery.outcome,
        delivery.position,
        about or delivery.reason,
    ]


def _print_whole(delivery: "WholeDelivery") -> None:
    facts = [
        ("Delivery", str(delivery.id)),
        ("Received", exact_time(delivery.received_at)),
        ("Recorded", exact_time(delivery.recorded_at)),
        ("Provider", delivery.provider),
        ("Outcome", delivery.outcome),
        ("Reason", delivery.reason),
        ("Order", delivery.order_id),
        ("Store", delivery.store),
        ("Position", delivery.position),
        ("SHA-256", delivery.body_sha256),
    ]
    print_facts((name, fact) for name, fact in facts if fact is not None)
    print_blank()
    if delivery.body is None:
        print_text("No body of its own: the same bytes are with an earlier delivery.", "dim")
    elif delivery.body_encoding == "base64":
        print_text("The body is not UTF-8; --raw writes its bytes. In base64:", "dim")
        typer.echo(delivery.body)
    else:
        typer.echo("\n".join(visible(line) for line in delivery.body.split("\n")))
