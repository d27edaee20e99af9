"""How the ledger stands, in a few figures: what a person looks at first."""

from collections.abc import Callable
from datetime import datetime
from threading import Lock
from time import monotonic
from typing import Generic, TypeVar

from pydantic import BaseModel

from adapters.evidence.views import TailView, tail_view
from adapters.queries.effect_views import TargetView, target_views
from adapters.queries.order_search import OrderFilter
from adapters.queries.provider_views import ProviderDirectory, ProviderView
from adapters.service import Service
from adapters.storage.rates import Minute, Rates
from projections.known import PROJECTIONS
from projections.order_status import ORDERS

MINUTES = 60
COUNTED_MAX = 1000  # what a person has to see to is counted so far
FRESH_SECONDS = 2.0
SHARE_MAX = 20  # a figure is computed for at most a twentieth of the time
Value = TypeVar("Value")


class ProjectionStanding(BaseModel):
    """How a read model stands: how many events it has not taken in, at which event it stands still,
    why it should be made anew, and how many of its rows are not what the events make."""

    name: str
    generation: int
    lag: int
    parked_at: str | None
    rebuild_due: str | None
    drifting: int


class Sealed(TailView):
    """How far the log is sealed, and when the last checkpoint was made."""

    checkpoint: int | None
    checkpoint_at: datetime | None


class Whole(BaseModel):
    """What is of all stores: the deliveries of the last hour, minute by minute, the read models,
    the evidence and the targets of effects."""

    minutes: list[Minute]
    head: str | None
    projections: list[ProjectionStanding]
    evidence: Sealed
    targets: list[TargetView]


class Overview(BaseModel):
    """How a store stands, or, with `whole`, the ledger. `reviews`, `parked` and `set_aside` are
    counted up to 1,000."""

    orders: dict[str, int]
    reviews: int
    parked: int
    set_aside: int
    providers: list[ProviderView]
    whole: Whole | None


class Kept(Generic[Value]):
    """A figure that is computed again when somebody asks and it is old, by one at a time."""

    def __init__(self, compute: Callable[[], Value]) -> None:
        self._compute = compute
        self._lock = Lock()
        self._until = 0.0
        self._value: Value | None = None

    def get(self) -> Value:
        """The figure, as old as it is dear."""
        with self._lock:
            began = monotonic()
            if self._value is None or began > self._until:
                self._value = self._compute()
                took = monotonic() - began
                self._until = monotonic() + max(FRESH_SECONDS, SHARE_MAX * took)
            return self._value


class Overviews:
    """Makes overviews. Every method blocks and raises `StorageUnavailable`."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._rates = Rates(service.storage.access)
        self._directory = ProviderDirectory(service)
        self._minutes = Kept(lambda: self._rates.lately(MINUTES))
        self._orders = Kept(self._count_orders)

    def overview(self, store: str | None) -> Overview:
        """The overview of a store, or, for None, of the whole ledger."""
        service = self._service
        return Overview(
            orders=self._orders_of(store),
            reviews=self._few(OrderFilter(store=store, review_open=True)),
            parked=self._few(OrderFilter(store=store, parked=True)),
            set_aside=len(
                service.ledger.event_log.set_aside(None, COUNTED_MAX, service.of_store(store))
            ),
            providers=self._directory.views(store),
            whole=self._whole() if store is None else None,
        )

    def _whole(self) -> Whole:
        service = self._service
        head = service.ledger.event_log.head()
        return Whole(
            minutes=self._minutes.get(),
            head=str(head) if head else None,
            projections=self._projections(head.index if head else 0),
            evidence=self._sealed(),
            targets=target_views(service.effects),
        )

    def _projections(self, head: int) -> list[ProjectionStanding]:
        views = self._service.views
        parked = views.parked()
        live = views.read(lambda reader: reader.live)
        standings = []
        for projection in PROJECTIONS:
            generation = live[projection.name]
            poison = parked.get(projection.name)
            reached = generation.position.index if generation.position else 0
            standings.append(
                ProjectionStanding(
                    name=projection.name,
                    generation=generation.number,
                    lag=max(head - reached, 0),
                    parked_at=str(poison.position) if poison else None,
                    rebuild_due=generation.rebuild_due(projection),
                    drifting=len(views.watched(projection.name).drift),
                )
            )
        return standings

    def _sealed(self) -> Sealed:
        last = self._service.evidence.last_checkpoint()
        return Sealed(
            **tail_view(self._service.evidence).model_dump(),
            checkpoint=last.number if last else None,
            checkpoint_at=last.made_at if last else None,
        )

    def _few(self, wanted: OrderFilter) -> int:
        return len(self._service.queries.orders(wanted, None, COUNTED_MAX).items)

    def _orders_of(self, store: str | None) -> dict[str, int]:
        found: dict[str, int] = {}
        for status, of, count in self._orders.get():
            if store in (None, of):
                found[status] = found.get(status, 0) + count
        return found

    def _count_orders(self) -> list[tuple[str, str, int]]:
        counted = self._service.views.read(lambda r: r.count(ORDERS, ("status", "store"), ""))
        return [(status, store, count) for status, store, count in counted]
