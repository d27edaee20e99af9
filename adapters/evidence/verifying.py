"""Verifying a whole ledger: the parts of the log side by side, and the tree by its checkpoints."""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

from pydantic import BaseModel

from adapters.evidence.checks import (
    DELIVERIES_IN_PART,
    EVENTS_IN_PART,
    Checked,
    Finding,
    Part,
    check,
    place,
)
from adapters.evidence.keys import KeyTrouble, Signer
from adapters.evidence.leaf import leaves
from adapters.evidence.merkle import (
    HASH_BYTES,
    TILE_WIDTH,
    MissingTile,
    TileReader,
    Tree,
    hash_perfect,
    root,
)
from adapters.evidence.notes import (
    BadNote,
    Checkpoint,
    PublicKey,
    SignedCheckpoint,
    fingerprint,
)
from adapters.storage.evidence import EvidenceStore, KeptCheckpoint
from adapters.storage.log import PARTITION
from adapters.storage.opening import open_evidence, open_vault
from adapters.vault.masters import MasterSource
from adapters.vault.vault import Vault

FINDINGS_MAX = 1000  # that are shown; the others are counted
PARTS_ALONE_MAX = 2  # so few are not worth another process
PROCESSES_MAX = 8
TILES_CACHED = 64
CHECKPOINTS_AT_ONCE = 1000

Tell = Callable[[int, int], None]


class FindingView(BaseModel):
    """Something that must not be: where it is, and what is wrong."""

    at: str
    problem: str


class Verdict(BaseModel):
    """What a verification looked at, and what it found. `unsealed_events` are looked at too, but
    nothing is signed that they could be compared with. Where the master key was not at hand,
    `bodies_opened` is false: then bodies were not compared with their hashes."""

    is_sound: bool
    bodies_opened: bool
    events: int
    deliveries: int
    checkpoints: int
    sealed_upto: str | None
    unsealed_events: int
    findings_count: int
    findings: list[FindingView]


@dataclass(frozen=True)
class Scope:
    """What is verified: the log up to where it ended, and its last checkpoint, when this began."""

    url: str
    events: int
    deliveries: int
    last: KeptCheckpoint | None

    @property
    def sealed(self) -> int:
        """How many events are under a checkpoint."""
        return self.last.size if self.last else 0

    @property
    def parts(self) -> list[Part]:
        """The work, in parts that stand alone."""
        ends = max(self.events, self.sealed)
        events = [
            Part("events", at, min(at + EVENTS_IN_PART, ends), self.sealed)
            for at in range(0, ends, EVENTS_IN_PART)
        ]
        deliveries = [
            Part("deliveries", at, min(at + DELIVERIES_IN_PART, self.deliveries))
            for at in range(0, self.deliveries, DELIVERIES_IN_PART)
        ]
        return [*events, *deliveries]


