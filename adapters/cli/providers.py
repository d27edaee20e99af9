"""`order-ledger providers`: who may send webhooks, when each last did, and with which secret."""

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from adapters.cli.opening import opened
from adapters.cli.options import AsJson, ending, group, name
from adapters.cli.output import (
    complain,
    exact_time,
    print_blank,
    print_facts,
    print_json,
    print_table,
    print_text,
    short_time,
)

if TYPE_CHECKING:
    from adapters.queries.provider_views import ProviderView, SecretView
    from adapters.service import Service

app = group(
    "The configured providers, and how they call.",
    ending("providers list", "providers show sevi"),
)

ProviderName = Annotated[
    str, typer.Argument(metavar="NAME", parser=name, help="A configured provider, say sevi.")
]


@app.command("list", epilog=ending("providers list", "providers list --json"))
def list_providers(as_json: AsJson = False) -> None:
    """List the providers, and when each secret was last used.

    An old secret that a provider has not used since it got the new one can be taken out of the
    configuration. Secrets are shown by the names that they are configured with, else by ids.
    """
    from adapters.queries.provider_views import ProviderList

    items = _views()
    if as_json:
        print_json(ProviderList(items=items))
        return
    columns = ["Provider", "Kind", "Store", "Last delivery", "State", "Secret", "Last used"]
    rows = [row for item in items for row in _rows(item)]
    print_table([*columns, "Times"], rows, folds=["Secret"], gives_way="Kind")
    if any(item.former_secrets for item in items):
        print_text("former: used within the last 30 days, and not configured any more", "dim")


@app.command("show", epilog=ending("providers show sevi", "providers show sevi --json"))
def show_provider(provider: ProviderName, as_json: AsJson = False) -> None:
    """Show a provider: its URL, its secrets, its usual gap."""
    found = {view.name: view for view in _views()}
    if provider not in found:
        raise typer.BadParameter(f"configured are: {', '.join(found)}", param_hint="NAME")
    if as_json:
        print_json(found[provider])
    else:
        _print(found[provider])


def _views() -> "list[ProviderView]":
    with opened() as service:
        from adapters.queries.provider_views import ProviderDirectory

        _warn_of_other_ids(service)
        service.traffic.catch_up()
        return ProviderDirectory(service).views()


def _warn_of_other_ids(service: "Service") -> None:
    """Ids of secrets without names depend on a key that is kept where the server runs."""
    from adapters.service import folder_of

    settings = service.settings
    folder = folder_of(settings)
    if settings.database_path is None and not (folder / "key-id-key").is_file():
        complain(
            f"warning: the server does not run here as this user ({folder} is not its), so the ids "
            "of secrets without a name are others here: run this there, or give each a name"
        )


def _rows(provider: "ProviderView") -> Iterator[list[str | None]]:
    last = provider.last_delivery_at
    first: list[str | None] = [
        provider.name,
        provider.kind,
        provider.store,
        short_time(last) if last else "never",
        _state(provider),
    ]
    secrets = [(secret.key_id, secret) for secret in provider.secrets]
    secrets += [(f"{secret.key_id} (former)", secret) for secret in provider.former_secrets]
    for shown, secret in secrets:
        yield [*first, shown, _last_use(secret), str(secret.deliveries)]
        first = [None] * len(first)


def _state(provider: "ProviderView") -> str | None:
    if provider.silent:
        return "silent"
    return None if provider.last_delivery_at is None else "calls"


def _last_use(secret: "SecretView") -> str:
    return short_time(secret.last_used_at) if secret.last_used_at else "never"


def _print(provider: "ProviderView") -> None:
    facts = [
        ("Provider", provider.name),
        ("Kind", provider.kind),
        ("Store", provider.store),
        ("URL", provider.path),
        ("Deliveries", str(provider.deliveries)),
        ("Last delivery", exact_time(provider.last_delivery_at) or "never"),
        ("Usual gap", _length(provider.usual_gap_seconds) or "not known yet"),
        ("Silent after", _length(provider.allowed_gap_seconds) or "not judged"),
        ("State", _state(provider)),
    ]
    print_facts(facts)
    print_blank()
    rows = [list(row[5:]) for row in _rows(provider)]
    print_table(["Secret", "Last used", "Times"], rows)


def _length(seconds: int | None) -> str | None:
    """A length of time in days, hours, minutes and seconds."""
    return None if seconds is None else str(timedelta(seconds=seconds))
