"""`order-ledger tokens`: who may ask the query API, for what, and since when no more."""

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from adapters.access.roles import Role, user_of_this_process
from adapters.cli.opening import opened
from adapters.cli.options import AsJson, ending, group, instant, name
from adapters.cli.output import Failed, complain, print_json, print_table, print_text, short_time

if TYPE_CHECKING:
    from adapters.access.views import TokenView
    from adapters.settings import Settings

CREATE_EXAMPLES = (
    "tokens create --name books --role auditor",
    "tokens create --name till --role store --role auditor --store uganda",
)
app = group(
    "Tokens of the query API, each with its roles.",
    ending(CREATE_EXAMPLES[0], "tokens list", "tokens revoke books"),
)


def _token_name(text: str) -> str:
    from adapters.providers.configuration import NAME

    if not re.fullmatch(NAME, text):
        raise typer.BadParameter("1 to 63 of a-z, 0-9, - and _ are wanted, a letter or digit first")
    return text


Reason = Annotated[
    str | None, typer.Option(metavar="TEXT", parser=name, help="Why, for the operators' log.")
]


@app.command("create", epilog=ending(*CREATE_EXAMPLES))
def create(
    token_name: Annotated[
        str,
        typer.Option(
            "--name", metavar="NAME", parser=_token_name, help="Whose it is; never used again."
        ),
    ],
    role: Annotated[
        list[Role],
        typer.Option(
            metavar="ROLE",
            help="auditor reads, operator replays and rebuilds, store registers orders.",
        ),
    ],
    store: Annotated[
        str | None,
        typer.Option(metavar="STORE", parser=name, help="Good for this store only, not for all."),
    ] = None,
    expires: Annotated[
        datetime | None,
        typer.Option(metavar="TIME", parser=instant, help="Good until then (RFC 3339)."),
    ] = None,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """Make a token and print it, this once: only its hash is kept.

    Running services know it within a second.
    """
    now = datetime.now(UTC)
    if expires is not None and expires <= now:
        raise typer.BadParameter("this time has passed", param_hint="--expires")
    with opened() as service:
        from adapters.access.views import NewToken, token_view
        from adapters.secrets import new_api_token, token_sha256
        from adapters.storage.access import Operation, TokenExists, TokenRow, TooManyTokens

        _warn_of_unknown_store(service.settings, store)
        token = new_api_token()
        digest = token_sha256(token.encode())
        row = TokenRow(token_name, frozenset(role), store, digest, now, expires)
        operation = Operation.by(user_of_this_process(), "tokens create", token_name, reason)
        try:
            service.tokens.create(row, operation)
        except TokenExists:
            raise Failed(
                f"a token {token_name} was made before, and the operators' log speaks of it: "
                "choose another name"
            ) from None
        except TooManyTokens:
            raise Failed("there are too many live tokens: revoke those not in use") from None
    if as_json:
        print_json(NewToken(token=token, **token_view(row, now).model_dump()))
    else:
        typer.echo(token)
        complain(f"keep it now, it is not shown again; tokens revoke {token_name} closes it")


@app.command("list", epilog=ending("tokens list", "tokens list --json"))
def list_tokens(as_json: AsJson = False) -> None:
    """List the tokens that were made, and when each was last used.

    The configured ones, and the one made at the first start, are not among them: they have every
    role. The last use is known to the minute.
    """
    with opened() as service:
        from adapters.access.views import TokenList, token_view

        now = datetime.now(UTC)
        items = [token_view(row, now) for row in service.tokens.all()]
    if as_json:
        print_json(TokenList(items=items))
    elif not items:
        print_text("No tokens.")
    else:
        columns = ["Name", "Roles", "Store", "State", "Created", "Expires", "Last used"]
        print_table(columns, map(_row, items), folds=["Roles"])


@app.command("revoke", epilog=ending("tokens revoke books --reason 'lost with a laptop'"))
def revoke(
    token_name: Annotated[
        str, typer.Argument(metavar="NAME", parser=_token_name, help="The name that a list shows.")
    ],
    reason: Reason = None,
) -> None:
    """Close a token for ever. Running services know it within a second."""
    with opened() as service:
        from adapters.storage.access import Operation

        operation = Operation.by(user_of_this_process(), "tokens revoke", token_name, reason)
        if not service.tokens.revoke(token_name, operation):
            raise Failed(f"there is no live token {token_name}: see order-ledger tokens list")
    typer.echo(f"{token_name} is revoked")


def _warn_of_unknown_store(settings: "Settings", store: str | None) -> None:
    stores = {provider.store for provider in settings.providers.values()}
    if store is not None and store not in stores:
        known = ", ".join(sorted(stores))
        complain(f"warning: no configured provider speaks of the store {store}, only of {known}")


def _row(token: "TokenView") -> list[str | None]:
    times = (token.created_at, token.expires_at, token.last_used_at)
    shown = [short_time(time) if time else None for time in times]
    return [token.name, ", ".join(token.roles), token.store or "(all)", token.state, *shown]
