"""`order-ledger quarantine`: what was set aside, taken in again, discarded or erased."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from adapters.access.roles import user_of_this_process
from adapters.cli.deliveries import (
    print_deliveries,
    print_kept,
    print_whole,
    read_delivery,
    refuse_both,
    write_raw,
)
from adapters.cli.opening import opened
from adapters.cli.options import (
    AfterNumber,
    AnyStore,
    AsJson,
    DeliveryId,
    Limit,
    OneProvider,
    Raw,
    Why,
    WhyForEver,
    Yes,
    ending,
    group,
    name,
    number,
)
from adapters.cli.output import (
    Failed,
    complain,
    print_json,
    print_text,
    require_yes,
)
from domain.payment import Outcome

if TYPE_CHECKING:
    from adapters.deliveries.quarantine import Quarantine, Replayed
    from adapters.deliveries.views import RetriedView
    from adapters.ledger.application import Receipt
    from adapters.service import Service

SET_ASIDE = (Outcome.QUARANTINED, Outcome.IGNORED)

app = group(
    "What could not be read, was no order's, or was refused.",
    ending(
        "quarantine list",
        "quarantine show 7 --raw > body.json",
        "quarantine replay 7",
        "quarantine replay --all --provider till",
        "quarantine discard 7 --reason 'a test of the provider'",
        "quarantine erase 7 --reason 'request 2026-17'",
        "quarantine retry-refused --all",
    ),
)

Ids = Annotated[
    list[int] | None,
    typer.Argument(metavar="ID", parser=number, help="The numbers that a list shows."),
]


@app.command("list", epilog=ending("quarantine list", "quarantine list --limit 10 --json"))
def list_quarantine(
    provider: OneProvider = None,
    store: AnyStore = None,
    settled_too: Annotated[
        bool, typer.Option("--settled-too", help="Also what was settled, and replays that failed.")
    ] = False,
    after: AfterNumber = None,
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """List what is set aside and why, newest first.

    What is quarantined could not be read or attributed; what is ignored was no order's business.
    """
    with opened() as service:
        from dataclasses import replace

        from adapters.deliveries.views import delivery_page

        log = service.ledger.event_log
        wanted = replace(service.of_store(store), provider=provider)
        if settled_too:
            rows = log.deliveries(SET_ASIDE, after, limit + 1, wanted)
        else:
            rows = log.set_aside(after, limit + 1, wanted)
        page = delivery_page(rows, limit, service.bodies)
    print_deliveries(page, as_json)


@app.command("show", epilog=ending("quarantine show 7", "quarantine show 7 --raw > body.json"))
def show_quarantine(delivery_id: DeliveryId, as_json: AsJson = False, raw: Raw = False) -> None:
    """Show what was set aside, why, and the body that came.

    And which delivery settled it, if one did. That a body was read is in the operators' log.
    """
    refuse_both(as_json, raw)
    with opened() as service:
        from adapters.deliveries.views import set_aside_view

        whole = read_delivery(service, delivery_id, SET_ASIDE)
        view = set_aside_view(whole, service.ledger)
    if raw:
        write_raw(whole)
    elif as_json:
        print_json(view)
    else:
        by = view.settled_by
        settled = f"by delivery {by.id}, which is {by.outcome}" if by else None
        settled = settled or ("erased" if view.erased else None)
        print_whole(view, ("Settled", settled))


@app.command(
    "replay",
    epilog=ending("quarantine replay 7", "quarantine replay --all", "quarantine replay 7 8 --json"),
)
def replay(
    delivery_ids: Ids = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All that is quarantined, the oldest first.")
    ] = False,
    provider: OneProvider = None,
    reason: Why = None,
    as_json: AsJson = False,
) -> None:
    """Take deliveries in again, as if they came now.

    They were set aside, or recorded with a status word that is known by now. They are read and
    decided on as webhooks are; that they were authentic was found out when they came, and their
    time of receipt stays. What cannot be read
    this time either stays set aside; the command then exits with 1. It needs no server, and does
    not disturb one.
    """
    _require_one(delivery_ids, everything)
    if provider is not None and not everything:
        raise typer.BadParameter("it narrows --all", param_hint="--provider")
    with opened() as service:
        from adapters.storage.deliveries import DeliveryFilter

        quarantine = _quarantine(service)
        ids = delivery_ids or quarantine.open_ids(DeliveryFilter(provider=provider))
        done = quarantine.replay_many(user_of_this_process(), ids, reason)
        worked = _tell_replayed(done, as_json)
    raise typer.Exit(0 if worked else 1)


@app.command(
    "discard", epilog=ending("quarantine discard 7 --reason 'a test call of the provider'")
)
def discard(
    delivery_id: DeliveryId,
    reason: Annotated[
        str,
        typer.Option(metavar="TEXT", parser=name, help="Why; it is kept with the decision."),
    ],
) -> None:
    """Decide that what was set aside says nothing.

    It is kept all the same, and listed no more.
    """
    with opened() as service:
        from adapters.deliveries.quarantine import CannotSettle, NoSuchDelivery

        quarantine = _quarantine(service)
        try:
            decision = quarantine.discard(delivery_id, reason)
        except (NoSuchDelivery, CannotSettle) as error:
            raise Failed(str(error)) from None
        (receipt,) = service.ledger.record([decision])
        caller = user_of_this_process()
        quarantine.log(caller, "quarantine discard", delivery_id, receipt, reason)
    typer.echo(f"{delivery_id} is discarded")


@app.command("erase", epilog=ending("quarantine erase 7 --reason 'request 2026-17'"))
def erase(
    delivery_id: DeliveryId, reason: WhyForEver, yes: Yes = False, as_json: AsJson = False
) -> None:
    """Erase a body that was set aside and names a person.

    Its key is destroyed: nobody can read it or take it in again. Its row of the delivery log stays,
    and who erased it is in the operators' log. It cannot be undone; told again, it does what is
    left. A body that an order took in goes with that order: order-ledger erase.
    """
    with opened() as service:
        from adapters.deliveries.quarantine import CannotSettle, NoSuchDelivery

        quarantine = _quarantine(service)
        try:
            row = quarantine.erasable(delivery_id)
            if not yes:
                print_text(f"Nobody can read again what {row.provider} sent as delivery {row.id}.")
                require_yes("Erase it?", "nothing was erased")
            done = quarantine.erase(user_of_this_process(), delivery_id, reason)
        except (NoSuchDelivery, CannotSettle) as error:
            raise Failed(str(error)) from None
    if as_json:
        print_json(done)
        return
    was = "is erased" if done.outcome == "erased" else "was erased before"
    print_text(f"{delivery_id} {was}: nobody can read it any more")
    if done.left_to_do:
        complain(done.left_to_do)


@app.command("refused", epilog=ending("quarantine refused", "quarantine refused --json"))
def list_refused(as_json: AsJson = False) -> None:
    """List the refused deliveries that are kept whole.

    The oldest first. They are kept of providers with keep_refused = true, the newest 100 of up to
    64 KiB each.
    """
    with opened() as service:
        from adapters.deliveries.views import kept_refusals

        kept = kept_refusals(service.refusals.kept())
    if as_json:
        print_json(kept)
    else:
        print_kept(kept)


@app.command(
    "retry-refused", epilog=ending("quarantine retry-refused 3", "quarantine retry-refused --all")
)
def retry_refused(
    refusal_ids: Ids = None,
    everything: Annotated[bool, typer.Option("--all", help="All that are kept.")] = False,
    as_json: AsJson = False,
) -> None:
    """Verify refused deliveries again, after a secret was mended.

    What verifies is taken in. Times are judged as of when each was received. What does not verify
    this time either stays kept, and the command exits with 1.
    """
    _require_one(refusal_ids, everything)
    with opened() as service:
        from adapters.deliveries.refusals import NoSuchRefusal, RefusedDeliveries
        from adapters.deliveries.views import RetriedList, retried_view
        from adapters.service import providers

        refused = RefusedDeliveries(
            service.refusals, service.ledger, providers(service.settings), service.operators
        )
        caller = user_of_this_process()
        items: list[RetriedView] = []
        try:
            for one in (
                refused.retry_all(caller)
                if everything
                else (refused.retry(caller, number) for number in refusal_ids or ())
            ):
                items.append(retried_view(one))
                if not as_json:
                    print_text(_retried_line(items[-1]))
        except NoSuchRefusal as error:
            raise Failed(str(error)) from None
    if as_json:
        print_json(RetriedList(items=items))
    elif not items:
        print_text("No refused deliveries are kept.")
    raise typer.Exit(0 if all(item.outcome for item in items) else 1)


def _require_one(ids: list[int] | None, everything: bool) -> None:
    if bool(ids) == everything:
        raise typer.BadParameter("name some, or all with --all", param_hint="ID")


def _quarantine(service: "Service") -> "Quarantine":
    from adapters.deliveries.quarantine import Quarantine
    from adapters.service import providers

    senders = providers(service.settings)
    return Quarantine(service.ledger, service.bodies, senders, service.operators)


def _tell_replayed(done: Iterable["Replayed"], as_json: bool) -> bool:
    """Print what became of each as it happens; returns whether all were taken in."""
    from adapters.deliveries.views import NotSettled, Settled, SettledList, settled

    items: list[Settled | NotSettled] = []
    for one in done:
        if one.receipt is None:
            items.append(NotSettled(delivery_id=one.delivery_id, problem=one.problem or ""))
        else:
            items.append(settled(one.delivery_id, one.receipt))
        if not as_json:
            told = _receipt_words(one.receipt) if one.receipt else one.problem
            print_text(f"{one.delivery_id}: {told}")
    if as_json:
        print_json(SettledList(items=items))
    elif not items:
        print_text("Nothing is set aside.")
    return all(isinstance(one, Settled) and one.outcome not in SET_ASIDE for one in items)


def _receipt_words(receipt: "Receipt") -> str:
    from domain.log import split_stream

    if receipt.outcome in SET_ASIDE:
        return f"{receipt.outcome} again: {receipt.reason}"
    words = receipt.outcome.value
    if receipt.position is not None:
        words += f" at {receipt.position}"
    if receipt.order is not None:
        words += f"; order {split_stream(receipt.order.id)[1]} is {receipt.order.status}"
    return words


def _retried_line(one: "RetriedView") -> str:
    if one.outcome is None:
        return f"{one.id}: refused again: {one.refused}"
    where = f" at {one.position}" if one.position else ""
    about = f"; order {one.order_id} is {one.order_status}" if one.order_id else ""
    return f"{one.id}: {one.outcome}{where}{about}"
