"""The rules of the house that no linter knows. Each has its reason and a violation it catches."""

import ast
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("domain", "adapters", "projections")
CODE = (*PRODUCT, "tests", "scripts")

# ----------------------------------------------------------------------------------------- files


@dataclass(frozen=True)
class Source:
    """A file of the project: its path from the root, and its text."""

    path: str
    text: str

    @property
    def is_python(self) -> bool:
        return self.path.endswith(".py")

    @cached_property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    def under(self, *folders: str) -> bool:
        return any(PurePosixPath(self.path).is_relative_to(folder) for folder in folders)


def paths(root: Path) -> list[str]:
    """What git has or would add; where git knows nothing, whatever is no tool's own."""
    listed = git(root, "ls-files", "-coz", "--exclude-standard")
    if listed:
        return sorted(filter(None, listed.split("\0")))
    tools = re.compile(r"(^|/)(\.(?!ci/)[^/]*|var|build|dist|__pycache__|[^/]*\.egg-info)/")
    found = (path.relative_to(root).as_posix() for path in root.rglob("*"))
    return sorted(path for path in found if not tools.search(path))


def git(root: Path, *command: str) -> str:
    """What git prints; nothing where there is no git or no repository."""
    # A git hook that runs the tests says which repository it is for: not the one meant here.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        return subprocess.run(
            ["git", *command], cwd=root, env=environment, capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""


@cache
def sources(root: Path) -> list[Source]:
    return [
        Source(path, (root / path).read_text(errors="replace"))
        for path in paths(root)
        if (root / path).is_file()
    ]


# ----------------------------------------------------------------------------------------- rules

Finder = Callable[[Source], Iterator[int]]  # the lines that break the rule


@dataclass(frozen=True)
class Rule:
    """A rule, why it is one, where it holds, and a file that breaks it once."""

    name: str
    reason: str
    holds: Callable[[Source], bool]
    find: Finder
    planted: tuple[str, str]


def python_in(*folders: str) -> Callable[[Source], bool]:
    return lambda source: source.is_python and source.under(*folders)


def any_code(source: Source) -> bool:
    return source.under(*CODE) and (source.is_python or source.under("scripts"))


def lines_with(pattern: str) -> Finder:
    compiled = re.compile(pattern)
    return lambda source: (
        number for number, line in enumerate(source.lines, 1) if compiled.search(line)
    )


def calls_of(*names: str) -> Finder:
    """Calls of a function or a method by one of these names."""

    def find(source: Source) -> Iterator[int]:
        for node in source.nodes:
            match node:
                case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in names:
                    yield node.lineno

    return find


def imports_of(*modules: str) -> Finder:
    def find(source: Source) -> Iterator[int]:
        for node in source.nodes:
            match node:
                case ast.Import(names=names):
                    imported = [name.name for name in names]
                case ast.ImportFrom(module=str(module)):
                    imported = [module]
                case _:
                    continue
            if any(name.partition(".")[0] in modules for name in imported):
                yield node.lineno

    return find


def prints(source: Source) -> Iterator[int]:
    for node in source.nodes:
        match node:
            case ast.Call(func=ast.Name(id="print")):
                yield node.lineno


def floats(source: Source) -> Iterator[int]:
    for node in source.nodes:
        match node:
            case ast.Name(id="float") | ast.Constant(value=float()):
                yield node.lineno


def long_functions(source: Source) -> Iterator[int]:
    for node in source.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            if node.end_lineno - node.lineno >= 60:
                yield node.lineno


def long_files(source: Source) -> Iterator[int]:
    if len(source.lines) > 500:
        yield len(source.lines)


def bare_excepts(source: Source) -> Iterator[int]:
    for node in source.nodes:
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield node.lineno


def undocumented(source: Source) -> Iterator[int]:
    """Public modules, classes, functions and methods that have no docstring.

    A dunder method and one marked @override say elsewhere what they do; so does a property's
    setter, whose getter speaks for both.
    """

    def visit(node: ast.Module | ast.ClassDef) -> Iterator[int]:
        for child in node.body:
            if not isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            marks = {ast.unparse(mark).rpartition(".")[2] for mark in child.decorator_list}
            if child.name.startswith("_") or marks & {"override", "overload", "setter"}:
                continue
            if ast.get_docstring(child) is None:
                yield child.lineno
            if isinstance(child, ast.ClassDef):
                yield from visit(child)

    if ast.get_docstring(source.tree) is None:
        yield 1
    yield from visit(source.tree)


# Put together from parts, so that this file does not break the rules that it states.
LATER = r"\b(TO" + r"DO|FIX" + r"ME)\b"
MACHINE_PATH = r"(?<![\w.$}-])/(wo" + r"rk|ro" + r"ot)/"

