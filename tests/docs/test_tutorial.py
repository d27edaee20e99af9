"""The tutorial's lines do what the tutorial says, typed one after the other."""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
MARK = "@@@ block {} @@@"
SECONDS = 300
BIN = Path(sys.executable).parent


def blocks() -> list[tuple[str, list[str]]]:
    """Each block to type, and the lines that it has to print."""
    found: list[tuple[str, list[str]]] = []
    for kind, text in BLOCK.findall(TUTORIAL.read_text()):
        if kind == "sh":
            found.append((text, []))
        else:
            found[-1][1].extend(text.splitlines())
    return found


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _missing(lines: list[str], printed: str) -> str | None:
    """The first line that was not printed, after those before it; `…` stands for anything."""
    for line in lines:
        pattern = ".*?".join(re.escape(" ".join(part.split())) for part in line.split("…"))
        found = re.search(pattern, printed)
        if found is None:
            return line
        printed = printed[found.end() :]
    return None


@pytest.mark.skipif(
    shutil.which("curl") is None, reason="the tutorial wants curl, which is not here"
)
def test_every_line_can_be_typed_and_prints_what_it_should(tmp_path: Path) -> None:
    port = str(_free_port())
    typed = "".join(
        f"echo '{MARK.format(number)}'\n{text}" for number, (text, _) in enumerate(blocks())
    ).replace("127.0.0.1:8000", f"127.0.0.1:{port}")
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("ORDER_LEDGER_")},
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "ORDER_LEDGER_PORT": port,
        "COLUMNS": "200",
    }
    script = tmp_path / "typed.sh"
    script.write_text(f"set -e\ntrap 'kill $! 2>/dev/null || true' EXIT\n{typed}")
    done = subprocess.run(
        ["bash", str(script)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    wrong = []
    for number, (text, lines) in enumerate(blocks()):
        printed = done.stdout.split(MARK.format(number))[1].split(MARK.format(number + 1))[0]
        missing = _missing(lines, " ".join(printed.split()))
        if missing is not None:
            wrong.append(f"{text}did not print {missing!r} but\n{printed}")
    assert wrong == [], "\n".join(wrong)


def test_a_line_that_is_not_printed_is_noticed() -> None:
    assert _missing(["a … c", "d"], "a b c d") is None
    assert _missing(["a … c", "b"], "a b c d") == "b"
    assert _missing(["(x)"], "x") == "(x)"
