"""The service as it would be without sealing anything of a person, to compare protection with.

No product has this. Bodies are stored as they came, events have no digest and no private field, and
orders no key; everything else is the service's own.
"""

from collections.abc import Sequence

from adapters.cli.main import main
from adapters.ledger.protecting import Protection
from adapters.vault.keys import OrderKey
from adapters.vault.sealing import ToSeal
from adapters.vault.vault import Vault
from domain.payment import PaymentNotice

KEY = OrderKey.new()


def bodies_as_they_came(_: Vault, bodies: Sequence[ToSeal]) -> list[bytes]:
    return [each.body for each in bodies]


def no_digest(_: Protection, notice: PaymentNotice, *__: object) -> None:
    notice.body_digest = notice.private = notice.customer = None
    notice.hidden_references = ()


def no_key(*_: object) -> None:
    """An order without a key of its own."""


def one_key(*_: object) -> OrderKey:
    return KEY


if __name__ == "__main__":
    Vault.seal = bodies_as_they_came  # type: ignore[method-assign,assignment]
    Protection.protect = no_digest  # type: ignore[method-assign,assignment]
    Protection._store = no_key  # type: ignore[method-assign,assignment]
    OrderKey.new = one_key  # type: ignore[method-assign,assignment]
    main()
