"""The kind `sevi-order-deliver`: tells Sevi that an order is delivered, which moves money.

Sevi is asked first, every time: no memory of ours decides whether the mutation is repeated. What is
DELIVERED there counts as sent, and what is not PAID there is not delivered.
"""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from adapters.effects.base import Answer, Effect, EffectKind, Verdict
from adapters.effects.configuration import EffectSettings
from adapters.providers.configuration import Name, ProviderSettings
from adapters.providers.sevi import SeviSettings
from adapters.sevi_api import SeviApi, SeviOrder, SeviRefused
from domain.order import Consequence, News

DONE = frozenset({"DELIVERED", "ARCHIVED"})


class OrderDeliverSettings(EffectSettings):
    """Whose orders: the provider's table holds the API's token and endpoint."""

    provider: Name = Field("sevi", description="the provider of kind sevi whose API is told")
    on: tuple[Literal["Delivered"], ...] = Field(
        ("Delivered",), description="it can be told of nothing else"
    )

    def problem(self, providers: Mapping[str, ProviderSettings]) -> str | None:
        """The provider has to be Sevi, with a token of its API."""
        named = providers.get(self.provider)
        if not isinstance(named, SeviSettings):
            return f"provider: {self.provider} is no configured provider of kind sevi; name one"
        if named.api_token is None:
            return f"set providers.{self.provider}.api_token, which Sevi shows under Settings"
        return None

    def wants(self, event: Consequence, store: str, cause: News | None) -> bool:
        """Only what this provider's own PAID delivered."""
        is_theirs = cause is not None and cause.provider == self.provider
        return is_theirs and super().wants(event, store, cause)


class OrderDeliver:
    """Carries effects to Sevi's API."""

    def __init__(self, api: SeviApi) -> None:
        self._api = api

    def send(self, effect: Effect) -> Answer:
        """Ask where the order stands, and deliver it unless it is."""
        try:
            order = self._find(effect)
            if order is None:
                return Answer(Verdict.RETRY, "Sevi knows no such order")
            if order.status in DONE:
                return Answer(Verdict.SENT, f"was {order.status} there already")
            if order.paymentStatus != "PAID":
                return Answer(Verdict.RETRY, "Sevi does not call the order PAID")
            status = self._api.deliver(order.id)
        except SeviRefused as refused:
            return Answer(Verdict.RETRY, "no success", str(refused))
        if status not in DONE:
            return Answer(Verdict.RETRY, "asked to deliver, Sevi shows another status")
        return Answer(Verdict.SENT, f"{status} there")

    def _find(self, effect: Effect) -> SeviOrder | None:
        """The order as Sevi has it, by the id that Sevi's PAID told. A registered order goes by the
        shop's id, which is Sevi's reference and may be the id of another order there."""
        named = effect.provider_order_id
        if named is None and not effect.order.registered:
            named = effect.order.order_id  # news told it, and nobody else named the order
        if named is not None:
            return self._api.find_order("id", named)
        return self._api.find_order("platformReference", effect.order.order_id)

    def close(self) -> None:
        """Close the connections."""
        self._api.close()


def make_order_deliver(
    name: str, settings: OrderDeliverSettings, providers: Mapping[str, ProviderSettings]
) -> OrderDeliver:
    """The target that a table configures."""
    provider = providers[settings.provider]
    assert isinstance(provider, SeviSettings), "the configuration checks it"
    return OrderDeliver(SeviApi(provider))


SEVI_ORDER_DELIVER = EffectKind(make_order_deliver, OrderDeliverSettings)
