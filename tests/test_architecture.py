"""Imports point one way: adapters -> projections -> domain, and no product code imports a test."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Which top-level modules a package may import, besides the standard library; None: any but tests.
MAY_IMPORT: dict[str, frozenset[str] | None] = {
    "domain": frozenset({"domain"}),
    "projections": frozenset({"domain", "projections"}),
    "adapters": None,
}
# An import by name would slip past this test, so only adapters may do it.
STANDARD = sys.stdlib_module_names - {"importlib", "runpy"}


def imports(tree: ast.Module, package: str) -> Iterator[tuple[int, str]]:
    """Every (line, module) that a module imports, wherever in it the import stands."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, name.name) for name in names)
            case ast.ImportFrom(module=module, level=0):
                yield node.lineno, module or ""
            case ast.ImportFrom(module=module, level=level):
                parents = package.split(".")
                base = parents[: len(parents) - level + 1]
                yield node.lineno, ".".join([*base, module] if module else base)
            case ast.Name(id="__import__"):
                yield node.lineno, "importlib"


def allowed(package: str, module: str) -> bool:
    """Whether a module of the package may import the module."""
    top = module.partition(".")[0]
    ours = MAY_IMPORT[package]
    if ours is None:
        return top != "tests"
    return top in ours or top in STANDARD


def wrong_imports(root: Path) -> list[str]:
    """What points the wrong way, as `path:line imports module`."""
    return [
        f"{path.relative_to(root)}:{line} imports {module}"
        for package in MAY_IMPORT
        for path in sorted((root / package).rglob("*.py"))
        for line, module in imports(
            ast.parse(path.read_bytes(), path), ".".join(path.relative_to(root).parent.parts)
        )
        if not allowed(package, module)
    ]


def test_imports_point_one_way() -> None:
    assert (ROOT / "domain" / "order.py").exists(), "the code has moved: this test sees nothing"
    assert wrong_imports(ROOT) == []


@pytest.mark.parametrize(
    ("path", "code", "module"),
    [
        ("domain/order.py", "import adapters.storage", "adapters.storage"),
        ("domain/order.py", "from projections import runner", "projections"),
        ("domain/order.py", "import pydantic", "pydantic"),
        ("domain/order.py", "def f():\n    import msgspec", "msgspec"),
        ("domain/order.py", "import importlib", "importlib"),
        ("domain/order.py", "__import__('adapters')", "importlib"),
        ("domain/deep/rules.py", "from ...adapters import http", "adapters"),
        ("projections/runner.py", "from adapters.storage import log", "adapters.storage"),
        ("projections/runner.py", "import eventsourcing", "eventsourcing"),
        ("adapters/http/app.py", "from tests.samples import PAID", "tests.samples"),
    ],
)
def test_a_wrong_import_is_reported(tmp_path: Path, path: str, code: str, module: str) -> None:
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_text(code)
    assert wrong_imports(tmp_path) == [f"{path}:{len(code.splitlines())} imports {module}"]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("domain/order.py", "import datetime\nfrom domain.log import stream_of\nfrom . import log"),
        ("projections/runner.py", "from domain.order import Order\nfrom projections import model"),
        ("adapters/http/app.py", "import fastapi\nimport domain.order\nimport projections.runner"),
    ],
)
def test_a_right_import_is_not(tmp_path: Path, path: str, code: str) -> None:
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_text(code)
    assert wrong_imports(tmp_path) == []
