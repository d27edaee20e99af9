"""What is checked of a part of the log: its events against the tree, its orders against the rules,
its bodies against their digests. Each part stands alone, so that parts run side by side."""

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from adapters.evidence.body_checks import BodyChecks
from adapters.evidence.leaf import leaves
from adapters.evidence.merkle import HASH_BYTES, TILE_WIDTH, hash_perfect
from adapters.evidence.orders import Facts, Orders, read_all
from adapters.storage.evidence import EvidenceStore, LoggedDelivery, RawRow
from adapters.storage.log import PARTITION
from adapters.vault.vault import Vault
from domain.log import Position
from domain.payment import Outcome

BATCH = 4096
EVENTS_IN_PART = 16_384  # a part lies below one tile of level 1
DELIVERIES_IN_PART = 16_384
DELIVERIES_BATCH = 1024
FINDINGS_MAX = 200  # of one part; the others are counted
NEIGHBOURS = 64  # places at which a moved event is looked for


class Finding(NamedTuple):
    """Something that must not be: where it is, and what is wrong."""

    at: str
    problem: str


class Part(NamedTuple):
    """A part of the work: events or deliveries after a number and up to another. Of the events,
    those up to `sealed` are in the tree."""

    kind: str
    after: int
    upto: int
    sealed: int = 0


class Checked(NamedTuple):
    """What became of a part: the first findings, and how many there are."""

    part: Part
    findings: list[Finding]
    total: int


def check(store: EvidenceStore, vault: Vault | None, part: Part) -> Checked:
    """Check a part; bodies are opened with the vault, if there is one. Raises
    `StorageUnavailable`."""
    is_events = part.kind == "events"
    found = _events(store, part) if is_events else _deliveries(store, vault, part)
    findings: list[Finding] = []
    count = 0
    with _no_search_for_cycles():
        for finding in found:
            count += 1
            if count <= FINDINGS_MAX:
                findings.append(finding)
    return Checked(part, findings, count)


