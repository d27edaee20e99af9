"""What a batch keeps so that it can be forgotten: new keys of orders, digests whose salt dies with
them, private fields, and bodies, which are sealed all at once."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from adapters.ledger.held_orders import HeldOrder
from adapters.storage.log import LogEntry, NewKey
from adapters.vault import Unopened
from adapters.vault.keys import Drawn, Hashing, Opens, OrderKey, salting_key
from adapters.vault.sealing import (
    Place,
    ToSeal,
    body_digest,
    open_private,
    seal_private,
)
from adapters.vault.vault import Vault, about_body, about_order
from domain.events import DeliveryConflicted, News, OrderEvent, PaymentReceived
from domain.payment import PaymentNotice, Personal

RECEIVED, CONFLICTED = PaymentReceived.__name__, DeliveryConflicted.__name__


class Protection:
    """The sealing side of one batch."""

    def __init__(self, vault: Vault) -> None:
        self.hashing: Hashing = vault.hashing
        self._vault = vault
        self._master = vault.masters.current()
        self._new: list[NewKey] = []
        self._has_new = False
        self._random = Drawn()
        self._bodies: list[tuple[LogEntry, ToSeal]] = []

    @property
    def master(self) -> int | None:
        """The number of the master key that wrapped this batch's keys, if it has any."""
        return self._master.number if self._has_new else None

    def seal(self) -> None:
        """Seal the bodies that were to be kept."""
        sealed = self._vault.seal([body for _, body in self._bodies])
        for (entry, told), body in zip(self._bodies, sealed, strict=True):
            entry.body = body
            told.key.rest()

    # ---------------------------------------------------------------------------------------- keys

    def key_of(self, held: HeldOrder) -> OrderKey | None:
        """An order's key, None once it was destroyed. A new order's is made here, and stored with
        its first event."""
        if held.key is None and not held.order.erased:
            held.key = OrderKey.new(self._random)
            if held.order.version:  # events that came by another way brought none
                self._store(held, None, held.indexes[0])
        return held.key

    def begin(self, held: HeldOrder, number: int) -> None:
        """Store the key of an order whose first event has this number in its entry."""
        self.key_of(held)
        self._store(held, number, None)

    def _store(self, held: HeldOrder, number: int | None, idx: int | None) -> None:
        assert held.key is not None, "it was just made"
        wrapped = held.key.wrapped_by(self._master, about_order(held.order.id), self._random)
        self._new.append(NewKey(number, idx, wrapped))
        self._has_new = True

    def keys_of(self, told: Sequence[HeldOrder]) -> Opens | None:
        """What seals a body that tells of these orders, None where one of them was erased."""
        keys: dict[str, OrderKey] = {}
        for held in told:
            key = self.key_of(held)
            if key is None:
                return None
            keys[held.order.id] = key
        return keys

    def new_keys(self) -> Sequence[NewKey]:
        """The keys that an entry brings, which is complete."""
        new, self._new = self._new, []
        return new

    # -------------------------------------------------------------------------------------- bodies

    def keep(
        self, entry: LogEntry, body: bytes, context: str | None, opens: Opens, place: Place
    ) -> None:
        """Keep the body of an entry, so that it can be read as long as all these keys are there."""
        key = OrderKey.of_several(list(opens.values()))
        sealed = ToSeal(entry.provider, body, context, place, list(opens), key)
        self._bodies.append((entry, sealed))

    def keep_alone(self, entry: LogEntry, body: bytes, context: str | None) -> None:
        """Keep the body of an entry that tells of no order under a key of its own."""
        key = OrderKey.new(self._random)
        entry.body_key = key.wrapped_by(self._master, about_body(entry.body_hash), self._random)
        self._has_new = True
        self._bodies.append((entry, ToSeal(entry.provider, body, context, Place(), (), key)))

    # ---------------------------------------------------------------------------------------- news

    def protect(self, notice: PaymentNotice, held: HeldOrder, opens: Opens | None) -> None:
        """Put into a notice what its event holds of the body and of persons; of an order that was
        erased nothing."""
        if held.key is None or opens is None:
            notice.body_digest = notice.private = notice.customer = None
            notice.hidden_references = ()
            return
        stream, version = held.order.id, held.order.version + 1
        key = salting_key(opens, stream, held.key)
        notice.body_digest = body_digest(key, stream, version, notice.body)
        if notice.personal is not None:
            place = Place(stream, version, RECEIVED)
            notice.private = seal_private(notice.personal, place, held.key, self._random)

    def protected(
        self, events: Sequence[OrderEvent], notice: PaymentNotice, held: HeldOrder
    ) -> Sequence[OrderEvent]:
        """The events that a notice gave; a conflict's private field is bound to a conflict."""
        if notice.private is None or not events or isinstance(events[0], PaymentReceived):
            return events
        first = events[0]
        assert isinstance(first, DeliveryConflicted)
        return [self._bound_anew(first, notice.personal, held), *events[1:]]

    def moved(
        self, events: Sequence[OrderEvent], held: HeldOrder, waiting: Iterable[HeldOrder]
    ) -> list[OrderEvent]:
        """The events of a registration; those that tell anew what was parked have its private field
        sealed for their own place."""
        parked: dict[str, tuple[News, HeldOrder]] = {}
        for other in (held, *waiting):
            for known in (k for every in other.order.deliveries.values() for k in every):
                if known.news.private is not None:
                    parked[known.news.private] = (known.news, other)
        moved: list[OrderEvent] = []
        for event in events:
            if isinstance(event, News) and event.private is not None:
                self.key_of(held)
                personal = self._opened(*parked[event.private])
                moved.append(self._bound_anew(event, personal, held))
            else:
                moved.append(event)
        return moved

    def _opened(self, news: News, held: HeldOrder) -> Personal | None:
        if held.key is None or news.private is None:
            return None
        place = Place(news.originator_id, news.originator_version, type(news).__name__)
        try:
            return open_private(news.private, place, held.key)
        except Unopened:  # it was changed: the facts go on without it
            return None

    def _bound_anew(self, event: News, personal: Personal | None, held: HeldOrder) -> News:
        if personal is None or held.key is None:
            return replace(event, private=None)
        place = Place(event.originator_id, event.originator_version, type(event).__name__)
        return replace(event, private=seal_private(personal, place, held.key))
