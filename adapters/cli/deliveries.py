"""`order-ledger deliveries`: what came in and what became of it, and what was not let in."""

from base64 import b64decode
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from adapters.access.roles import user_of_this_process
from adapters.cli.opening import opened
from adapters.cli.options import (
    AfterNumber,
    AnyStore,
    AsJson,
    DeliveryId,
    Limit,
    OneProvider,
    Raw,
    Since,
    Until,
    ending,
    group,
    name,
)
from adapters.cli.orders import require_an_id
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
    from adapters.deliveries.views import (
        DeliveryPage,
        DeliveryView,
        KeptRefusalList,
        RefusalPage,
        WholeDelivery,
    )
    from adapters.service import Service

ABOUT = "Order, or why none"

app = group(
    "Every webhook, what became of it, and what was refused.",
    ending(
        "deliveries list --outcome conflict --outcome stale",
        "deliveries show 7",
        "deliveries refused",
    ),
)


@app.command(
    "list",
    epilog=ending(
        "deliveries list",
        "deliveries list --outcome conflict --outcome stale",
        "deliveries list --order-id 42",
        "deliveries list --after 1201",
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
    provider: OneProvider = None,
    order_id: Annotated[
        str | None, typer.Option(metavar="ORDER_ID", parser=name, help="Only of this order.")
    ] = None,
    store: AnyStore = None,
    since: Since = None,
    until: Until = None,
    after: AfterNumber = None,
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """List the deliveries that were authentic, newest first.

    An order without --store is one of the store `default`.
    """
    with opened() as service:
        from dataclasses import replace

        from adapters.deliveries.views import delivery_page
        from domain.log import stream_of

        wanted = replace(
            service.of_store(store),
            provider=provider,
            stream=stream_of(store or "default", order_id) if order_id else None,
            since=since,
            until=until,
        )
        rows = service.ledger.event_log.deliveries(
            outcome or list(Outcome), after, limit + 1, wanted
        )
        page = delivery_page(rows, limit, service.bodies)
    if order_id is not None and not page.items:
        require_an_id(store or "default", order_id)
    print_deliveries(page, as_json)


@app.command("show", epilog=ending("deliveries show 7", "deliveries show 7 --raw > body.json"))
def show_delivery(delivery_id: DeliveryId, as_json: AsJson = False, raw: Raw = False) -> None:
    """Show a delivery and the body that came with it.

    A duplicate keeps no second copy of the same bytes: its body is with the delivery before it
    that has the same sha256. That a body was read is in the operators' log.
    """
    refuse_both(as_json, raw)
    with opened() as service:
        whole = read_delivery(service, delivery_id, tuple(Outcome))
    if raw:
        write_raw(whole)
    elif as_json:
        print_json(whole)
    else:
        print_whole(whole)


@app.command("refused", epilog=ending("deliveries refused", "deliveries refused --limit 10 --json"))
def list_refused(after: AfterNumber = None, limit: Limit = 100, as_json: AsJson = False) -> None:
    """List what did not authenticate, and why, newest first.

    The last 1000 lines are kept; each stands for all refusals of a provider for one reason within
    a second or more. Of providers with keep_refused the newest 100 deliveries are kept whole:
    quarantine refused.
    """
    with opened() as service:
        from adapters.deliveries.views import refusal_page

        page = refusal_page(service.refusals.page(after, limit + 1), limit)
    if as_json:
        print_json(page)
    else:
        _print_refusals(page)


# ------------------------------------------------------------------------ shared with quarantine


def refuse_both(as_json: bool, raw: bool) -> None:
    """Say that two options exclude each other."""
    if as_json and raw:
        raise typer.BadParameter("--json and --raw exclude each other", param_hint="--raw")


def read_delivery(
    service: "Service", delivery_id: int, outcomes: Sequence[Outcome]
) -> "WholeDelivery":
    """A delivery and its body, which is an operator's to read: so it is logged."""
    from adapters.deliveries.views import READ_BODY, whole_delivery
    from adapters.storage.access import Operation

    row = service.ledger.event_log.delivery(delivery_id)
    if row is None:
        raise Failed(f"there is no delivery {delivery_id}")
    if row.outcome not in outcomes:
        raise Failed(
            f"delivery {delivery_id} was not set aside, it is {row.outcome}: "
            f"order-ledger deliveries show {delivery_id}"
        )
    whole = whole_delivery(row, service.bodies)
    if whole.body is not None:
        what = f"delivery {delivery_id}"
        service.operators.append(Operation.by(user_of_this_process(), READ_BODY, what))
    return whole


def write_raw(whole: "WholeDelivery") -> None:
    """The body and nothing else."""
    if whole.body is None:
        raise Failed(_no_body(whole))
    is_text = whole.body_encoding == "utf-8"
    typer.echo(whole.body.encode() if is_text else b64decode(whole.body), nl=False)


def _no_body(whole: "WholeDelivery") -> str:
    if whole.has_body:
        return "this body cannot be read any more: its key was destroyed, or it was changed"
    told = f" (sha256 {whole.body_sha256})" if whole.body_sha256 else ""
    return f"no body of its own: the same bytes are with an earlier delivery{told}"


def print_deliveries(page: "DeliveryPage", as_json: bool) -> None:
    """A page of deliveries."""
    if as_json:
        print_json(page)
        return
    if not page.items:
        print_text("No deliveries.")
        return
    columns = ["ID", "Received", "Provider", "Outcome", "At", ABOUT]
    rows = [_row(delivery) for delivery in page.items]
    if not any(delivery.position for delivery in page.items):
        columns.remove("At")
        rows = [[*row[:4], row[5]] for row in rows]
    print_table(columns, rows, folds=[ABOUT])
    _print_more(page.next)


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


def print_whole(delivery: "WholeDelivery", *more: tuple[str, str | None]) -> None:
    """The facts of a delivery, and its body."""
    replay_of = delivery.replay_of
    facts = [
        ("Delivery", str(delivery.id)),
        ("Received", exact_time(delivery.received_at)),
        ("Recorded", exact_time(delivery.recorded_at)),
        ("Provider", delivery.provider),
        ("Address", delivery.address),
        ("Secret", delivery.key_id),
        ("Came by", delivery.origin),
        ("Replay of", str(replay_of) if replay_of is not None else None),
        ("Outcome", delivery.outcome),
        ("Reason", delivery.reason),
        ("Order", delivery.order_id),
        ("Store", delivery.store),
        ("Position", delivery.position),
        ("SHA-256", delivery.body_sha256),
        *more,
    ]
    print_facts((name, fact) for name, fact in facts if fact is not None)
    print_blank()
    if delivery.body is None:
        print_text(f"{_no_body(delivery)}.", "dim")
    elif delivery.body_encoding == "base64":
        print_text("The body is not UTF-8; --raw writes its bytes. In base64:", "dim")
        typer.echo(delivery.body)
    else:
        typer.echo("\n".join(visible(line) for line in delivery.body.split("\n")))


def _print_refusals(page: "RefusalPage") -> None:
    if not page.items:
        print_text("No refusals.")
        return
    rows = [
        [
            short_time(one.at),
            one.provider,
            str(one.count),
            one.reason,
            one.address,
            None if one.body_bytes is None else str(one.body_bytes),
            one.diagnosis,
        ]
        for one in page.items
    ]
    columns = ["At", "Provider", "Times", "Reason", "From", "Bytes", "Why"]
    print_table(columns, rows, folds=["Why"], gives_way="Bytes")
    _print_more(page.next)


def print_kept(kept: "KeptRefusalList") -> None:
    """The refused deliveries that are kept whole."""
    if not kept.items:
        print_text("No refused deliveries are kept.")
        return
    rows = [
        [
            str(one.id),
            short_time(one.received_at),
            one.provider,
            one.reason,
            one.address,
            str(one.body_bytes),
        ]
        for one in kept.items
    ]
    print_table(["ID", "Received", "Provider", "Reason", "From", "Bytes"], rows)


def _print_more(following: int | None) -> None:
    if following:
        print_text(f"There are more: add --after {following}", "dim")
