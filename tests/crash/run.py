"""One run: senders, faults, every delivery again, and the verdict."""

import random
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.crash.faults import Faults, plan
from tests.crash.notebook import Notebook
from tests.crash.senders import Senders, send_again
from tests.crash.server import NotReady
from tests.crash.targets import Refused, Target, opened
from tests.crash.verdict import Verdict, judge

HONEST = "adapters.cli"
HASTY = "tests.crash.hasty"
LOAD_SECONDS = (0.05, 0.5)  # of undisturbed load before each fault
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Wish:
    """What a run is to do. A database is `sqlite`, `postgres` or a URL."""

    database: str
    faults: frozenset[str]
    kills: int
    seed: int
    seconds: float | None = None
    senders: int = 8
    sample: int = 400
    workers: int = 1
    module: str = HONEST

    @property
    def serve(self) -> tuple[str, ...]:
        """The command of the server under test, after `python -m`."""
        return (self.module, "serve", *(("--workers", str(self.workers)) * (self.workers > 1)))


@dataclass
class Report:
    """What a run did and found."""

    database: str
    seed: int
    verdict: Verdict
    faults: dict[str, int]
    hits: dict[str, int]
    answers: dict[str, int]
    disk: str | None
    seconds: float
    forgotten: int
    unexpected_ends: int
    outlived: int
    problem_count: int
    problems: list[str] = field(default_factory=list)
    folder: str | None = None

    @property
    def lost(self) -> int:
        """Acknowledged, and not there: at the end, or when it was sent again."""
        return self.verdict.lost + self.forgotten

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong."""
        wrong = self.forgotten + self.unexpected_ends + self.outlived + self.problem_count
        return self.verdict.is_well and wrong == 0

    def line(self) -> str:
        """The verdict in one line, for people."""
        v = self.verdict
        done = ", ".join(
            f"{count} x {kind}" + ("" if self.hits[kind] == count else f" ({self.hits[kind]} felt)")
            for kind, count in sorted(self.faults.items())
        )
        disk = f" ({self.disk})" if self.disk else ""
        return (
            f"{'well' if self.is_well else 'BROKEN'}: {self.database}{disk}, seed {self.seed}: "
            f"{v.acknowledged} acknowledged, {self.lost} lost, {v.doubled} doubled, "
            f"{v.delivered_without_paid} Delivered without PAID, read models "
            f"{'equal' if v.unequal_rows == 0 else 'NOT EQUAL'} to a fresh fold of {v.events} "
            f"events, {v.gaps + v.misplaced + v.unreadable} misplaced, "
            f"{self.problem_count + self.unexpected_ends + self.outlived} other problems; "
            f"{done}; {self.seconds:.0f} s"
        )

    def json(self) -> dict[str, Any]:
        """The same for programs."""
        told = {name: value for name, value in vars(self).items() if name != "verdict"}
        findings = {"findings": self.verdict.findings}
        return told | self.verdict.numbers() | findings | {"lost": self.lost, "well": self.is_well}


def run(wish: Wish, tell: Tell) -> Report:
    """Make one run in a folder of its own, which stays where something is wrong."""
    folder = Path(tempfile.mkdtemp(prefix="order-ledger-crash-"))
    folder.chmod(0o711)  # PostgreSQL may run as another user
    keep = folder / "keep"
    keep.write_text("this run has not ended well\n")
    try:
        with opened(wish.database, set(wish.faults), folder, wish.serve) as target:
            report = _Run(wish, target, tell).report()
            if report.is_well or wish.module != HONEST:
                keep.unlink()
    except (KeyboardInterrupt, Refused):
        keep.unlink(missing_ok=True)
        raise
    except BaseException:
        tell(f"seed {wish.seed}: the run broke off; logs and ledger are in {folder}")
        raise
    finally:
        if not keep.exists():
            shutil.rmtree(folder, ignore_errors=True)
    if keep.exists():
        report.folder = str(folder)
    return report


class _Run:
    def __init__(self, wish: Wish, target: Target, tell: Tell) -> None:
        self._wish = wish
        self._target = target
        self._tell = tell
        self._chance = random.Random(f"{wish.seed}/{wish.database}")
        self._notebook = Notebook()
        self._faults = Faults(target, self._notebook, self._chance)
        self._started = time.monotonic()

    def report(self) -> Report:
        server, notebook = self._target.server, self._notebook
        server.ensure()
        senders = Senders(server.url, notebook, self._wish.senders, str(self._wish.seed))
        senders.start()
        try:
            self._disturb()
        except NotReady as error:
            notebook.complain(str(error))
        finally:
            senders.stop()
        behind = server.wait_until_kept() if server.is_alive else "the server is down"
        if behind:
            notebook.complain(behind)
        outlived = server.stop()
        verdict = judge(self._target.url, list(notebook.acknowledged.values()))
        return Report(
            database=self._wish.database.partition(":")[0],
            seed=self._wish.seed,
            verdict=verdict,
            faults=dict(self._faults.counts),
            hits=dict(self._faults.hits),
            answers=dict(notebook.answers),
            disk=self._target.disk.name if self._target.disk else None,
            seconds=time.monotonic() - self._started,
            forgotten=len(notebook.forgotten),
            unexpected_ends=server.unexpected_ends,
            outlived=outlived,
            problem_count=notebook.problem_count,
            problems=notebook.problems,
        )

    def _disturb(self) -> None:
        wish = self._wish
        steps = plan(set(wish.faults), wish.kills, self._chance)
        for number, kind in enumerate(steps, 1):
            if wish.seconds and time.monotonic() - self._started > wish.seconds:
                return
            time.sleep(self._chance.uniform(*LOAD_SECONDS))
            self._faults.do(kind)
            self._target.server.ensure()
            again = self._notebook.sample(self._chance, wish.sample)
            send_again(self._target.server.url, again, self._notebook)
            if number % 25 == 0:
                acknowledged = len(self._notebook.acknowledged)
                self._tell(f"{number} of {len(steps)} faults, {acknowledged} acknowledged")
