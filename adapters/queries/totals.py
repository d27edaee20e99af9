"""What came in and went back: the totals of the read model `money`, as people ask for them."""

import csv
import io
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from pydantic import BaseModel

from adapters.queries.exports import harmless
from adapters.storage.views import Reader, Views
from domain.money import amount_text, exact_amount
from projections.totals import PAYMENTS, STATED, Counted, Total, total

COLUMNS = ("day", "provider", "currency", "status", "amount")


class TotalView(BaseModel):
    """What moved on a day (UTC) by a provider, in a currency, with a status. The amount is a
    decimal string in major units; `unknown` of the `payments` told none."""

    day: date
    provider: str
    currency: str | None
    status: str
    payments: int
    amount: str
    unknown: int


class TotalList(BaseModel):
    """Totals in the order of day, provider, currency and status."""

    items: list[TotalView]


def totals(
    views: Views, since: date | None, until: date | None, store: str | None = None
) -> TotalList:
    """The totals of days, from the first to the one before `until`."""
    where, params = ["1 = 1"], []
    for condition, value in (
        ('"day" >= ?', since.isoformat() if since else None),
        ('"day" < ?', until.isoformat() if until else None),
        ('"store" = ?', store),
    ):
        if value is not None:
            where.append(condition)
            params.append(value)
    clauses = f"WHERE {' AND '.join(where)}"

    def ask(reader: Reader) -> list[Counted]:
        counted = reader.count(PAYMENTS, COLUMNS, clauses, params)
        counted += reader.count(STATED, COLUMNS, f'{clauses} AND "counts" = 1', params)
        return [
            (*group, None if amount is None else Decimal(amount), times)
            for *group, amount, times in counted
        ]

    return TotalList(items=[_view(each) for each in total(views.read(ask))])


def csv_lines(listed: TotalList) -> Iterator[str]:
    """Totals as CSV (RFC 4180) with a header line."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(TotalView.model_fields)
    for item in listed.items:
        writer.writerow([harmless(value) for value in item.model_dump(mode="json").values()])
    yield buffer.getvalue()


def _view(each: Total) -> TotalView:
    amount = amount_text(_shown(each.amount, each.currency))
    return TotalView(**each._asdict() | {"amount": amount})


def _shown(amount: Decimal, currency: str | None) -> Decimal:
    """The amount with its currency's minor digits, unless the sum is longer than any amount."""
    try:
        return exact_amount(amount, currency)
    except ValueError:
        return amount
