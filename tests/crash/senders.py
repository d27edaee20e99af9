"""Providers that never rest: threads that post orders' news over HTTP and note each answer."""

import itertools
import json
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread

import httpx

from tests.crash.notebook import Delivery, Notebook

TOKEN = "crash-suite"
PROVIDER = "crash"
ANSWER_SECONDS = 30.0
PAUSE_SECONDS = 0.05  # after a failure, as a server that starts again needs a moment
AGAIN_THREADS = 8
AGAIN_SECONDS = 60.0

# What becomes of an order, as its provider tells it. The same word is the same bytes again.
STORIES = (
    ("PAID",),
    ("PENDING", "PAID"),
    ("FAILED", "PAID"),
    ("PENDING", "FAILED"),
    ("PAID", "PAID"),
    ("PENDING", "PENDING", "PAID", "PENDING"),
    ("PAID", "EXPIRED"),
    ("PAID", "CANCELLED"),
    ("PARTIALLY_PAID", "PAID", "REFUNDED", "PAID"),
    ("DISPUTED", "PAID"),
    ("SOME_NEW_WORD", "PAID"),
)


def story(order_id: str, chance: random.Random) -> Sequence[Delivery]:
    """The deliveries about one order; one that stands twice is sent twice."""
    words = chance.choice(STORIES)
    amount = f"{chance.randrange(1, 100_000)}.{chance.randrange(100):02d}"
    return [Delivery(order_id, _body(order_id, word, amount)) for word in words]


def _body(order_id: str, word: str, amount: str) -> bytes:
    order = {"id": order_id, "referenceNumber": f"ref-{order_id}", "paymentStatus": word}
    order |= {"amount": amount, "currency": "KES"}
    return json.dumps({"order": order, "customer": {"name": "Amina Otieno"}}).encode()


def post(http: httpx.Client, delivery: Delivery, notebook: Notebook) -> bool:
    """Send a delivery and note what came of it; whether it is acknowledged."""
    was_acknowledged = notebook.is_acknowledged(delivery)
    try:
        response = http.post(f"/webhooks/{PROVIDER}", content=delivery.body)
        answer = response.json()
    except (httpx.TransportError, json.JSONDecodeError):
        notebook.note_failure(delivery)
        return False
    notebook.note_answer(delivery, response.status_code, answer, was_acknowledged=was_acknowledged)
    return response.status_code == 200


def client(url: str) -> httpx.Client:
    """A client that signs as the provider; no proxy of the environment comes between."""
    headers = {"Authorization": TOKEN, "Content-Type": "application/json"}
    return httpx.Client(base_url=url, headers=headers, timeout=ANSWER_SECONDS, trust_env=False)


class Senders:
    """Threads that post until they are stopped."""

    def __init__(self, url: str, notebook: Notebook, count: int, seed: str) -> None:
        self._url = url
        self._notebook = notebook
        self._stop = Event()
        self._seed = seed
        self._threads = [Thread(target=self._send, args=(n,), daemon=True) for n in range(count)]

    def start(self) -> None:
        """Begin to post."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop, after the answers that are under way."""
        self._stop.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(2 * ANSWER_SECONDS)

    def _send(self, number: int) -> None:
        chance = random.Random(f"{self._seed}/{number}")
        with client(self._url) as http:
            for n in itertools.count():
                for delivery in story(f"{number}-{n}-{chance.randrange(10**6)}", chance):
                    if self._stop.is_set():
                        return
                    if not post(http, delivery, self._notebook):
                        self._stop.wait(PAUSE_SECONDS)


def send_again(url: str, deliveries: Sequence[Delivery], notebook: Notebook) -> None:
    """Send each delivery until it is acknowledged; one that never is, is a problem."""
    deadline = time.monotonic() + AGAIN_SECONDS

    def insist(http: httpx.Client) -> Callable[[Delivery], None]:
        def send(delivery: Delivery) -> None:
            while not post(http, delivery, notebook):
                if time.monotonic() > deadline:
                    notebook.complain(f"{delivery.order_id}: not taken within {AGAIN_SECONDS} s")
                    return
                time.sleep(PAUSE_SECONDS)

        return send

    with client(url) as http, ThreadPoolExecutor(AGAIN_THREADS) as threads:
        for _ in threads.map(insist(http), deliveries):
            pass
