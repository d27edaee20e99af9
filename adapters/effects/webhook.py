"""The kind `webhook`: a signed POST to the shop's own system.

Source of the signature: the specification at standardwebhooks.com (v1, HMAC-SHA256 over
`id.timestamp.body`).
"""

import base64
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from pydantic import Field, SecretStr, field_validator

from adapters.effects.base import EXCERPT_BYTES, Answer, Effect, EffectKind, Verdict, excerpt
from adapters.effects.configuration import EffectSettings
from adapters.providers.configuration import ProviderSettings
from adapters.providers.standard_webhooks import key_of
from adapters.safe_urls import SafeURL
from adapters.web import NoReply, Reply, Web

SECONDS = 15.0  # for the whole exchange
WAIT_SECONDS_MAX = 3600.0
GONE = 410
ASK_TO_WAIT = frozenset({429, 503})


class WebhookSettings(EffectSettings):
    """Where to, and the secret that both sides know."""

    url: SafeURL = Field(description="where to: https://..., or http:// to this machine only")
    secret: SecretStr = Field(
        description="whsec_ and 24 to 64 random bytes in base64, which the receiver knows too"
    )

    @field_validator("secret")
    @classmethod
    def _usable(cls, secret: SecretStr) -> SecretStr:
        text = secret.get_secret_value()
        key = key_of(text) if text.startswith("whsec_") else None
        if key is None or not 24 <= len(key) <= 64:
            raise ValueError(
                "write whsec_ and 24 to 64 random bytes in base64: "
                'echo "whsec_$(openssl rand -base64 32)"'
            )
        return secret


class Webhook:
    """Signs and posts effects to one URL."""

    def __init__(self, settings: WebhookSettings) -> None:
        key = key_of(settings.secret.get_secret_value())
        assert key is not None, "the configuration checks keys"
        self._key = key
        self._url = settings.url
        self._web = Web(SECONDS)

    def send(self, effect: Effect) -> Answer:
        """Post an effect; 2xx is sent, 410 stops, everything else is tried again."""
        body = effect.message()
        try:
            reply = self._web.post(self._url, body, self._signed(effect.id, body), EXCERPT_BYTES)
        except NoReply as error:
            return Answer(Verdict.RETRY, str(error))
        said = f"HTTP {reply.status}"
        if 200 <= reply.status < 300:
            return Answer(Verdict.SENT, said)
        if reply.status == GONE:
            return Answer(Verdict.STOP, said, excerpt(reply.body))
        return Answer(Verdict.RETRY, said, excerpt(reply.body), _asked_to_wait(reply))

    def close(self) -> None:
        """Close the connections."""
        self._web.close()

    def _signed(self, effect_id: str, body: bytes) -> dict[str, str]:
        sent = str(int(datetime.now(UTC).timestamp()))
        signed = b"%s.%s.%s" % (effect_id.encode(), sent.encode(), body)
        signature = base64.b64encode(hmac.digest(self._key, signed, "sha256")).decode()
        headers = {"webhook-id": effect_id, "webhook-timestamp": sent}
        return headers | {"webhook-signature": f"v1,{signature}"}


def _asked_to_wait(reply: Reply) -> float | None:
    """The seconds of Retry-After, be it a number or a date, within bounds; None without one."""
    text = reply.headers.get("retry-after", "").strip()
    if reply.status not in ASK_TO_WAIT or not text:
        return None
    if text.isascii() and text.isdigit():
        seconds = float(text[:9])
    else:
        try:
            until = parsedate_to_datetime(text)
        except ValueError:
            return None
        if until.tzinfo is None:
            until = until.replace(tzinfo=UTC)
        seconds = (until - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), WAIT_SECONDS_MAX)


def make_webhook(
    name: str, settings: WebhookSettings, providers: Mapping[str, ProviderSettings]
) -> Webhook:
    """The target that a table configures."""
    return Webhook(settings)


WEBHOOK = EffectKind(make_webhook, WebhookSettings)
