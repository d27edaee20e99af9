"""A command to the ledger from the command line, and what became of it."""

from typing import TYPE_CHECKING

from adapters.cli.opening import opened
from adapters.cli.output import Failed, print_json, print_text, words

if TYPE_CHECKING:
    from adapters.ledger.batch import Command
    from adapters.ledger.registering import CommandAnswer
    from adapters.storage.access import Operation


def command(wanted: "Command", as_json: bool, operation: "Operation | None" = None) -> None:
    """Do it, log who did where it wants an operator's right, and print what became of it.

    A running server is no hindrance. Raises `Failed` where the order does not allow it.
    """
    from adapters.cli.orders import require_an_id
    from adapters.ledger.registering import CommandAnswer
    from domain.registration import Refused, Resolution, Unknown

    with opened() as service:
        (receipt,) = service.ledger.execute([wanted])
        if isinstance(receipt, Unknown) and isinstance(wanted, Resolution):
            require_an_id(wanted.store, wanted.order_id)
        if isinstance(receipt, Refused):
            raise Failed(str(receipt))
        if operation is not None:
            service.operators.append(operation)
    answer = CommandAnswer.of(receipt)
    if as_json:
        print_json(answer)
    else:
        print_text(_in_words(answer))


def _in_words(answer: "CommandAnswer") -> str:
    review = f", under review ({words(answer.review)})" if answer.review else ""
    return (
        f"{answer.outcome} at {answer.position}; order {answer.order_id} of store {answer.store} "
        f"is {answer.order_status}{review}"
    )
