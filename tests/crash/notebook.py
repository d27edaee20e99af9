"""What the senders were told: every acknowledgement, and what contradicts an earlier one."""

import hashlib
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

PROBLEMS_MAX = 50
NEW_AND_KEPT = frozenset({"recorded", "stale"})
LEDGER_WORDS = NEW_AND_KEPT | {"duplicate"}  # the senders send nothing that means anything else


@dataclass(frozen=True, slots=True)
class Delivery:
    """A body about an order, as a provider sends it."""

    order_id: str
    body: bytes = field(repr=False)

    @property
    def sha256(self) -> str:
        """The digest by which the ledger's events name it."""
        return hashlib.sha256(self.body).hexdigest()


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The first 200 that a delivery got."""

    delivery: Delivery
    outcome: str
    position: str | None


class Notebook:
    """Shared by all senders. Knows what each delivery was answered, and never forgets."""

    def __init__(self) -> None:
        self.acknowledged: dict[str, Acknowledged] = {}
        self.unanswered: dict[str, Delivery] = {}
        self.answers: Counter[str] = Counter()
        self.forgotten: set[str] = set()  # acknowledged, and later taken for new
        self.problems: list[str] = []
        self.problem_count = 0
        self._taken_as_new: set[str] = set()
        self._order: list[str] = []
        self._lock = Lock()

    def is_acknowledged(self, delivery: Delivery) -> bool:
        """Whether a 200 came for it. Ask before it is sent, and tell `note_answer`."""
        return delivery.sha256 in self.acknowledged

    def note_failure(self, delivery: Delivery) -> None:
        """No answer came: nobody can know whether it was recorded."""
        with self._lock:
            self.answers["no answer"] += 1
            self._leave_open(delivery)

    def note_answer(
        self, delivery: Delivery, status: int, answer: dict[str, Any], *, was_acknowledged: bool
    ) -> None:
        """Note an answer. `was_acknowledged`: whether it was, before this attempt began."""
        with self._lock:
            self.answers[str(answer.get("outcome", status)) if status == 200 else str(status)] += 1
            if status == 200:
                self._note_acknowledgement(delivery, answer, was_acknowledged)
                return
            self._leave_open(delivery)
            if status != 503:
                self._complain(f"{delivery.order_id}: answered {status} {answer}")

    def complain(self, problem: str) -> None:
        """Note something that must not be."""
        with self._lock:
            self._complain(problem)

    def sample(self, chance: random.Random, size: int) -> Sequence[Delivery]:
        """Deliveries to send again: all that wait for an answer, and of the acknowledged ones all,
        or the newest and as many others, up to a size."""
        with self._lock:
            waiting = list(self.unanswered.values())
            known = self._order
            if len(known) > size:
                newest = known[-size // 2 :]
                known = [*newest, *chance.sample(known[: -len(newest)], size - len(newest))]
            return [*waiting, *(self.acknowledged[digest].delivery for digest in known)]

    def _note_acknowledgement(
        self, delivery: Delivery, answer: dict[str, Any], was_acknowledged: bool
    ) -> None:
        digest, name = delivery.sha256, delivery.order_id
        outcome, position = str(answer.get("outcome")), answer.get("position")
        self.unanswered.pop(digest, None)
        if outcome not in LEDGER_WORDS or answer.get("order_id") != name or position is None:
            self._complain(f"{name}: answered {answer}")
        first = self.acknowledged.get(digest)
        if first is None:
            self.acknowledged[digest] = Acknowledged(delivery, outcome, position)
            self._order.append(digest)
        elif first.position != position:
            self._complain(f"{name}: first at {first.position}, now {outcome} at {position}")
        if outcome in NEW_AND_KEPT:
            if was_acknowledged:
                self.forgotten.add(digest)
            elif digest in self._taken_as_new:
                self._complain(f"{name}: taken as new twice")
            self._taken_as_new.add(digest)

    def _leave_open(self, delivery: Delivery) -> None:
        if delivery.sha256 not in self.acknowledged:
            self.unanswered[delivery.sha256] = delivery

    def _complain(self, problem: str) -> None:
        self.problem_count += 1
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(problem)
