"""The database URLs that the configuration takes, read without opening anything."""

from pathlib import Path
from urllib.parse import urlsplit

SQLITE = "sqlite:///"
POSTGRES = ("postgresql://", "postgres://")
LOOPBACK = ("127.0.0.1", "::1", "localhost")


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


def is_safe(url: str) -> bool:
    """Whether what is sent to this web address is encrypted on its way, or does not leave the
    machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    is_local = parts.scheme == "http" and parts.hostname in LOOPBACK
    return bool(parts.hostname) and (parts.scheme == "https" or is_local)
