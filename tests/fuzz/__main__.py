"""Coverage-guided fuzzing of every provider: `python -m tests.fuzz [libFuzzer's options]`.

    .venv/bin/python -m tests.fuzz -max_total_time=600

The first byte of an input picks the provider, the second whether its rest is a body for a sender
who is let in, or a whole delivery of a stranger. Nothing but `Unreadable` may be raised, and no
stranger may be let in. A failing input is written to the working folder, as `crash-...`; give its
name as an argument to run it again.
"""

import sys
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory

import atheris

with atheris.instrument_imports(include=["adapters.providers", "domain.money"]):
    from adapters.providers import Ping, Refused, Request, Unreadable
    from adapters.providers.base import Ignored

from domain.payment import PaymentStatus
from tests.adapters.providers.tables import KINDS, NOON, configured, sample, secret_of

# Nobody guesses these, a fuzzer neither.
PROVIDERS = [configured(kind, secret_of(kind, token_hex())) for kind in KINDS]
HEADERS_MAX = 6


def fuzz(data: bytes) -> None:
    """One input."""
    if len(data) < 2:
        return
    number = data[0] % len(PROVIDERS)
    if data[1] % 2 == 0:
        read(number, data[2:])
    else:
        knock(number, data[2:])


def read(number: int, body: bytes) -> None:
    """What an authentic body says is read, ignored or unreadable."""
    request = Request([], body, NOON, query=b"order_id=1001")
    try:
        told = PROVIDERS[number].translate(request, "digest", "key")
    except Unreadable:
        return
    if isinstance(told, Ignored):
        return
    for notice in told:
        typed = notice.personal.references if notice.personal is not None else ()
        assert 1 <= len(notice.order_id or typed[0]) <= 255, "an order is named, or what was typed"
        assert 1 <= len(notice.raw_status) <= 255
        assert notice.amount is None or notice.amount >= 0


def knock(number: int, data: bytes) -> None:
    """A stranger's delivery: lines of `name: value`, an empty one, a body."""
    provider = PROVIDERS[number]
    head, _, body = data.partition(b"\n\n")
    lines = head.split(b"\n")[:HEADERS_MAX]
    headers = [
        (name.lower(), value.strip()) for name, _, value in (h.partition(b":") for h in lines)
    ]
    path = lines[0].decode("latin-1")
    request = Request(headers, body, NOON, path=path, query=head, client="127.0.0.1")
    verdict = provider.verify(request)
    if isinstance(verdict, Refused):
        assert provider.explain(request, verdict).detail
        return
    assert isinstance(verdict, Ping), "a stranger was let in"


def write_seeds(folder: Path) -> None:
    """Samples of every provider, as inputs of both kinds."""
    for number, kind in enumerate(KINDS):
        stranger = configured(kind, secret_of(kind, "stranger"))
        for status in PaymentStatus:
            request = sample(kind, stranger, status=status)
            head = b"\n".join(b"%s: %s" % header for header in request.headers)
            name = f"{kind}-{status}"
            (folder / f"{name}-read").write_bytes(bytes((number, 0)) + request.body)
            knocking = bytes((number, 1)) + head + b"\n\n" + request.body
            (folder / f"{name}-knock").write_bytes(knocking)


def main() -> None:
    """Fuzz until an option ends it, or run the inputs that are named."""
    is_named = any(not argument.startswith("-") for argument in sys.argv[1:])
    with TemporaryDirectory(prefix="order-ledger-fuzz-") as seeds:
        write_seeds(Path(seeds))
        atheris.Setup(sys.argv if is_named else [*sys.argv, seeds], fuzz)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
