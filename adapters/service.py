"""The service without its web server: the parts of a configured ledger, wired together."""

from collections.abc import Mapping
from dataclasses import dataclass

from adapters.event_source import EventSource
from adapters.ledger import OrderLedger
from adapters.providers import Provider, make_provider
from adapters.queries import Queries
from adapters.secrets import Tokens, made_once
from adapters.settings import Settings
from adapters.storage.opening import open_storage
from projections.audit_history import AUDIT_HISTORY
from projections.order_status import ORDER_STATUS
from projections.runner import Runner

PROJECTIONS = (ORDER_STATUS, AUDIT_HISTORY)


@dataclass(frozen=True)
class Credentials:
    """Live tokens, and whether the service made them itself because none is configured."""

    tokens: tuple[str, ...]
    made_here: bool


class Service:
    """A ledger, its read models and the runner that keeps them, opened from settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._storage = open_storage(settings.database_url, PROJECTIONS)
        self.ledger = OrderLedger(self._storage.log)
        self.views = self._storage.views
        self.queries = Queries(self.ledger, self.views)
        self.source = EventSource(self._storage.events)
        self.runner = Runner(self.source, self.views, PROJECTIONS)

    def close(self) -> None:
        """Close the storage."""
        self.ledger.close()
        self._storage.close()


def providers(settings: Settings) -> Mapping[str, Provider]:
    """The configured providers by name, each with its live tokens."""
    return {
        name: make_provider(
            configured.kind or name,
            name,
            configured.store,
            webhook_credentials(settings, name).tokens,
        )
        for name, configured in settings.providers.items()
    }


def webhook_credentials(settings: Settings, provider: str) -> Credentials:
    """A provider's webhook tokens; one is made and kept beside the ledger where none is set."""
    configured = settings.providers[provider].tokens
    if configured:
        return Credentials(tuple(token.get_secret_value() for token in configured), False)
    return Credentials((made_once(settings.folder, f"webhook-token-{provider}"),), True)


def api_credentials(settings: Settings) -> Credentials:
    """The query API's tokens; one is made and kept beside the ledger where none is set."""
    if settings.api_tokens:
        return Credentials(tuple(t.get_secret_value() for t in settings.api_tokens), False)
    return Credentials((made_once(settings.folder, "api-token"),), True)


def api_tokens(settings: Settings) -> Tokens:
    """The query API's tokens, ready to compare."""
    return Tokens(api_credentials(settings).tokens)
