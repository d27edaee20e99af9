"""`order-ledger demo`: an order's life on a server of its own, over real HTTP, in seconds."""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from adapters.cli.output import Failed, print_blank, print_text
from adapters.cli.send import Answer, post
from adapters.cli.timeline import print_timeline

if TYPE_CHECKING:
    import httpx

    from adapters.providers import Provider

ORDER_ID = "demo-1"
START_SECONDS = 20
STOP_SECONDS = 15
POLL_SECONDS = 0.02
PROJECT = Path(__file__).resolve().parents[2]
PREFIX = "ORDER_LEDGER_"


def demo() -> None:
    """Watch an order's life on a server of its own.

    It sends five webhooks over real HTTP and shows what the ledger remembers. The server listens
    on a free port, keeps its ledger in a temporary folder, reads no configuration, and leaves
    nothing behind.
    """
    import httpx

    from adapters.providers import Secret
    from adapters.providers.sevi import Sevi

    token, api_token = secrets.token_urlsafe(), secrets.token_urlsafe()
    sevi = Sevi("sevi", "default", [Secret("demo", token)])
    stranger = Sevi("sevi", "default", [Secret("stranger", secrets.token_urlsafe())])
    with (
        _stopped_like_ctrl_c(),
        TemporaryDirectory(prefix="order-ledger-demo-") as folder,
        _server(Path(folder), token, api_token) as url,
        httpx.Client(trust_env=False) as client,
    ):
        print_text(f"A server listens on {url}, its ledger is in {folder}.")
        print_text("Webhooks come in, and it answers:")
        print_blank()
        last = _send_all(url, sevi, stranger, client)
        print_blank()
        _print_order(url, api_token, last, client)
    print_blank()
    print_text("The server is stopped, its folder removed. Start your own: order-ledger serve")


def _send_all(url: str, sevi: "Provider", stranger: "Provider", client: "httpx.Client") -> str:
    """Send the five webhooks, each answer a line; returns the last position."""
    now = datetime.now(UTC)
    pending, paid, other = (
        sevi.sample(order_id, status, now)
        for order_id, status in ((ORDER_ID, "PENDING"), (ORDER_ID, "PAID"), ("demo-2", "PAID"))
    )
    steps = [
        ("PENDING", sevi, pending),
        ("PAID", sevi, paid),
        ("the same PAID again", sevi, paid),
        ("a PAID with a token that is not ours", stranger, other),
        ("a PENDING that comes too late", sevi, pending + b"\n"),  # other bytes: news, no duplicate
    ]
    answers: list[Answer] = []
    for number, (what, sender, body) in enumerate(steps, 1):
        answers.append(post(url, sender, body, client))
        print_text(f"{number}. {what}", indent=2)
        print_text(answers[-1].in_words(), indent=5)
    position: str = json.loads(answers[-1].body)["position"]
    return position


def _print_order(url: str, api_token: str, position: str, client: "httpx.Client") -> None:
    from adapters.queries.queries import HistoryView, OrderView

    def get(path: str) -> bytes:
        headers = {"Authorization": f"Bearer {api_token}"}
        answer = client.get(f"{url}{path}", params={"min_position": position}, headers=headers)
        return answer.raise_for_status().content

    order = OrderView.model_validate_json(get(f"/orders/{ORDER_ID}"))
    history = HistoryView.model_validate_json(get(f"/orders/{ORDER_ID}/history"))
    print_timeline(order, history)


@contextmanager
def _server(folder: Path, token: str, api_token: str) -> Iterator[str]:
    """A server in a process of its own; yields its URL, and stops it gracefully."""
    kept = {key: value for key, value in os.environ.items() if not _configures(key)}
    configuration = {
        "ORDER_LEDGER_API_TOKENS": json.dumps([api_token]),
        "ORDER_LEDGER_PROVIDERS__SEVI__TOKENS": json.dumps([token]),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(PROJECT), os.environ.get("PYTHONPATH")])),
    }
    said, errors = folder / "stdout", folder / "stderr"
    with said.open("wb") as out, errors.open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "adapters.cli", "serve", "--port", "0"],
            cwd=folder,  # where no order-ledger.toml is
            env=kept | configuration,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,  # Ctrl-C comes to us alone, and we stop it
        )
    try:
        yield _url(process, said, errors)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _configures(variable: str) -> bool:
    return variable.upper().startswith(PREFIX)


def _url(process: "subprocess.Popen[bytes]", said: Path, errors: Path) -> str:
    deadline = monotonic() + START_SECONDS
    while monotonic() < deadline:
        if match := re.search(r"listens on (http://\S+),", said.read_text()):
            return match[1]
        if process.poll() is not None:
            break
        sleep(POLL_SECONDS)
    last = errors.read_text().strip().rpartition("\n")[2] or "it says nothing"
    raise Failed(f"the demo's server did not start: {last}")


@contextmanager
def _stopped_like_ctrl_c() -> Iterator[None]:
    """Let a request to end, or a terminal that closes, clean up as Ctrl-C does."""

    def interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {name: signal.signal(getattr(signal, name), interrupt) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)
