"""The door of the query API: who may come in, as dependencies of its routes."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.dependencies.models import Dependant
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes
from starlette.exceptions import HTTPException

from adapters.access.addresses import Address, Network, client_address
from adapters.access.doorkeeper import Doorkeeper
from adapters.access.roles import Caller, Role
from adapters.storage.log import StorageUnavailable

NO_STORE = ""  # no store is called this: a question about it has no answers
SHOWN_MAX = 100  # of a name that a stranger invented
NO_ORDER = "no order has this id or reference in this store"

bearer = HTTPBearer(
    auto_error=False,
    scheme_name="apiToken",
    description="an API token; each operation names the role that it has to have",
)
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


@dataclass(frozen=True)
class Door:
    """The doorkeeper, and whose word about a client's address it takes."""

    keeper: Doorkeeper
    trusted_proxies: Sequence[Network] = ()

    def require(self, role: Role) -> Any:
        """A dependency that gives the `Caller`, who has the role; else 401 or 403.

        It is written `caller: Annotated[Caller, door.require(Role.AUDITOR)]`.
        """
        return Security(self.admit, scopes=[role.value])

    def require_every_store(self, role: Role) -> Any:
        """The same for what is no single store's: a token of one store is 403."""
        return Security(self.admit_to_every_store, scopes=[role.value])

    def require_watcher(self, role: Role) -> Any:
        """The same for figures, which are told while the database is down: see `admit_watcher`."""
        return Security(self.admit_watcher, scopes=[role.value])

    async def admit(
        self, wanted: SecurityScopes, request: Request, credentials: Credentials
    ) -> Caller:
        """The caller, if the token is live and has the wanted roles."""
        return _admitted(await self.known(request, credentials), wanted, request)

    async def admit_to_every_store(
        self, wanted: SecurityScopes, request: Request, credentials: Credentials
    ) -> Caller:
        """The caller, if the token is also good for every store."""
        return _of_every_store(await self.admit(wanted, request, credentials), wanted)

    async def admit_watcher(
        self, wanted: SecurityScopes, request: Request, credentials: Credentials
    ) -> Caller:
        """The caller, by what was last known of the tokens where they cannot be read."""
        caller = None
        if credentials is not None:
            token = credentials.credentials.encode()
            caller = await self.keeper.admit_watcher(token, self.origin(request))
        return _of_every_store(_admitted(caller, wanted, request), wanted)

    async def known(self, request: Request, credentials: Credentials) -> Caller | None:
        """The caller, or None where nobody is known by such a token."""
        if credentials is None:
            return None
        return await self.keeper.admit(credentials.credentials.encode(), self.origin(request))

    async def holder_of(self, token_sha256: str, request: Request) -> Caller | None:
        """The caller whose token has this digest, or None."""
        return await self.keeper.holder_of(token_sha256, self.origin(request))

    def address(self, request: Request) -> Address | None:
        """Where a request comes from; None for a local socket."""
        peer = request.client.host if request.client else None
        return client_address(peer, request.scope["headers"], self.trusted_proxies)

    def origin(self, request: Request) -> str:
        """The same in the words of the operators' log."""
        return str(self.address(request) or "a local socket")

    async def may_see(self, request: Request, credentials: Credentials) -> bool:
        """Whether an auditor of every store asks, for what others are told less of."""
        try:
            caller = await self.known(request, credentials)
        except StorageUnavailable:
            return False
        return caller is not None and Role.AUDITOR in caller.roles and caller.store is None


def _admitted(caller: Caller | None, wanted: SecurityScopes, request: Request) -> Caller:
    if caller is None:
        detail = "a live token of the query API is wanted: Authorization: Bearer TOKEN"
        raise HTTPException(401, detail, {"WWW-Authenticate": "Bearer"})
    missing = [role for role in wanted.scopes if role not in caller.roles]
    if missing:
        raise _forbidden(f"this token lacks the role {missing[0]}", wanted)
    _refuse_unknown_parameters(request)
    return caller


def _of_every_store(caller: Caller, wanted: SecurityScopes) -> Caller:
    if caller.store is not None:
        detail = "this token is limited to one store, and what is asked is of all stores"
        raise _forbidden(detail, wanted)
    return caller


def _refuse_unknown_parameters(request: Request) -> None:
    """422 where the query holds a name that the route does not take: a filter that is spelled wrong
    must not be answered with everything."""
    known = _parameters(request.scope["route"].dependant)
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        name = unknown[0][:SHOWN_MAX]
        close = get_close_matches(name, known, n=1)
        takes = f"it takes {', '.join(sorted(known))}" if known else "it takes none"
        raise HTTPException(
            422, f"{name}: no parameter here; {f'did you mean {close[0]}?' if close else takes}"
        )


def _parameters(dependant: Dependant) -> set[str]:
    """The names of a route's query parameters, its dependencies' among them."""
    names = {parameter.alias for parameter in dependant.query_params}
    return names.union(*map(_parameters, dependant.dependencies))


def require_also(caller: Caller, role: Role) -> None:
    """Refuse a caller who may read, and asks for what another role is for."""
    if role not in caller.roles:
        challenge = f'Bearer error="insufficient_scope", scope="{role}"'
        detail = f"this token lacks the role {role}"
        raise HTTPException(403, detail, {"WWW-Authenticate": challenge})


def store_of_list(caller: Caller, asked: str | None) -> str | None:
    """Which store a list is asked about, None for all; another store's list is empty."""
    if caller.store is None:
        return asked
    return caller.store if asked in (None, caller.store) else NO_STORE


def store_of_order(caller: Caller, asked: str | None) -> str:
    """Which store an order is asked for in; what a caller may not see is not there (404)."""
    if caller.store is None:
        return asked or "default"
    if asked not in (None, caller.store):
        raise HTTPException(404, NO_ORDER)
    return caller.store


def _forbidden(detail: str, wanted: SecurityScopes) -> HTTPException:
    challenge = f'Bearer error="insufficient_scope", scope="{wanted.scope_str}"'  # RFC 6750
    return HTTPException(403, detail, {"WWW-Authenticate": challenge})
