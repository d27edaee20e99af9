"""The fingerprint changes with what a fold does, and with nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from projections.order_status import ORDER_STATUS
from tests.releases import Changes, release

PRINT = "from projections.order_status import ORDER_STATUS as P; print(P.fingerprint)"
FOLD = "projections/order_status.py"


def _fingerprint(folder: Path, changes: Changes) -> str:
    code = release(folder, changes)
    environment = {**os.environ, "PYTHONPATH": str(code)}
    command = [sys.executable, "-c", PRINT]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {FOLD: ('"""The fold needs the order as it was."""', '"""It needs it."""')},
        {FOLD: ("        applied = news", "        # A comment.\n\n        applied = news")},
        {"domain/order.py": ("outcome = Outcome.STALE if", "outcome = Outcome.IGNORED if")},
    ],
    ids=["nothing", "a docstring", "a comment", "what decides, and folds nothing"],
)
def test_it_stays_with(tmp_path: Path, changes: Changes) -> None:
    assert _fingerprint(tmp_path, changes) == ORDER_STATUS.fingerprint


@pytest.mark.parametrize(
    "changes",
    [
        {FOLD: ("_AWAITING = OrderStatus.AWAITING_PAYMENT", "_AWAITING = OrderStatus.DELIVERED")},
        {FOLD: ('(("reference", "store"),)', '(("reference",),)')},
        {FOLD: ("registered: bool = False\n", "registered: bool = False\n    more: int = 0\n")},
        {"domain/transitions.py": ("S.PENDING: Rule(Then.AWAIT", "S.PENDING: Rule(Then.FAIL")},
        {"domain/log.py": ('stream.partition("/")', 'stream.partition("-")')},
    ],
    ids=["the fold", "an index", "a column", "a rule that it asks", "a function that it calls"],
)
def test_it_changes_with(tmp_path: Path, changes: Changes) -> None:
    assert _fingerprint(tmp_path, changes) != ORDER_STATUS.fingerprint
