"""What can go wrong, each once and healed again."""

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping

from tests.crash.notebook import Notebook
from tests.crash.targets import Target

DOWN_SECONDS = 1.0
FREEZE_SECONDS = 2.5
CUT_BYTES = 4000
FULL_SECONDS = 8.0
REFUSALS_WANTED = 5
FULL_AFTERWARDS_SECONDS = 0.3
OTHERS_PER_KILL = 12  # every other kind comes once in so many kills of the server

KINDS: Mapping[str, tuple[str, ...]] = {
    "server": ("kill server", "kill server and children", "kill child"),
    "database": ("kill database", "stop database"),
    "connection": ("cut request", "drop answer", "freeze connection"),
    "disk": ("fill disk",),
}


def plan(families: set[str], kills: int, chance: random.Random) -> list[str]:
    """What to do in a run, in a random order: so many kills of the server, and the rest."""
    steps = []
    if "server" in families:
        alone, together, _ = KINDS["server"]
        steps += [chance.choice((alone, alone, together)) for _ in range(kills)]
    others = [k for f in sorted(families) for k in KINDS[f] if not k.startswith("kill server")]
    steps += others * max(1, kills // OTHERS_PER_KILL)
    chance.shuffle(steps)
    return steps


class Faults:
    """Does things to a target and heals what it did."""

    def __init__(self, target: Target, notebook: Notebook, chance: random.Random) -> None:
        self.counts: Counter[str] = Counter()
        self.hits: Counter[str] = Counter()  # those that met a commit, or were felt at all
        self._target = target
        self._notebook = notebook
        self._chance = chance
        self._do: Mapping[str, Callable[[], bool]] = {
            "kill server": self._kill_server,
            "kill server and children": self._kill_group,
            "kill child": self._kill_child,
            "kill database": self._kill_database,
            "stop database": self._stop_database,
            "cut request": self._cut_request,
            "drop answer": self._drop_answer,
            "freeze connection": self._freeze,
            "fill disk": self._fill_disk,
        }

    def do(self, kind: str) -> None:
        """Let it happen, and heal it; the server may be down afterwards."""
        self.counts[kind] += 1
        self.hits[kind] += self._do[kind]()

    def _kill_server(self) -> bool:
        self._target.server.kill()
        return True

    def _kill_group(self) -> bool:
        self._target.server.kill_group()
        return True

    def _kill_child(self) -> bool:
        self._target.server.kill_child(self._chance)
        return True

    def _kill_database(self) -> bool:
        cluster = self._target.cluster
        assert cluster is not None
        cluster.kill()
        self._wait(DOWN_SECONDS)
        cluster.start()
        return True

    def _stop_database(self) -> bool:
        cluster = self._target.cluster
        assert cluster is not None
        cluster.stop()
        self._wait(DOWN_SECONDS)
        cluster.start()
        return True

    def _cut_request(self) -> bool:
        assert self._target.proxy is not None
        return self._target.proxy.cut_in_request(self._chance.randrange(CUT_BYTES))

    def _drop_answer(self) -> bool:
        assert self._target.proxy is not None
        return self._target.proxy.drop_answer()

    def _freeze(self) -> bool:
        proxy = self._target.proxy
        assert proxy is not None
        proxy.freeze()
        self._wait(FREEZE_SECONDS)
        if self._chance.random() < 0.5:
            proxy.cut_all()  # what was on its way, either way, arrives nowhere
        proxy.thaw()
        return True

    def _fill_disk(self) -> bool:
        """Full until the senders have felt it; then a little longer."""
        disk = self._target.disk
        assert disk is not None
        before = self._refusals()
        disk.fill()
        deadline = time.monotonic() + FULL_SECONDS
        while self._refusals() - before < REFUSALS_WANTED and time.monotonic() < deadline:
            time.sleep(0.02)
        was_felt = self._refusals() > before
        self._wait(FULL_AFTERWARDS_SECONDS)
        disk.free()
        self._target.revive()
        return was_felt

    def _refusals(self) -> int:
        return self._notebook.answers["503"]

    def _wait(self, seconds_max: float) -> None:
        time.sleep(self._chance.uniform(0, seconds_max))
