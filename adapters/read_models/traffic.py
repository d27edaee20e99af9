"""Who calls, and who has fallen silent: follows the delivery log beside the read models."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from threading import Event

from adapters.storage.log import Clock, EventLog, utc_now
from adapters.storage.traffic import TrafficTables
from projections.traffic import Rhythm, Traffic, fold

BATCH_SIZE_MAX = 5000
LOOK_SECONDS = 1.0
RETRY_SECONDS = 10.0

log = logging.getLogger("order_ledger.providers")


@dataclass(frozen=True, slots=True)
class Standing:
    """How a configured provider stands: its rhythm where it has called, how long it may be quiet
    (None where that is not judged), and whether it has been so for longer."""

    rhythm: Rhythm | None = None
    allowed_gap: timedelta | None = None
    is_silent: bool = False


class TrafficWatch:
    """Follows the delivery log by its ids, apart from those who take deliveries in, and judges who
    is silent. `silence_seconds` has what is configured of each provider."""

    def __init__(
        self,
        event_log: EventLog,
        tables: TrafficTables,
        silence_seconds: Mapping[str, int | None],
        clock: Clock = utc_now,
    ) -> None:
        self._log = event_log
        self._tables = tables
        self._silence_seconds = silence_seconds
        self._clock = clock

    def run(self, stop: Event) -> None:
        """Follow and judge until told to stop; an unreachable database only makes it wait."""
        while not stop.is_set():
            pause = LOOK_SECONDS
            try:
                self.catch_up(stop)
                self.judge()
            except Exception as error:
                log.error("who calls cannot be followed, the database cannot be used: %s", error)
                pause = RETRY_SECONDS
            stop.wait(pause)

    def catch_up(self, stop: Event | None = None) -> None:
        """Take in every delivery that is there now. Raises `StorageUnavailable`."""
        since, known = self._tables.read()
        while not (stop is not None and stop.is_set()):
            arrivals = self._log.arrivals(since, BATCH_SIZE_MAX)
            if not arrivals:
                return
            upto, after = arrivals[-1].id, fold(known, arrivals)
            if self._tables.write(since, upto, known, after):
                since, known = upto, after
            else:
                since, known = self._tables.read()

    def traffic(self) -> Traffic:
        """What is known of who calls. Raises `StorageUnavailable`."""
        return self._tables.read()[1]

    def standings(self, traffic: Traffic | None = None) -> dict[str, Standing]:
        """Every configured provider, now. Raises `StorageUnavailable`."""
        traffic = traffic or self.traffic()
        now = self._clock()
        standings = {}
        for provider, seconds in self._silence_seconds.items():
            rhythm = traffic.rhythms.get(provider)
            standings[provider] = (
                Standing(rhythm, rhythm.allowed_gap(seconds), rhythm.is_silent(seconds, now))
                if rhythm
                else Standing()
            )
        return standings

    def judge(self) -> None:
        """Tell the log who fell silent and who calls again, each once, also with several processes
        and over a restart. Raises `StorageUnavailable`."""
        told = self._tables.told_silent()
        for provider, standing in self.standings().items():
            rhythm = standing.rhythm
            if standing.is_silent == (provider in told) or rhythm is None:
                continue
            if not self._tables.tell(provider, is_silent=standing.is_silent):
                continue
            facts = {
                "provider": provider,
                "last_delivery_at": rhythm.last_delivery_at.isoformat(),
                "allowed_gap_seconds": whole_seconds(standing.allowed_gap),
            }
            if standing.is_silent:
                log.warning("a provider has been quiet for too long", extra=facts)
            else:
                log.info("a provider that was quiet is so no more", extra=facts)


def whole_seconds(gap: timedelta | None) -> int | None:
    """A gap as it is shown."""
    return None if gap is None else gap // timedelta(seconds=1)
