"""Kinds by the name that the configuration gives them: ours, and those that packages offer."""

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import TypeVar

Kind = TypeVar("Kind")


class UnknownKind(ValueError):
    """No kind has this name. The message names those that there are."""


def kind_named(name: str, known: Mapping[str, Kind], base: type[Kind], group: str) -> Kind:
    """A kind by its name: one that is known, or one that an installed package offers in a group of
    entry points.

    Raises `UnknownKind` where there is none, or what a package offers is none.
    """
    if name in known:
        return known[name]
    offered = entry_points(group=group)
    for point in offered:
        if point.name == name:
            kind = point.load()
            if isinstance(kind, base):
                return kind
            wanted = f"{base.__module__}.{base.__name__}"
            raise UnknownKind(f"kind {name!r} of {point.value} is no {wanted}")
    names = ", ".join([*known, *(point.name for point in offered)])
    raise UnknownKind(f"no kind {name!r}; set kind to one of: {names}")
