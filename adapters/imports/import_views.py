"""What an import did, in the form that people and programs see."""

from pydantic import BaseModel

from adapters.imports.importing import Tally
from domain.payment import Outcome


class UnreadView(BaseModel):
    """A line of the export that was quarantined, and why."""

    line: int
    reason: str | None


class ImportView(BaseModel):
    """How many bodies an import read, and how many had which outcome. `unread` has the first 1,000
    that were quarantined, `unread_more` counts the others. After a dry run it is what would be."""

    provider: str
    dry_run: bool
    bodies: int
    outcomes: dict[Outcome, int]
    unread: list[UnreadView]
    unread_more: int


def import_view(tally: Tally, provider: str, *, dry_run: bool) -> ImportView:
    """The view of a tally."""
    return ImportView(
        provider=provider,
        dry_run=dry_run,
        bodies=tally.bodies,
        outcomes={outcome: tally.outcomes[outcome] for outcome in sorted(tally.outcomes)},
        unread=[UnreadView(line=line, reason=reason) for line, reason in tally.unread],
        unread_more=tally.outcomes[Outcome.QUARANTINED] - len(tally.unread),
    )
