"""Reads a ledger itself, without its server, and says whether it kept its word."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from adapters.service import Service
from adapters.settings import load_settings
from adapters.vault.keys import Hashing
from domain.log import Position, Recorded, stream_of
from domain.order import Consequence, Delivered, News, OrderEvent, PaymentReceived
from domain.payment import PaymentStatus
from projections.known import PROJECTIONS
from projections.model import AnyTable, Place, Projection, Row
from tests.crash.notebook import PROBLEMS_MAX, Acknowledged

PAGE = 5000
STORE = "default"

Event = Recorded[OrderEvent]


@dataclass
class Verdict:
    """What was found. Everything but the first two numbers has to be 0."""

    acknowledged: int = 0
    events: int = 0
    lost: int = 0
    misplaced: int = 0
    doubled: int = 0
    delivered_without_paid: int = 0
    gaps: int = 0
    unequal_rows: int = 0
    unreadable: int = 0
    findings: list[str] = field(default_factory=list)

    @property
    def is_well(self) -> bool:
        """Whether the ledger kept its word."""
        return not any(
            count
            for name, count in self.numbers().items()
            if name not in ("acknowledged", "events")
        )

    def numbers(self) -> dict[str, int]:
        """The counts by name."""
        return {name: value for name, value in asdict(self).items() if isinstance(value, int)}

    def find(self, kind: str, what: str) -> None:
        """Count something that must not be."""
        setattr(self, kind, getattr(self, kind) + 1)
        if len(self.findings) < PROBLEMS_MAX:
            self.findings.append(f"{kind}: {what}")


def judge(database_url: str, acknowledged: Sequence[Acknowledged]) -> Verdict:
    """Compare the ledger with what its senders were told, and with itself."""
    service = Service(load_settings(database_url=database_url))
    try:
        return judge_service(service, acknowledged)
    finally:
        service.close()


def judge_service(service: Service, acknowledged: Sequence[Acknowledged]) -> Verdict:
    """The same for a ledger that is open."""
    verdict = Verdict(acknowledged=len(acknowledged))
    service.runner.catch_up()
    events = list(_events(service, verdict))
    verdict.events = len(events)
    _check_positions(events, verdict)
    streams: dict[str, list[Event]] = {}
    for recorded in events:
        streams.setdefault(recorded.event.originator_id, []).append(recorded)
    for stream, history in streams.items():
        _check_order(stream, history, verdict)
    for noted in acknowledged:
        _check_kept(noted, streams, service.vault.hashing, verdict)
    for projection in PROJECTIONS:
        _check_read_model(service, projection, events, verdict)
    return verdict


def _events(service: Service, verdict: Verdict) -> Iterator[Event]:
    after: Position | None = None
    while True:
        page, poison = service.source.recorded(after, PAGE)
        yield from page
        if poison is not None:
            verdict.find("unreadable", f"{poison.event} at {poison.position}: {poison.error}")
            return
        if not page:
            return
        after = page[-1].position


def _check_positions(events: Iterable[Event], verdict: Verdict) -> None:
    before = None
    for index, recorded in enumerate(events, 1):
        if recorded.position.index != index:
            verdict.find("gaps", f"{recorded.position} stands where {index} should")
            return
        if before is not None and recorded.recorded_at < before:
            verdict.find("gaps", f"{recorded.position} was recorded before its predecessor")
        before = recorded.recorded_at


def _check_order(stream: str, history: Sequence[Event], verdict: Verdict) -> None:
    by_version = {}
    delivered = 0
    digests: Counter[str] = Counter()
    for version, recorded in enumerate(history, 1):
        event = recorded.event
        by_version[event.originator_version] = event
        if event.originator_version != version:
            verdict.find("gaps", f"{stream} has version {event.originator_version}, not {version}")
        if isinstance(event, News):
            digests[event.bytes_hash] += 1
        if isinstance(event, Delivered):
            delivered += 1
            cause = by_version.get(event.caused_by)
            paid = isinstance(cause, PaymentReceived) and cause.status is PaymentStatus.PAID
            if not paid:
                verdict.find("delivered_without_paid", f"{stream} at {recorded.position}")
    if delivered > 1:
        verdict.find("doubled", f"{stream} was delivered {delivered} times")
    for digest, times in digests.items():
        if times > 1:
            verdict.find("doubled", f"{stream} has the delivery {digest} {times} times")


def _check_kept(
    noted: Acknowledged, streams: dict[str, list[Event]], hashing: Hashing, verdict: Verdict
) -> None:
    stream = stream_of(STORE, noted.delivery.order_id)
    history = streams.get(stream, [])
    digest = hashing.body(noted.delivery.body)
    kept = [r for r in history if isinstance(r.event, News) and r.event.bytes_hash == digest]
    if not kept:
        verdict.find("lost", f"{stream}, acknowledged at {noted.position}")
        return
    told = [r.event for r in history if str(r.position) == noted.position]
    versions = {r.event.originator_version for r in kept}
    if not any(_news_version(event) in versions for event in told):
        verdict.find("misplaced", f"{stream}: not at {noted.position}, at {kept[0].position}")


def _news_version(event: OrderEvent) -> int:
    return event.caused_by if isinstance(event, Consequence) else event.originator_version


def fold_anew(projection: Projection, events: Iterable[Event]) -> dict[Place, Row]:
    """The rows of a read model as all events make them, in memory."""
    rows: dict[Place, Row] = {}
    for recorded in events:
        for table, row in projection.fold(rows, recorded):
            rows[table, table.key_of(row)] = row
    return rows


def _check_read_model(
    service: Service, projection: Projection, events: Sequence[Event], verdict: Verdict
) -> None:
    head = events[-1].position if events else None
    reached = service.views.checkpoint(projection.name)
    if reached != head:
        verdict.find("unequal_rows", f"{projection.name} stands at {reached}, the log at {head}")
    anew = fold_anew(projection, events)
    kept: dict[tuple[AnyTable, Any], Row] = {
        (table, table.key_of(row)): row
        for table in projection.tables
        for row in service.views.select(table, "")
    }
    for place in anew.keys() | kept.keys():
        if anew.get(place) != kept.get(place):
            table, key = place
            told = f"{kept.get(place)}, not {anew.get(place)}"
            verdict.find("unequal_rows", f"{table.name} {key}: {told}")
