"""What a reconciliation found, in the form that people and programs see."""

from collections.abc import Iterable

from pydantic import BaseModel

from adapters.imports.reconciling import Finding, Sort
from domain.money import amount_text
from domain.payment import Outcome, PaymentStatus

FINDINGS_MAX = 10_000


class DifferenceView(BaseModel):
    """One thing that the statement says otherwise than the ledger."""

    what: str
    theirs: str
    ours: str | None


class FindingView(BaseModel):
    """An entry of the statement that does not agree with the ledger. `line` counts from 1.

    What was brought in has an `outcome`, and its order's status by now; `settled` says whether both
    agree by now.
    """

    sort: Sort
    line: int
    store: str | None
    order_id: str | None
    status: PaymentStatus | None
    amount: str | None
    currency: str | None
    payment_ref: str | None
    differences: list[DifferenceView]
    reason: str | None
    outcome: Outcome | None
    order_status: str | None
    settled: bool


class ReconciliationView(BaseModel):
    """How many entries of the statement are what to the ledger, and those that do not agree: the
    first 10,000, `more` counts the others. `unsettled` counts all that still does not agree."""

    provider: str
    applied: bool
    entries: dict[Sort, int]
    findings: list[FindingView]
    more: int
    unsettled: int


def finding_view(finding: Finding) -> FindingView:
    """A finding as it is shown."""
    notice = finding.notice
    payment = notice.payment if notice else None
    amount = notice.amount if notice else None
    if amount is None and payment is not None:
        amount = payment.amount
    return FindingView(
        sort=finding.sort,
        line=finding.line,
        store=notice.store if notice else None,
        order_id=notice.order_id if notice else None,
        status=notice.status if notice else None,
        amount=amount_text(amount) if amount is not None else None,
        currency=notice.currency if notice else None,
        payment_ref=payment.ref if payment else None,
        differences=[DifferenceView(**one._asdict()) for one in finding.differences],
        reason=finding.reason,
        outcome=finding.outcome,
        order_status=finding.order_status,
        settled=finding.is_settled,
    )


class Report:
    """Findings as they come, of which memory keeps a bounded number."""

    def __init__(self) -> None:
        self._shown: list[FindingView] = []
        self._more = 0
        self._unsettled = 0

    @property
    def count(self) -> int:
        """How many there were so far."""
        return len(self._shown) + self._more

    def take(self, findings: Iterable[Finding]) -> None:
        """Take in findings as they are made."""
        for finding in findings:
            self._unsettled += not finding.is_settled
            if len(self._shown) < FINDINGS_MAX:
                self._shown.append(finding_view(finding))
            else:
                self._more += 1

    def view(self, provider: str, entries: dict[Sort, int], *, applied: bool) -> ReconciliationView:
        """All of it."""
        return ReconciliationView(
            provider=provider,
            applied=applied,
            entries={sort: entries.get(sort, 0) for sort in Sort},
            findings=self._shown,
            more=self._more,
            unsettled=self._unsettled,
        )
