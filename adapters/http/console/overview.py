"""The overview: how the ledger stands, at a glance."""

from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Response

from adapters.access.roles import Role
from adapters.http.console.charts import per_minute
from adapters.http.console.context import Console, Visit
from adapters.http.console.orders import KINDS
from adapters.http.console.rendering import Pages, url_of, words
from adapters.queries.overview import COUNTED_MAX, MINUTES, Overview, Overviews
from domain.order import OrderStatus

LIVE_SECONDS = 5.0
LAG_SHOWN = 1000  # events behind the log that are worth a person's look


class Matter(NamedTuple):
    """Something that a person should see to, and where."""

    says: str
    url: str
    kind: str


def overview_router(console: Console, pages: Pages) -> APIRouter:
    """The routes of the overview, whole and its live part."""
    router = APIRouter()
    auditor = console.require(Role.AUDITOR)
    overviews = Overviews(console.service)

    def shown(visit: Visit) -> dict[str, Any]:
        found = overviews.overview(visit.caller.store)
        now = datetime.now(UTC)
        total = sum(found.orders.values())
        return {
            "overview": found,
            "now": now,
            "matters": matters_of(found, console.keeper.is_alive),
            "orders_total": total,
            "orders": [
                (status.value, found.orders.get(status, 0), KINDS[status]) for status in OrderStatus
            ],
            "chart": per_minute(found.whole.minutes, MINUTES, now) if found.whole else None,
        }

    @router.get("/")
    def overview(visit: Annotated[Visit, auditor]) -> Response:
        return pages.show(visit, "overview.html", **shown(visit))

    @router.get("/overview/live")
    async def live(visit: Annotated[Visit, auditor]) -> Response:
        return pages.live.stream(
            visit, LIVE_SECONDS, lambda now: pages.part(now, "overview_part.html", **shown(now))
        )

    return router


def matters_of(found: Overview, keeper_is_alive: bool) -> list[Matter]:
    """What a person should see to, the worst first."""
    matters = []
    whole = found.whole
    if whole is not None:
        if not keeper_is_alive:
            says = "The process that keeps the read models does not run: pages may be old."
            matters.append(Matter(says, url_of("/projections"), "bad"))
        matters += _of_read_models(found)
        if whole.evidence.problem:
            says = f"The log is not sealed: {whole.evidence.problem}"
            matters.append(Matter(says, url_of("/evidence"), "bad"))
    for provider in found.providers:
        if provider.silent:
            says = f"{provider.name} has been silent for longer than usual."
            matters.append(Matter(says, url_of("/providers"), "bad"))
    for target in whole.targets if whole else []:
        if target.dead:
            says = f"{_counted(target.dead, 'effect')} of {target.name} failed for good."
            matters.append(
                Matter(says, url_of("/effects", target=target.name, state="dead"), "bad")
            )
    for count, noun, says, url in (
        (found.reviews, "order", "to review", url_of("/orders", needs="review")),
        (found.set_aside, "delivery", "in the quarantine", url_of("/quarantine")),
        (found.parked, "order", "to be registered", url_of("/orders", needs="registration")),
    ):
        if count:
            matters.append(Matter(f"{_counted(count, noun)} {says}.", url, "odd"))
    return sorted(matters, key=lambda matter: matter.kind != "bad")


def _of_read_models(found: Overview) -> list[Matter]:
    matters = []
    there = url_of("/projections")
    for each in found.whole.projections if found.whole else []:
        name = f"read model {words(each.name)}"
        if each.parked_at:
            says = f"The {name} stands still before {each.parked_at}."
            matters.append(Matter(says, there, "bad"))
        if each.drifting:
            says = f"{_counted(each.drifting, 'order')} of the {name} are not what the events say."
            matters.append(Matter(says, there, "bad"))
        if each.lag >= LAG_SHOWN:
            says = f"The {name} is {each.lag:,} events behind."
            matters.append(Matter(says, there, "odd"))
        if each.rebuild_due:
            matters.append(Matter(f"A rebuild of the {name} is due.", there, "odd"))
    return matters


def _counted(count: int, noun: str) -> str:
    plural = {"delivery": "deliveries"}.get(noun, f"{noun}s")
    many = "or more " if count >= COUNTED_MAX else ""
    return f"{count:,} {many}{noun if count == 1 else plural}"
