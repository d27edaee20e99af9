"""The read model of who calls: each provider's rhythm, and which of its secrets are in use.

It is folded from the delivery log, not from the events: also a duplicate shows that a provider is
alive, and which secret it signs with. What a person takes in again or imports shows neither.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import NamedTuple

# A provider's usual gap is the second longest of the longest gaps of its last days: of 14 days, so
# that quiet nights and Sundays are known; the second, so that one outage is not taken for a habit.
DAYS_KEPT = 14
DAYS_MIN = 3
DELIVERIES_MIN = 20
ALLOWED_MIN = timedelta(hours=1)
NO_GAP = timedelta(0)


class Arrival(NamedTuple):
    """A row of the delivery log as far as it matters here. `called` is false for what the provider
    did not send now, but a person took in: a replay, an import."""

    id: int
    received_at: datetime
    provider: str
    key_id: str | None
    called: bool


@dataclass(frozen=True, slots=True)
class SecretUse:
    """How often a secret proved who sent a delivery, and when it last did (UTC)."""

    deliveries: int
    last_used_at: datetime


@dataclass(frozen=True, slots=True)
class Rhythm:
    """A provider's calls: how many, the last one, and the longest gap before a call of each of its
    last days with calls (days and times are UTC)."""

    deliveries: int
    last_delivery_at: datetime
    longest_gaps: Mapping[date, timedelta] = field(default_factory=dict)

    @property
    def usual_gap(self) -> timedelta | None:
        """How long it is quiet now and then; None while too little of it is known."""
        if self.deliveries < DELIVERIES_MIN or len(self.longest_gaps) < DAYS_MIN:
            return None
        return sorted(self.longest_gaps.values())[-2]

    def allowed_gap(self, silence_seconds: int | None) -> timedelta | None:
        """How long it may be quiet: as configured, else half as long again as usual, and an hour
        at least. None where nothing is judged: it is turned off (0), or too little is known."""
        if silence_seconds is not None:
            return timedelta(seconds=silence_seconds) if silence_seconds else None
        usual = self.usual_gap
        return None if usual is None else max(usual * 3 / 2, ALLOWED_MIN)

    def is_silent(self, silence_seconds: int | None, now: datetime) -> bool:
        """Whether it has been quiet for longer than it may be."""
        allowed = self.allowed_gap(silence_seconds)
        return allowed is not None and now - self.last_delivery_at > allowed


@dataclass(frozen=True, slots=True)
class Traffic:
    """Everything that is known of who calls: by provider, and by provider and key id."""

    rhythms: Mapping[str, Rhythm] = field(default_factory=dict)
    secrets: Mapping[tuple[str, str], SecretUse] = field(default_factory=dict)


def fold(traffic: Traffic, arrivals: Iterable[Arrival]) -> Traffic:
    """What is known after some more rows of the delivery log, in the order of their ids."""
    rhythms = dict(traffic.rhythms)
    secrets = dict(traffic.secrets)
    times: dict[str, list[datetime]] = {}
    uses: dict[tuple[str, str], list[datetime]] = {}
    for _, at, provider, key_id, called in arrivals:
        if called:
            times.setdefault(provider, []).append(at)
            if key_id is not None:
                uses.setdefault((provider, key_id), []).append(at)
    for provider, these in times.items():
        rhythms[provider] = _after(rhythms.get(provider), these)
    for key, these in uses.items():
        known = secrets.get(key)
        last = max(these)
        secrets[key] = SecretUse(
            len(these) + (known.deliveries if known else 0),
            max(last, known.last_used_at) if known else last,
        )
    return Traffic(rhythms, secrets)


def _after(known: Rhythm | None, times: Sequence[datetime]) -> Rhythm:
    count = len(times) + (known.deliveries if known else 0)
    last = known.last_delivery_at if known else times[0]
    gaps = dict(known.longest_gaps) if known else {}
    for at in times:
        gap = at - last
        if gap > NO_GAP:  # else they came together, and were stored in another order
            last, day = at, at.date()
            if gap > gaps.get(day, NO_GAP):
                gaps[day] = gap
    kept = sorted(gaps)[-DAYS_KEPT:]
    return Rhythm(count, last, {day: gaps[day] for day in kept})
