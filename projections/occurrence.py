"""What had happened to an order before an instant of the providers' own clocks.

Events say two things about time: when the ledger recorded them, and when what they tell of had
occurred. A history that is cut at an instant of the first clock says what was known; here it is cut
at one of the second: of what is known, what was true by then.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from domain.log import Recorded
from domain.order import (
    TRANSITIONS,
    Consequence,
    Delivered,
    Disposition,
    News,
    OrderEvent,
    OrderPlaced,
    PaymentFailed,
    PaymentReceived,
    Then,
)
from domain.payment import PaymentStatus

PASSED_OVER = (Disposition.STALE, Disposition.NOTED)  # since a PAID was known


def occurred_at(recorded: Recorded[OrderEvent]) -> datetime:
    """When something happened, as far as anybody told.

    News that names no time had happened when it came in; what the shop or a person decided happens
    when it is recorded.
    """
    event = recorded.event
    if isinstance(event, News):
        return event.occurred_at or event.received_at
    return recorded.recorded_at


def occurred_before(
    history: Iterable[Recorded[OrderEvent]], instant: datetime
) -> Iterator[Recorded[OrderEvent]]:
    """The events of one order that had happened before an instant, and what follows from them, in
    the order of the log: an order's read model can be folded from them.

    Nothing is decided anew but this: a status that was not applied because a PAID was known, which
    had not happened by then, is applied. Delivered is only what was delivered.
    """
    kept: set[int] = set()
    owner: str | None = None  # the provider that first named the order
    is_placed = is_paid = False
    for recorded in history:
        event = recorded.event
        if isinstance(event, News) and not _is_parked(event):
            owner = owner or event.provider
        is_placed = is_placed or isinstance(event, OrderPlaced)
        if not _counts(recorded, instant, kept):
            continue
        kept.add(event.originator_version)
        if not isinstance(event, PaymentReceived) or _is_parked(event):
            yield recorded
            continue
        if not is_placed and event.provider != owner:
            yield recorded._replace(event=_bystander(event, owner or event.provider))
            continue
        if event.disposition in PASSED_OVER and not is_paid:
            event = replace(event, disposition=Disposition.APPLIED)
        is_paid = is_paid or event.status is PaymentStatus.PAID
        yield recorded._replace(event=event)
        if event.disposition is Disposition.APPLIED and _fails(event) and not is_paid:
            yield recorded._replace(event=_failure(event))


def _counts(recorded: Recorded[OrderEvent], instant: datetime, kept: set[int]) -> bool:
    event = recorded.event
    if not isinstance(event, Consequence):
        return occurred_at(recorded) < instant
    decision = event.decision if isinstance(event, Delivered) else None
    return event.caused_by in kept and (decision is None or decision in kept)


def _is_parked(event: OrderEvent) -> bool:
    """Whether this is news that waits for its order to be registered: it says nothing yet."""
    return isinstance(event, PaymentReceived) and event.disposition is Disposition.PARKED


def _bystander(news: PaymentReceived, owner: str) -> PaymentReceived:
    """Another provider's news: it is there, and tells nothing about the order."""
    return replace(news, provider=owner, amount=None, currency=None, references=())


def _fails(news: PaymentReceived) -> bool:
    return TRANSITIONS[news.status].before_paid is Then.FAIL


def _failure(news: PaymentReceived) -> PaymentFailed:
    """The order is failed: the failure that said so first may not have happened yet."""
    version = news.originator_version
    return PaymentFailed(
        originator_id=news.originator_id, originator_version=version, caused_by=version
    )
