"""What operators see and do of the read models: their generations, and the steps of a rebuild.

Each step is told to the operators' log: a read model is what auditors see.
"""

from datetime import datetime

from pydantic import BaseModel

from adapters.access.roles import Caller
from adapters.read_models.folding import Poisoned
from adapters.read_models.parity import Parity
from adapters.read_models.rebuilding import Rebuild, Tell, WorkerLost
from adapters.service import Service
from adapters.storage.access import Operation
from adapters.storage.rebuilds import Rebuilds, Refused
from projections.known import PROJECTIONS
from projections.model import Generation, Projection, State
from projections.runner import CheckpointMoved, Poison

SAMPLES = 5  # rows that a report shows of each kind and table
FAILURES = (Poisoned, WorkerLost, Refused, CheckpointMoved)


class GenerationView(BaseModel):
    """A generation of a read model. Times are UTC.

    `lag` counts the events of the log that it has not taken in; `folded` is the index up to which
    one that is being built is folded, its slices taken together; `followed` says whether it takes
    in what comes; `rebuild_due` says why the live one should be made anew. `parked_at` is the
    position of the event that it cannot fold and stands before, `parked_event` what that is, and
    `parked_error` the traceback.
    """

    projection: str
    generation: int
    state: State
    version: int
    fingerprint: str
    followed: bool
    changed_at: str | None
    position: str | None
    lag: int
    folded: int | None
    bytes: int | None
    created_at: datetime
    switched_at: datetime | None
    parked_at: str | None
    parked_event: str | None
    parked_error: str | None
    rebuild_due: str | None

    @property
    def stands_still(self) -> bool:
        """Whether it is live, and another release's fold made it, so that nothing is added."""
        return self.state is State.LIVE and not self.followed


def projection_of(name: str) -> Projection:
    """The projection of this name. Raises `Refused`."""
    for known in PROJECTIONS:
        if known.name == name:
            return known
    names = ", ".join(p.name for p in PROJECTIONS)
    raise Refused(f"there is no read model {name}; there are: {names}")


def generation_views(
    service: Service, projection: str | None = None, *, sizes: bool = True
) -> list[GenerationView]:
    """The generations that have tables, of one read model or of all, oldest first. To know their
    sizes SQLite reads all of their pages, which takes seconds where they are large."""
    head = service.ledger.event_log.head()
    poisons = service.views.poisons()
    return [
        _view(service, each, head.index if head else 0, poisons, sizes)
        for each in service.views.generations(projection)
    ]


def _view(
    service: Service,
    each: Generation,
    head: int,
    poisons: dict[tuple[str, int], Poison],
    sizes: bool,
) -> GenerationView:
    mine = next((p for p in PROJECTIONS if p.name == each.projection), None)
    poison = poisons.get((each.projection, each.number))
    is_live = each.state is State.LIVE
    is_kept_up = mine is not None and each.is_followed_by(mine)
    parts = Rebuilds(service.views).parts(each) if each.state is State.BUILDING else []
    return GenerationView(
        projection=each.projection,
        generation=each.number,
        state=each.state,
        version=each.version,
        fingerprint=each.fingerprint,
        followed=is_kept_up and each.state in (State.LIVE, State.BUILT),
        changed_at=str(each.changed_at) if each.changed_at else None,
        position=str(each.position) if each.position else None,
        lag=head - (each.position.index if each.position else 0),
        folded=sum(part.idx for part in parts) // len(parts) if parts else None,
        bytes=service.views.bytes_of(each) if sizes else None,
        created_at=each.created_at,
        switched_at=each.switched_at,
        parked_at=str(poison.position) if poison else None,
        parked_event=poison.event if poison else None,
        parked_error=poison.error if poison else None,
        rebuild_due=each.rebuild_due(mine) if mine and is_live else None,
    )


def explained(error: Exception) -> str:
    """What one of the `FAILURES` means to who asked for the step."""
    match error:
        case Poisoned():
            return (
                f"{error}: mend the fold; a rebuild that stands there then goes on by the same "
                f"command\n{error.poison.error}"
            )
        case WorkerLost():
            return f"{error}; the same rebuild goes on"
        case CheckpointMoved():
            return (
                "the live generation moves on faster than the new one: try again when less comes in"
            )
    return str(error)


class ReadModel:
    """One read model in the hands of an operator. Its steps raise the `FAILURES`, and
    `StorageUnavailable`."""

    def __init__(self, service: Service, caller: Caller, projection: Projection) -> None:
        self.work = Rebuild(service.storage, projection)
        self._service = service
        self._caller = caller
        self._name = projection.name

    def build(self, workers: int, tell: Tell) -> Generation:
        """Fold the next generation beside the live one; what was built already is taken as it is,
        unless another release's fold made it. From here on this is the one rebuild."""
        self.work.lead()
        built = self.work.built
        if built is not None:
            if built.is_made_by(self.work.projection):
                return built
            self.work.steps.drop(self._name, built.number)
        return self.work.build(workers, self._service.settings.database_url, tell)

    def settle(self, generation: Generation, report: Parity) -> None:
        """Keep a generation and its report; from now on it is followed, and may be switched to."""
        self.work.steps.settle(generation, report.model_dump_json())
        self._log("rebuild", generation.number)

    def report(self) -> Parity | None:
        """The report of the generation that waits for the switch, else of the live one."""
        for generation in (self.work.built, self.work.live):
            kept = self.work.steps.report(generation) if generation else None
            if kept is not None:
                return Parity.model_validate_json(kept)
        return None

    def switch(self, chosen: Generation | None = None) -> Generation:
        """Make the generation live that was chosen, else the one that was built, else the one that
        a rollback took back; the one that was is kept."""
        built = chosen or self.work.built or self.work.undone
        if built is None:
            raise Refused(f"nothing of {self._name} waits for a switch: a rebuild makes it")
        self.work.switch(built)
        self._log("switch", built.number)
        return built

    def roll_back(self) -> tuple[Generation, bool]:
        """Return to the generation that was live before, and say whether it has caught up."""
        former, is_current = self.work.roll_back()
        self._log("rollback", former.number)
        return former, is_current

    def drop(self, generation: int) -> None:
        """Remove a generation that is not live. One that is being folded is refused."""
        begun = self.work.begun
        if begun is not None and begun.number == generation and self.work.is_running:
            raise Refused(f"generation {generation} of {self._name} is being folded")
        self.work.steps.drop(self._name, generation)
        self._log("drop", generation)

    def _log(self, action: str, generation: int) -> None:
        what = f"{self._name}, generation {generation}"
        self._service.operators.append(Operation.by(self._caller, f"projections {action}", what))
