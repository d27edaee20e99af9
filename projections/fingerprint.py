"""The fingerprint of a projection: a digest of its tables and of the code that its fold runs.

It covers the functions `reads` and `fold` and whatever they reach by name in `projections/` and
`domain/`, as far down as that goes: functions, classes, constants. Comments, docstrings and layout
do not count, nor does code that is never reached, nor the standard library.
"""

import ast
import hashlib
import inspect
import sys
from collections.abc import Iterator
from functools import cache
from types import FunctionType, ModuleType
from typing import Any

PACKAGES = ("projections", "domain")
PLUMBING = "projections.model"  # what projections are made of: no fold runs it
LENGTH = 16  # hexadecimal digits that are kept; enough to tell the releases of one ledger apart

Definition = tuple[str, str]  # module, name


def fingerprint(tables: tuple[Any, ...], *functions: Any) -> str:
    """The digest of tables and functions."""
    digest = hashlib.sha256()
    seen: set[Definition] = set()
    for table in tables:
        shape = (table.name, table.row_type._fields, table.key, table.indexes)
        digest.update(repr(shape).encode())
        _reach((table.row_type.__module__, table.row_type.__name__), seen)
    for function in functions:
        assert isinstance(function, FunctionType)
        if _definitions(function.__module__).get(function.__name__) is None:
            node = _nested(function)  # made inside another function
            digest.update(_plain(node).encode())
            _reach_names(function.__module__, node, seen)
        else:
            _reach((function.__module__, function.__name__), seen)
    for module, name in sorted(seen):
        digest.update(f"{module}.{name}\n{_plain(_definitions(module)[name])}\n".encode())
    return digest.hexdigest()[:LENGTH]


def _reach(definition: Definition, seen: set[Definition]) -> None:
    module, name = definition
    node = _definitions(module).get(name)
    if node is None or definition in seen or module == PLUMBING:
        return
    if isinstance(node, ast.ImportFrom):
        if node.module and node.module.partition(".")[0] in PACKAGES:
            original = next(a.name for a in node.names if (a.asname or a.name) == name)
            _reach((node.module, original), seen)
        return
    seen.add(definition)
    _reach_names(module, node, seen)


def _reach_names(module: str, node: ast.AST, seen: set[Definition]) -> None:
    for name in sorted({n.id for n in ast.walk(node) if isinstance(n, ast.Name)}):
        _reach((module, name), seen)


@cache
def _tree(module: str) -> ast.Module:
    loaded: ModuleType = sys.modules[module]
    return ast.parse(inspect.getsource(loaded))


@cache
def _definitions(module: str) -> dict[str, ast.stmt]:
    """What a module's top level defines or imports, by name."""
    return {name: node for node in _tree(module).body for name in _names(node)}


def _names(node: ast.stmt) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Assign(targets=targets):
            yield from (target.id for target in targets if isinstance(target, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name
        case ast.ImportFrom(names=names):
            yield from (alias.asname or alias.name for alias in names)


def _nested(function: FunctionType) -> ast.AST:
    line = function.__code__.co_firstlineno
    for node in ast.walk(_tree(function.__module__)):
        if isinstance(node, ast.FunctionDef | ast.Lambda) and node.lineno == line:
            return node
    raise ValueError(f"no source of {function.__qualname__}")


def _plain(node: ast.AST) -> str:
    """The source without docstrings, comments and layout."""
    copied = ast.parse(ast.unparse(node))
    for inner in ast.walk(copied):
        if isinstance(inner, ast.FunctionDef | ast.ClassDef):
            first = inner.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                inner.body = inner.body[1:] or [ast.Pass()]
    return ast.unparse(copied)
