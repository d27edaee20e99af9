"""`order-ledger effects`: what was sent because of the orders' events, and what waits or failed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from adapters.access.roles import user_of_this_process
from adapters.cli.opening import opened
from adapters.cli.options import AfterNumber, AnyStore, AsJson, Limit, ending, group, name
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
)
from adapters.effects.state import State

if TYPE_CHECKING:
    from adapters.effects.acting import EffectDesk
    from adapters.queries.effect_views import EffectPage, EffectView, TargetView

RETRY_EXAMPLES = ("effects retry ID", "effects retry --target shop --reason 'the shop is back'")
app = group(
    "What is sent because of the orders' events.",
    ending("effects list --state dead", "effects show ID", RETRY_EXAMPLES[1], "effects pause shop"),
)

EffectId = Annotated[
    str, typer.Argument(metavar="ID", parser=name, help="Its id, as a list shows.")
]
TargetName = Annotated[
    str, typer.Argument(metavar="TARGET", parser=name, help="The target's name.")
]
Reason = Annotated[
    str | None, typer.Option(metavar="TEXT", parser=name, help="Why, for the operators' log.")
]


@app.command(
    "list", epilog=ending("effects list --state dead", "effects list --order-id 42 --json")
)
def list_effects(
    target: Annotated[
        str | None, typer.Option(metavar="TARGET", parser=name, help="Only this target's.")
    ] = None,
    state: Annotated[
        State | None,
        typer.Option(metavar="STATE", help=f"Only those that are {', '.join(State)}."),
    ] = None,
    order_id: Annotated[
        str | None, typer.Option(metavar="ORDER_ID", parser=name, help="Only this order's.")
    ] = None,
    store: AnyStore = None,
    after: AfterNumber = None,
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """List effects, newest first, after a line for each target."""
    with opened() as service:
        from adapters.queries.effect_views import effect_page
        from adapters.storage.effects import EffectFilter

        wanted = EffectFilter(target, state, store, order_id)
        page = effect_page(service.effects, wanted, after, limit, targets=True)
        configured = set(service.settings.effects)
    if order_id is not None and not page.items:
        require_an_id(store, order_id)
    if as_json:
        print_json(page)
    else:
        _print_page(page, configured)


@app.command("show", epilog=ending("effects show ID", "effects show ID --json"))
def show(effect_id: EffectId, as_json: AsJson = False) -> None:
    """Show an effect: what it is about, and how its tries went."""
    with _desk() as desk:
        from adapters.queries.effect_views import effect_view

        effect = effect_view(desk.known(effect_id))
    if as_json:
        print_json(effect)
    else:
        print_facts(_facts(effect))


@app.command("retry", epilog=ending(*RETRY_EXAMPLES))
def retry(
    effect_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", parser=name, help="Its id, as a list shows.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(metavar="TARGET", parser=name, help="All dead ones of a target.")
    ] = None,
    reason: Reason = None,
) -> None:
    """Try an unsent effect again, or all dead ones of a target.

    It is tried from now on, as often as a new one.
    """
    if (effect_id is None) == (target is None):
        raise typer.BadParameter("name an effect's ID, or a target with --target")
    with _desk() as desk:
        if target is not None:
            told = f"{desk.retry_dead(target, reason)} will be tried again"
        else:
            assert effect_id is not None
            desk.retry(effect_id, reason)
            told = f"{effect_id} will be tried again"
    typer.echo(told)


@app.command("skip", epilog=ending("effects skip ID --reason 'told by phone'"))
def skip(effect_id: EffectId, reason: Reason = None) -> None:
    """Never send an effect; the later ones of its order go on."""
    with _desk() as desk:
        desk.skip(effect_id, reason)
    typer.echo(f"{effect_id} is skipped")


@app.command("pause", epilog=ending("effects pause shop --reason 'the shop moves'"))
def pause(target: TargetName, reason: Reason = None) -> None:
    """Send nothing to a target for now; what comes meanwhile waits."""
    with _desk() as desk:
        desk.pause(target, reason)
    typer.echo(f"{target} is paused; effects resume {target} goes on")


@app.command("resume", epilog=ending("effects resume shop"))
def resume(target: TargetName, reason: Reason = None) -> None:
    """Send to a target again, at once."""
    with _desk() as desk:
        desk.resume(target, reason)
    typer.echo(f"{target} goes on")


@contextmanager
def _desk() -> Iterator["EffectDesk"]:
    """The effects in this user's hand; what cannot be done is told in a line."""
    from adapters.effects.acting import CannotAct, EffectDesk

    with opened() as service:
        try:
            yield EffectDesk(service.effects, user_of_this_process())
        except CannotAct as error:
            raise Failed(str(error)) from None


def _print_page(page: "EffectPage", configured: set[str]) -> None:
    if page.targets:
        columns = ["Target", "State", "Position", "Pending", "Failed", "Dead"]
        rows = [
            [
                target.name,
                _standing(target, configured),
                target.position,
                str(target.pending),
                str(target.failed),
                str(target.dead),
            ]
            for target in page.targets
        ]
        print_table(columns, rows, folds=["State"])
        print_blank()
    if not page.items:
        print_text("No effects.")
        return
    columns = ["Created", "Target", "Event", "Order", "State", "Tries", "Answer", "ID"]
    print_table(columns, map(_row, page.items), folds=["Answer"], gives_way="Created")
    if page.next:
        print_text(f"There are more: add --after {page.next}", "dim")


def _standing(target: "TargetView", configured: set[str]) -> str:
    if target.name not in configured:
        return "not configured"
    if target.problem:
        return f"stands still: {target.problem}"
    if target.paused:
        return f"paused: {target.paused}"
    if target.breaker_open_until:
        return f"left alone until {exact_time(target.breaker_open_until)}"
    return "sends"


def _row(effect: "EffectView") -> list[str | None]:
    return [
        short_time(effect.created_at),
        effect.target,
        effect.event,
        effect.order_id,
        effect.state,
        str(effect.attempts),
        effect.answer or (f"waits for {effect.waits_for}" if effect.waits_for else None),
        effect.id,
    ]


def _facts(effect: "EffectView") -> list[tuple[str, str | None]]:
    return [
        ("Effect", effect.id),
        ("Target", effect.target),
        ("State", effect.state),
        ("Event", f"{effect.event} at {effect.position}"),
        ("Order", f"{effect.order_id} of store {effect.store}"),
        ("Tries", str(effect.attempts)),
        ("Created", exact_time(effect.created_at)),
        ("Last try", exact_time(effect.last_attempt_at)),
        ("Next try", exact_time(effect.next_attempt_at)),
        ("Sent", exact_time(effect.sent_at)),
        ("Answer", effect.answer),
        ("Its text", effect.excerpt),
        ("Waits for", effect.waits_for),
    ]
