"""Effects and their targets in the form that people and programs see."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel

from adapters.effects.state import State
from adapters.storage.effects import EffectFilter, EffectRow, EffectStore
from adapters.storage.log import PARTITION
from domain.log import Position


class EffectView(BaseModel):
    """What one event meant to one target, and how that went. Times are UTC.

    `answer` is what the last attempt was answered, `excerpt` a piece of a refusal's text.
    `waits_for` is the id of an earlier effect of the same order and target that is not done.
    """

    id: str
    target: str
    state: State
    event: str
    store: str
    order_id: str
    version: int
    position: str
    attempts: int
    created_at: datetime
    next_attempt_at: datetime | None
    last_attempt_at: datetime | None
    sent_at: datetime | None
    answer: str | None
    excerpt: str | None
    waits_for: str | None


class TargetView(BaseModel):
    """A target: how far it follows the log, what is not done, and what holds it back.

    `paused` says why it is paused; `breaker_open_until` is when it is tried again after failures in
    a row; `problem` names the event at which it stands still.
    """

    name: str
    position: str
    pending: int
    failed: int
    dead: int
    paused: str | None
    breaker_open_until: datetime | None
    problem: str | None


class EffectPage(BaseModel):
    """Effects, newest first; `next` leads to the next page, or is null. Targets are told to whoever
    is not limited to one store."""

    targets: list[TargetView]
    items: list[EffectView]
    next: int | None


def effect_view(row: EffectRow) -> EffectView:
    """A row as it is shown."""
    return EffectView(
        id=row.id,
        target=row.target,
        state=row.state,
        event=row.event,
        store=row.store,
        order_id=row.order_id,
        version=row.version,
        position=str(Position(PARTITION, row.idx)),
        attempts=row.attempts,
        created_at=row.created_at,
        next_attempt_at=row.next_at,
        last_attempt_at=row.last_at,
        sent_at=row.sent_at,
        answer=row.answer,
        excerpt=row.excerpt,
        waits_for=row.waits_for,
    )


def effect_page(
    store: EffectStore, wanted: EffectFilter, before: int | None, limit: int, *, targets: bool
) -> EffectPage:
    """A page of effects, and the targets where they are to be told."""
    rows: Sequence[EffectRow] = store.page(wanted, before, limit + 1)
    shown = rows[:limit]
    return EffectPage(
        targets=target_views(store) if targets else [],
        items=[effect_view(row) for row in shown],
        next=shown[-1].number if len(rows) > limit else None,
    )


def target_views(store: EffectStore) -> list[TargetView]:
    """Every target that is or was configured."""
    views = []
    now = store.clock()
    for target in store.targets():
        counts = store.count(target.name)
        is_open = target.open_until is not None and target.open_until > now
        views.append(
            TargetView(
                name=target.name,
                position=str(Position(PARTITION, target.position)),
                pending=counts.get(State.PENDING, 0),
                failed=counts.get(State.FAILED, 0),
                dead=counts.get(State.DEAD, 0),
                paused=target.paused,
                breaker_open_until=target.open_until if is_open else None,
                problem=target.problem,
            )
        )
    return views
