"""The sealer: follows the log behind the write path, grows the tree, and signs checkpoints of it.

Between checkpoints it takes in whole tiles only, so that each is written once; a checkpoint takes
in the rest. What it goes on from is never more than the last checkpoint, and only where the tiles
have the root that was signed: else the tree is made again from the log and compared anew.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from threading import Event, Lock
from time import monotonic
from typing import NamedTuple

from adapters.evidence import EvidenceTrouble
from adapters.evidence.keys import AWAY, KeyTrouble, Signer
from adapters.evidence.leaf import leaves
from adapters.evidence.merkle import (
    TILE_WIDTH,
    MissingTile,
    Tile,
    Tree,
    consistency_proof,
    is_consistent,
)
from adapters.evidence.notes import BadNote, Checkpoint, SignedCheckpoint
from adapters.storage.evidence import EvidenceStore, KeptCheckpoint, RawRow, Sealing
from adapters.storage.log import PARTITION, StorageUnavailable
from adapters.storage.sqlite import from_microseconds
from domain.log import Position

BATCH_SIZE_MAX = 2048
POLL_SECONDS = 1.0
FINAL_SECONDS = 5.0  # at a graceful stop; what is left then is sealed after the next start
EARLIER_MAX = 100  # checkpoints to go back to, where a power cut undid the last tiles
VERIFY = "Run order-ledger verify"

log = logging.getLogger("order_ledger.evidence")


class Damaged(EvidenceTrouble):
    """The log is not what was sealed. Nothing more is signed until a person has looked."""


class Tail(NamedTuple):
    """What is not under a checkpoint yet: how many events, and when the oldest was recorded."""

    events: int
    since: datetime | None


class Sealer:
    """Seals a ledger. Several processes may do so; they take turns, batch by batch.

    `recent` gives the rows after an index that were read in this process a moment ago, if it does:
    those need not be read again (`EventSource.recent`).
    """

    def __init__(
        self,
        store: EvidenceStore,
        signer: Signer,
        seconds: int,
        clock: Callable[[], float] = monotonic,
        recent: Callable[[int, int], Sequence[RawRow]] = lambda after, limit: (),
    ) -> None:
        self._store = store
        self._signer = signer
        self._seconds = seconds
        self._clock = clock
        self._recent = recent
        self._next = clock() + seconds
        self._lock = Lock()
        self._tree: Tree | None = None
        self._since: int | None = None  # the number of the checkpoint that the tree goes on from
        self._problem: str | None = ""  # so that what an earlier process said is forgotten

    @property
    def is_on(self) -> bool:
        """Whether this ledger is sealed at all."""
        return self._seconds > 0

    def run(self, stop: Event) -> None:
        """Seal until told to stop, and then what is left; nothing where checkpoints are off."""
        if not self.is_on:
            return
        self._guarded(self._signer.signing_keys)
        while not stop.is_set():
            self._guarded(lambda: self._follow(stop))
            stop.wait(POLL_SECONDS)
        self._guarded(lambda: self.seal(FINAL_SECONDS))

    def seal(self, seconds: float | None = None) -> SignedCheckpoint | None:
        """Take in everything that is there now, and sign it; returns the newest checkpoint.

        After some seconds, if they are given, it signs what it has come to.
        Raises `Damaged`, `KeyTrouble`, `StorageUnavailable`.
        """
        deadline = None if seconds is None else monotonic() + seconds
        while self._take_in(is_due=False):
            if deadline is not None and monotonic() > deadline:
                break
        self._take_in(is_due=True)
        last = self._store.last_checkpoint()
        return SignedCheckpoint.parse(last.note) if last else None

    def _guarded(self, work: Callable[[], object]) -> None:
        """Say what is wrong in the log and in the health check, and go on trying."""
        try:
            work()
            self._tell(None)
        except StorageUnavailable as error:
            log.warning("sealing waits, the database cannot be used: %s", error)
        except (Damaged, KeyTrouble) as error:
            self._tell(str(error))
        except Exception as error:
            log.exception("sealing failed")
            self._tell(f"it failed: {type(error).__name__}")

    def _tell(self, problem: str | None) -> None:
        if problem == self._problem:
            return
        if problem is not None:
            log.error("sealing stands still: %s", problem)
        self._store.set_problem(problem)
        self._problem = problem

    def _follow(self, stop: Event) -> None:
        is_due = self._clock() >= self._next
        while self._take_in(is_due=False) and not stop.is_set():
            is_due = self._clock() >= self._next
            if is_due:
                break
        if is_due:
            self._take_in(is_due=True)
            self._next = self._clock() + self._seconds

    def _take_in(self, *, is_due: bool) -> bool:
        """Take in a batch, and sign where that is due; returns whether there is more."""
        with self._lock:
            try:
                with self._store.sealing() as sealing:
                    return self._batch(sealing, is_due=is_due)
            except BaseException:
                self._tree = None  # what it took in may not be stored
                raise

    def _batch(self, sealing: Sealing, *, is_due: bool) -> bool:
        last = self._store.last_checkpoint()
        tree = self._grown(last)
        if last is not None and tree.size < last.size:
            self._regain(tree, last, sealing)
            return True
        rows = self._rows_after(tree.size, is_due=is_due)
        is_more = len(rows) == BATCH_SIZE_MAX
        if not rows and self._is_gap(tree.size):
            raise Damaged(f"{Position(PARTITION, tree.size + 1)} is missing in the log. {VERIFY}")
        if not is_due:
            rows = rows[: max(0, len(rows) - (tree.size + len(rows)) % TILE_WIDTH)]
        full = _absorb(tree, rows, sealing)
        if is_due:
            self._sign(tree, full, last, sealing)
        return is_more

    def _rows_after(self, size: int, *, is_due: bool) -> Sequence[RawRow]:
        """The next events: what the projections' reader has at hand, where that makes a tile."""
        rows = () if is_due else self._recent(size, BATCH_SIZE_MAX)
        return rows if len(rows) >= TILE_WIDTH else self._store.raw_rows(size, BATCH_SIZE_MAX)

    def _is_gap(self, size: int) -> bool:
        """Whether the log goes on although nothing follows; asked once more, since it may grow."""
        return self._store.head().idx > size and not self._store.raw_rows(size, BATCH_SIZE_MAX)

    def _sign(
        self, tree: Tree, full: Sequence[Tile], last: KeptCheckpoint | None, sealing: Sealing
    ) -> None:
        known = self._signer.last_signed()
        if known is not None and not self._continues(known.checkpoint, tree, full, last):
            return
        if tree.size == 0:
            return
        checkpoint = Checkpoint(self._signer.origin, tree.size, tree.root())
        signed = self._signer.sign(checkpoint)
        if last is not None and last.size == tree.size:
            before = SignedCheckpoint.parse(last.note)
            if {s.key_id for s in before.signatures} >= {s.key_id for s in signed.signatures}:
                if known is None:
                    self._signer.keep(before)
                return  # nothing is new, and every key that signs now has signed
        # First there, then given out: no checkpoint is known that this would not hold us to.
        self._signer.keep(signed)
        sealing.put(tree.tails())
        self._store.add_checkpoint(tree.size, signed.note)
        self._since = last.number + 1 if last else 1

    def _continues(
        self, known: Checkpoint, tree: Tree, full: Sequence[Tile], last: KeptCheckpoint | None
    ) -> bool:
        """Whether the tree goes on from what was signed last with these keys; not yet, where it is
        still being taken in. Raises `Damaged`, `KeyTrouble`."""
        file = self._signer.last_file
        if known.origin != self._signer.origin:
            raise KeyTrouble(
                f"{file} says that these keys sign {known.origin}: give this ledger a "
                f"seal_keys_file of its own. If it takes that one's place on purpose, {AWAY}"
            )
        if last is not None and self._read(last) == known:
            return True  # the tree grew from there
        if known.size > tree.size and self._store.head().idx >= known.size:
            return False
        tiles = {(tile.level, tile.number): tile.hashes for tile in (*full, *tree.tails())}

        def read(level: int, number: int) -> bytes:
            return tiles.get((level, number)) or self._store.tile(level, number)

        is_so = known.size <= tree.size
        try:
            proof = consistency_proof(known.size, tree.size, read) if is_so else []
        except MissingTile as error:
            raise Damaged(
                f"the tree cannot be compared with {file}: {error}. Delete all tiles while the "
                "service is stopped (ledger-tree.db, or order_ledger.tiles): it makes them again"
            ) from None
        if is_so and is_consistent(known.size, known.root, tree.size, tree.root(), proof):
            return True
        raise Damaged(
            f"the log does not continue the {known.size} events that were signed last, kept in "
            f"{file}: it was cut or changed, or an older backup was restored. Restore what goes on "
            f"from there. If the older one is to go on, on purpose, {AWAY}. {VERIFY}"
        )

    def _grown(self, last: KeptCheckpoint | None) -> Tree:
        """The tree to go on from: ours, unless another process signed meanwhile."""
        number = last.number if last else 0
        if self._tree is None or number != self._since:
            self._tree = self._loaded(last) if last else Tree()
            self._since = number
        return self._tree

    def _loaded(self, last: KeptCheckpoint) -> Tree:
        """The tree of the last checkpoint. Where its tiles are not all there, that of an earlier
        one, or none: it is then regained from the log."""
        checkpoint = self._read(last)
        if self._store.head().idx < last.size:
            raise Damaged(
                f"the log ends before {Position(PARTITION, last.size)}, which is sealed. {VERIFY}"
            )
        tree = self._stored(checkpoint)
        if tree is not None:
            return tree
        for earlier in self._store.checkpoints_before(last.number, EARLIER_MAX):
            tree = self._stored(self._read(earlier))
            if tree is not None:
                return tree
        log.warning("the tree is made again from the log")
        return Tree()

    def _regain(self, tree: Tree, last: KeptCheckpoint, sealing: Sealing) -> None:
        rows = self._store.raw_rows(tree.size, min(BATCH_SIZE_MAX, last.size - tree.size))
        if not rows:
            raise Damaged(f"sealed events are missing in the log. {VERIFY}")
        _absorb(tree, rows, sealing)
        if tree.size == last.size:
            if tree.root() != self._read(last).root:
                raise Damaged(
                    f"the log is not what checkpoint {last.number} sealed, up to "
                    f"{Position(PARTITION, last.size)}. {VERIFY}"
                )
            sealing.put(tree.tails())

    def _stored(self, checkpoint: Checkpoint) -> Tree | None:
        try:
            tree = Tree.load(checkpoint.size, self._store.tile)
        except MissingTile:
            return None
        return tree if tree.root() == checkpoint.root else None

    def _read(self, kept: KeptCheckpoint) -> Checkpoint:
        try:
            signed = SignedCheckpoint.parse(kept.note)
            signed.signers(self._signer.public_keys())
        except BadNote as error:
            raise Damaged(f"checkpoint {kept.number} cannot be used: {error}") from None
        checkpoint = signed.checkpoint
        if checkpoint.origin != self._signer.origin:
            raise KeyTrouble(
                f"the checkpoints of this ledger are signed as {checkpoint.origin}: "
                f"set ledger_name to {checkpoint.origin.rpartition('/')[0]}"
            )
        return checkpoint


def unsealed(store: EvidenceStore) -> Tail:
    """What is not under a checkpoint yet."""
    last = store.last_checkpoint()
    sealed = last.size if last else 0
    first = store.rows(sealed, 1)
    head = store.head().idx
    return Tail(max(0, head - sealed), from_microseconds(first[0].recorded_at) if first else None)


def _absorb(tree: Tree, rows: Sequence[RawRow], sealing: Sealing) -> list[Tile]:
    """Take in events; returns the tiles that are full now."""
    for expected, row in enumerate(rows, tree.size + 1):
        if row[0] != expected:
            raise Damaged(f"{Position(PARTITION, expected)} is missing in the log. {VERIFY}")
    full = tree.extend(leaves(PARTITION, rows))
    sealing.put(full)
    return full
