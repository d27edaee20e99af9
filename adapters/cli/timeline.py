"""An order's history as a person reads it: when what was told, and what it did."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from adapters.cli.output import exact_time, money, print_blank, print_table, print_text, words
from domain.order import DeliveryConflicted, Disposition
from domain.payment import Origin

if TYPE_CHECKING:
    from adapters.queries.effect_views import EffectView
    from adapters.queries.queries import EventView, HistoryView, OrderView

COLUMNS = ("At", "Recorded", "Event", "Told", "Effect")
EFFECT_COLUMNS = ("At", "When", "Because of", "To", "State", "Answer")
LEGEND: Mapping[str, str] = {
    Disposition.STALE: "kept, but not applied, since a PAID is known",
    Disposition.NOTED: "kept; it changes nothing",
    Disposition.HELD: "kept, but not applied; the review decides",
    Disposition.PARKED: "kept, but not applied until the order is registered",
}


def print_timeline(order: "OrderView", history: "HistoryView") -> None:
    """Where the order stands, its events in the order of the log, and what the words mean."""
    review = f", under review ({words(order.review)})" if order.review else ""
    print_text(f"Order {history.order_id} of store {history.store} is {order.status}{review}.")
    print_blank()
    print_table(COLUMNS, _rows(history.events), folds=["Effect"])
    met = {event.disposition for event in history.events}
    legend = [f"{word}: {meaning}" for word, meaning in LEGEND.items() if word in met]
    if legend:
        print_blank()
    for line in legend:
        print_text(line, "dim")
    if history.effects:
        print_blank()
        print_table(EFFECT_COLUMNS, map(_effect_row, history.effects), folds=["Answer"])


def _effect_row(effect: "EffectView") -> Sequence[str | None]:
    """What followed outside of the ledger: because of which event, to whom, when, how it went."""
    at = effect.sent_at or effect.last_attempt_at or effect.created_at
    tries = f" after {effect.attempts} tries" if effect.attempts > 1 else ""
    return (
        effect.position,
        exact_time(at),
        effect.event,
        effect.target,
        f"{effect.state}{tries}",
        effect.answer,
    )


def _rows(events: Sequence["EventView"]) -> Iterator[Sequence[str | None]]:
    """A row for each event, and one for each new day."""
    positions = {event.version: event.position for event in events}
    day = None
    for event in events:
        if event.recorded_at.date() != day:
            day = event.recorded_at.date()
            yield None, day.isoformat(), None, None, None
        yield (
            event.position,
            f"{event.recorded_at:%H:%M:%S.%f}"[:-3] + "Z",
            event.type,
            told(event),
            _effect(event, positions),
        )


def told(event: "EventView") -> str | None:
    """What somebody said: a provider, a shop, a person."""
    if event.verdict is not None:
        return f"{event.by}: {event.verdict}"
    if event.by is not None:
        terms = money(event.amount, event.currency)
        return f"{event.by}: {terms}" if terms else event.by
    if event.payment_status is None:
        return None
    said = event.payment_status
    if event.raw_status != event.payment_status:
        said += f' ("{event.raw_status}")'
    amount = money(event.amount, event.currency)
    told = f"{event.provider}: {said}" + (f", {amount}" if amount else "")
    if event.payment_ref is not None:
        moved = money(event.payment_amount, event.currency)
        told += f"; payment {event.payment_ref} {event.payment_state}"
        told += f", {moved}" if moved else ""
    return told if event.origin in (None, Origin.WEBHOOK) else f"{told} ({event.origin})"


def _effect(event: "EventView", positions: Mapping[int, str]) -> str | None:
    if event.disposition is not None:
        return event.disposition
    if event.moved_to is not None:
        return f"taken in by order {event.moved_to}"
    if event.caused_by is None:
        return event.reason
    cause = positions.get(event.caused_by or 0, "an event that is not shown")
    if event.type == DeliveryConflicted.__name__:
        return f"not applied: contradicts {cause}"
    because = f"because of {cause}"
    if event.decision is not None:
        because += f", by {positions.get(event.decision, 'an event that is not shown')}"
    return f"{because}: {words(event.reason)}" if event.reason else because
