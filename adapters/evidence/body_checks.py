"""Whether the bodies that are kept are those that came: each opened, as far as its key is there,
and compared with the keyed hash of its delivery and with the salted digests of its events."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from adapters.evidence.orders import read_all
from adapters.storage.evidence import EventName, EvidenceStore, LoggedDelivery, StoredRow
from adapters.storage.log import SealedBody
from adapters.vault import Unopened
from adapters.vault.bodies import Opened, open_sealed, streams_of
from adapters.vault.keys import OrderKey, salting_key
from adapters.vault.sealing import body_digest, orders_of
from adapters.vault.vault import Vault
from domain.events import PersonalDataErased
from domain.payment import Outcome

EVENTS_BEFORE = 256  # of the first delivery of a batch, whose events lie before the one it names
ERASED = PersonalDataErased.__name__.encode()


class _News(NamedTuple):
    """An event with a digest of its body."""

    stream: str
    version: int
    digest: str


class BodyChecks:
    """Checks the bodies of deliveries, a batch of neighbours at a time."""

    def __init__(self, store: EvidenceStore, vault: Vault | None) -> None:
        self._store = store
        self._vault = vault

    def check(self, rows: Sequence[LoggedDelivery]) -> Iterator[tuple[int, str]]:
        """The deliveries, of some neighbours, whose body is not what it should be, and why. Raises
        `StorageUnavailable`."""
        if not rows:
            return
        bodies = self._store.bodies(rows[0].delivery_id - 1, rows[-1].delivery_id)
        lost = [row for row in rows if row.delivery_id not in bodies and not _is_elsewhere(row)]
        told = self._told(rows if self._vault is not None else lost)
        for row in lost:
            if told.get(row.delivery_id) != []:
                yield row.delivery_id, "its body is missing"
        if self._vault is not None:
            yield from self._opened(self._vault, rows, bodies, told)

    def _opened(
        self,
        vault: Vault,
        rows: Sequence[LoggedDelivery],
        bodies: Mapping[int, bytes],
        told: Mapping[int, Sequence[_News]],
    ) -> Iterator[tuple[int, str]]:
        sealed = self._sealed(rows, bodies)
        for row in rows:
            if row.replay_of is not None and row.delivery_id in told:
                sealed |= self._original(row.replay_of)
        keys = vault.keys_of([*streams_of(sealed.values()), *_streams(told)])
        missing = self._missing(sealed.values(), keys)
        for row in rows:
            is_own = row.delivery_id in bodies or not row.replay_of
            one = sealed.get(row.delivery_id if is_own else row.replay_of or 0)
            if one is not None:
                problem = _problem(vault, row, one, keys, told.get(row.delivery_id, ()), missing)
                if problem is not None:
                    yield row.delivery_id, problem

    def _told(self, rows: Sequence[LoggedDelivery]) -> dict[int, list[_News]]:
        """The digests that events tell of, by their delivery. None of one that made events: its
        order was erased before it came, and its body was not kept."""
        idxs = [row.idx for row in rows if row.idx and row.outcome != Outcome.DUPLICATE.value]
        if not idxs:
            return {}
        first = max(0, min(idxs) - EVENTS_BEFORE)
        wanted = {row.delivery_id for row in rows}
        raws = [raw for raw in self._store.raw_rows(first, max(idxs) - first) if raw[6] in wanted]
        told: dict[int, list[_News]] = {}
        for raw, facts in zip(raws, read_all(raws), strict=True):
            if facts is not None and facts.status is not None and raw[6] is not None:
                found = told.setdefault(raw[6], [])
                if facts.body_digest is not None:
                    news = _News(raw[1].decode(errors="replace"), raw[2], facts.body_digest)
                    found.append(news)
        return told

    def _original(self, number: int) -> dict[int, SealedBody]:
        """The body of a delivery that was taken in again."""
        rows = self._store.deliveries(number - 1, number)
        return self._sealed(rows, self._store.bodies(number - 1, number))

    def _sealed(
        self, rows: Sequence[LoggedDelivery], bodies: Mapping[int, bytes]
    ) -> dict[int, SealedBody]:
        """The bodies of neighbouring deliveries, with what opens them: the event that each one's
        row names, if it names one, and the wrapped key, if it has one of its own."""
        kept = {row.delivery_id: row for row in rows if row.delivery_id in bodies}
        if not kept:
            return {}
        own = self._store.body_keys(min(kept) - 1, max(kept))
        idxs = [row.idx for row in kept.values() if row.idx]
        names = {name.idx: name for name in self._store.names_at(idxs)}
        return {
            number: SealedBody(
                number,
                row.body_hash,
                bodies[number],
                own.get(number),
                *_words(names.get(row.idx or 0)),
            )
            for number, row in kept.items()
        }

    def _missing(self, sealed: Iterable[SealedBody], keys: Mapping[str, OrderKey]) -> set[str]:
        """The orders whose key is not there, and that nobody erased."""
        gone = [stream for stream in streams_of(sealed) if stream not in keys]
        if not gone:
            return set()
        rows: Sequence[StoredRow] = self._store.rows_of([stream.encode() for stream in gone])
        erased = {row.stream.decode() for row in rows if row.topic == ERASED}
        return set(gone) - erased


def _problem(
    vault: Vault,
    row: LoggedDelivery,
    one: SealedBody,
    keys: Mapping[str, OrderKey],
    told: Sequence[_News],
    missing: set[str],
) -> str | None:
    try:
        opened = open_sealed(vault, one, keys, strict=True)
        named = orders_of(one.sealed)
    except Unopened as error:
        return str(error)
    if opened is None:
        lost = missing.intersection(named or [one.stream or ""]) if named is not None else set()
        told_so = "is gone or was changed, and nobody erased it"
        return f"the key of order {min(lost)} {told_so}" if lost else None
    if vault.hashing.body(opened.body) != row.body_hash:
        return "its body is not the one whose hash was recorded"
    wrong = [news for news in told if not _is_told(opened, news, keys)]
    return "its body is not the one whose digest is in its event" if wrong else None


def _is_told(opened: Opened, news: _News, keys: Mapping[str, OrderKey]) -> bool:
    own = opened.opens.get(news.stream) or keys.get(news.stream)
    if own is None:  # erased since: the salt went with it
        return True
    key = salting_key(opened.opens, news.stream, own)
    return body_digest(key, news.stream, news.version, opened.body) == news.digest


def _words(name: EventName | None) -> tuple[str | None, int | None, str | None]:
    if name is None:
        return None, None, None
    return name.stream.decode(errors="replace"), name.version, name.topic.decode(errors="replace")


def _is_elsewhere(row: LoggedDelivery) -> bool:
    """Whether a row has no body because the bytes are with another."""
    return row.replay_of is not None or row.outcome == Outcome.DUPLICATE.value


def _streams(told: Mapping[int, Sequence[_News]]) -> list[str]:
    return list({news.stream for each in told.values() for news in each})
