"""The last run of each job, beside the read models: who began it, how far it is, how it ended."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from adapters.access.roles import Caller
from adapters.storage.generations import Cursor
from adapters.storage.log import unavailable, utc_now
from adapters.storage.rebuilds import Refused
from adapters.storage.sqlite import from_microseconds, to_microseconds
from adapters.storage.views import Views

LEASE = "jobs"  # whoever runs a job holds it, and the system takes it back where he dies
START_SECONDS = 20  # that a process may take to begin
COLUMNS = "name, who, origin, began_at, phase, done, whole, ended_at, is_done, told"


@dataclass(frozen=True, slots=True)
class Job:
    """A run. Times are UTC; `done` of `whole` events are looked at in this phase. `told` is what
    came of it (JSON), or why it failed."""

    name: str
    who: str
    origin: str
    began_at: datetime
    phase: str
    done: int
    whole: int
    ended_at: datetime | None
    is_done: bool
    told: str | None
    is_running: bool


class Jobs:
    """The runs. Every method blocks and raises `StorageUnavailable`."""

    def __init__(self, views: Views) -> None:
        self._views = views

    def begin(self, name: str, caller: Caller) -> None:
        """Enter a run, over the last one of its name. Raises `Refused` where a job runs: there is
        one at a time, so that taking deliveries in is never crowded out."""
        with unavailable(), self._views.transaction(commit=True) as c:
            self._views.lock(c)
            running = next((job for job in self._all(c) if job.is_running), None)
            if running is not None:
                raise Refused(f"{running.name} is running, and there is one job at a time")
            c.execute("DELETE FROM jobs WHERE name = ?", (name,))
            c.execute(
                "INSERT INTO jobs (name, who, origin, began_at, phase, done, whole, is_done) "
                "VALUES (?, ?, ?, ?, 'starting', 0, 0, 0)",
                (name, caller.who, caller.origin, to_microseconds(utc_now())),
            )

    def tell(self, name: str, phase: str, done: int, whole: int) -> None:
        """Say how far a run is."""
        with unavailable(), self._views.transaction(commit=True) as c:
            c.execute(
                "UPDATE jobs SET phase = ?, done = ?, whole = ? WHERE name = ?",
                (phase, done, whole, name),
            )

    def end(self, name: str, told: str | None, *, is_done: bool) -> None:
        """Say how a run ended."""
        with unavailable(), self._views.transaction(commit=True) as c:
            c.execute(
                "UPDATE jobs SET ended_at = ?, is_done = ?, told = ? WHERE name = ?",
                (to_microseconds(utc_now()), int(is_done), told, name),
            )

    def get(self, name: str) -> Job | None:
        """The last run of a job."""
        return self.all().get(name)

    def all(self) -> dict[str, Job]:
        """The last run of each job."""
        with unavailable(), self._views.transaction(commit=False) as c:
            return {job.name: job for job in self._all(c)}

    def _all(self, c: Cursor) -> list[Job]:
        c.execute(f"SELECT {COLUMNS} FROM jobs ORDER BY name")
        rows = c.fetchall()
        is_led = self._views.is_led(c, LEASE)
        return [_job(is_led, *row) for row in rows]


def _job(is_led: bool, name: str, who: str, origin: str, began: int, *rest: Any) -> Job:
    phase, done, whole, ended, is_done, told = rest
    began_at = from_microseconds(began)
    is_starting = utc_now() - began_at < timedelta(seconds=START_SECONDS)
    return Job(
        name=name,
        who=who,
        origin=origin,
        began_at=began_at,
        phase=phase,
        done=done,
        whole=whole,
        ended_at=from_microseconds(ended) if ended is not None else None,
        is_done=bool(is_done),
        told=told,
        is_running=ended is None and (is_led or is_starting),
    )
