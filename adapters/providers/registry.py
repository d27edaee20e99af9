"""The kinds of provider that exist, by the name that the configuration gives them."""

from collections.abc import Callable, Iterable, Mapping

from adapters.providers.base import Provider
from adapters.providers.sevi import Sevi

KINDS: Mapping[str, Callable[[str, str, Iterable[str]], Provider]] = {"sevi": Sevi}


def make_provider(kind: str, name: str, store: str, tokens: Iterable[str]) -> Provider:
    """A provider of a known kind. Raises `KeyError` for an unknown one."""
    return KINDS[kind](name, store, tokens)
