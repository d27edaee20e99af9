"""The pages of the console, in the order in which they are listed, and who sees which."""

from typing import NamedTuple

from adapters.access.roles import Role
from adapters.http.console.context import PATH, Visit


class Place(NamedTuple):
    """A page in the list: what it is called, where it is, and whether it is of all stores."""

    label: str
    page: str
    of_all_stores: bool = False

    @property
    def url(self) -> str:
        """Its address."""
        return PATH + self.page


PLACES = (
    Place("Overview", "/"),
    Place("Orders", "/orders"),
    Place("Payments", "/payments"),
    Place("Deliveries", "/deliveries"),
    Place("Quarantine", "/quarantine"),
    Place("Effects", "/effects"),
    Place("Projections", "/projections", of_all_stores=True),
    Place("Evidence", "/evidence", of_all_stores=True),
    Place("Providers", "/providers"),
    Place("Operators", "/operators", of_all_stores=True),
)


def places(visit: Visit) -> list[Place]:
    """The pages that somebody may open."""
    if not visit.may(Role.AUDITOR):
        return []
    return [place for place in PLACES if visit.sees_all or not place.of_all_stores]
