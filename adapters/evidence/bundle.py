"""An order's history with the proofs that it is in the log: one JSON document for an auditor.

Its format is told in docs/evidence.md; `scripts/verify_bundle.py` reads it without this project.
"""

import base64
from collections.abc import Sequence

from pydantic import BaseModel

from adapters.evidence import EvidenceTrouble
from adapters.evidence.keys import KeyTrouble, Signer
from adapters.evidence.merkle import MissingTile, TileReader, consistency_proof, inclusion_proof
from adapters.evidence.notes import BadNote, SignedCheckpoint
from adapters.evidence.sealer import Damaged, Sealer
from adapters.evidence.verifying import cached, differs
from adapters.storage.evidence import EvidenceStore, StoredRow
from adapters.storage.log import PARTITION
from adapters.storage.sqlite import from_microseconds
from adapters.vault.bodies import Bodies
from domain.log import Position, stream_of

FORMAT = "order-ledger bundle v1"
SEAL_SECONDS_MAX = 5.0


class NoBundle(EvidenceTrouble):
    """No bundle can be made of what is wanted; the message says why."""


class BundledEvent(BaseModel):
    """A stored event: the fields that its leaf commits to, and the way from the leaf to the root.
    The state is text, or else base64; without a proof the event is not sealed yet.

    `body_salt` (base64) and `body_sha256` (hex) are there while the body's key is: the event's
    `body_digest` is sha256(salt || body). The body itself, in base64, is there where it is wanted.
    """

    position: str
    stream: str
    version: int
    topic: str
    recorded_at: str
    state: str | None
    state_base64: str | None
    inclusion_proof: list[str] | None
    body_salt: str | None = None
    body_sha256: str | None = None
    body_base64: str | None = None


class Earlier(BaseModel):
    """An earlier checkpoint, and the proof that the log was only added to since."""

    checkpoint: str
    consistency_proof: list[str]


class Bundle(BaseModel):
    """The whole history of an order up to a checkpoint, and what proves it."""

    format: str
    store: str
    order_id: str
    checkpoint: str | None
    public_keys: list[str]
    earlier: Earlier | None
    events: list[BundledEvent]
    unsealed: list[str]


class Bundler:
    """Makes bundles. Every method blocks and raises `StorageUnavailable`."""

    def __init__(
        self, store: EvidenceStore, signer: Signer, sealer: Sealer, bodies: Bodies
    ) -> None:
        self._bodies = bodies
        self._store = store
        self._signer = signer
        self._sealer = sealer

    def bundle(
        self,
        store: str,
        order_id: str,
        since: SignedCheckpoint | None = None,
        *,
        with_bodies: bool = False,
    ) -> Bundle | None:
        """The bundle of an order, None where nobody told of it. Raises `NoBundle`.

        What is not sealed yet is sealed first, if this process may.
        """
        rows = self._store.rows_of([stream_of(store, order_id).encode()])
        if not rows:
            return None
        signed = self._sealed_upto(max(row.idx for row in rows))
        size = signed.checkpoint.size if signed else 0
        read = cached(self._store.tile)
        try:
            events = [_event(row, size, read) for row in rows]
            earlier = self._earlier(since, size, read) if since else None
        except MissingTile:
            raise NoBundle("the tree is being made again from the log: try again later") from None
        self._tell_bodies(rows, events, with_bodies)
        return Bundle(
            format=FORMAT,
            store=store,
            order_id=order_id,
            checkpoint=signed.note if signed else None,
            public_keys=[str(key) for key in self._signer.public_keys()],
            earlier=earlier,
            events=events,
            unsealed=[event.position for event in events if event.inclusion_proof is None],
        )

    def checkpoint_of(self, size: int) -> SignedCheckpoint:
        """The checkpoint of a tree of this size. Raises `NoBundle`."""
        kept = self._store.checkpoint_of(size)
        if kept is None:
            raise NoBundle(f"there is no checkpoint of size {size}")
        return SignedCheckpoint.parse(kept.note)

    def _tell_bodies(
        self, rows: Sequence[StoredRow], events: Sequence[BundledEvent], with_bodies: bool
    ) -> None:
        """Add what an event's digest of its body is checked with, as far as the key is there."""
        opened = self._bodies.of_events([row.idx for row in rows])
        for row, event in zip(rows, events, strict=True):
            body = opened.get(row.idx)
            if body is None or b'"body_digest"' not in row.state:
                continue
            salt = self._bodies.salt(body, event.stream, event.version)
            if salt is not None:
                event.body_salt = base64.b64encode(salt).decode()
                event.body_sha256 = body.sha256
                if with_bodies:
                    event.body_base64 = base64.b64encode(body.body).decode()

    def _sealed_upto(self, index: int) -> SignedCheckpoint | None:
        last = self._store.last_checkpoint()
        if (last is None or last.size < index) and self._sealer.is_on:
            try:
                return self._sealer.seal(SEAL_SECONDS_MAX)
            except (Damaged, KeyTrouble):
                pass  # told in the health check; what is sealed can be proven all the same
        return SignedCheckpoint.parse(last.note) if last else None

    def _earlier(self, since: SignedCheckpoint, size: int, read: TileReader) -> Earlier:
        checkpoint = since.checkpoint
        try:
            since.signers(self._signer.public_keys())
        except BadNote as error:
            raise NoBundle(f"the earlier checkpoint: {error}") from None
        if checkpoint.size > size or differs(checkpoint, read):
            raise NoBundle(
                f"this ledger does not continue the checkpoint of size {checkpoint.size}: "
                "verify the whole of it with order-ledger verify --since"
            )
        proof = consistency_proof(checkpoint.size, size, read)
        return Earlier(checkpoint=since.note, consistency_proof=_base64(proof))


def _event(row: StoredRow, size: int, read: TileReader) -> BundledEvent:
    text = _text(row.state)
    proof = inclusion_proof(row.idx - 1, size, read) if row.idx <= size else None
    at = from_microseconds(row.recorded_at)
    return BundledEvent(
        position=str(Position(PARTITION, row.idx)),
        stream=row.stream.decode(),
        version=row.version,
        topic=row.topic.decode(),
        recorded_at=f"{at:%Y-%m-%dT%H:%M:%S.%fZ}",
        state=text,
        state_base64=base64.b64encode(row.state).decode() if text is None else None,
        inclusion_proof=None if proof is None else _base64(proof),
    )


def _text(state: bytes) -> str | None:
    try:
        return state.decode()
    except UnicodeDecodeError:
        return None


def _base64(hashes: Sequence[bytes]) -> list[str]:
    return [base64.b64encode(each).decode() for each in hashes]