@contextmanager
def _no_search_for_cycles() -> Iterator[None]:
    """A part makes no cycles worth a search, and tuples that take long to be searched."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def place(index: int) -> str:
    """A position of the one partition, as people write it."""
    return str(Position(PARTITION, index))


def gap(first: int, last: int) -> str:
    """Some neighbouring positions."""
    return place(first) if first == last else f"{place(first)} to {place(last)}"


# ------------------------------------------------------------------------------------------ events


def _events(store: EvidenceStore, part: Part) -> Iterator[Finding]:
    orders = Orders(store.rows_of)
    at = part.after
    while at < part.upto:
        batch = min(BATCH, part.upto - at)
        rows = store.raw_rows(at, batch)
        yield from _gaps(at, at + batch, rows, part.sealed)
        yield from _against_tree(store, at, min(at + batch, part.sealed), rows)
        odd = {row[0] for row in rows if type(row[2]) is not int}
        if odd:
            yield from (Finding(place(idx), "its version is no number") for idx in sorted(odd))
            rows = [row for row in rows if row[0] not in odd]
        facts = read_all(rows)
        for index, problem in orders.take(rows, facts):
            name = next(row[1] for row in rows if row[0] == index).decode(errors="replace")
            yield Finding(place(index), f"order {name}: {problem}")
        yield from _tied(store, rows, facts)
        at += batch


def _gaps(after: int, upto: int, rows: Sequence[RawRow], sealed: int) -> Iterator[Finding]:
    if len(rows) == upto - after:  # the key is unique, so they are all there
        return
    expected = after + 1
    for index in (*(row[0] for row in rows), upto + 1):
        for first, last, told in (
            (expected, min(index - 1, sealed), "missing: sealed, and not in the log"),
            (
                max(expected, sealed + 1),
                index - 1,
                "missing: not sealed yet, but the log was longer",
            ),
        ):
            if first <= last:
                yield Finding(gap(first, last), told)
        expected = index + 1


def _against_tree(
    store: EvidenceStore, after: int, upto: int, rows: Sequence[RawRow]
) -> Iterator[Finding]:
    """Compare events with the leaves that were sealed, and those with the roots above them."""
    if upto <= after:
        return
    first, last = after // TILE_WIDTH, (upto - 1) // TILE_WIDTH
    tiles = store.tiles(0, first, last - first + 1)
    above = store.tile(1, first // TILE_WIDTH)  # a part lies below one tile of level 1
    leaf_hashes = _leaves(after, upto, rows)
    for number in range(first, last + 1):
        start = number * TILE_WIDTH
        width = min(TILE_WIDTH, upto - start)
        sealed = tiles.get(number, b"")[: width * HASH_BYTES]
        actual = leaf_hashes[(start - after) * HASH_BYTES :][: width * HASH_BYTES]
        is_right = len(sealed) == width * HASH_BYTES
        if is_right and width == TILE_WIDTH:
            parent = (number % TILE_WIDTH) * HASH_BYTES
            expected = above[parent : parent + HASH_BYTES]
            is_right = hash_perfect(sealed) == expected
            if not is_right and hash_perfect(actual) == expected:
                yield Finding(
                    f"tile 0/{number}", "damaged; the events below it are what was sealed"
                )
                continue
        if len(sealed) < width * HASH_BYTES:
            yield Finding(f"tile 0/{number}", "missing: what it sealed is not known")
        elif not is_right:
            told = f"changed, some of them: tile 0/{number} has another root, and so have they"
            yield Finding(gap(start + 1, start + width), told)
        elif actual != sealed:
            yield from _differing(start, sealed, actual, rows)


def _leaves(after: int, upto: int, rows: Sequence[RawRow]) -> bytes:
    """The leaf hashes of neighbouring indexes, one after the other; zeros where there is none."""
    within = [row for row in rows if row[0] <= upto] if rows and rows[-1][0] > upto else rows
    if len(within) == upto - after:
        with suppress(Exception):  # a value of no type that an event has: that one has no leaf
            return b"".join(leaves(PARTITION, within))
    hashes = {}
    for row in within:
        with suppress(Exception):
            (hashes[row[0]],) = leaves(PARTITION, [row])
    return b"".join([hashes.get(n, bytes(HASH_BYTES)) for n in range(after + 1, upto + 1)])


def _differing(
    start: int, sealed: bytes, actual: bytes, rows: Sequence[RawRow]
) -> Iterator[Finding]:
    by_index = {row[0]: row for row in rows}
    for n in range(len(sealed) // HASH_BYTES):
        index = start + n + 1
        wanted = sealed[n * HASH_BYTES : (n + 1) * HASH_BYTES]
        if index in by_index and actual[n * HASH_BYTES : (n + 1) * HASH_BYTES] != wanted:
            moved = _moved_to(index, wanted, by_index)
            told = f"; that one stands at {place(moved)}" if moved else ""
            yield Finding(place(index), f"not the event that was sealed here{told}")


def _moved_to(index: int, wanted: bytes, by_index: Mapping[int, RawRow]) -> int | None:
    """Where the event stands that was sealed at an index, if it is near."""
    for other in range(index - NEIGHBOURS, index + NEIGHBOURS + 1):
        row = by_index.get(other)
        if row is not None and other != index:
            try:
                (leaf,) = leaves(PARTITION, [(index, *row[1:])])
            except Exception:  # noqa: S112
                continue
            if leaf == wanted:
                return other
    return None


def _tied(
    store: EvidenceStore, rows: Sequence[RawRow], facts: Sequence[Facts | None]
) -> Iterator[Finding]:
    """Compare what an event tells of its body with its delivery. No leaf has the delivery's number:
    news with a digest came with one, which appended it, and whose body is there."""
    told = []
    for row, fact in zip(rows, facts, strict=True):
        if fact is None or fact.delivery_key is None:
            continue
        if isinstance(row[6], int):
            told.append((row[0], row[6], fact))
        elif fact.body_digest is not None:
            yield Finding(place(row[0]), "it came with a delivery, and which one is not said")
    if not told:
        return
    ids = [delivery for _, delivery, _ in told]
    low, high = min(ids), max(ids)
    if high - low > 4 * BATCH:  # ids that were tampered with
        logged = {row.delivery_id: row for each in ids for row in store.deliveries(each - 1, each)}
    else:
        logged = {row.delivery_id: row for row in store.deliveries(low - 1, high)}
    for index, delivery, fact in told:
        problem = _untied(store, index, delivery, fact, logged.get(delivery))
        if problem is not None:
            yield Finding(place(index), problem)


def _untied(
    store: EvidenceStore, index: int, number: int, fact: Facts, row: LoggedDelivery | None
) -> str | None:
    """Why an event is not of the delivery that it names, or None."""
    if row is None:
        return f"its delivery {number} is not in the delivery log"
    if row.body_hash != (fact.body_hash or fact.delivery_key):
        return f"its body's hash is not that of its delivery {number}"
    if row.outcome == Outcome.DUPLICATE.value:
        return f"its delivery {number} is said to be a duplicate, and those append nothing"
    if row.idx is None or row.idx < index:
        return f"its delivery {number} is said to have appended other events"
    if fact.body_digest is None or row.replay_of is None or store.bodies(number - 1, number):
        return None  # whether a delivery has its own body is looked at with the deliveries
    at: LoggedDelivery | None = row
    while at is not None and at.replay_of is not None and at.replay_of < at.delivery_id:
        original = at.replay_of  # which may be a replay itself
        at = next(iter(store.deliveries(original - 1, original)), None)
        if (
            at is not None
            and at.body_hash == row.body_hash
            and store.bodies(original - 1, original)
        ):
            return None
    return f"its body is missing: what its delivery {number} replays has no such body"


# -------------------------------------------------------------------------------------- deliveries


def _deliveries(store: EvidenceStore, vault: Vault | None, part: Part) -> Iterator[Finding]:
    bodies = BodyChecks(store, vault)
    for at in range(part.after, part.upto, DELIVERIES_BATCH):
        upto = min(at + DELIVERIES_BATCH, part.upto)
        rows = store.deliveries(at, upto)
        yield from _missing(at, upto, [row.delivery_id for row in rows])
        for number, problem in bodies.check(rows):
            yield Finding(f"delivery {number}", problem)


def _missing(after: int, upto: int, ids: Sequence[int]) -> Iterator[Finding]:
    if len(ids) == upto - after:  # the key is unique, so they are all there
        return
    first = after + 1
    for each in (*ids, upto + 1):
        last = each - 1
        if first <= last:
            name = f"delivery {first}" if first == last else f"deliveries {first} to {last}"
            yield Finding(name, "missing in the delivery log")
        first = each + 1
