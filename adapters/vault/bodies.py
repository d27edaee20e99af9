"""Bodies and private fields, opened for who may read them, as long as their keys are there."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from adapters.storage.log import DeliveryRow, EventLog, SealedBody
from adapters.vault import Unopened
from adapters.vault.keys import OWN, Opens, OrderKey, salting_key
from adapters.vault.sealing import Place, open_private, orders_of
from adapters.vault.vault import Vault
from domain.events import News
from domain.payment import Personal

OPENED_BYTES_MAX = 8 * 1024 * 1024  # of bodies at once


class Opened(NamedTuple):
    """A body, what besides it is needed to read it again (JSON), and the keys that opened it."""

    body: bytes
    context: str | None
    opens: Opens

    @property
    def sha256(self) -> str:
        """The sha256 of the body, in hex."""
        return hashlib.sha256(self.body).hexdigest()


class Bodies:
    """Opens what a ledger has sealed. Every method blocks, and raises `StorageUnavailable` and
    `VaultTrouble`. What cannot be opened, because its key was destroyed or it was changed, is not
    there: `order-ledger verify` tells the one from the other."""

    def __init__(self, log: EventLog, vault: Vault) -> None:
        self._log = log
        self._vault = vault

    def kept_with(self, delivery_ids: Iterable[int]) -> dict[int, Opened]:
        """The bodies that were kept with deliveries."""
        return dict(self._opened(delivery_ids))

    def of_rows(self, rows: Sequence[DeliveryRow]) -> dict[int, Opened]:
        """The bodies of rows of the delivery log, also where the bytes are with an earlier one."""
        holders = self._holders(rows)
        opened = self.kept_with(holders.values())
        return {number: opened[holder] for number, holder in holders.items() if holder in opened}

    def digests(self, rows: Sequence[DeliveryRow]) -> Mapping[int, str]:
        """The sha256 of the bodies of rows, as far as they can be opened, by the row's id. Only one
        body is open at a time."""
        found: dict[int, str] = {}
        for some in bounded(rows):
            holders = self._holders(some)
            digests = {number: one.sha256 for number, one in self._opened(holders.values())}
            found |= {n: digests[holder] for n, holder in holders.items() if holder in digests}
        return found

    def _opened(self, delivery_ids: Iterable[int]) -> Iterator[tuple[int, Opened]]:
        sealed = self._log.bodies(list(dict.fromkeys(delivery_ids)))
        keys = self._vault.keys_of(streams_of(sealed))
        for one in sealed:
            found = open_sealed(self._vault, one, keys)
            if found is not None:
                yield one.delivery_id, found

    def _holders(self, rows: Sequence[DeliveryRow]) -> dict[int, int]:
        """The delivery that the same bytes were kept with, by the row's id."""
        at = [row.position.index for row in rows if not row.has_body and row.position is not None]
        earlier = self._log.kept_with(at) if at else {}
        hashes = {row.id: row.body_hash for row in rows}
        holders = {row.id: h for row in rows if (h := _holder(row, earlier)) is not None}
        for other in set(holders.values()) - hashes.keys():
            found = self._log.delivery(other)
            if found is not None:
                hashes[other] = found.body_hash
        return {n: holder for n, holder in holders.items() if hashes.get(holder) == hashes[n]}

    def of_events(self, idxs: Sequence[int]) -> dict[int, Opened]:
        """The bodies that events tell of, by the events' index."""
        holders = self._log.kept_with(idxs) if idxs else {}
        opened = self.kept_with(holders.values())
        return {idx: opened[holder] for idx, holder in holders.items() if holder in opened}

    def salt(self, opened: Opened, stream: str, version: int) -> bytes | None:
        """The salt of the digest that an event of an order has of its body."""
        key = opened.opens.get(stream) or self._vault.keys_of([stream]).get(stream)
        return salting_key(opened.opens, stream, key).salt(stream, version) if key else None

    def private(self, events: Sequence[News]) -> dict[int, Personal]:
        """What is private in events of one order, by their version."""
        sealed = [event for event in events if event.private is not None]
        if not sealed:
            return {}
        stream = sealed[0].originator_id
        key = self._vault.keys_of([stream]).get(stream)
        if key is None:
            return {}
        found = {}
        for event in sealed:
            place = Place(stream, event.originator_version, type(event).__name__)
            try:
                found[event.originator_version] = open_private(event.private or "", place, key)
            except Unopened:
                continue
        return found


def streams_of(sealed: Iterable[SealedBody]) -> list[str]:
    """The orders whose keys open bodies."""
    streams: dict[str, None] = {}
    for one in sealed:
        try:
            named = orders_of(one.sealed)
        except Unopened:
            continue
        if named is not None:
            streams |= dict.fromkeys(named or [one.stream or ""])
    return list(streams)


def open_sealed(
    vault: Vault, one: SealedBody, keys: Mapping[str, OrderKey], *, strict: bool = False
) -> Opened | None:
    """A body, None where a key of it was destroyed. What was changed is None too, unless `strict`:
    then it raises `Unopened`."""
    place = Place(one.stream or "", one.version or 0, one.topic or "")
    try:
        named = orders_of(one.sealed)
        if named is None:
            if one.own_key is None:
                return None
            opens = {OWN: vault.unwrap_own(one.own_key, one.body_hash)}
            place = Place()
        else:
            streams = named or [place.stream]
            if any(stream not in keys for stream in streams):
                return None
            opens = {stream: keys[stream] for stream in streams}
        key = OrderKey.of_several(list(opens.values()))
        kept = vault.open_body(one.sealed, place, key)
    except Unopened:
        if strict:
            raise
        return None
    return Opened(kept.body, kept.context, opens)


def _holder(row: DeliveryRow, earlier: Mapping[int, int]) -> int | None:
    """The delivery that the bytes of a row were kept with."""
    if row.has_body:
        return row.id
    if row.replay_of is not None:
        return row.replay_of
    return earlier.get(row.position.index) if row.position is not None else None


def bounded(rows: Sequence[DeliveryRow]) -> Iterator[list[DeliveryRow]]:
    """Rows, some at a time, so that their bodies fit into memory."""
    some: list[DeliveryRow] = []
    size = 0
    for row in rows:
        some.append(row)
        size += row.body_bytes or 0
        if size >= OPENED_BYTES_MAX:
            yield some
            some, size = [], 0
    if some:
        yield some
