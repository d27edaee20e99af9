"""What a shop says to register an order, read from its words; and the answer to commands."""

from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

from adapters.ledger.batch import Receipt
from domain.events import Verdict
from domain.log import split_stream
from domain.money import exact_amount, registrable
from domain.payment import Outcome
from domain.registration import Placement

REFERENCES_MAX = 20
NAME_MAX = 255
VERDICTS = {"accept": Verdict.ACCEPTED, "reject": Verdict.REJECTED}


def plain(text: str) -> str:
    """The text, which is a name. Raises `ValueError` for control characters, and for what UTF-8
    cannot hold."""
    if any(character < " " or character == "\x7f" for character in text):
        raise ValueError("no name has control characters")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("a text in UTF-8 is wanted") from None
    return text


def amount_of(text: object) -> Decimal:
    """An amount in major units, from its text: a JSON number has lost digits by the time that it is
    read. Raises `ValueError`."""
    if not isinstance(text, str) or not text.isascii() or len(text) > 2 * NAME_MAX:
        raise ValueError('write the amount as a text, such as "902.10"')
    try:
        amount = exact_amount(Decimal(text), None)
    except InvalidOperation:
        raise ValueError('an amount is a decimal number, such as "902.10"') from None
    if amount == 0:
        raise ValueError("an order's amount is more than 0")
    return amount


Text = Annotated[str, Field(min_length=1, max_length=NAME_MAX), AfterValidator(plain)]
Amount = Annotated[Decimal, BeforeValidator(amount_of), Field(json_schema_extra={"type": "string"})]


class Terms(BaseModel):
    """What is to be paid for an order, and the names that it goes by besides its id. The amount is
    a text, in major units of the currency (ISO 4217)."""

    model_config = ConfigDict(extra="forbid")

    amount: Amount
    currency: str = Field(pattern="^[A-Z]{3}$")
    references: tuple[Text, ...] = Field((), max_length=REFERENCES_MAX)

    @field_validator("currency")
    @classmethod
    def _payable(cls, currency: str, told: ValidationInfo) -> str:
        if "amount" in told.data:  # else that is the problem
            registrable(told.data["amount"], currency)
        return currency

    def placement(self, store: str, order_id: str, tolerance: Decimal, by: str) -> Placement:
        """The wish to register an order on these terms."""
        return Placement(
            store=store,
            order_id=order_id,
            amount=exact_amount(self.amount, self.currency),
            currency=self.currency,
            references=self.references,
            tolerance=tolerance,
            by=by,
        )


class Decision(BaseModel):
    """What a person decides about an order's open review, and why."""

    model_config = ConfigDict(extra="forbid")

    decision: Literal["accept", "reject"]
    reason: Text


class CommandAnswer(BaseModel):
    """What became of a command, once it is on disk: `unchanged` where it said nothing new.
    `position` is that of the last event that it appended, or the order's last."""

    outcome: Literal["recorded", "unchanged"]
    order_id: str
    store: str
    order_status: str
    review: str | None
    position: str | None

    @classmethod
    def of(cls, receipt: Receipt) -> Self:
        """The answer that a receipt gives."""
        order = receipt.order
        assert order is not None
        store, order_id = split_stream(order.id)
        return cls(
            outcome="recorded" if receipt.outcome is Outcome.RECORDED else "unchanged",
            order_id=order_id,
            store=store,
            order_status=order.status.value,
            review=order.review.value if order.review else None,
            position=str(receipt.position) if receipt.position else None,
        )
