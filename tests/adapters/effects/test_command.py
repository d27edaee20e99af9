"""A program of the shop's as a target."""

import json
import os
import sys
import time
from pathlib import Path

import pytest

from adapters.effects.base import Verdict
from adapters.effects.command import Command, CommandSettings
from tests.adapters.effects.test_webhook import EFFECT, ORDER


def command(code: str, seconds: int = 20) -> Command:
    table = {"kind": "command", "command": [sys.executable, "-c", code], "seconds": seconds}
    return Command(CommandSettings.model_validate(table))


def test_it_reads_the_event_and_0_is_done(tmp_path: Path) -> None:
    file = tmp_path / "got.json"
    answer = command(f"import sys; open({str(file)!r}, 'wb').write(sys.stdin.buffer.read())").send(
        EFFECT
    )
    assert (answer.verdict, answer.said) == (Verdict.SENT, "exit 0")
    assert json.loads(file.read_text()) == {
        "id": EFFECT.id,
        "position": "0-2",
        "version": 2,
        "type": "order.delivered",
        "timestamp": "2026-01-05T07:30:00Z",
        "data": json.loads(ORDER.model_dump_json()),
    }


@pytest.mark.parametrize(
    ("code", "said"), [(75, "exit 75, try again"), (1, "exit 1"), (2, "exit 2")]
)
def test_every_other_exit_is_tried_again(code: int, said: str) -> None:
    answer = command(
        f"import sys; print('no', 'x' * 100_000, file=sys.stderr); sys.exit({code})"
    ).send(EFFECT)
    assert (answer.verdict, answer.said) == (Verdict.RETRY, said)
    assert answer.excerpt is not None
    assert answer.excerpt.startswith("no xxx")
    assert len(answer.excerpt) == 200


def test_no_shell_reads_the_arguments(tmp_path: Path) -> None:
    table = {"kind": "command", "command": ["echo", "a; touch", str(tmp_path / "made")]}
    assert Command(CommandSettings.model_validate(table)).send(EFFECT).verdict is Verdict.SENT
    assert not (tmp_path / "made").exists()


def test_it_gets_no_secrets_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDER_LEDGER_API_TOKENS", '["secret"]')
    monkeypatch.setenv("SHOPS_OWN", "1")
    code = (
        "import os, sys; sys.exit(any(k.startswith('ORDER_LEDGER_') for k in os.environ)"
        " or 'SHOPS_OWN' not in os.environ)"
    )
    assert command(code).send(EFFECT).verdict is Verdict.SENT


def test_what_takes_too_long_is_killed_with_what_it_started(tmp_path: Path) -> None:
    file = tmp_path / "child"
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(file)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(600)"
    )
    answer = command(code, seconds=4).send(EFFECT)
    assert (answer.verdict, answer.said) == (Verdict.RETRY, "killed after 4 s")
    child = int(file.read_text())
    for _ in range(500):
        if not _runs(child):
            return
        time.sleep(0.01)
    raise AssertionError("its child goes on")


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_a_program_that_is_not_there_is_a_failed_try() -> None:
    table = {"kind": "command", "command": ["/nothing/here"]}
    answer = Command(CommandSettings.model_validate(table)).send(EFFECT)
    assert (answer.verdict, answer.said) == (
        Verdict.RETRY,
        "cannot be run: No such file or directory",
    )


def test_what_it_left_running_is_killed_while_its_number_is_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    killed = []

    def killpg(group: int, signal: int) -> None:
        killed.append(os.waitid(os.P_PID, group, os.WEXITED | os.WNOHANG | os.WNOWAIT))

    monkeypatch.setattr(os, "killpg", killpg)
    assert command("pass").send(EFFECT).said == "exit 0"
    assert [ended is not None for ended in killed] == [True], "it ended, and nobody reaped it yet"
