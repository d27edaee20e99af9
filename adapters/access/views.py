"""Tokens and the operators' log in the form that people and programs see."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from adapters.access.roles import Role
from adapters.storage.access import LoggedOperation, TokenRow


class OperationView(BaseModel):
    """One use of an operator's right. `origin` is an address, or `command line`."""

    id: int
    at: datetime
    who: str
    origin: str
    action: str
    object: str
    reason: str | None
    outcome: str


class OperationPage(BaseModel):
    """Operations, newest first; `next` leads to the next page, or is null."""

    items: list[OperationView]
    next: int | None


class TokenView(BaseModel):
    """A token that was made, without itself. `store` null is every store; `last_used_at` is up to
    a minute old."""

    name: str
    roles: list[Role]
    store: str | None
    state: Literal["live", "expired", "revoked"]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class NewToken(TokenView):
    """A token that was just made: the only time that it is shown."""

    token: str


class TokenList(BaseModel):
    """Every token that was ever made, by name."""

    items: list[TokenView]


def operation_page(rows: Sequence[LoggedOperation], limit: int) -> OperationPage:
    """A page of up to `limit` rows; one row more says that there is a next page."""
    items = [OperationView(**row._asdict()) for row in rows[:limit]]
    return OperationPage(items=items, next=items[-1].id if len(rows) > limit else None)


def token_view(row: TokenRow, now: datetime) -> TokenView:
    """A token as it is at an instant."""
    state: Literal["live", "expired", "revoked"] = "live"
    if row.revoked_at is not None:
        state = "revoked"
    elif not row.is_live(now):
        state = "expired"
    return TokenView(
        name=row.name,
        roles=sorted(row.roles),
        store=row.store,
        state=state,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )
