"""Fields of untrusted JSON by their paths: objects, words, ids, times, amounts in minor units."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from adapters.providers.base import JSON, Unreadable
from adapters.providers.reading import Number, amount_at, currency_at, id_at, object_at, word_at
from domain.money import AmountError, exact_amount, minor_digits

MINOR_LENGTH_MAX = 24
YEAR_MIN, YEAR_MAX = 2000, 9998
_WHOLE = re.compile(r"-?\d+", re.ASCII)
_SECONDS = re.compile(r"\d{1,11}", re.ASCII)
_MILLISECONDS = re.compile(r"\d{1,14}", re.ASCII)
_ISO = re.compile(
    r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:?\d{2})?", re.ASCII
)
EAST_AFRICA = timezone(timedelta(hours=3))


def child(parent: JSON, *keys: str) -> JSON:
    """The object at the end of a path. Raises `Unreadable` where it is null, missing or none."""
    for depth, key in enumerate(keys):
        found = object_at(parent, key)
        if found is None:
            raise Unreadable(f"{'.'.join(keys[: depth + 1])}: missing")
        parent = found
    return parent


def maybe(parent: JSON, key: str) -> JSON:
    """The object under a key; an empty one where there is none. Some providers write 0 or a text
    where they have no object to show."""
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def lookup(data: JSON, path: str) -> tuple[JSON, str]:
    """The parent of a dotted path's last key, and that key; an empty parent where the path ends
    early. A step that is a number counts into a list."""
    *steps, last = path.split(".")
    value: Any = data
    for step in [*steps, last][:-1]:
        value = _step(value, step)
    if isinstance(value, list):
        return ({last: found} if (found := _step(value, last)) is not None else {}), last
    return (value if isinstance(value, dict) else {}), last


def _step(value: Any, step: str) -> Any:
    if isinstance(value, dict):
        return value.get(step)
    if isinstance(value, list) and step.isascii() and step.isdigit() and len(step) < 4:
        index = int(step)
        return value[index] if index < len(value) else None
    return None


def text_at(parent: JSON, key: str) -> str | None:
    """An id or reference as `id_at` has it; None also where it is an empty text."""
    return None if parent.get(key) == "" else id_at(parent, key)


def customer_at(parent: JSON, *keys: str) -> str | None:
    """The provider's name for a customer, at the end of a path. One that cannot be read is none: it
    must not cost the shop its payment news."""
    for key in keys[:-1]:
        parent = maybe(parent, key)
    try:
        named = text_at(parent, keys[-1])
    except Unreadable:
        return None
    return None if named == "0" else named  # as a guest is called


def required_id(parent: JSON, key: str, what: str = "missing") -> str:
    """An id that has to be there."""
    value = text_at(parent, key)
    if value is None:
        raise Unreadable(f"{key}: {what}")
    return value


def references_of(*named: str | None) -> tuple[str, ...]:
    """References that are there, each once."""
    return tuple(dict.fromkeys(name for name in named if name is not None))


def scalar_word(parent: JSON, key: str) -> str:
    """A word, or a whole number or boolean as its word: `"0"` for 0, `"true"` for true."""
    value = parent.get(key)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Number) and value.isdigit():
        return word_at({key: str(value)}, key)
    return word_at(parent, key)


# --------------------------------------------------------------------------------------- amounts


@dataclass(frozen=True)
class MinorUnits:
    """How many digits a provider's whole-number amounts have after the point: ISO 4217, unless the
    provider says otherwise for a currency, or for all."""

    exceptions: Mapping[str, int] = field(default_factory=dict)
    digits: int | None = None

    def digits_of(self, currency: str) -> int:
        """The digits of one currency."""
        default = minor_digits(currency) if self.digits is None else self.digits
        return self.exceptions.get(currency, default)

    def amount(self, parent: JSON, key: str, currency: str | None) -> Decimal | None:
        """The exact amount in major units; None where it is null or missing."""
        value = parent.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > MINOR_LENGTH_MAX:
            raise Unreadable(f"{key}: not an amount in minor units")
        if not _WHOLE.fullmatch(value):
            raise Unreadable(f"{key}: not a whole number of minor units")
        if currency is None:
            raise Unreadable(f"{key}: minor units without a currency")
        try:
            return exact_amount(Decimal(value).scaleb(-self.digits_of(currency)), currency)
        except AmountError as error:
            raise Unreadable(f"{key}: {error}") from None


ISO_4217 = MinorUnits()


def upper_currency(parent: JSON, key: str) -> str | None:
    """A currency that the provider writes in small letters."""
    value = parent.get(key)
    if type(value) is str and re.fullmatch("[a-z]{3}", value):
        return value.upper()
    return currency_at(parent, key)


def major(parent: JSON, key: str, currency: str | None) -> Decimal | None:
    """An amount in major units; None where missing, null or an empty text."""
    return None if parent.get(key) == "" else amount_at(parent, key, currency)


# ----------------------------------------------------------------------------------------- times


def unix_at(parent: JSON, key: str) -> datetime | None:
    """A time in whole seconds since 1970 UTC."""
    return _from_epoch(parent.get(key), key, _SECONDS, 1)


def unix_milliseconds_at(parent: JSON, key: str) -> datetime | None:
    """A time in milliseconds since 1970 UTC."""
    return _from_epoch(parent.get(key), key, _MILLISECONDS, 1000)


def _from_epoch(value: Any, key: str, shape: re.Pattern[str], per_second: int) -> datetime | None:
    if value is None:
        return None
    if not isinstance(value, str) or not shape.fullmatch(value):
        raise Unreadable(f"{key}: not a time since 1970")
    seconds, rest = divmod(int(value), per_second)
    try:
        at = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise Unreadable(f"{key}: no time that a calendar has") from None
    return at + timedelta(microseconds=rest * 1_000_000 // per_second)


def iso_at(parent: JSON, key: str) -> datetime | None:
    """A time of ISO 8601, in UTC; one without a zone is taken as UTC."""
    value = parent.get(key)
    if value is None or value == "":
        return None
    if type(value) is not str or not _ISO.fullmatch(value):
        raise Unreadable(f"{key}: not a time of ISO 8601")
    whole, point, rest = value.partition(".")
    if point:  # a fraction of any length, of which microseconds are kept
        digits = re.match(r"\d+", rest)
        assert digits is not None
        value = f"{whole}.{digits[0][:6].ljust(6, '0')}{rest[digits.end() :]}"
    try:
        at = datetime.fromisoformat(value)
        _plausible(at, key)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except ValueError:
        raise Unreadable(f"{key}: no time that a calendar has") from None


def compact_at(parent: JSON, key: str) -> datetime | None:
    """A time such as 20260105103000, told in East Africa's zone (UTC+3)."""
    value = parent.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not re.fullmatch(r"\d{14}", value, re.ASCII):
        raise Unreadable(f"{key}: not a time of 14 digits")
    try:
        at = datetime.strptime(value, "%Y%m%d%H%M%S").replace(tzinfo=EAST_AFRICA)
        _plausible(at, key)
    except ValueError:
        raise Unreadable(f"{key}: no time that a calendar has") from None
    return at.astimezone(UTC)


def _plausible(at: datetime, key: str) -> None:
    """At the calendar's edges another zone has no such time any more."""
    if not YEAR_MIN <= at.year <= YEAR_MAX:
        raise Unreadable(f"{key}: no time of these centuries")
