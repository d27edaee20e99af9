"""The database URLs that the configuration takes, read without opening anything."""

from pathlib import Path
from urllib.parse import urlsplit

SQLITE = "sqlite:///"
POSTGRES = ("postgresql://", "postgres://")


def is_sqlite(url: str) -> bool:
    """Whether the ledger is a file."""
    return url.startswith(SQLITE)


def sqlite_path(url: str) -> Path:
    """The file that an SQLite URL names: `sqlite:///relative` or `sqlite:////absolute`."""
    return Path(url.removeprefix(SQLITE))


def shown(url: str) -> str:
    """The URL as people may see it: without a password, and without what else is in the query."""
    if is_sqlite(url):
        return url
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
