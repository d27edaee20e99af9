"""Between the domain's events and their stored form: a stable topic and JSON that people can read.

The topic is the event's name, never a module path, so code can move without touching the log.
The state is a JSON object of the event's fields: amounts are decimal strings, times RFC 3339 UTC,
what a field is by default is left out, and `v` is the version of the event's form.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
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

ENVELOPE = frozenset({"originator_id", "originator_version"})  # columns of their own
_encode = msgspec.json.Encoder().encode


class _Form:
    """How the events of one class are stored, and how older versions of that form are read."""

    def __init__(self, event_type: type[OrderEvent]) -> None:
        self.event_type = event_type
        self.version: int = getattr(event_type, "class_version", 1)
        self.names = tuple(f.name for f in fields(event_type) if f.name not in ENVELOPE)
        defaults = {f.name: f.default for f in fields(event_type)}
        self.fields = tuple((name, defaults[name]) for name in self.names)
        self.decode = msgspec.json.Decoder(event_type).decode
        self.current = b'{"v":%d,' % self.version

    def to_state(self, event: OrderEvent) -> bytes:
        state: dict[str, Any] = {"v": self.version}
        for name, default in self.fields:
            value = getattr(event, name)
            if value is not default and value != default:
                state[name] = value
        return _encode(state)

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
