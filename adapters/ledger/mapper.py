"""Between the domain's events and their stored form: a stable topic and JSON that people can read.

The topic is the event's name, never a module path, so code can move without touching the log.
The state is a JSON object of the event's fields: amounts are decimal strings, times RFC 3339 UTC,
what a field is by default is left out, and `v` is the version of the event's form.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from enum import Enum
from operator import attrgetter
from types import MappingProxyType
from typing import Any

import msgspec
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import (
    JSONTranscoder,
    Mapper,
    MapperDeserialisationError,
    StoredEvent,
)

from domain.order import EVENT_TYPES, OrderEvent

ENVELOPE = ("originator_id", "originator_version")  # columns of their own, an event's first fields
_encode = msgspec.json.Encoder().encode


class _Form:
    """How the events of one class are stored, and how older versions of that form are read."""

    def __init__(self, event_type: type[OrderEvent]) -> None:
        self.event_type = event_type
        self.version: int = getattr(event_type, "class_version", 1)
        told = fields(event_type)[len(ENVELOPE) :]
        # What the encoder writes in one go: the version first, and no field that is its default,
        # which it knows by identity.
        self.stored = msgspec.defstruct(
            event_type.__name__,
            [(f.name, Any, f.default) for f in told],
            tag_field="v",
            tag=self.version,
            omit_defaults=True,
        )
        self.values = attrgetter(*(f.name for f in fields(event_type)))
        self.defaults = [f.default for f in told]
        self.has_equals = not all(map(_is_single, self.defaults))
        self.decode = msgspec.json.Decoder(event_type).decode
        self.current = b'{"v":%d,' % self.version

    def to_state(self, event: OrderEvent) -> bytes:
        told = self.values(event)[len(ENVELOPE) :]
        if self.has_equals:
            both = zip(told, self.defaults, strict=True)
            told = tuple(default if value == default else value for value, default in both)
        return _encode(self.stored(*told))

    def to_event(self, stream: str, version: int, state: bytes) -> OrderEvent:
        if not state.startswith(self.current):
            return self._upcast(stream, version, state)
        # The two fields that have columns of their own go in front, and the whole is read at once.
        whole = b'{"originator_id":%b,"originator_version":%d,%b'
        return self.decode(whole % (_encode(stream), version, state[1:]))

    def _upcast(self, stream: str, version: int, state: bytes) -> OrderEvent:
        raw = msgspec.json.decode(state)
        if raw["v"] > self.version:
            raise ValueError(f"its form {raw['v']} is newer than this release's {self.version}")
        for form in range(raw["v"], self.version):
            upcast: Callable[[dict[str, Any]], None] = getattr(
                self.event_type, f"upcast_v{form}_v{form + 1}"
            )
            upcast(raw)
        identity = {"originator_id": stream, "originator_version": version}
        return msgspec.convert(raw | identity, self.event_type)


def _is_single(default: object) -> bool:
    """Whether there is no other object that equals this one."""
    return default is None or default is MISSING or default == () or isinstance(default, Enum)


FORMS: Mapping[str, _Form] = MappingProxyType({t.__name__: _Form(t) for t in EVENT_TYPES})


class UnreadableEvent(MapperDeserialisationError):
    """A stored event that this release cannot read; the message names it."""


def decode(stream: str, version: int, topic: str, state: bytes) -> OrderEvent:
    """The event that was stored. Raises `UnreadableEvent`."""
    try:
        return FORMS[topic].to_event(stream, version, state)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise UnreadableEvent(
            f"cannot read version {version} of stream {stream!r}, topic {topic!r}: {error}"
        ) from error


class EventMapper(Mapper[str]):
    """The library's mapper for our events, without its compressor and cipher."""

    def __init__(self) -> None:
        super().__init__(transcoder=JSONTranscoder())

    def to_stored_event(self, domain_event: DomainEventProtocol[str]) -> StoredEvent:
        """The stored form of an event. Raises `TypeError` for what is no event of an order."""
        form = FORMS.get(type(domain_event).__name__)
        if form is None or not isinstance(domain_event, form.event_type):
            raise TypeError(f"{type(domain_event).__name__} is no event of an order")
        return StoredEvent(
            originator_id=domain_event.originator_id,
            originator_version=domain_event.originator_version,
            topic=form.event_type.__name__,
            state=form.to_state(domain_event),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> OrderEvent:
        """The event that was stored. Raises `MapperDeserialisationError`, naming the event."""
        return decode(
            str(stored_event.originator_id),
            stored_event.originator_version,
            stored_event.topic,
            stored_event.state,
        )
