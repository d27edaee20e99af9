"""The service without its web server: the parts of a configured ledger, wired together."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING

from adapters.effects.configuration import EffectSettings
from adapters.effects.dispatch import Dispatch, Pace, Worker
from adapters.effects.outbox import Outbox
from adapters.effects.registry import make_sender
from adapters.evidence.bundle import Bundler
from adapters.evidence.keys import Signer
from adapters.evidence.sealer import Sealer
from adapters.ledger.application import OrderLedger
from adapters.providers import Provider, Secret, make_provider
from adapters.queries.past import Past
from adapters.queries.queries import Queries
from adapters.read_models.event_source import EventSource
from adapters.read_models.traffic import TrafficWatch
from adapters.read_models.watching import Watch
from adapters.secrets import Tokens, key_id_of, made_once
from adapters.settings import Settings
from adapters.storage.access import OperatorLog, TokenStore
from adapters.storage.deliveries import DeliveryFilter
from adapters.storage.effects import EffectStore
from adapters.storage.opening import open_evidence, open_storage
from adapters.storage.refusals import Refusals
from adapters.vault.bodies import Bodies
from adapters.vault.vault import Vault
from projections.known import PROJECTIONS
from projections.runner import Runner

if TYPE_CHECKING:
    from adapters.telemetry.traced import Tracing


@dataclass(frozen=True)
class Credentials:
    """Live tokens, and whether the service made them itself because none is configured."""

    tokens: tuple[str, ...]
    made_here: bool


class Service:
    """A ledger, its read models and the runner that keeps them, opened from settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.storage = open_storage(settings.database_url, PROJECTIONS)
        self.evidence = self.storage.evidence
        ledger_id = self.evidence.ledger_id()
        self.vault = Vault(self.storage.vault, settings.master_source(ledger_id))
        self.bodies = Bodies(self.storage.log, self.vault)
        self.ledger = OrderLedger(self.storage.log, self.vault, settings.require_registered_orders)
        self.views = self.storage.views
        self.source = EventSource(self.storage.evidence.raw_rows)
        self.operators = OperatorLog(self.storage.access)
        self.tokens = TokenStore(self.storage.access, self.operators)
        self.refusals = Refusals(self.storage.access, self.vault)
        silence = {name: table.silence_seconds for name, table in settings.providers.items()}
        self.traffic = TrafficWatch(self.storage.log, self.storage.traffic, silence)
        self.effects = EffectStore(self.storage.effects, self.operators, self.vault)
        self.outbox = Outbox(self.ledger, self.storage.events, self.effects, settings.effects)
        self.queries = Queries(self.ledger, self.views, self.effects, self.bodies)
        self.past = Past(self.storage.events, self.queries)
        self.signer = Signer(
            self.evidence, settings.seal_keys_path(ledger_id), settings.ledger_name
        )
        self.sealer = Sealer(
            self.evidence, self.signer, settings.seal_seconds, recent=self.source.recent
        )
        self.bundler = Bundler(self.evidence, self.signer, self.sealer, self.bodies)
        self.runner = Runner(self.source, self.views, PROJECTIONS)
        self.tracing: Tracing | None = None
        self.watch = Watch(self.storage, PROJECTIONS)

    def keep(self, stop: Event) -> None:
        """Keep the read models and what is known of who calls, watch over both, and seal the log,
        until told to stop."""
        following = Thread(target=self.traffic.run, args=(stop,), name="traffic", daemon=True)
        sealing = Thread(target=self.sealer.run, args=(stop,), name="sealer")
        for thread in (following, sealing):
            thread.start()
        self.runner.run(stop, lambda: self.watch.look(self.runner.led))
        for thread in (following, sealing):
            thread.join()

    def dispatch(self, pace: Pace | None = None) -> Dispatch:
        """The workers that carry effects out, one for each configured target."""
        return Dispatch({name: self._worker(name, pace) for name in self.settings.effects})

    def _worker(self, name: str, pace: Pace | None) -> Worker:
        settings: EffectSettings = self.settings.effects[name]
        make = partial(make_sender, name, settings, self.settings.providers)
        return Worker(name, settings, make, self.outbox, self.effects, pace or Pace())

    def of_store(self, store: str | None) -> DeliveryFilter:
        """What the delivery log holds of a store, or, for None, of all."""
        if store is None:
            return DeliveryFilter()
        tables = self.settings.providers.items()
        return DeliveryFilter(
            store=store, providers=[name for name, table in tables if table.store == store]
        )

    @property
    def secret_files(self) -> list[Path]:
        """The files that are there of the keys, and of the secrets that were made: no backup holds
        them."""
        ledger_id = self.evidence.ledger_id()
        folder = folder_of(self.settings)
        keys = [
            self.settings.master_source(ledger_id).path,
            self.settings.seal_keys_path(ledger_id),
        ]
        made = [folder / "api-token", folder / "key-id-key", *folder.glob("webhook-token-*")]
        return [path for path in (*keys, *made) if path.is_file()]

    def close(self) -> None:
        """Close the storage."""
        if self.tracing is not None:
            self.tracing.close()
        self.ledger.close()
        self.storage.close()


@cache
def _ledger_id(url: str) -> str:
    evidence = open_evidence(url)
    try:
        return evidence.ledger_id()
    finally:
        evidence.close()


def folder_of(settings: Settings) -> Path:
    """Where a ledger's secrets that were made are kept. For a ledger in PostgreSQL the database is
    asked which one it is. Raises `StorageUnavailable`."""
    is_file = settings.database_path is not None
    return settings.folder("" if is_file else _ledger_id(settings.database_url))


def providers(settings: Settings) -> Mapping[str, Provider]:
    """The configured providers by name, each with its live secrets."""
    return {
        name: make_provider(name, configured, webhook_secrets(settings, name))
        for name, configured in settings.providers.items()
    }


def webhook_secrets(settings: Settings, provider: str) -> tuple[Secret, ...]:
    """A provider's live secrets, each with the id that the records know it by: the name that it is
    configured with, else a hash under a key that is kept beside the ledger."""
    names = [secret.name for secret in settings.providers[provider].secrets] or [None]
    values = webhook_credentials(settings, provider).tokens
    key = made_once(folder_of(settings), "key-id-key")
    return tuple(
        Secret(name or key_id_of(value, key), value)
        for name, value in zip(names, values, strict=True)
    )


def webhook_credentials(settings: Settings, provider: str) -> Credentials:
    """A provider's secrets; one is made and kept beside the ledger where none is set and the shop
    is the one to invent it."""
    configured = settings.providers[provider].secrets
    if configured:
        return Credentials(tuple(one.value.get_secret_value() for one in configured), False)
    return Credentials((made_once(folder_of(settings), f"webhook-token-{provider}"),), True)


def api_credentials(settings: Settings) -> Credentials:
    """The query API's tokens; one is made and kept beside the ledger where none is set."""
    if settings.api_tokens:
        return Credentials(tuple(t.get_secret_value() for t in settings.api_tokens), False)
    return Credentials((made_once(folder_of(settings), "api-token"),), True)


def api_tokens(settings: Settings) -> Tokens:
    """The query API's tokens, ready to compare."""
    return Tokens(api_credentials(settings).tokens)
