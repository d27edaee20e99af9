"""What the pages of the console share: the service, who may look, and how pages are drawn."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BeforeValidator
from starlette.exceptions import HTTPException

from adapters.access.limiter import FailureLimiter
from adapters.access.roles import Caller, Role
from adapters.http.access import Door
from adapters.http.console.session import Box, Session, Sessions
from adapters.http.quarantine import Settling
from adapters.jobs import JobRunner
from adapters.ledger.group_commit import GroupCommit
from adapters.queries.provider_views import ProviderDirectory
from adapters.read_models.keepers import Keeper
from adapters.secrets import made_once
from adapters.service import Service, folder_of
from adapters.storage.ended_sessions import EndedSessions

PATH = "/console"
SESSION_COOKIE = "order-ledger-session"
SIGN_IN_COOKIE = "order-ledger-sign-in"
FLASH_COOKIE = "order-ledger-flash"
FORM_FIELDS_MAX = 50
FORM_SECRET = "form_secret"  # noqa: S105  (the name of the field)

# What a form sends for a field that was left empty is no condition.
NoBlank = BeforeValidator(lambda value: None if value == "" else value)


class SignInWanted(Exception):
    """Nobody is signed in, or no longer."""


@dataclass(frozen=True)
class Visit:
    """A request of somebody who is signed in and may make it."""

    request: Request
    caller: Caller
    session: Session

    def may(self, role: Role) -> bool:
        """Whether the caller has a role."""
        return role in self.caller.roles

    @property
    def sees_all(self) -> bool:
        """Whether the caller reads what is of all stores."""
        return self.may(Role.AUDITOR) and self.caller.store is None


@dataclass(frozen=True)
class Submission(Visit):
    """A form that was sent from a page of the visitor's own session."""

    fields: Mapping[str, str]

    def field(self, name: str) -> str:
        """What a field of the form holds, without spaces around it; empty where it has none."""
        return self.fields.get(name, "").strip()


@dataclass(frozen=True)
class Console:
    """The service behind the pages, and the door to them."""

    service: Service
    queue: GroupCommit
    door: Door
    keeper: Keeper
    settling: Settling
    directory: ProviderDirectory
    jobs: JobRunner
    limiter: FailureLimiter = field(default_factory=FailureLimiter)
    box: Box = field(init=False)
    sessions: Sessions = field(init=False)

    def __post_init__(self) -> None:
        box = Box(made_once(folder_of(self.service.settings), "console-key"))
        object.__setattr__(self, "box", box)
        sessions = Sessions(box, time.time, EndedSessions(self.service.views))
        object.__setattr__(self, "sessions", sessions)

    def require(self, role: Role) -> Any:
        """A dependency that gives the `Visit` of somebody who has the role; else 403, or the way
        to the sign-in. It is written `visit: Annotated[Visit, console.require(Role.AUDITOR)]`."""

        async def visit(request: Request) -> Visit:
            return self._with_role(await self.visit(request), role)

        return Depends(visit)

    def require_every_store(self, role: Role) -> Any:
        """The same for what is no single store's: a token of one store is 403."""

        async def visit(request: Request) -> Visit:
            return self._of_every_store(self._with_role(await self.visit(request), role))

        return Depends(visit)

    def act(self, role: Role) -> Any:
        """A dependency for forms: the `Submission` of somebody who has the role; else 403."""

        async def submission(request: Request) -> Submission:
            found = self._with_role(await self.visit(request), role)
            fields = await form_of(request, found.session)
            return Submission(found.request, found.caller, found.session, fields)

        return Depends(submission)

    def act_in_every_store(self, role: Role) -> Any:
        """The same for what is no single store's: a token of one store is 403."""

        async def submission(request: Request) -> Submission:
            found = self._of_every_store(self._with_role(await self.visit(request), role))
            fields = await form_of(request, found.session)
            return Submission(found.request, found.caller, found.session, fields)

        return Depends(submission)

    async def session(self, request: Request) -> Session | None:
        """The session that a request belongs to, if any. Raises `StorageUnavailable`."""
        cookie = request.cookies.get(SESSION_COOKIE)
        return await run_in_threadpool(self.sessions.known, cookie) if cookie else None

    async def visit(self, request: Request) -> Visit:
        """Who is signed in. Raises `SignInWanted`."""
        session = await self.session(request)
        if session is None:
            raise SignInWanted
        caller = await self.door.holder_of(session.token_sha256, request)
        if caller is None:  # it was revoked, or taken out of the configuration
            raise SignInWanted
        return Visit(request, caller, session)

    @staticmethod
    def _of_every_store(visit: Visit) -> Visit:
        if visit.caller.store is not None:
            raise HTTPException(403, "this token is limited to one store")
        return visit

    def providers(self, visit: Visit) -> list[str]:
        """The configured providers that somebody may ask for."""
        tables = self.service.settings.providers.items()
        return sorted(n for n, table in tables if visit.caller.store in (None, table.store))

    @staticmethod
    def _with_role(visit: Visit, role: Role) -> Visit:
        if not visit.may(role):
            raise HTTPException(403, f"this token lacks the role {role}")
        return visit


async def form_of(request: Request, session: Session | None) -> Mapping[str, str]:
    """The fields of a form that a page of this session sent; of several of a name the last.

    Raises 403 where another site, or a page of an earlier session, did.
    """
    try:
        text = (await request.body()).decode()
        fields = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=FORM_FIELDS_MAX))
    except ValueError:
        raise HTTPException(422, "this is no form of the console") from None
    if session is None or not session.is_form_of_ours(fields.get(FORM_SECRET, "")):
        raise HTTPException(
            403,
            "this form is not of your session, which may have ended: go back, load the page again"
            " and repeat; the console needs its cookie",
        )
    return fields


Blank = Annotated[str | None, NoBlank]
