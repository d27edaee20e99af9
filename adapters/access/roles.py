"""Roles, and the caller who has them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Role(StrEnum):
    """What a caller may do. A role includes no other: a token may have several."""

    AUDITOR = "auditor"
    """Read: orders, histories, payments, deliveries, the operators' log."""
    OPERATOR = "operator"
    """Act: replay, rebuild, erase, discard, close reviews."""
    STORE = "store"
    """Register orders."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks (`token NAME`, `configured token`, `user NAME`), from where (an address, or
    `command line`), with which roles, and for which store only, or None for all."""

    who: str
    origin: str
    roles: frozenset[Role]
    store: str | None = None

    @classmethod
    def with_every_role(cls, who: str, origin: str = "") -> Self:
        """A caller who may do everything, in every store."""
        return cls(who, origin, frozenset(Role))


COMMAND_LINE = "command line"
CONFIGURED = Caller.with_every_role("configured token")


def user_of_this_process() -> Caller:
    """Whoever runs this process, by the operating system's word for him.

    Not by $USER or $LOGNAME, which anybody sets to anything.
    """
    try:
        import os
        import pwd

        uid = os.getuid()
    except ImportError:  # Windows
        import getpass

        return Caller.with_every_role(f"user {getpass.getuser()}", COMMAND_LINE)
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:  # a container's number without a name
        name = str(uid)
    return Caller.with_every_role(f"user {name}", COMMAND_LINE)