RULES = [
    Rule(
        "lines fit in 100 columns",
        "two files side by side, or a diff, are read without scrolling",
        any_code,
        lines_with(r".{101}"),
        ("domain/a.py", '"""' + "x" * 98 + '"""\n'),
    ),
    Rule(
        "functions have at most 60 lines",
        "a function is understood on one screen",
        python_in(*CODE),
        long_functions,
        ("tests/a.py", "def f():\n" + "    pass\n" * 60),
    ),
    Rule(
        "files have at most 500 lines",
        "a file has one subject; a longer one has two",
        any_code,
        long_files,
        ("scripts/a", "true\n" * 501),
    ),
    Rule(
        "domain asks no clock, no chance and no file",
        "the same history always gives the same decision, so a replay proves something",
        python_in("domain"),
        calls_of("now", "utcnow", "today", "time", "monotonic", "uuid1", "uuid4", "open", "input"),
        ("domain/a.py", '"""A."""\nNOW = datetime.now(UTC)\n'),
    ),
    Rule(
        "domain imports nothing that touches the world",
        "what it cannot reach, it cannot depend on",
        python_in("domain"),
        imports_of(
            *"asyncio io logging os pathlib random secrets shutil socket".split(),
            *"sqlite3 subprocess tempfile threading time urllib".split(),
        ),
        ("domain/a.py", '"""A."""\nfrom random import choice\n'),
    ),
    Rule(
        "money is never a float",
        "0.1 + 0.2 is not 0.3 there, and an auditor adds up",
        python_in("domain", "adapters/providers"),
        floats,
        ("adapters/providers/a.py", '"""A."""\nAMOUNT = float("902.1")\n'),
    ),
    Rule(
        "only the command line prints",
        "a service's words go to its log, where they are structured and hold no secrets",
        lambda source: source.is_python and not source.under("adapters/cli"),
        prints,
        ("adapters/http/a.py", '"""A."""\nprint("hello")\n'),
    ),
    Rule(
        "nothing is left for later in a comment",
        "what has to be done is an issue, where someone looks for it",
        any_code,
        lines_with(LATER),
        ("tests/a.py", "# TO" + "DO: think\n"),
    ),
    Rule(
        "no bare except",
        "it swallows the signal to stop, too",
        python_in(*CODE),
        bare_excepts,
        ("tests/a.py", "try:\n    pass\nexcept:\n    pass\n"),
    ),
    Rule(
        "what is public has a docstring",
        "a reader learns what a thing is for before how it does it",
        python_in(*PRODUCT),
        undocumented,
        ("projections/a.py", '"""A."""\nclass Fold:\n    """A."""\n    def rows(self): ...\n'),
    ),
    Rule(
        "no file names a path of one machine",
        "the project runs anywhere, and says nothing about where it was written",
        lambda source: True,
        lines_with(MACHINE_PATH),
        ("docs/a.md", "See /wo" + "rk/main.\n"),
    ),
    Rule(
        "lock files name no address",
        "where packages come from is the business of whoever installs; the hashes say which",
        lambda source: source.path.endswith(".lock"),
        lines_with(r"://|--(extra-)?index|--find-links| @ "),
        ("requirements.lock", "--index-url https://example.org/simple\n"),
    ),
]
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)


def violations(rule: Rule, root: Path) -> list[str]:
    return [
        f"{source.path}:{line} breaks the rule that {rule.name}: {rule.reason}"
        for source in sources(root)
        if rule.holds(source)
        for line in rule.find(source)
    ]


# ----------------------------------------------------------------------------------------- tests


@each_rule
def test_the_house_is_tidy(rule: Rule) -> None:
    assert any(rule.holds(source) for source in sources(ROOT)), "the rule looks at nothing"
    found = violations(rule, ROOT)
    assert not found, "\n".join(["", *found])


@each_rule
def test_each_rule_catches_a_planted_violation(rule: Rule, tmp_path: Path) -> None:
    path, text = rule.planted
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text(text)
    found = violations(rule, tmp_path)
    assert len(found) == 1
    assert found[0].startswith(f"{path}:")


@pytest.mark.parametrize(
    "code",
    [
        '"""A."""\ndef _private(): ...\n',
        '"""A."""\nclass A:\n    """A."""\n    def __len__(self): ...\n',
        '"""A."""\nclass A:\n    """A."""\n    @override\n    def rows(self): ...\n',
    ],
)
def test_what_explains_itself_needs_no_docstring(code: str) -> None:
    assert list(undocumented(Source("domain/a.py", code))) == []


@pytest.mark.parametrize("has_git", [True, False])
def test_a_file_that_git_would_add_is_seen(tmp_path: Path, has_git: bool) -> None:
    for path in ("domain/a.py", ".ci/run", "var/ledger.db", "tests/__pycache__/a.pyc"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / ".gitignore").write_text("var/\n__pycache__/\n")
    if has_git and not git(tmp_path, "init"):
        pytest.skip("there is no git here")
    assert [s.path for s in sources(tmp_path)] == [".ci/run", ".gitignore", "domain/a.py"]
