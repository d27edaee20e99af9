"""Evidence as people and programs see it."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel

from adapters.evidence.keys import Signer, signing
from adapters.evidence.notes import PublicKey
from adapters.evidence.sealer import unsealed
from adapters.storage.evidence import EvidenceStore, KeptCheckpoint
from adapters.storage.log import PARTITION
from domain.log import Position


class TailView(BaseModel):
    """How far the log is sealed: what is behind that nobody signed yet, since when the oldest of it
    waits, and why the sealer stands still, if it does."""

    sealed_upto: str | None
    unsealed_events: int
    unsealed_since: datetime | None
    problem: str | None


class CheckpointView(BaseModel):
    """A signed checkpoint: the note is what counts; `made_at` is not signed."""

    number: int
    size: int
    made_at: datetime
    note: str


class CheckpointPage(BaseModel):
    """Checkpoints, newest first; `next` is the `after` of the next page, or null."""

    items: list[CheckpointView]
    next: int | None


class CheckpointsView(CheckpointPage, TailView):
    """The same with what is not sealed yet."""


class KeyView(BaseModel):
    """A key that signs checkpoints, or did. `public_key` is how programs take it."""

    public_key: str
    fingerprint: str
    since: datetime
    signs: bool


class KeyList(BaseModel):
    """Every key that ever signed, oldest first."""

    items: list[KeyView]


def tail_view(store: EvidenceStore) -> TailView:
    """How far the log is sealed."""
    last = store.last_checkpoint()
    tail = unsealed(store)
    return TailView(
        sealed_upto=str(Position(PARTITION, last.size)) if last else None,
        unsealed_events=tail.events,
        unsealed_since=tail.since,
        problem=store.problem(),
    )


def checkpoint_page(rows: Sequence[KeptCheckpoint], limit: int) -> CheckpointPage:
    """A page of checkpoints; of one row more than the limit only is seen that it exists."""
    items = [
        CheckpointView(number=row.number, size=row.size, made_at=row.made_at, note=row.note)
        for row in rows[:limit]
    ]
    return CheckpointPage(items=items, next=items[-1].number if len(rows) > limit else None)


def key_list(store: EvidenceStore, signer: Signer, now: datetime) -> KeyList:
    """Every key that ever signed."""
    known = store.known_keys()
    live = signing(known, now)
    items = []
    for each in known:
        key = PublicKey(signer.origin, each.public_key)
        items.append(
            KeyView(
                public_key=str(key),
                fingerprint=key.fingerprint,
                since=each.since,
                signs=each.public_key in live,
            )
        )
    return KeyList(items=items)
