"""The bounds of what may be asked: the numbers and times that can be held and counted with."""

from datetime import UTC, datetime

ID_MAX = 2**63 - 1  # that a database can hold
TIME_MIN = datetime.min.replace(tzinfo=UTC)
TIME_MAX = datetime.max.replace(tzinfo=UTC)  # itself excluded: there has to be a moment after


def in_calendar(time: datetime) -> datetime:
    """An aware time, if the calendar has it in UTC too, and a moment after it: at its edges that
    depends on the zone. Raises `ValueError`."""
    if not TIME_MIN <= time < TIME_MAX:
        raise ValueError("a time between the years 1 and 9999 in UTC is wanted")
    return time