class Notebook:
    """What was done of a verification, in a file, so that it can go on after an interruption."""

    def __init__(self, path: Path | None, scope: Scope, store: EvidenceStore) -> None:
        self._path = path
        self.scope = scope
        self.done: list[Checked] = []
        if path is not None and path.exists():
            self._read(path, store)

    def _read(self, path: Path, store: EvidenceStore) -> None:
        """Go on, unless the checkpoint that was verified is no more what it was."""
        kept = json.loads(path.read_text())
        number, note = kept["checkpoint"] or (0, None)
        last = next(iter(store.checkpoints_before(number + 1, 1)), None)
        if (last.note if last else None) != note:
            return
        self.scope = Scope(self.scope.url, kept["events"], kept["deliveries"], last)
        whole = set(self.scope.parts)
        self.done = [
            Checked(Part(*part), [Finding(*finding) for finding in findings], total)
            for part, findings, total in kept["done"]
            if Part(*part) in whole
        ]

    def note(self, checked: Checked) -> None:
        """Keep what became of a part."""
        self.done.append(checked)
        if self._path is not None:
            last = self.scope.last
            kept = {
                "events": self.scope.events,
                "deliveries": self.scope.deliveries,
                "checkpoint": [last.number, last.note] if last else None,
                "done": self.done,
            }
            draft = self._path.with_name(f"{self._path.name}.part")
            draft.write_text(json.dumps(kept))
            draft.replace(self._path)

    def close(self) -> None:
        """The work is done: what was kept of it is of no more use."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def verify(
    store: EvidenceStore,
    url: str,
    keys: Iterable[PublicKey],
    tell: Tell = lambda done, whole: None,
    kept_by_auditor: SignedCheckpoint | None = None,
    notes: Path | None = None,
    processes: int = PROCESSES_MAX,
    vault: Vault | None = None,
    signer: Signer | None = None,
    pinned: Sequence[PublicKey] = (),
) -> Verdict:
    """Verify the ledger that is at the URL. Raises `StorageUnavailable`.

    `keys` are whose signatures count; `vault` opens bodies. `notes` names a file that an
    interrupted verification goes on from; parts that were found in order are then not looked at
    again. No more `processes` check. With a `signer` the ledger is held against its key file, and
    against what lies beside that of the last checkpoint; with `pinned` keys, one of them has to
    have signed the newest.
    """
    # First: what is signed meanwhile is of a longer log than is looked at.
    last_signed = list(_signed_last(signer)) if signer is not None else []
    head = store.head()
    scope = Scope(url, head.idx, head.delivery_id, store.last_checkpoint())
    notebook = Notebook(notes, scope, store)
    scope = notebook.scope
    known = list(keys)
    findings = [*_Checkpoints(store, known).check(scope), *_strays(store)]
    for where, kept in last_signed:
        if isinstance(kept, str):
            findings.append(Finding(where, kept))
        else:
            findings += _compare(store, scope, known, kept, where)
    findings += _keys(scope, store, signer, pinned)
    if kept_by_auditor is not None:
        findings += _compare(store, scope, known, kept_by_auditor, "that was kept elsewhere")
    count = len(findings)
    for checked in _run(scope, notebook, store, vault, tell, processes):
        findings += checked.findings
        count += checked.total
    notebook.close()
    shown = sorted(findings, key=lambda f: [int(n) for n in re.findall(r"\d+", f.at)])
    return Verdict(
        is_sound=not count,
        bodies_opened=vault is not None,
        events=scope.events,
        deliveries=scope.deliveries,
        checkpoints=scope.last.number if scope.last else 0,
        sealed_upto=place(scope.sealed) if scope.sealed else None,
        unsealed_events=max(0, scope.events - scope.sealed),
        findings_count=count,
        findings=[FindingView(at=f.at, problem=f.problem) for f in shown[:FINDINGS_MAX]],
    )


# --------------------------------------------------------------------------- parts, side by side


def _run(
    scope: Scope,
    notebook: Notebook,
    store: EvidenceStore,
    vault: Vault | None,
    tell: Tell,
    processes: int,
) -> Iterator[Checked]:
    parts = scope.parts
    whole = max(1, sum(part.upto - part.after for part in parts))
    done = {checked.part for checked in notebook.done}
    yield from list(notebook.done)
    finished = sum(part.upto - part.after for part in done)
    left = [part for part in parts if part not in done]
    with ExitStack() as stack:
        results: Iterator[Checked] = (check(store, vault, part) for part in left)
        others = min(os.cpu_count() or 1, processes, len(left)) - 1
        if others > 0 and len(left) > PARTS_ALONE_MAX:
            source = vault.source if vault is not None else None
            pool = stack.enter_context(_processes(scope.url, source, others))
            results = _side_by_side(pool, store, vault, left)
        for checked in results:
            finished += checked.part.upto - checked.part.after
            notebook.note(checked)
            tell(finished * scope.events // whole, scope.events)
            yield checked


def _processes(url: str, source: MasterSource | None, count: int) -> ProcessPoolExecutor:
    # Spawned, since a copy of a process that has threads and connections may hang.
    return ProcessPoolExecutor(count, get_context("spawn"), _open, (url, source))


def _side_by_side(
    executor: Executor, store: EvidenceStore, vault: Vault | None, parts: list[Part]
) -> Iterator[Checked]:
    """Check here what no other process has begun, since those take a while to start."""
    futures = {executor.submit(_check_there, part): part for part in parts}
    try:
        for future, part in list(futures.items()):
            if future.cancel():
                del futures[future]
                yield check(store, vault, part)
            for done in [future for future in futures if future.done()]:
                del futures[done]
                yield done.result()
        for future in as_completed(futures):
            yield future.result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


_store: EvidenceStore  # of a process that checks parts
_vault: Vault | None


def _open(url: str, source: MasterSource | None) -> None:
    global _store, _vault  # noqa: PLW0603  (how a pool's process gets what it works with)
    _store = open_evidence(url)
    _vault = Vault(open_vault(url), source) if source is not None else None


def _check_there(part: Part) -> Checked:
    return check(_store, _vault, part)


# --------------------------------------------------------------------- the tree and its checkpoints


class _Checkpoints:
    """Compares the tiles above the leaves with each other, and the tree with every checkpoint."""

    def __init__(self, store: EvidenceStore, keys: list[PublicKey]) -> None:
        self._store = store
        self._keys = keys

    def check(self, scope: Scope) -> Iterator[Finding]:
        """What is wrong with them."""
        last = scope.last
        if last is None:
            return
        read = cached(self._store.tile)
        yield from self._upper_tiles(scope.sealed)
        number, size = 0, 0
        while kept := self._store.checkpoints_after(number, CHECKPOINTS_AT_ONCE):
            for each in kept:
                if each.number > last.number:
                    return
                problem = self._problem(each, number + 1, size, read)
                if problem is not None:
                    yield Finding(f"checkpoint {each.number}", problem)
                number, size = each.number, each.size

    def _problem(
        self, kept: KeptCheckpoint, number: int, size: int, read: TileReader
    ) -> str | None:
        if kept.number != number:
            return f"checkpoint {number} is missing before it"
        try:
            signed = SignedCheckpoint.parse(kept.note)
            signed.signers(self._keys)
        except BadNote as error:
            return str(error)
        checkpoint = signed.checkpoint
        if checkpoint.size != kept.size or checkpoint.size < size:
            return "its size is not what was signed, or less than that of the one before"
        return differs(checkpoint, read)

    def _upper_tiles(self, size: int) -> Iterator[Finding]:
        level, count = 1, size // TILE_WIDTH
        while count >= TILE_WIDTH:
            full = count // TILE_WIDTH
            for number in range(full):
                above = self._store.tile(level + 1, number // TILE_WIDTH)
                at = (number % TILE_WIDTH) * HASH_BYTES
                hashes = self._store.tile(level, number)
                if len(hashes) != TILE_WIDTH * HASH_BYTES or (
                    hash_perfect(hashes) != above[at : at + HASH_BYTES]
                ):
                    yield Finding(f"tile {level}/{number}", "damaged, or the tile above it is")
            level, count = level + 1, full


def differs(checkpoint: Checkpoint, read: TileReader) -> str | None:
    """Why the tree is not what a checkpoint says, or None."""
    try:
        is_right = root(checkpoint.size, read) == checkpoint.root
    except MissingTile as error:
        return f"the tree cannot be compared with it: {error}. The service makes it again"
    return None if is_right else "the tree has another root at its size"


def cached(read: TileReader) -> TileReader:
    """A reader that remembers the tiles that it read last."""
    return lru_cache(TILES_CACHED)(read)


def _strays(store: EvidenceStore) -> Iterator[Finding]:
    strays = store.strays()
    if strays:
        yield Finding("outside the log", f"{strays} events stand where no position is")


def _signed_last(signer: Signer) -> Iterator[tuple[str, SignedCheckpoint | str]]:
    """What lies beside the keys of the checkpoint that was signed last, or why it is not known."""
    try:
        signed = signer.last_signed()
    except KeyTrouble as trouble:
        yield "what was signed last", str(trouble)
        return
    if signed is not None:
        yield f"that was signed last ({signer.last_file.name})", signed


def _keys(
    scope: Scope, store: EvidenceStore, signer: Signer | None, pinned: Sequence[PublicKey]
) -> Iterator[Finding]:
    """Whether those sign who should: the ledger's own list of keys may have been replaced."""
    held = {key.raw for key in signer.held_keys()} if signer is not None else set()
    known = store.known_keys()
    if held and known and known[-1].public_key not in held:
        told = fingerprint(known[-1].public_key)
        yield Finding("keys", f"the newest that the ledger lists, {told}, is not in the key file")
    if held and not known and scope.last is not None:
        yield Finding("keys", "the ledger lists none, although it has checkpoints")
    if pinned and scope.last is not None:
        try:
            SignedCheckpoint.parse(scope.last.note).signers(pinned)
        except BadNote as error:
            yield Finding(f"checkpoint {scope.last.number}", f"by the keys that you named: {error}")


