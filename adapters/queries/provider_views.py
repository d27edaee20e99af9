"""The configured providers in the form that people and programs see."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel

from adapters.providers import Provider, Secret
from adapters.read_models.traffic import Standing, whole_seconds
from adapters.service import Service, providers, webhook_secrets
from adapters.storage.log import utc_now
from projections.traffic import SecretUse, Traffic

FORMER_DAYS = 30
SECRET_IN_URL = "{secret}"  # noqa: S105  (what is shown in its place)


class SecretView(BaseModel):
    """A secret by its id, without itself. `last_used_at` null: nothing was verified with it yet."""

    key_id: str
    last_used_at: datetime | None
    deliveries: int


class ProviderView(BaseModel):
    """A configured provider. Times are RFC 3339 UTC, gaps in seconds.

    `secrets` are live, the newest first; `former_secrets` were used within the last 30 days and
    are not configured any more. `deliveries` counts what the provider sent, duplicates included.
    `usual_gap_seconds` is null while too little is known, `allowed_gap_seconds` also where silence
    is not judged; `silent` says that it has been quiet for longer than that.
    """

    name: str
    kind: str
    store: str
    path: str
    secrets: list[SecretView]
    former_secrets: list[SecretView]
    deliveries: int
    last_delivery_at: datetime | None
    usual_gap_seconds: int | None
    allowed_gap_seconds: int | None
    silent: bool


class ProviderList(BaseModel):
    """The configured providers, by name."""

    items: list[ProviderView]


class ProviderDirectory:
    """What is configured of the providers, beside what is known of their calls."""

    def __init__(self, service: Service) -> None:
        self._watch = service.traffic
        self._settings = service.settings.providers
        self._providers: Mapping[str, Provider] = providers(service.settings)
        self._secrets = {n: webhook_secrets(service.settings, n) for n in self._settings}

    def views(self, store: str | None = None) -> list[ProviderView]:
        """Every provider of a store, or of all, by name. Blocks; raises `StorageUnavailable`."""
        traffic = self._watch.traffic()
        standings = self._watch.standings(traffic)
        return [
            self._view(name, traffic, standings[name])
            for name in sorted(self._settings)
            if store in (None, self._settings[name].store)
        ]

    def _view(self, name: str, traffic: Traffic, standing: Standing) -> ProviderView:
        rhythm = standing.rhythm
        settings = self._settings[name]
        live = self._secrets[name]
        used = {key: use for (provider, key), use in traffic.secrets.items() if provider == name}
        end = f"/{SECRET_IN_URL}" if self._providers[name].takes_path else ""
        return ProviderView(
            name=name,
            kind=settings.kind,
            store=settings.store,
            path=f"/webhooks/{name}{end}",
            secrets=[_secret(secret.key_id, used.get(secret.key_id)) for secret in live],
            former_secrets=_former(used, live),
            deliveries=rhythm.deliveries if rhythm else 0,
            last_delivery_at=rhythm.last_delivery_at if rhythm else None,
            usual_gap_seconds=whole_seconds(rhythm.usual_gap) if rhythm else None,
            allowed_gap_seconds=whole_seconds(standing.allowed_gap),
            silent=standing.is_silent,
        )


def _former(used: Mapping[str, SecretUse], live: Sequence[Secret]) -> list[SecretView]:
    since = utc_now() - timedelta(days=FORMER_DAYS)
    gone = set(used) - {secret.key_id for secret in live}
    recent = [key for key in gone if used[key].last_used_at >= since]
    recent.sort(key=lambda key: used[key].last_used_at, reverse=True)
    return [_secret(key, used[key]) for key in recent]


def _secret(key_id: str, use: SecretUse | None) -> SecretView:
    return SecretView(
        key_id=key_id,
        last_used_at=use.last_used_at if use else None,
        deliveries=use.deliveries if use else 0,
    )
