"""What a search form asks: its fields, read as people fill them in."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, TypeVar

from fastapi import Request
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
)
from starlette.exceptions import HTTPException

from adapters.bounds import ID_MAX, in_calendar
from adapters.http.api import plain
from adapters.wrong_input import said

PAGE_SIZE = 50
ERASE_WORD = "erase"  # that a person types, since it cannot be undone
SURE = f"type {ERASE_WORD} to say that you are sure"
Asked = TypeVar("Asked", bound=BaseModel)

Name = Annotated[str, Field(max_length=255), AfterValidator(plain)]
After = Annotated[str, Field(max_length=8192)]
Row = Annotated[int, Field(ge=1, le=ID_MAX)]  # the number of a row, where a page ended
Day = Annotated[date, Field(lt=date.max)]  # there has to be one after it


def _instant(value: object) -> object:
    """A time as a browser's field or a person writes it; without a zone it is UTC, and without a
    fraction it is the whole second."""
    if isinstance(value, str):
        try:
            told = datetime.fromisoformat(value.strip().replace(" UTC", "+00:00"))
        except ValueError:
            raise ValueError("a time is wanted, such as 2026-01-05 07:30, in UTC") from None
        if "." not in value:
            told = told.replace(microsecond=999_999)
        return told if told.tzinfo else told.replace(tzinfo=UTC)
    return value


def _not_before(until: Any, told: ValidationInfo) -> Any:
    since = told.data.get("since")
    if since is not None and until is not None and until < since:
        raise ValueError("it is before from, so that nothing lies between them")
    return until


# The end of a search in time, whose beginning is the field `since` before it.
NotBefore = AfterValidator(_not_before)
Instant = Annotated[datetime, BeforeValidator(_instant), AfterValidator(in_calendar)]


class RowsAsked(BaseModel):
    """What a list asks that has no form: where the page before ended."""

    after: Row | None = None


def midnight(day: date) -> datetime:
    """When a day begins, in UTC."""
    return datetime.combine(day, time(), UTC)


def after_midnight(day: date) -> datetime:
    """When a day has ended, in UTC."""
    return midnight(day) + timedelta(days=1)


def asked(kind: type[Asked], request: Request) -> tuple[Asked, str]:
    """What the fields of a search form ask, and what is wrong with them, or nothing: then all is
    asked for that has no fault. Fields that are left empty ask for nothing."""
    given = {name: text.strip() for name, text in request.query_params.items()}
    given = {name: text for name, text in given.items() if text}
    try:
        return kind.model_validate(given), ""
    except ValidationError as error:
        faults = error.errors()
    problems = []
    for fault in faults:
        name = str(fault["loc"][0])
        problems.append(f"{name}: {said(fault)}")
        given.pop(name, None)
    return kind.model_validate(given), "; ".join(problems)


def asked_or_refused(kind: type[Asked], request: Request) -> Asked:
    """The same for a file, which cannot say what was left out: a fault is 422."""
    told, problem = asked(kind, request)
    if problem:
        raise HTTPException(422, problem)
    return told
