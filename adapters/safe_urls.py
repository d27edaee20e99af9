"""URLs that the service itself sends to."""

from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

EXAMPLE = "https://shop.example.com/ledger"


def safe_url(text: str) -> str:
    """A URL to send to: https, or plain to this machine. Raises `ValueError`, which repeats nothing
    of it."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"write a URL, as {EXAMPLE}") from None
    if parts.scheme not in ("http", "https") or not host or not text.isascii() or " " in text:
        raise ValueError(f"write a URL, as {EXAMPLE}")
    if parts.scheme == "http" and not _is_loopback(host):
        raise ValueError("use https; plain http is for this machine only")
    return text


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


SafeURL = Annotated[str, AfterValidator(safe_url)]
