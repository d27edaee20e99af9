"""Whether the bodies that are kept are those that came: each opened, as far as its key is there,
and compared with the keyed hash of its delivery and with the salted digests of its events."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from adapters.bodies import Opened, open_sealed, streams_of
from adapters.evidence.orders import Facts, read_facts
from adapters.storage.evidence import EvidenceStore, KeptBody, StoredRow
from adapters.storage.log import SealedBody
from adapters.vault import Unopened
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

    def check(self, rows: Sequence[KeptBody]) -> Iterator[tuple[int, str]]:
        """The deliveries whose body is not what it should be, and why. Raises
        `StorageUnavailable`."""
        told = self._told(rows)
        for row in rows:
            if row.sealed is None and not _is_elsewhere(row) and told.get(row.delivery_id) != []:
                yield row.delivery_id, "its body is missing"
        vault = self._vault
        if vault is None:
            return
        replayed = [row for row in rows if row.replay_of is not None and row.delivery_id in told]
        others = [kept for row in replayed for kept in self._originals(row)]
        sealed = {row.delivery_id: _sealed(row) for row in [*rows, *others] if row.sealed}
        keys = vault.keys_of([*streams_of(sealed.values()), *_streams(told)])
        missing = self._missing(sealed.values(), keys)
        for row in rows:
            holder = row.replay_of if row.sealed is None and row.replay_of else row.delivery_id
            one = sealed.get(holder)
            if one is not None:
                problem = _problem(vault, row, one, keys, told.get(row.delivery_id, ()), missing)
                if problem is not None:
                    yield row.delivery_id, problem

    def _told(self, rows: Sequence[KeptBody]) -> dict[int, list[_News]]:
        """The digests that events tell of, by their delivery. None of one that made events: its
        order was erased before it came, and its body was not kept."""
        idxs = [row.idx for row in rows if row.idx and row.outcome != Outcome.DUPLICATE.value]
        if not idxs:
            return {}
        first = max(0, min(idxs) - EVENTS_BEFORE)
        wanted = {row.delivery_id for row in rows}
        told: dict[int, list[_News]] = {}
        for raw in self._store.raw_rows(first, max(idxs) - first):
            delivery, facts = raw[6], _facts(raw[4])
            if delivery in wanted and facts is not None and facts.status is not None:
                found = told.setdefault(int(delivery), [])
                if facts.body_digest is not None:
                    news = _News(raw[1].decode(errors="replace"), raw[2], facts.body_digest)
                    found.append(news)
        return told

    def _originals(self, row: KeptBody) -> Sequence[KeptBody]:
        assert row.replay_of is not None
        return self._store.bodies(row.replay_of - 1, row.replay_of)

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
    row: KeptBody,
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


def _sealed(row: KeptBody) -> SealedBody:
    assert row.sealed is not None
    stream, topic = (t.decode(errors="replace") if t else None for t in (row.stream, row.topic))
    return SealedBody(
        row.delivery_id, row.body_hash, row.sealed, row.own_key, stream, row.version, topic
    )


def _is_elsewhere(row: KeptBody) -> bool:
    """Whether a row has no body because the bytes are with another."""
    return row.replay_of is not None or row.outcome == Outcome.DUPLICATE.value


def _streams(told: Mapping[int, Sequence[_News]]) -> list[str]:
    return list({news.stream for each in told.values() for news in each})


def _facts(state: bytes) -> Facts | None:
    try:
        return read_facts(state)
    except msgspec.MsgspecError:
        return None
