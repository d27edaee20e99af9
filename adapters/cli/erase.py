"""`order-ledger erase`: what names a person is made unreadable, and every fact stays."""

import shlex
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from adapters.access.roles import user_of_this_process
from adapters.cli.opening import opened
from adapters.cli.options import AsJson, WhyForEver, Yes, ending, name
from adapters.cli.output import Failed, complain, print_json, print_text, require_yes
from projections.order_status import ORDER_STATUS

if TYPE_CHECKING:
    from adapters.erasure.erasing import Eraser, ErasureAnswer, Plan
    from adapters.service import Service

EXAMPLES = ending(
    "erase 42 --reason 'request 2026-17'",
    "erase --customer CUS-000017 --reason 'request 2026-17' --yes --json",
)


def erase(
    reason: WhyForEver,
    order_id: Annotated[
        str | None, typer.Argument(metavar="[ORDER_ID]", parser=name, help="The order's own id.")
    ] = None,
    customer: Annotated[
        str | None,
        typer.Option(
            "--customer",
            metavar="REF",
            parser=name,
            help="Instead of an order: every order of whom the provider calls so.",
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            "--store",
            metavar="STORE",
            parser=name,
            help="The store that the order is of (default), or only this store's orders.",
        ),
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Erase personal data of an order, or of a customer's orders.

    The keys of what was sealed (bodies, private fields) are destroyed: nobody can read it again.
    Statuses, amounts, times, ids and hashes stay, and what proves them; so do copies that were
    made before. Whatever was set aside or refused and names the order or the customer goes too.
    It cannot be undone; told again, it does what is left.
    """
    if (order_id is None) == (customer is None):
        raise typer.BadParameter("name an order, or a --customer", param_hint="ORDER_ID")
    with opened(ORDER_STATUS.name) as service:
        from adapters.erasure.erasing import Eraser, Plan, answer_of

        eraser = Eraser(service)
        plan = partial(_plans, eraser, order_id, customer, store)
        _require_something(plans := plan(), customer)
        if not yes:
            _ask(plans)
            plans = plan()
        what = f"{store or 'default'}/{order_id}" if order_id else f"a customer of {store or 'all'}"
        done = list[Plan]()
        while plans:  # until nothing is new: more of the person may have come meanwhile
            for each in plans:
                _do(service, eraser, each, what, reason)
            done += plans
            plans = [each.rest() for each in plan() if not each.is_for_nothing]
        answer = answer_of(done, eraser.finish(done))
    if as_json:
        print_json(answer)
    else:
        _print(answer, reason)


def _plans(
    eraser: "Eraser", order_id: str | None, customer: str | None, store: str | None
) -> list["Plan"]:
    from adapters.erasure.erasing import NotUpToDate
    from domain.registration import Unknown

    try:
        if customer is not None:
            return list(eraser.of_customer(store, customer))
        assert order_id is not None
        return [eraser.of_order(store or "default", order_id)]
    except (NotUpToDate, Unknown) as error:
        raise Failed(str(error)) from None


def _require_something(plans: Sequence["Plan"], customer: str | None) -> None:
    if not any(plan.orders or plan.deliveries or plan.refusals for plan in plans):
        raise Failed(f"nothing here is known of a customer {customer}")


def _ask(plans: Sequence["Plan"]) -> None:
    from adapters.erasure.erasing import answer_of

    orders = [stream for plan in plans for stream in plan.streams]
    known = [stream for plan in plans for stream in plan.orders]
    print_text("Nobody can read again what was told of these persons:")
    for stream in orders[:20]:
        print_text(f"order {stream}", indent=2)
    if len(orders) > 20:
        print_text(f"and {len(orders) - 20} orders more", indent=2)
    if len(known) > len(orders):
        print_text(f"{len(known) - len(orders)} orders were erased before", "dim", indent=2)
    deliveries = [number for plan in plans for number in plan.deliveries]
    if deliveries:
        listed = ", ".join(map(str, deliveries[:20])) + (" and more" if deliveries[20:] else "")
        print_text(f"{len(deliveries)} deliveries that were set aside: {listed}", indent=2)
    refused = sum(len(plan.refusals) for plan in plans)
    if refused:
        print_text(f"{refused} refused deliveries, which are deleted", indent=2)
    if looked := _look_at(answer_of(plans, is_done=False)):
        print_text(looked, "dim", indent=2)
    require_yes("Erase it?", "nothing was erased")


def _do(service: "Service", eraser: "Eraser", plan: "Plan", what: str, reason: str) -> None:
    from domain.registration import Refused

    caller = user_of_this_process()
    eraser.sweep(caller, plan, what, reason)
    for receipt in service.ledger.execute(plan.erasures(caller.who, reason)):
        if isinstance(receipt, Refused):
            raise Failed(str(receipt))


def _print(answer: "ErasureAnswer", reason: str) -> None:
    for order in answer.orders:
        was = "erased" if order.outcome == "erased" else "was erased before"
        print_text(f"order {order.order_id} of store {order.store}: {was}")
    if answer.deliveries:
        print_text(f"deliveries that were set aside, erased: {len(answer.deliveries)}")
    if answer.refused_deliveries:
        print_text(f"refused deliveries, deleted: {answer.refused_deliveries}")
    if looked := _look_at(answer):
        print_text(looked)
        for number in answer.look_at:
            wanted = f"order-ledger quarantine erase {number} --reason {shlex.quote(reason)}"
            print_text(f"where it is theirs: {wanted}", indent=2)
    if answer.left_to_do:
        complain(answer.left_to_do)


def _look_at(answer: "ErasureAnswer") -> str:
    """What a person has to look at, since it may be a stranger's."""
    kinds = (("deliveries", answer.look_at), ("refused deliveries", answer.look_at_refused))
    told = [f"{kind} {', '.join(map(str, numbers))}" for kind, numbers in kinds if numbers]
    return f"look at these, which may name them and stay: {'; '.join(told)}" if told else ""
