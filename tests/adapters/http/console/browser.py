"""A browser without a screen: it keeps cookies, finds forms on pages and sends them."""

import re
from html import unescape
from types import TracebackType
from typing import Any, Self

import httpx

from tests.adapters.http.local import API_TOKEN, LocalService


class Browser:
    """Somebody who looks at the console of a service, through its application."""

    def __init__(self, local: LocalService) -> None:
        self.local = local
        transport = httpx.ASGITransport(local.app, raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://ledger")
        self.page: httpx.Response

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.local.run(self.http.aclose())

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Open a page; a redirect is not followed."""
        self.page = self.local.run(self.http.get(path, headers=headers))
        return self.page

    def head(self, path: str) -> httpx.Response:
        """Ask for the head of a page alone; the page that is open stays open."""
        return self.local.run(self.http.head(path))

    def post(self, path: str, **fields: str) -> httpx.Response:
        """Send fields as a form does; a redirect is not followed."""
        self.page = self.local.run(self.http.post(path, data=fields))
        return self.page

    def open(self, path: str) -> str:
        """Open a page that has to be there; returns its HTML."""
        self.get(path)
        while self.page.is_redirect:
            self.get(self.page.headers["location"])
        assert self.page.status_code == 200, self.page.text
        assert self.page.headers["content-type"] == "text/html; charset=utf-8"
        return self.page.text

    def send(self, path: str, **fields: str) -> str:
        """Send a form with the secret that the page which is open has, and follow where it leads;
        returns the HTML."""
        self.post(path, form_secret=self.form_secret, **fields)
        assert self.page.status_code == 303, self.page.text
        return self.open(self.page.headers["location"])

    def sign_in(self, token: str = API_TOKEN) -> Self:
        """Sign in with a token that has to work."""
        self.open("/console/sign-in")
        self.post("/console/sign-in", token=token, form_secret=self.form_secret)
        assert self.page.status_code == 303, self.page.text
        self.get(self.page.headers["location"])
        return self

    @property
    def form_secret(self) -> str:
        """The secret in the forms of the page that is open."""
        found = re.search(r'name="form_secret" value="([^"]+)"', self.page.text)
        assert found is not None, "the page has no form"
        return unescape(found[1])


def parts_in(stream: str) -> list[str]:
    """The parts of a page that a stream of events brought."""
    data = (re.findall("^data: (.*)$", event, re.MULTILINE) for event in stream.split("\n\n"))
    return ["\n".join(lines) for lines in data if lines]


def text_of(html: str) -> str:
    """What a page says, without its markup."""
    bare = re.sub(r"<(script|style)\b.*?</\1>|<[^>]+>", " ", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(bare)).strip()


def headers_of(response: httpx.Response) -> dict[str, Any]:
    """The headers of an answer; each has to be there once."""
    names = [name for name, _ in response.headers.multi_items() if name != "set-cookie"]
    assert len(names) == len(set(names)), names
    return dict(response.headers)
