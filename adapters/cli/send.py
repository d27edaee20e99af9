"""`order-ledger send`: a webhook as the provider would send it, to a running server."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adapters.cli.opening import configured
from adapters.cli.options import ending, name
from adapters.cli.output import Failed, print_text

if TYPE_CHECKING:
    import httpx

    from adapters.providers import Provider
    from adapters.settings import Settings

TIMEOUT_SECONDS = 30
ANSWER_LENGTH_SHOWN = 300
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 # where a listener is reached
MEANINGS: Mapping[str, str] = {
    "recorded": "new, and on disk",
    "duplicate": "known, nothing appended",
    "stale": "kept, but not applied, since a PAID is known",
    "conflict": "kept under review, since it contradicts a known delivery",
    "ignored": "kept, and no order's business",
    "quarantined": "kept whole, since it cannot be read or attributed",
}
EXAMPLES = ending(
    "send sevi",
    "send sevi --order-id 42 --status PENDING",
    "send sevi --file body.json --url https://ledger.example.com --token TOKEN",
    "quarantine show 7 --raw | order-ledger send sevi --file -",
)


ProviderName = Annotated[
    str, typer.Argument(metavar="PROVIDER", parser=name, help="A configured provider, say sevi.")
]
File = Annotated[
    typer.FileBinaryRead | None,
    typer.Option("--file", "-f", metavar="FILE", help="Send these bytes; - reads standard input."),
]
OrderId = Annotated[
    str | None,
    typer.Option(
        metavar="ORDER_ID",
        parser=name,
        help="The order of a sample in the provider's shape; first-order unless said.",
    ),
]
Status = Annotated[
    str | None,
    typer.Option(
        metavar="STATUS", parser=name, help="What the sample says of it; PAID unless said."
    ),
]
Url = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="Where the server listens, if not where the configuration says."
    ),
]
Token = Annotated[
    str | None,
    typer.Option(metavar="TOKEN", help="The webhook's token, if not a configured one."),
]
AsItCame = Annotated[bool, typer.Option("--json", help="Print the server's answer as it came.")]


@dataclass(frozen=True)
class Answer:
    """What a server said to a webhook."""

    status: int
    body: str

    @property
    def taken(self) -> bool:
        """Whether the server answers for the delivery from now on."""
        return self.status == HTTPStatus.OK

    def in_words(self) -> str:
        """The answer in a line that a person understands."""
        told = _as_object(self.body)
        if not self.taken:
            shown = told.get("detail") or self.body.strip()[:ANSWER_LENGTH_SHOWN]
            return f"{self.status} {_phrase(self.status)}: {shown}"
        if "outcome" not in told:
            return f"{self.status}: {self.body.strip()[:ANSWER_LENGTH_SHOWN]}"
        words = f"{self.status} {told['outcome']}"
        if told.get("position") is not None:
            words += f" at {told['position']}"
        words += f": {MEANINGS.get(told['outcome'], 'a word that is new here')}"
        if told.get("order_id") is not None:
            words += f"; order {told['order_id']} is {told.get('order_status')}"
        if told.get("review"):
            words += f", under review: {told['review']}"
        return words


def send(
    provider: ProviderName,
    file: File = None,
    order_id: OrderId = None,
    status: Status = None,
    url: Url = None,
    token: Token = None,
    as_json: AsItCame = False,
) -> None:
    """Send a signed webhook to a running server.

    It is signed as the provider would sign it; without a file it is a sample. Sending the same
    twice is harmless: the second is a duplicate. It exits with 0 where the server took the
    delivery (200), else with 1.
    """
    settings = configured()
    named_in_url = provider in settings.providers and settings.providers[provider].url_names_order
    if file is not None and (status is not None or (order_id is not None and not named_in_url)):
        raise typer.BadParameter("a file says itself which order and status", param_hint="--file")
    sender = _sender(settings, provider, token)
    if file is not None:
        body = file.read()
    else:
        order_id = order_id or "first-order"
        body = sender.sample(order_id, status or "PAID", datetime.now(UTC))
    answer = post(url or _configured_url(settings), sender, body, order_id=order_id)
    if as_json:
        typer.echo(answer.body.encode())
    elif answer.taken:
        print_text(answer.in_words())
    else:
        raise Failed(answer.in_words())
    raise typer.Exit(0 if answer.taken else 1)


def post(
    url: str,
    sender: "Provider",
    body: bytes,
    client: "httpx.Client | None" = None,
    order_id: str | None = None,
) -> Answer:
    """Send a body as its provider would. Raises `Failed` where no answer comes."""
    import httpx

    from adapters.providers import CannotSign

    try:
        outgoing = sender.sign(body, datetime.now(UTC), order_id)
    except CannotSign as error:
        raise Failed(f"this cannot be signed here: {error}") from None
    headers = {"Content-Type": "application/json"} | outgoing.headers
    target = f"{url.rstrip('/')}/webhooks/{sender.name}"
    target += f"/{outgoing.path}" if outgoing.path else ""
    target += f"?{outgoing.query}" if outgoing.query else ""
    try:
        answered = (client or httpx).post(
            target, content=body, headers=headers, timeout=TIMEOUT_SECONDS
        )
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise typer.BadParameter(f"{error}", param_hint="--url") from None
    except httpx.ConnectError as error:
        raise Failed(
            f"cannot reach {url} ({error}): start a server with `order-ledger serve`, "
            "or name a running one with --url"
        ) from None
    except httpx.TransportError as error:
        raise Failed(
            f"no answer from {url} ({str(error) or type(error).__name__}): "
            "the delivery may have been taken; sending it again is harmless"
        ) from None
    return Answer(answered.status_code, answered.text)


def _sender(settings: "Settings", provider: str, token: str | None) -> "Provider":
    from adapters.providers import Secret, make_provider
    from adapters.service import folder_of, webhook_credentials

    configured = settings.providers.get(provider)
    if configured is None:
        known = ", ".join(settings.providers)
        raise typer.BadParameter(f"configured are: {known}", param_hint="PROVIDER")
    if token is not None:
        try:
            configured = configured.with_secret(token)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--token") from None
        return make_provider(provider, configured, [Secret("given", token)])
    made_here = folder_of(settings) / f"webhook-token-{provider}"
    if not configured.secrets and not made_here.is_file():
        raise Failed(
            f"no token of {provider} is known here: run this where the server runs, "
            "or give the token with --token"
        )
    live = webhook_credentials(settings, provider).tokens
    return make_provider(provider, configured, [Secret("live", secret) for secret in live])


def _configured_url(settings: "Settings") -> str:
    host = EVERYWHERE.get(settings.host, settings.host)
    return f"http://{f'[{host}]' if ':' in host and '[' not in host else host}:{settings.port}"


def _as_object(body: str) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
