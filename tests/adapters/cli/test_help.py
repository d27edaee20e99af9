"""Who does not know the command yet reads its help."""

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pytest
from typer.main import get_command

from adapters.cli import options
from adapters.cli.main import app
from adapters.queries.queries import PAGE_SIZE_MAX
from tests.adapters.cli.shops import CommandLine

ROOT: Any = get_command(app)
HEAVY = ("fastapi", "uvicorn", "pydantic_settings", "eventsourcing", "httpx", "rich")


def commands(command: Any = ROOT, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    yield " ".join(path), command
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*path, name))


EVERY = dict(commands())
LEAVES = {path: c for path, c in EVERY.items() if not hasattr(c, "commands")}


@pytest.mark.parametrize("path", EVERY)
def test_every_command_and_option_explains_itself(order_ledger: CommandLine, path: str) -> None:
    command = EVERY[path]
    assert command.help
    assert len(command.help.splitlines()[0]) <= 80
    unexplained = [param.name for param in command.params if not param.help]
    assert unexplained == []
    ran = order_ledger(*path.split(), "--help")
    assert (ran.code, ran.stderr) == (0, b"")
    assert "Examples:\n" in ran.out
    assert options.EXIT_CODES in " ".join(ran.out.split())
    assert order_ledger(*path.split(), "-h").out == ran.out


ENDS_WITH_THREE = (
    "verify",
    "reconcile",
    "projections rebuild",
    "projections verify",
)


@pytest.mark.parametrize("path", ENDS_WITH_THREE)
def test_a_command_that_ends_with_a_code_of_its_own_names_it(
    order_ledger: CommandLine, path: str
) -> None:
    shown = " ".join(order_ledger(*path.split(), "--help").out.split())
    assert "And 3: " in shown.partition(options.EXIT_CODES)[2]


@pytest.mark.parametrize("path", EVERY)
def test_a_list_of_commands_cuts_no_sentence(
    order_ledger: CommandLine, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = order_ledger(*path.split(), "--help").out
    assert "..." not in shown.replace("[ARGS]...", "").replace("[ID]...", "")


@pytest.mark.parametrize("path", EVERY)
def test_every_example_can_be_typed(path: str) -> None:
    examples = re.findall(r"^  order-ledger (.*)", EVERY[path].epilog, re.MULTILINE)
    assert examples
    for example in examples:
        words = example.split()
        found = [leaf for leaf in LEAVES if words[: len(leaf.split())] == leaf.split()]
        assert len(found) == 1, example
        known = {option for param in LEAVES[found[0]].params for option in param.opts}
        used = re.findall(r"(?<= )--?[a-z][a-z-]*", re.split(r" [|>] |  ", example)[0])
        assert set(used) <= known, example


@pytest.mark.parametrize("path", [path for path in EVERY if path not in LEAVES])
def test_a_group_without_a_command_shows_its_help(order_ledger: CommandLine, path: str) -> None:
    ran = order_ledger(*path.split())
    assert (ran.code, ran.out) == (2, "")
    assert ran.stderr == order_ledger(*path.split(), "--help").stdout


def test_the_version_is_told(order_ledger: CommandLine) -> None:
    assert order_ledger("--version").out == f"order-ledger {version('order-ledger')}\n"


@pytest.mark.parametrize("args", [["ordres"], ["orders", "shwo"], ["--colour"], ["orders", "show"]])
def test_a_mistyped_word_is_told_with_where_to_read_on(
    order_ledger: CommandLine, args: list[str]
) -> None:
    ran = order_ledger(*args)
    assert (ran.code, ran.out) == (2, "")
    assert "--help" in ran.complaint


@pytest.mark.parametrize("args", ["--help", "--version", "orders show --help", "serve --help"])
def test_help_waits_for_nothing_that_it_does_not_need(args: str) -> None:
    code = (
        "import sys\nfrom adapters.cli.main import main\n"
        f"try: main({args.split()})\nexcept SystemExit: pass\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"


def test_a_page_has_the_size_that_the_http_api_allows() -> None:
    assert options.LIMIT_MAX == PAGE_SIZE_MAX
