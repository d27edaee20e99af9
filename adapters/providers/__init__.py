"""Payment providers: each says who may speak for it, and translates its words into ours."""

from adapters.kinds import UnknownKind
from adapters.providers.base import (
    CannotSign,
    Ignored,
    Ping,
    Provider,
    Reason,
    Refused,
    Request,
    Secret,
    Told,
    Unreadable,
    Verified,
    replayed,
)
from adapters.providers.configuration import ProviderSettings
from adapters.providers.registry import KINDS, kind_of, make_provider
from adapters.providers.signed import Declared, Kind

__all__ = [
    "KINDS",
    "CannotSign",
    "Declared",
    "Ignored",
    "Kind",
    "Ping",
    "Provider",
    "ProviderSettings",
    "Reason",
    "Refused",
    "Request",
    "Secret",
    "Told",
    "UnknownKind",
    "Unreadable",
    "Verified",
    "kind_of",
    "make_provider",
    "replayed",
]
