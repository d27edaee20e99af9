"""The schema of an SQLite ledger: made with its first opening, and compared with what it would be
made as now."""

import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory

from adapters.storage.log import StorageUnavailable, first_line
from adapters.storage.opening import open_storage
from adapters.storage.sqlite_log import SCHEMA_VERSION
from adapters.storage.urls import sqlite_path

# SQLite's own tables have names of its own.
OBJECTS = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite@_%' ESCAPE '@'"

Objects = dict[tuple[str, str], str]  # the text of each table, index and trigger, by kind and name


def init(url: str) -> list[str]:
    """Make what is missing, and say what was; nothing where all was there. Raises
    `StorageUnavailable`."""
    before = _objects(sqlite_path(url))
    open_storage(url, ()).close()
    if not before:
        return [f"schema {SCHEMA_VERSION}"]
    after = _objects(sqlite_path(url))
    return [f"{kind} {name}" for kind, name in after if (kind, name) not in before]


def check(url: str) -> list[str]:
    """What is wrong with the schema, a line each; nothing where it is this release's own. Raises
    `StorageUnavailable`."""
    path = sqlite_path(url)
    if not path.is_file():
        return [f"the ledger {path.absolute()} is missing"]
    if (version := _version(path)) != SCHEMA_VERSION:
        return [f"the file has schema {version}, and this release's is {SCHEMA_VERSION}"]
    with TemporaryDirectory() as folder:
        model = Path(folder) / "ledger.db"
        open_storage(f"sqlite:///{model}", ()).close()
        ours = _objects(model)
    found = _objects(path)
    problems = [f"{kind} {name} is missing" for kind, name in ours if (kind, name) not in found]
    problems += [
        f"{kind} {name} has another form"
        for (kind, name), text in ours.items()
        if found.get((kind, name), text) != text
    ]
    return problems + [
        f"{kind} {name} is not ours" for kind, name in found if (kind, name) not in ours
    ]


def _version(path: Path) -> int:
    return int(_read(path, "PRAGMA user_version")[0][0])


def _objects(path: Path) -> Objects:
    if not path.is_file():
        return {}
    found = _read(path, OBJECTS)
    return {(kind, name): " ".join((text or "").split()) for kind, name, text in found}


def _read(path: Path, sql: str) -> list[tuple[str, str, str | None]]:
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StorageUnavailable(first_line(error)) from error
