"""What was set aside is looked at, taken in again, or discarded, over HTTP."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.access import doorkeeper
from adapters.access.roles import Caller, Role
from adapters.providers import reading, sevi
from adapters.providers.sevi import ORDER_WORDS
from adapters.secrets import new_api_token, token_sha256
from adapters.storage.access import Operation, TokenRow
from domain.payment import PaymentStatus
from tests.adapters.http.local import API_TOKEN, LocalService, problem

TOP_UP = b'{"transactionType": "CREDIT", "paymentType": "TOP_UP", "status": "COMPLETED"}'
NEW_WORD = json.dumps({"orderId": "42", "orderPayment": "SETTLED"}).encode()
TILL: dict[str, Any] = {
    "kind": "custom",
    "store": "uganda",
    "verify": {"scheme": "token", "header": "X-Till"},
    "tokens": [{"name": "spring", "value": "till-token"}],
    "order_id": "order",
    "status": "state",
    "statuses": {"PAID": ["settled"]},
}


class Front:
    """A service, and what an operator of it asks."""

    def __init__(self, local: LocalService) -> None:
        self.local = local

    def post(self, path: str, token: str = API_TOKEN, **told: Any) -> httpx.Response:
        return self.local.run(
            self.local.http.post(
                path, json=told or None, headers={"Authorization": f"Bearer {token}"}
            )
        )

    def get(self, path: str, token: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return self.local.run(self.local.http.get(path, headers=headers))

    def done(self, path: str, **told: Any) -> Any:
        response = self.post(path, **told)
        assert response.status_code == 200, response.text
        return response.json()

    def token(self, *roles: Role, store: str | None = None) -> str:
        token = new_api_token()
        name = f"{'-'.join(roles)}-{store or 'all'}"
        digest = token_sha256(token.encode())
        row = TokenRow(name, frozenset(roles), store, digest, datetime.now(UTC))
        alice = Caller.with_every_role("user alice", "command line")
        self.local.service.tokens.create(row, Operation.by(alice, "tokens create", name))
        return token

    def operations(self) -> list[tuple[str, str, str | None, str]]:
        """What operators did, oldest first: action, object, reason, outcome."""
        items = self.local.json("/operator-log")["items"][::-1]
        told = [(o["action"], o["object"], o["reason"], o["outcome"]) for o in items]
        return [one for one in told if one[0] != "tokens create"]

    def open_ids(self) -> list[int]:
        return [item["id"] for item in self.local.json("/quarantine")["items"]]


@pytest.fixture
def front(local: LocalService, monkeypatch: pytest.MonkeyPatch) -> Front:
    monkeypatch.setattr(doorkeeper, "FRESH_SECONDS", 0.0)
    return Front(local)


def mend(monkeypatch: pytest.MonkeyPatch, word: str = "SETTLED") -> None:
    """Sevi's adapter learns a word."""
    monkeypatch.setitem(ORDER_WORDS, word, PaymentStatus.PAID)


