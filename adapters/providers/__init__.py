"""Payment providers: each says who may speak for it, and translates its words into ours."""

from adapters.providers.base import Ignored, Provider, Unreadable
from adapters.providers.registry import KINDS, make_provider

__all__ = ["KINDS", "Ignored", "Provider", "Unreadable", "make_provider"]
