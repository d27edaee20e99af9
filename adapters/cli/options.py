"""What the commands have in common on the command line: their options, and how help ends."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, TypeVar

import typer

from adapters.bounds import ID_MAX, in_calendar

LIMIT_MAX = 1000  # as in the HTTP API
EXIT_CODES = "Exit codes: 0 done; 1 failed or not found; 2 wrong usage or configuration."


def group(about: str, epilog: str) -> typer.Typer:
    """A group of commands: its help is plain text, and comes also where no command is given."""
    return typer.Typer(
        help=about,
        epilog=epilog,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )


def ending(*examples: str) -> str:
    """The end of a help text: examples to copy, and the exit codes."""
    lines = ["\b", "Examples:", *(f"  order-ledger {example}" for example in examples)]
    return "\n".join([*lines, "", EXIT_CODES])


def instant(text: str) -> datetime:
    """An RFC 3339 time that names its zone."""
    try:
        time = datetime.fromisoformat(text.upper())
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise typer.BadParameter(
            "a time with its zone is wanted (RFC 3339), such as 2026-01-05T07:30:00Z"
        )
    try:
        return in_calendar(time)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def name(text: str) -> str:
    """An id, reference or other name: 1 to 255 characters that UTF-8 can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise typer.BadParameter("a text in UTF-8 is wanted") from None
    if not 1 <= len(text) <= 255:
        raise typer.BadParameter("a text of 1 to 255 characters is wanted")
    return text


def number(text: str) -> int:
    """A number that counts something: from 1 on."""
    digits = text if text.isascii() and text.isdigit() and len(text) <= 19 else "0"
    if not 1 <= int(digits) <= ID_MAX:
        raise typer.BadParameter("a whole number from 1 on is wanted")
    return int(digits)


Word = TypeVar("Word", bound=StrEnum)


def one_of(words: type[Word]) -> Callable[[str], Word]:
    """What reads one of these words, in capitals or not."""

    def read(text: str) -> Word:
        for word in words:
            if word.casefold() == text.casefold():
                return word
        raise typer.BadParameter(f"{text} is none of {', '.join(words)}")

    return read


AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON for programs instead of a table for people.")
]
Limit = Annotated[
    int, typer.Option("--limit", metavar="N", min=1, max=LIMIT_MAX, help="Show at most so many.")
]
After = Annotated[
    str | None,
    typer.Option(
        "--after", metavar="CURSOR", help="Go on where an earlier list ended (its `next`)."
    ),
]
AfterNumber = Annotated[
    int | None,
    typer.Option(
        "--after",
        metavar="CURSOR",
        parser=number,
        help="Go on where an earlier list ended (its `next`, a number).",
    ),
]
OrderName = Annotated[
    str,
    typer.Argument(
        metavar="ORDER_ID", parser=name, help="Its id, or a reference that is its alone."
    ),
]
OneStore = Annotated[
    str,
    typer.Option("--store", metavar="STORE", parser=name, help="The store that the order is of."),
]
AnyStore = Annotated[
    str | None,
    typer.Option("--store", metavar="STORE", parser=name, help="Only this store's."),
]
Since = Annotated[
    datetime | None,
    typer.Option(
        "--from", metavar="TIME", parser=instant, help="Recorded then or later (RFC 3339)."
    ),
]
Until = Annotated[
    datetime | None,
    typer.Option("--to", metavar="TIME", parser=instant, help="Recorded before (RFC 3339)."),
]
AsOf = Annotated[
    datetime | None,
    typer.Option(
        "--as-of",
        metavar="TIME",
        parser=instant,
        help="As the ledger knew it then (RFC 3339, with zone).",
    ),
]
OccurredBefore = Annotated[
    datetime | None,
    typer.Option(
        "--occurred-before",
        metavar="TIME",
        parser=instant,
        help="Only what had happened before, by the provider's clock; news that names no time had "
        "happened when it came in.",
    ),
]
OneProvider = Annotated[
    str | None, typer.Option("--provider", metavar="PROVIDER", parser=name, help="Only its.")
]
DeliveryId = Annotated[
    int, typer.Argument(metavar="ID", parser=number, help="The number that a list shows.")
]
Raw = Annotated[bool, typer.Option("--raw", help="Write nothing but the body's bytes, unchanged.")]
Why = Annotated[
    str | None,
    typer.Option("--reason", metavar="TEXT", parser=name, help="For the operators' log."),
]
WhyForEver = Annotated[
    str,
    typer.Option(
        "--reason",
        metavar="TEXT",
        parser=name,
        help="Why; it is kept for ever, so name nobody.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before.")]
