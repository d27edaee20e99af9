"""The README's generated part is what the code says, and what it names exists."""

import re
from pathlib import Path

import pytest

from domain.gate import MISMATCHES
from domain.transitions import TRANSITIONS, edges

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
GUARANTEES = ROOT / "docs" / "guarantees.md"
PART = re.compile(r"(?<=<!-- transitions -->\n).*?(?=<!-- /transitions -->)", re.DOTALL)


def transitions() -> str:
    """The transition table as a diagram and a table, in Markdown."""
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> AWAITING_PAYMENT"]
    lines += [f"    {a} --> {b}: {', '.join(words)}" for a, b, words in edges()]
    lines += ["    DELIVERED --> [*]", "```", "", "| status | before a PAID | after it |"]
    lines += ["| --- | --- | --- |"]
    rules = TRANSITIONS.items()
    lines += [f"| {s} | {rule.before_paid} | {rule.after_paid} |" for s, rule in rules]
    lines += ["", "Of a registered order a PAID is held for review where there is", ""]
    lines += ["| review | that is |", "| --- | --- |"]
    lines += [f"| `{reason}` | {text} |" for reason, text in MISMATCHES.items()]
    return "\n".join(lines) + "\n"


def test_the_transition_table_is_the_codes_own() -> None:
    found = PART.search(README.read_text())
    assert found is not None
    assert found[0] == transitions(), "run scripts/readme"


@pytest.mark.parametrize("page", [README, GUARANTEES], ids=lambda page: page.name)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    names = re.findall(r"`((?:tests|domain|docs|scripts)/[\w./-]+)`", page.read_text())
    assert names
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_every_command_that_the_guarantees_name_exists() -> None:
    commands = re.findall(r"`order-ledger ([a-z]+(?: [a-z]+)?)", GUARANTEES.read_text())
    reference = (ROOT / "docs" / "reference" / "cli.md").read_text()
    assert commands
    assert [name for name in commands if f"## order-ledger {name}\n" not in reference] == []


if __name__ == "__main__":
    README.write_text(PART.sub(lambda _: transitions(), README.read_text()))
