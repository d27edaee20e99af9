"""The kinds of target that exist, by the name that the configuration gives them."""

from collections.abc import Mapping

from adapters.effects.base import EffectKind, Sender
from adapters.effects.command import COMMAND
from adapters.effects.configuration import EffectSettings
from adapters.effects.sevi import SEVI_ORDER_DELIVER
from adapters.effects.webhook import WEBHOOK
from adapters.kinds import kind_named
from adapters.providers.configuration import ProviderSettings

ENTRY_POINTS = "order_ledger.effects"
KINDS: Mapping[str, EffectKind] = {
    "webhook": WEBHOOK,
    "command": COMMAND,
    "sevi-order-deliver": SEVI_ORDER_DELIVER,
}


def effect_kind_of(name: str) -> EffectKind:
    """A kind by its name: one of ours, or one that an installed package offers.

    Raises `UnknownKind` where there is none, or what a package offers is none.
    """
    return kind_named(name, KINDS, EffectKind, ENTRY_POINTS)


def make_sender(
    name: str, settings: EffectSettings, providers: Mapping[str, ProviderSettings]
) -> Sender:
    """The sender of the target that a table configures."""
    return effect_kind_of(settings.kind).make(name, settings, providers)
