"""The short form of `python -m tests.fuzz`, a different walk each time."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

RUNS = 30_000
TIMEOUT_SECONDS = 180


@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris has no build for this Python")
def test_coverage_guided_inputs_break_no_provider(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", f"-runs={RUNS}", f"-artifact_prefix={tmp_path}/"],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-5000:]
    assert f"Done {RUNS} runs" in ran.stderr
