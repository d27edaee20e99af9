"""The kinds of target that exist, by the name that the configuration gives them."""

from collections.abc import Mapping
from importlib.metadata import entry_points

from adapters.effects.base import EffectKind, Sender
from adapters.effects.command import COMMAND
from adapters.effects.configuration import EffectSettings
from adapters.effects.sevi import SEVI_ORDER_DELIVER
from adapters.effects.webhook import WEBHOOK
from adapters.providers.configuration import ProviderSettings

ENTRY_POINTS = "order_ledger.effects"
KINDS: Mapping[str, EffectKind] = {
    "webhook": WEBHOOK,
    "command": COMMAND,
    "sevi-order-deliver": SEVI_ORDER_DELIVER,
}


class UnknownEffectKind(ValueError):
    """No kind has this name. The message names those that there are."""


def effect_kind_of(name: str) -> EffectKind:
    """A kind by its name: one of ours, or one that an installed package offers.

    Raises `UnknownEffectKind` where there is none, or what a package offers is none.
    """
    if name in KINDS:
        return KINDS[name]
    offered = entry_points(group=ENTRY_POINTS)
    for point in offered:
        if point.name == name:
            kind = point.load()
            if isinstance(kind, EffectKind):
                return kind
            raise UnknownEffectKind(
                f"kind {name!r} of {point.value} is no adapters.effects.base.EffectKind"
            )
    known = ", ".join([*KINDS, *(point.name for point in offered)])
    raise UnknownEffectKind(f"no kind {name!r}; set kind to one of: {known}")


def make_sender(
    name: str, settings: EffectSettings, providers: Mapping[str, ProviderSettings]
) -> Sender:
    """The sender of the target that a table configures."""
    return effect_kind_of(settings.kind).make(name, settings, providers)
