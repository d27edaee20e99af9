"""The crash suite in its short form: each fault once. The long form is `scripts/crash`."""

from tests.crash.__main__ import conclude
from tests.crash.run import HASTY, Wish, run
from tests.crash.targets import FAULTS, impossible_faults

SEED = 20260105


def _said(_: str) -> None:
    """Progress is for people who wait."""


def _wish(database: str, kills: int) -> Wish:
    faults = frozenset(set(FAULTS) - impossible_faults(database).keys())
    return Wish(database, faults, kills, SEED, senders=4, sample=100)


def test_sqlite_keeps_its_word_through_every_fault() -> None:
    report = run(_wish("sqlite", kills=2), _said)
    assert report.is_well, f"{report.line()}\n{report.verdict.findings}\n{report.problems}"
    assert report.verdict.acknowledged > 100


def test_postgres_keeps_its_word_through_every_fault() -> None:
    report = run(_wish("postgres", kills=1), _said)
    assert report.is_well, f"{report.line()}\n{report.verdict.findings}\n{report.problems}"
    assert report.verdict.acknowledged > 100


def test_a_build_that_acknowledges_before_the_commit_is_caught() -> None:
    wish = Wish("sqlite", frozenset({"server"}), 3, SEED, sample=300, module=HASTY)
    report = run(wish, _said)
    assert conclude([report], canary=True)[0], report.line()
