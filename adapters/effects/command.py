"""The kind `command`: a program of the shop's, with the event as JSON on its standard input."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from threading import Thread
from time import monotonic, sleep
from typing import IO

from pydantic import Field, field_validator

from adapters.effects.base import EXCERPT_BYTES, Answer, Effect, EffectKind, Verdict, excerpt
from adapters.effects.configuration import EffectSettings
from adapters.providers.configuration import ProviderSettings

OURS = "ORDER_LEDGER_"  # variables that may hold secrets
TEMPORARY_FAILURE = 75  # EX_TEMPFAIL of sysexits.h
SHORTEST_PAUSE, LONGEST_PAUSE = 0.001, 0.05  # seconds between two looks at a program
READ_SECONDS = 2.0  # for what the program's children, killed by now, wrote last


class CommandSettings(EffectSettings):
    """Which program, and how long it may take."""

    command: tuple[str, ...] = Field(
        min_length=1, description="the program and its arguments; no shell reads them"
    )
    seconds: int = Field(30, ge=1, le=600, description="how long it may take; then it is killed")

    @field_validator("command", mode="before")
    @classmethod
    def _a_list(cls, command: object) -> object:
        if isinstance(command, str):
            raise ValueError('write a list: ["/usr/local/bin/notify", "--order"]')
        return command

    @field_validator("command")
    @classmethod
    def _usable(cls, command: tuple[str, ...]) -> tuple[str, ...]:
        if not command[0] or any("\x00" in part for part in command):
            raise ValueError("the first of the list is a program; none holds a null character")
        return command


class Command:
    """Runs a program for each effect."""

    def __init__(self, settings: CommandSettings) -> None:
        self._settings = settings

    def send(self, effect: Effect) -> Answer:
        """Run the program; 0 is sent, everything else is tried again."""
        with tempfile.TemporaryFile() as given:
            given.write(effect.identified())
            given.seek(0)
            try:
                process = subprocess.Popen(  # noqa: S603  (what the configuration names, no shell)
                    self._settings.command,
                    stdin=given,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    env={k: v for k, v in os.environ.items() if not k.startswith(OURS)},
                    start_new_session=True,
                )
            except OSError as error:
                return Answer(Verdict.RETRY, f"cannot be run: {error.strerror}")
        code, said = self._wait(process)
        if code == 0:
            return Answer(Verdict.SENT, "exit 0")
        if code is None:
            return Answer(Verdict.RETRY, f"killed after {self._settings.seconds} s", excerpt(said))
        told = "exit 75, try again" if code == TEMPORARY_FAILURE else f"exit {code}"
        return Answer(Verdict.RETRY, told, excerpt(said))

    def close(self) -> None:
        """Nothing is held."""

    def _wait(self, process: subprocess.Popen[bytes]) -> tuple[int | None, bytes]:
        """The exit code, None for one that took too long, and the beginning of what it said."""
        assert process.stderr is not None
        said = bytearray()
        reader = Thread(target=_drain, args=(process.stderr, said), daemon=True)
        reader.start()
        ended = False
        try:
            ended = _ends(process.pid, self._settings.seconds)
        finally:
            # With what it left running, and before it is reaped: till then its number is its own.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            code = process.wait()
        reader.join(READ_SECONDS)
        return code if ended else None, bytes(said)


def _ends(pid: int, seconds: float) -> bool:
    """Whether a child ends within so many seconds; it is not reaped."""
    deadline = monotonic() + seconds
    pause = SHORTEST_PAUSE
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        left = deadline - monotonic()
        if left <= 0:
            return False
        sleep(min(pause, left))
        pause = min(2 * pause, LONGEST_PAUSE)
    return True


def _drain(pipe: IO[bytes], into: bytearray) -> None:
    """Keep the beginning of what is written, and take the rest so that nobody waits."""
    with pipe:
        while chunk := pipe.read1(EXCERPT_BYTES):  # type: ignore[attr-defined]
            into += chunk[: EXCERPT_BYTES - len(into)]


def make_command(
    name: str, settings: CommandSettings, providers: Mapping[str, ProviderSettings]
) -> Command:
    """The target that a table configures."""
    return Command(settings)


COMMAND = EffectKind(make_command, CommandSettings)
