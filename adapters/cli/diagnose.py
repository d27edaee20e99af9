"""`order-ledger diagnose`: why does this signature not verify?"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from adapters.cli.opening import configured, opened
from adapters.cli.options import AsJson, ending, number
from adapters.cli.options import name as a_name
from adapters.cli.output import Failed, print_json, print_text

if TYPE_CHECKING:
    from adapters.providers import Provider, Refused, Request, Verified
    from adapters.settings import Settings

EXAMPLES = ending(
    "diagnose body.json --provider till --header 'X-Till-Signature: sha256=5d0cf1'",
    "diagnose body.json --provider square --header 'X-Square-HmacSha256-Signature: HgKd6k=' "
    "--url https://shop.example/webhooks/square",
    "diagnose --refusal 3",
)


def _header(text: str) -> tuple[bytes, bytes]:
    name, colon, value = text.partition(":")
    is_whole = colon and name.strip() and name.isascii()
    if not is_whole or any(character > "\xff" for character in value):
        raise typer.BadParameter("a header is written 'Name: value'", param_hint="--header")
    return name.strip().lower().encode(), value.strip().encode("latin-1")


File = Annotated[
    typer.FileBinaryRead | None,
    typer.Argument(metavar="FILE", help="The body, byte by byte; - reads standard input."),
]
ProviderName = Annotated[
    str | None,
    typer.Option(
        "--provider", metavar="PROVIDER", parser=a_name, help="Who is said to have sent it."
    ),
]
GivenHeaders = Annotated[
    list[str] | None,
    typer.Option("--header", "-H", metavar="'NAME: VALUE'", help="A header that came with it."),
]
Url = Annotated[
    str | None, typer.Option("--url", metavar="URL", help="The URL that was called, whole.")
]
Refusal = Annotated[
    int | None,
    typer.Option(
        "--refusal", metavar="ID", parser=number, help="A refused delivery that is kept whole."
    ),
]


def diagnose(
    file: File = None,
    provider: ProviderName = None,
    header: GivenHeaders = None,
    url: Url = None,
    refusal: Refusal = None,
    as_json: AsJson = False,
) -> None:
    """Say why a signature does not verify.

    Or which live secret verifies it. A file is judged as if it came now, from an address that may
    send it; a refused delivery that was kept, as of when it came. It exits with 0 where a live
    secret verifies it, else with 1. Nothing is recorded.
    """
    if (refusal is None) == (file is None):
        raise typer.BadParameter("give a file, or --refusal", param_hint="FILE")
    if refusal is not None:
        verdict = _of_refusal(refusal)
    else:
        assert file is not None
        if provider is None:
            raise typer.BadParameter("name the provider of the file", param_hint="--provider")
        verdict = _of_file(provider, _request(file.read(), header or [], url))
    _tell(verdict, as_json)


def _of_file(provider: str, request: "Request") -> "Verified | Refused":
    from adapters.deliveries.refusals import verdict_of

    sender = _sender(configured(), provider)
    prefix = f"/webhooks/{provider}/"
    request.path = request.path[len(prefix) :] if request.path.startswith(prefix) else ""
    return verdict_of(sender, request)


def _request(body: bytes, headers: list[str], url: str | None) -> "Request":
    from adapters.providers import Request

    called = urlsplit(url or "")
    given = [_header(text) for text in headers]
    if called.netloc and all(header != b"host" for header, _ in given):
        given.append((b"host", called.netloc.encode("ascii", "replace")))
    query = called.query.encode("ascii", "replace")
    return Request(given, body, datetime.now(UTC), called.path.rstrip("/"), query)


def _sender(settings: "Settings", provider: str) -> "Provider":
    """The provider, which takes it for granted that the caller's address is right."""
    from adapters.providers import make_provider
    from adapters.service import folder_of, webhook_secrets

    table = settings.providers.get(provider)
    if table is None:
        known = ", ".join(settings.providers)
        raise typer.BadParameter(f"configured are: {known}", param_hint="--provider")
    if not table.secrets and not (folder_of(settings) / f"webhook-token-{provider}").is_file():
        raise Failed(f"no secret of {provider} is known here: run this where the server runs")
    anywhere = table.model_copy(update={"addresses": ()})
    return make_provider(provider, anywhere, webhook_secrets(settings, provider))


def _of_refusal(refusal: int) -> "Verified | Refused":
    with opened() as service:
        from adapters.deliveries.refusals import NoSuchRefusal, RefusedDeliveries
        from adapters.service import providers

        refused = RefusedDeliveries(
            service.refusals, service.ledger, providers(service.settings), service.operators
        )
        try:
            return refused.explain(refusal)
        except NoSuchRefusal as error:
            raise Failed(f"{error}; see order-ledger quarantine refused") from None


def _tell(verdict: "Verified | Refused", as_json: bool) -> None:
    from adapters.deliveries.views import diagnosis
    from adapters.providers import Verified

    verified = isinstance(verdict, Verified)
    if as_json:
        print_json(diagnosis(verdict))
    elif isinstance(verdict, Verified):
        print_text(f"it verifies, with the secret {verdict.key_id}")
    else:
        print_text(f"{verdict.reason}: {verdict.detail}")
    raise typer.Exit(0 if verified else 1)