def _compare(
    store: EvidenceStore,
    scope: Scope,
    keys: list[PublicKey],
    signed: SignedCheckpoint,
    where: str,
) -> Iterator[Finding]:
    """Compare the ledger with a checkpoint that lies outside of it."""
    at = f"checkpoint of size {signed.checkpoint.size} {where}"
    checkpoint = signed.checkpoint
    try:
        signed.signers(keys)
    except BadNote as error:
        yield Finding(at, f"{error}: it is of another ledger, or this one's keys were replaced")
        return
    if checkpoint.size > scope.events:
        yield Finding(at, f"the log was cut: it ends at {place(scope.events)}")
        return
    problem = differs(checkpoint, _grown(store, scope, checkpoint.size))
    if problem is not None:
        yield Finding(at, f"this ledger is not its continuation: {problem}")


def _grown(store: EvidenceStore, scope: Scope, size: int) -> TileReader:
    """The tiles of the tree; where it is smaller than wanted, grown by the events behind it."""
    if size <= scope.sealed:
        return store.tile
    try:
        tree = Tree.load(scope.sealed, store.tile)
    except MissingTile:
        tree = Tree()
    while tree.size < size:
        rows = store.raw_rows(tree.size, min(4096, size - tree.size))
        if not rows:
            break
        tree.extend(leaves(PARTITION, rows))
    tails = {(tile.level, tile.number): tile.hashes for tile in tree.tails()}
    return lambda level, number: tails.get((level, number)) or store.tile(level, number)