def reads_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that lacks its end can be read from now on."""

    def read(body: bytes) -> Any:
        return reading.read_object(body if body.endswith(b"}") else body + b"}")

    monkeypatch.setattr(sevi, "read_object", read)


CUT = b'{"orderId": "7", "orderPayment": "PAID"'


def test_what_is_set_aside_is_listed_until_it_is_settled(front: Front) -> None:
    front.local.deliver(CUT)
    front.local.deliver(TOP_UP)
    front.local.tell("1", "PAID")
    front.local.deliver(b"rubbish")
    assert front.open_ids() == [4, 2, 1]
    page = front.local.json("/quarantine", limit=1)
    assert ([item["id"] for item in page["items"]], page["next"]) == ([4], 4)
    following = front.local.json("/quarantine", after=4, limit=5)
    assert ([item["id"] for item in following["items"]], following["next"]) == ([2, 1], None)
    front.done("/quarantine/2/discard", reason="a top-up is no order's")
    assert front.open_ids() == [4, 1]
    everything = front.local.json("/quarantine", settled_too="true")["items"]
    assert [item["id"] for item in everything] == [4, 2, 1]
    assert front.local.json("/quarantine", provider="second")["items"] == []


def test_a_replay_takes_in_what_can_be_read_by_now(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    front.local.deliver(CUT)
    (original,) = front.local.deliveries
    again = front.done("/quarantine/1/replay")
    assert again["outcome"] == "quarantined"
    assert again["reason"] == original.reason
    assert front.open_ids() == [1], "what fails again stays set aside"

    reads_again(monkeypatch)
    settled = front.done("/quarantine/1/replay")
    assert settled == {
        "delivery_id": 1,
        "outcome": "recorded",
        "order_id": "7",
        "order_status": "DELIVERED",
        "position": "0-2",
        "reason": None,
    }
    assert front.open_ids() == []
    row = front.local.deliveries[-1]
    assert (row.origin, row.replay_of, row.has_body) == ("replay", 1, False)
    assert (row.received_at, row.key_id) == (original.received_at, original.key_id)
    assert row.recorded_at > original.recorded_at
    assert front.local.json("/deliveries/3")["duration_ms"] is None
    shown = front.local.json("/quarantine/1")
    assert (shown["settled_by"]["id"], shown["settled_by"]["outcome"]) == (3, "recorded")

    front.local.settle()
    received, _ = front.local.service.ledger.history("default/7")
    assert received.event.origin == "replay"  # type: ignore[attr-defined]
    assert received.event.received_at == original.received_at  # type: ignore[attr-defined]
    assert front.operations() == [
        ("quarantine replay", "delivery 1", None, f"quarantined: {original.reason}"),
        ("quarantine replay", "delivery 1", None, "recorded at 0-2"),
    ]


def test_what_is_settled_cannot_be_settled_again(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    front.local.deliver(CUT)
    front.local.deliver(TOP_UP)
    reads_again(monkeypatch)
    front.done("/quarantine/1/replay")
    front.done("/quarantine/2/discard", reason="no order's")
    before = len(front.local.deliveries)
    for number, done in ((1, "taken in already"), (2, "discarded already")):
        assert done in problem(front.post(f"/quarantine/{number}/replay"), 409)
        assert done in problem(front.post(f"/quarantine/{number}/discard", reason="x"), 409)
    assert len(front.local.deliveries) == before
    front.local.deliver(CUT + b"}")
    assert front.local.json("/orders/7")["status"] == "DELIVERED"


def test_the_news_of_a_replay_that_came_in_meanwhile_is_a_duplicate(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    front.local.deliver(CUT)
    reads_again(monkeypatch)
    assert front.local.deliver(CUT).json()["outcome"] == "recorded", "the provider sent it again"
    assert front.done("/quarantine/1/replay")["outcome"] == "duplicate"
    assert front.open_ids() == []


def test_two_at_once_settle_a_delivery_once(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    front.local.deliver(CUT)
    reads_again(monkeypatch)
    headers = {"Authorization": f"Bearer {API_TOKEN}"}

    async def both() -> list[httpx.Response]:
        paths = ("/quarantine/1/replay", "/quarantine/1/discard")
        return await asyncio.gather(
            *(front.local.http.post(p, json={"reason": "x"}, headers=headers) for p in paths)
        )

    assert sorted(r.status_code for r in front.local.run(both())) == [200, 409]
    assert len(front.local.deliveries) == 2


def test_a_word_that_is_known_by_now_is_recorded_anew(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = front.local.deliver(NEW_WORD).json()
    assert (answer["outcome"], answer["order_status"]) == ("recorded", "AWAITING_PAYMENT")
    assert "still not known" in problem(front.post("/quarantine/1/replay"), 409)
    mend(monkeypatch)
    settled = front.done("/quarantine/1/replay")
    assert (settled["outcome"], settled["order_status"]) == ("recorded", "DELIVERED")
    assert "nothing to replay" in problem(front.post("/quarantine/1/replay"), 409)
    front.local.settle()
    events = front.local.json("/orders/42/history")["events"]
    assert [event["type"] for event in events].count("Delivered") == 1


def test_so_is_one_of_an_order_that_the_shop_knows_by_another_id(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms = {"amount": "902.10", "currency": "KES", "references": ["42"]}
    front.local.run(
        front.local.http.put(
            "/orders/9", json=terms, headers={"Authorization": f"Bearer {API_TOKEN}"}
        )
    )
    assert front.local.deliver(NEW_WORD).json()["order_id"] == "9"
    assert "still not known" in problem(front.post("/quarantine/1/replay"), 409)
    mend(monkeypatch)
    settled = front.done("/quarantine/1/replay")
    assert (settled["outcome"], settled["order_id"]) == ("recorded", "9")


def test_a_replay_can_be_replayed_where_only_its_word_was_not_known(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    front.local.deliver(CUT.replace(b"PAID", b"SETTLED"))
    front.done("/quarantine/1/replay")
    assert "name that one" in problem(front.post("/quarantine/2/replay"), 409)
    reads_again(monkeypatch)
    unknown = front.done("/quarantine/1/replay")
    assert (unknown["outcome"], unknown["order_status"]) == ("recorded", "AWAITING_PAYMENT")
    mend(monkeypatch)
    assert "as delivery 3" in problem(front.post("/quarantine/1/replay"), 409)
    known = front.done("/quarantine/3/replay")
    assert (known["outcome"], known["order_status"]) == ("recorded", "DELIVERED")
    assert [row.replay_of for row in front.local.deliveries] == [None, 1, 1, 3]


def test_what_is_not_there_is_404(front: Front) -> None:
    for path in ("/quarantine/99/replay", "/quarantine/99/discard"):
        problem(front.post(path, reason="x"), 404)
    problem(front.local.get("/quarantine/99"), 404)


def test_what_was_taken_in_is_no_matter_of_the_quarantine(front: Front) -> None:
    front.local.tell("1", "PAID")
    front.local.tell("1", "PAID")
    problem(front.local.get("/quarantine/1"), 404)
    assert "nothing to replay" in problem(front.post("/quarantine/1/replay"), 409)
    assert "replay that one" in problem(front.post("/quarantine/2/replay"), 409)
    assert "only what was set aside" in problem(
        front.post("/quarantine/1/discard", reason="x"), 409
    )


@pytest.mark.parametrize(
    "told", [{}, {"reason": ""}, {"reason": "a\nb"}, {"reason": "x" * 256}, {"why": "x"}]
)
def test_a_decision_needs_a_reason(front: Front, told: dict[str, str]) -> None:
    front.local.deliver(TOP_UP)
    problem(front.post("/quarantine/1/discard", **told), 422)
    assert front.open_ids() == [1]


def test_only_operators_settle_and_read_bodies(front: Front) -> None:
    front.local.deliver(TOP_UP)
    auditor, operator = front.token(Role.AUDITOR), front.token(Role.OPERATOR)
    both = front.token(Role.AUDITOR, Role.OPERATOR)
    for path in ("/quarantine/1/replay", "/quarantine/1/discard"):
        assert "operator" in problem(front.post(path, auditor, reason="x"), 403)
    for path in ("/quarantine/1", "/deliveries/1"):
        assert front.get(path, auditor).json()["body"] is None
        problem(front.get(path, operator), 403)
        assert "operator" in problem(front.get(f"{path}?body=true", auditor), 403)
        assert front.operations() == []
    assert front.get("/quarantine/1?body=true", both).json()["body"] == TOP_UP.decode()
    assert front.get("/deliveries/1?body=true", both).json()["body"] == TOP_UP.decode()
    assert front.operations() == [("deliveries read body", "delivery 1", None, "done")] * 2
    assert front.post("/quarantine/1/discard", operator, reason="x").status_code == 200


# -------------------------------------------------------------------------------------- the stores


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(doorkeeper, "FRESH_SECONDS", 0.0)
    providers = {"sevi": {"tokens": ["sevi-token-77c2"]}, "till": TILL}
    with LocalService(tmp_path, providers=providers) as local:
        yield Front(local)


def test_a_token_of_one_store_sees_and_settles_its_store_s_deliveries(stores: Front) -> None:
    local = stores.local
    paid = json.dumps({"order": "1", "state": "settled"}).encode()
    for body in (paid, b"[]"):
        assert local.run(local.post(body, "till", {"X-Till": "till-token"})).status_code == 200
    local.tell("1", "PAID")
    local.deliver(TOP_UP)
    uganda = stores.token(Role.AUDITOR, Role.OPERATOR, store="uganda")

    def ids(path: str) -> list[int]:
        return [item["id"] for item in stores.get(path, uganda).json()["items"]]

    assert ids("/deliveries") == [2, 1]
    assert ids("/deliveries?store=default") == []
    assert ids("/deliveries?order_id=1") == [1]
    assert ids("/quarantine") == [2]
    for path in ("/deliveries/3", "/quarantine/4", "/deliveries/4?body=true"):
        problem(stores.get(path, uganda), 404)
    problem(stores.post("/quarantine/4/replay", uganda), 404)
    problem(stores.post("/quarantine/4/discard", uganda, reason="x"), 404)
    assert stores.get("/deliveries/2", uganda).json()["key_id"] == "spring"
    assert stores.post("/quarantine/2/discard", uganda, reason="a test").status_code == 200
    assert ids("/deliveries") == [5, 2, 1]


def test_the_delivery_log_is_asked_by_outcome_provider_order_and_time(stores: Front) -> None:
    local = stores.local
    for status in ("PAID", "PAID", "PENDING"):
        local.tell("42", status)
    local.run(local.post(b"[]", "till", {"X-Till": "till-token"}))

    def ids(**asked: Any) -> list[int]:
        return [item["id"] for item in local.json("/deliveries", **asked)["items"]]

    assert ids() == [4, 3, 2, 1]
    assert ids(outcome=["stale", "duplicate"]) == [3, 2]
    assert ids(provider="till") == [4]
    assert ids(order_id="42") == [3, 2, 1]
    assert ids(order_id="42", store="uganda") == []
    assert ids(store="uganda") == [4]
    third = local.json("/deliveries/3")["recorded_at"]
    assert ids(to=third) == [2, 1]
    assert ids(from_=third) == [4, 3]
    page = local.json("/deliveries", limit=3)
    assert page["next"] == 2
    assert ids(after=2) == [1]
    problem(local.get("/deliveries", outcome="lost"), 422)
    problem(local.get("/deliveries/0"), 422)
    problem(local.get("/deliveries/99"), 404)


# ------------------------------------------------------------------------------ one is erased


def body_of(front: Front, number: int) -> Any:
    return front.local.json(f"/deliveries/{number}", body="true")["body"]


def test_an_operator_erases_one_body_and_its_row_stays(front: Front) -> None:
    front.local.deliver(CUT)
    front.local.deliver(TOP_UP)
    before = front.local.json("/quarantine/1")
    assert before["erased"] is False
    done = front.done("/quarantine/1/erase", reason="request 7")
    assert done == {"delivery_id": 1, "outcome": "erased", "left_to_do": None}
    assert (body_of(front, 1), body_of(front, 2)) == (None, TOP_UP.decode())
    after = front.local.json("/quarantine/1")
    assert after == before | {"erased": True, "body_sha256": None}
    assert front.open_ids() == [2]
    assert front.done("/quarantine/1/erase", reason="request 7")["outcome"] == "unchanged"
    kept = [one for one in front.operations() if one[0] == "quarantine erase"]
    assert kept == [
        ("quarantine erase", "delivery 1", "request 7", "erased"),
        ("quarantine erase", "delivery 1", "request 7", "unchanged"),
    ]
    for verb in ({"reason": "x"}, None):
        path = f"/quarantine/1/{'discard' if verb else 'replay'}"
        problem(front.post(path, **verb or {}), 409)


def test_what_cannot_be_erased_by_itself_is_told(front: Front) -> None:
    front.local.tell("1", "PAID")
    front.local.deliver(CUT)
    told = problem(front.post("/quarantine/1/erase", reason="request 7"), 409)
    assert told == "the body of delivery 1 belongs to order 1 of store default: erase that order"
    problem(front.post("/quarantine/9/erase", reason="request 7"), 404)
    for wrong in ({}, {"reason": ""}, {"reason": "x" * 256}, {"reason": "x", "more": 1}):
        problem(front.post("/quarantine/2/erase", **wrong), 422)
    assert (body_of(front, 1) is None, body_of(front, 2)) == (False, CUT.decode())


def test_who_may_erase_one_body(front: Front) -> None:
    front.local.deliver(CUT)
    path, why = "/quarantine/1/erase", "request 7"
    for role in (Role.AUDITOR, Role.STORE):
        problem(front.post(path, front.token(role), reason=why), 403)
    problem(front.post(path, API_TOKEN + "x", reason=why), 401)
    problem(front.post(path, front.token(Role.OPERATOR, store="uganda"), reason=why), 404)
    assert body_of(front, 1) == CUT.decode()
    mine = front.token(Role.OPERATOR, store="default")
    assert front.post(path, mine, reason=why).status_code == 200
