"""How pages are drawn: Jinja2 templates that escape everything, and the filters that they use."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from adapters.http.console.context import FLASH_COOKIE, FORM_SECRET, PATH, Console, Visit
from adapters.http.console.live import Live
from adapters.http.console.navigation import places
from adapters.http.console.static import STATIC
from adapters.http.console.tables import labelled
from adapters.http.headers import is_secure
from domain.money import minor_digits

FLASH_SECONDS = 60
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",  # without any, a browser calls the origin of a form "null"
}

Value = str | int | None


class Pages:
    """Draws pages, keeps parts of them fresh, and leads from a form to the page that shows what it
    did."""

    def __init__(self, console: Console) -> None:
        self.live = Live(console)
        self._console = console
        self._templates = _environment()

    def show(self, visit: Visit, template: str, status: int = 200, **values: Any) -> Response:
        """A page for somebody who is signed in, with what the last form said, once."""
        request = visit.request
        told = self._console.box.opened("flash", request.cookies.get(FLASH_COOKIE))
        values |= {
            "visit": visit,
            "places": places(visit),
            "form_secret": visit.session.form_secret,
            "flash": told,
        }
        response = self.draw(request, template, status, **values)
        if told is not None:
            response.delete_cookie(FLASH_COOKIE, path=PATH)
        return response

    def part(self, visit: Visit, template: str, **values: Any) -> str:
        """A part of a page, which its script puts in the place of an older one."""
        form_secret = visit.session.form_secret
        return self._drawn(visit.request, template, visit=visit, form_secret=form_secret, **values)

    def draw(self, request: Request, template: str, status: int = 200, **values: Any) -> Response:
        """A page for anybody."""
        return HTMLResponse(self._drawn(request, template, **values), status, HEADERS)

    def _drawn(self, request: Request, template: str, **values: Any) -> str:
        path = request.scope["root_path"] + request.scope["path"].removeprefix(
            request.scope["root_path"]
        )
        return self._templates.get_template(template).render(path=path, **values)

    def lead_to(
        self, visit: Visit, url: str, said: str = "", *, is_problem: bool = False
    ) -> Response:
        """The answer to a form: the browser asks for the page anew, which tells what was done."""
        response = RedirectResponse(url, 303, HEADERS)
        if said:
            sealed = self._console.box.seal("flash", {"said": said, "is_problem": is_problem})
            response.set_cookie(
                FLASH_COOKIE,
                sealed,
                max_age=FLASH_SECONDS,
                path=PATH,
                secure=is_secure(visit.request, self._console.door.trusted_proxies),
                httponly=True,
                samesite="strict",
            )
        return response


def url_of(page: str, /, **asked: Value | list[str]) -> str:
    """The address of a page of the console, with what is asked of it; what is empty is left out.

    `from_` stands for the parameter `from`.
    """
    query = [
        (name.rstrip("_"), value)
        for name, told in asked.items()
        for value in (told if isinstance(told, list) else [told])
        if value not in (None, "")
    ]
    return f"{PATH}{page}" + (f"?{urlencode(query)}" if query else "")


def changed(request: Request, page: str = "", /, **changes: Value) -> str:
    """The address of the page that is shown, or of another one, with what is asked of this one;
    None takes a parameter out."""
    asked = dict(request.query_params.multi_items())
    here = request.scope["path"].removeprefix(request.scope["root_path"])
    return url_of(page or here, **{**asked, **changes})


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS
    environment.globals |= {
        "url": url_of,
        "changed": changed,
        "static": {name: file.url for name, file in STATIC.items()},
        "FORM_SECRET": FORM_SECRET,
    }
    return environment


# ---------------------------------------------------------------------------------------- filters


def time(at: datetime | None, seconds: bool = True) -> Markup:
    """A time in UTC; the page's script writes the reader's local time beside it."""
    if at is None:
        return NOTHING
    at = at.astimezone(UTC)
    shown = f"{at:%Y-%m-%d %H:%M:%S}" if seconds else f"{at:%Y-%m-%d %H:%M}"
    told = at.isoformat().replace("+00:00", "Z")
    return Markup('<time datetime="{}" title="{}">{} UTC</time>').format(told, told, shown)


def money(amount: str | Decimal | None, currency: str | None = None) -> Markup:
    """An amount with at least its currency's minor digits and its thousands apart."""
    if amount is None:
        return NOTHING
    try:
        number = Decimal(amount)
    except InvalidOperation:
        return Markup("{}").format(amount)
    told = -int(number.as_tuple().exponent)
    digits = max(told, minor_digits(currency), 0)
    shown = f"{number:,.{digits}f}"  # never fewer digits than were told, so nothing is rounded
    return Markup('<span class="money">{}</span>').format(" ".join(filter(None, (shown, currency))))


def words(text: str | None) -> str | Markup:
    """`wrong_currency` as people write it."""
    return NOTHING if text is None else text.replace("_", " ")


def number(count: int | None) -> str | Markup:
    """A number with its thousands apart."""
    return NOTHING if count is None else f"{count:,}"


def span(seconds: int | None) -> str | Markup:
    """A length of time as people say it, in its two largest units."""
    if seconds is None:
        return NOTHING
    parts = []
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def size(count: int | None) -> str | Markup:
    """A number of bytes, in the unit that fits."""
    if count is None:
        return NOTHING
    for unit, length in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= length:
            return f"{count / length:,.1f} {unit}"
    return f"{count} bytes"


def short(digest: str | None) -> Markup:
    """The beginning of a digest, the whole of it on demand."""
    if digest is None:
        return NOTHING
    return Markup('<code title="{}">{}</code>').format(digest, digest[:12])


def or_nothing(value: Any) -> Any:
    """A value, or a dash where there is none."""
    return NOTHING if value in (None, "", []) else value


NOTHING = Markup('<span class="nothing">&ndash;</span>')
FILTERS: Mapping[str, Callable[..., Any]] = {
    "time": time,
    "money": money,
    "words": words,
    "number": number,
    "span": span,
    "size": size,
    "short": short,
    "or_nothing": or_nothing,
    "labelled": labelled,
}
