"""Between the domain's events and their stored form: a stable topic and JSON that people can read.

The topic is the event's name, never a module path, so code can move without touching the log.
The state is a JSON object of the event's fields: amounts are decimal strings, times RFC 3339 UTC,
what a field is by default is left out, and `v` is the version of the event's form.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from types import MappingProxyType
from typing import Any, NotRequired, TypedDict, get_type_hints

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
_typed_dict: Any = TypedDict  # made from the fields of a dataclass, which mypy cannot follow


class _Form:
    """How the events of one class are stored, and how older versions of that form are read."""

    def __init__(self, event_type: type[OrderEvent]) -> None:
        self.event_type = event_type
        self.version: int = getattr(event_type, "class_version", 1)
        hints = get_type_hints(event_type)
        self.names = tuple(f.name for f in fields(event_type) if f.name not in ENVELOPE)
        defaults = {f.name: f.default for f in fields(event_type) if f.default is not MISSING}
        members = {n: NotRequired[hints[n]] if n in defaults else hints[n] for n in self.names}
        self.fields = tuple((name, defaults.get(name, MISSING)) for name in self.names)
        self.state_type = _typed_dict(event_type.__name__, {"v": int, **members})
        self.decode = msgspec.json.Decoder(self.state_type).decode
        self.current = b'{"v":%d,' % self.version

    def to_state(self, event: OrderEvent) -> bytes:
        state: dict[str, Any] = {"v": self.version}
        for name, default in self.fields:
            value = getattr(event, name)
            if value is not default and value != default:
                state[name] = value
        return _encode(state)

    def to_event(self, stored: StoredEvent) -> OrderEvent:
        is_current = stored.state.startswith(self.current)
        state = self.decode(stored.state) if is_current else self._upcast(stored.state)
        del state["v"]
        return self.event_type(
            originator_id=str(stored.originator_id),
            originator_version=stored.originator_version,
            **state,
        )

    def _upcast(self, state_json: bytes) -> dict[str, Any]:
        raw = msgspec.json.decode(state_json)
        if raw["v"] > self.version:
            raise ValueError(f"its form {raw['v']} is newer than this release's {self.version}")
        for version in range(raw["v"], self.version):
            upcast: Callable[[dict[str, Any]], None] = getattr(
                self.event_type, f"upcast_v{version}_v{version + 1}"
            )
            upcast(raw)
        state: dict[str, Any] = msgspec.convert(raw | {"v": self.version}, self.state_type)
        return state


FORMS: Mapping[str, _Form] = MappingProxyType({t.__name__: _Form(t) for t in EVENT_TYPES})


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
        try:
            return FORMS[stored_event.topic].to_event(stored_event)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise MapperDeserialisationError(
                f"cannot read version {stored_event.originator_version} of stream "
                f"{stored_event.originator_id!r}, topic {stored_event.topic!r}: {error}"
            ) from error
