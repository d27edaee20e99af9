"""Who starts a server believes what it says."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path


def test_once_it_says_that_it_listens_nobody_is_refused(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "adapters.cli", "serve", "--port", "0"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    found = (re.search(r"listens on http://([\d.]+):(\d+),", line) for line in process.stdout)
    address = next(match for match in found if match)
    with socket.socket() as caller:
        refused = caller.connect_ex((address[1], int(address[2])))
    process.terminate()
    process.communicate(timeout=30)
    assert refused == 0
