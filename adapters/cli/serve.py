"""`order-ledger serve`: the web service, and what it tells a person who starts it."""

import logging
import os
import shlex
import signal
import socket
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from tempfile import TemporaryDirectory
from typing import Any

import typer
import uvicorn
from uvicorn.supervisors import Multiprocess

from adapters.evidence.keys import KeyTrouble
from adapters.http import create_app
from adapters.providers import Provider
from adapters.providers.sevi import Sevi
from adapters.read_models.keepers import Keeper, KeptElsewhere, ProcessKeeper, keep_until_told
from adapters.service import Service, api_credentials, folder_of, providers, webhook_credentials
from adapters.settings import (
    ConfigurationError,
    Settings,
    load_settings,
    open_to_others,
    unknown_variables,
)
from adapters.storage.urls import shown
from adapters.telemetry.logs import configure_logs
from adapters.telemetry.tallies import FOLDER_VARIABLE
from adapters.telemetry.tracing import trace_where_wanted
from adapters.vault import VaultTrouble

GRACEFUL_STOP_SECONDS = 10

log = logging.getLogger("order_ledger")


def serve(host: str | None, port: int | None, workers: int, with_keeper: bool) -> None:
    """Take in webhooks and answer queries until stopped (see `order-ledger serve --help`)."""
    given = {"host": host, "port": port}
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    if workers > 1 and settings.database_path is not None:
        raise ConfigurationError(
            "--workers: an SQLite ledger has one writer; keep one worker, or move to PostgreSQL "
            "with ORDER_LEDGER_DATABASE_URL=postgresql://..."
        )
    configure_logs()
    _warn(settings)
    keeper = ProcessKeeper() if with_keeper else KeptElsewhere()
    with _listen(settings) as listener:
        if workers == 1:
            _serve_alone(settings, listener, keeper)
        else:
            _serve_together(settings, listener, keeper, workers)


def keep() -> None:
    """Keep the read models, seal and carry out effects until stopped (`order-ledger keep`)."""
    settings = load_settings()
    configure_logs()
    _warn(settings)
    service = _sealable(settings)
    trace_where_wanted(service)
    typer.echo(f"order-ledger keeps the read models of {shown(settings.database_url)}")
    keep_until_told(service)


def _warn(settings: Settings) -> None:
    """Point out what can be used, and was hardly meant."""
    for line in unknown_variables():
        log.warning(line)
    if (problem := open_to_others(settings)) is not None:
        log.warning(problem)


def _left_out(settings: Settings) -> list[str]:
    """A line for each provider that had its token made here and is not configured any more: a
    `[providers...]` table replaces the default, and its webhooks would be refused unnoticed."""
    prefix = "webhook-token-"
    names = sorted(p.name.removeprefix(prefix) for p in folder_of(settings).glob(f"{prefix}*"))
    return [
        f"{name} has a webhook token here and is not configured: its webhooks are answered 404. "
        f"Add [providers.{name}], or delete {prefix}{name}"
        for name in names
        if name not in settings.providers
    ]


def _serve_alone(settings: Settings, listener: socket.socket, keeper: Keeper) -> None:
    service = _sealable(settings)
    for line in _left_out(settings):
        log.warning(line)
    trace_where_wanted(service)
    if isinstance(keeper, ProcessKeeper):
        if service.tracing is None:
            service.ledger.event_log.on_append(keeper.wake)
        else:
            service.tracing.told = keeper.tell  # it wakes as well
    app = create_app(service, keeper)
    # The web server raises the signal that stopped it again, when all is answered and closed: who
    # was asked to stop and did so ends with 0, as several web processes and the keeper do.
    for interruption in (signal.SIGINT, signal.SIGTERM):
        signal.signal(interruption, lambda *_: sys.exit(0))
    typer.echo(_welcome(settings, _url(listener)))
    uvicorn.Server(_config(app)).run(sockets=[listener])


def _serve_together(
    settings: Settings, listener: socket.socket, keeper: Keeper, workers: int
) -> None:
    _sealable(settings).close()  # the schema is made once, and problems are told here
    with TemporaryDirectory(prefix="order-ledger-", ignore_cleanup_errors=True) as tallies:
        os.environ[FOLDER_VARIABLE] = tallies
        try:
            keeper.start()
            typer.echo(_welcome(settings, _url(listener)))
            config = _config("adapters.http.app:worker_app", factory=True, workers=workers)
            Multiprocess(config, [listener]).run()
        finally:
            keeper.stop()


def _sealable(settings: Settings) -> Service:
    """The service, once it is sure that it can seal: its log and what may name a person, each with
    the right key, or not at all."""
    service = Service(settings)
    try:
        service.vault.open()
    except VaultTrouble as error:
        service.close()
        raise ConfigurationError(str(error)) from None
    if service.sealer.is_on:
        try:
            service.signer.signing_keys()
        except KeyTrouble as error:
            service.close()
            raise ConfigurationError(str(error)) from None
    return service


def _config(app: Any, **options: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_protocol(),
        ws="none",
        log_config=None,
        access_log=False,  # the delivery log says more, and without addresses
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACEFUL_STOP_SECONDS,
        **options,
    )


def _protocol() -> str:
    """Ours over the fast parser; without that, on Windows, uvicorn's slow one."""
    return "adapters.http.protocol:BoundedProtocol" if find_spec("httptools") else "h11"


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen()  # from now on whoever connects waits, and is not refused
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"cannot listen on {settings.host}:{settings.port} ({error.strerror}): "
            "stop what listens there, or choose another with --port or ORDER_LEDGER_PORT"
        ) from error
    listener.set_inheritable(True)
    return listener


def _url(listener: socket.socket) -> str:
    address: Any = listener.getsockname()
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    return f"http://{host}:{address[1]}"


def _welcome(settings: Settings, url: str) -> str:
    lines = ["", f"order-ledger listens on {url}, ledger {shown(settings.database_url)}", ""]
    senders = providers(settings)
    for name, sender in senders.items():
        made = webhook_credentials(settings, name)
        secret = made.tokens[0] if made.made_here else "YOUR-SECRET"
        end = f"/{secret}" if sender.takes_path else ""
        lines.append(f"  webhook URL for {name}:  {url}/webhooks/{name}{end}")
        if made.made_here and not sender.takes_path:
            lines.append(f"  its webhook token:    {secret}   (made here; enter it there)")
    api = api_credentials(settings)
    if api.made_here:
        kept = folder_of(settings) / "api-token"
        lines.append(f"  query API token:      {api.tokens[0]}   (made here, kept in {kept})")
    lines += ["", "Try it:", "", *_try_it(settings, senders, url)]
    bearer = shlex.quote(
        f"Authorization: Bearer {api.tokens[0] if api.made_here else 'YOUR API TOKEN'}"
    )
    lines += [f"  curl {url}/orders/first-order -H {bearer}", ""]
    return "\n".join(lines)


def _try_it(settings: Settings, senders: Mapping[str, Provider], url: str) -> list[str]:
    """A line that sends a first order; what signs bodies is left to `order-ledger send`."""
    name, sender = next(iter(senders.items()))
    if not isinstance(sender, Sevi):
        return [f"  order-ledger send {name} --url {url}"]
    body = '{"orderId": "first-order", "orderPayment": "PAID"}'
    made = webhook_credentials(settings, name)
    token = made.tokens[0] if made.made_here else f"YOUR {name} TOKEN"
    header = shlex.quote(f"Authorization: {token}")
    return [f"  curl {url}/webhooks/{name} -H {header} -d {shlex.quote(body)}"]
