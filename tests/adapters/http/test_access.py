"""What a token may ask: by its roles, and, where it has a store, of that store alone."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.access import doorkeeper
from adapters.access.roles import Caller, Role
from adapters.http import health
from adapters.secrets import new_api_token, token_sha256
from adapters.storage.access import Operation, TokenRow
from tests.adapters.http.local import API_TOKEN, LocalService, ids, problem
from tests.adapters.http.test_doors import QUERIES

ALICE = Caller.with_every_role("user alice", "command line")


class Holder:
    """Somebody with a token, and what the query API answers to him."""

    def __init__(self, local: LocalService, name: str, *roles: Role, **more: Any) -> None:
        self.token = new_api_token()
        self.local = local
        digest = token_sha256(self.token.encode())
        values = {"store": None, "created_at": datetime.now(UTC)} | more
        row = TokenRow(name=name, roles=frozenset(roles), sha256=digest, **values)
        local.service.tokens.create(row, Operation.by(ALICE, "tokens create", name))

    def get(self, path: str, **headers: str) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"} | headers
        return self.local.run(self.local.http.get(path, headers=headers))

    def json(self, path: str) -> Any:
        response = self.get(path)
        assert response.status_code == 200, response.text
        return response.json()


@pytest.fixture(autouse=True)
def always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorkeeper, "FRESH_SECONDS", 0.0)


@pytest.fixture
def shops(local: LocalService) -> LocalService:
    """Two stores with orders of the same id and the same reference."""
    for provider in ("sevi", "sevi-uganda"):
        _tell(local, provider, "1", "PAID", "shared")
        _tell(local, provider, f"only-{provider}", "PENDING", f"ref-{provider}")
    local.settle()
    return local


def _tell(local: LocalService, provider: str, order_id: str, status: str, reference: str) -> None:
    order = {"id": order_id, "referenceNumber": reference, "paymentStatus": status}
    answer = local.deliver(json.dumps({"order": order}).encode(), provider).json()
    assert answer["outcome"] == "recorded"


@pytest.fixture
def uganda(shops: LocalService) -> Holder:
    return Holder(shops, "uganda-books", Role.AUDITOR, store="uganda")


@pytest.fixture
def auditor(shops: LocalService) -> Holder:
    return Holder(shops, "books", Role.AUDITOR)


# ------------------------------------------------------------------------------------------ roles


@pytest.mark.parametrize("path", QUERIES)
def test_an_auditor_reads_and_nobody_else_does(local: LocalService, path: str) -> None:
    local.tell("1", "PAID")
    local.settle()
    assert Holder(local, "a", Role.AUDITOR).get(path).status_code in (200, 404)
    assert Holder(local, "b", *Role).get(path).status_code in (200, 404)
    refused = Holder(local, "c", Role.OPERATOR, Role.STORE).get(path)
    assert "lacks the role auditor" in problem(refused, 403)
    assert refused.headers["www-authenticate"] == (
        'Bearer error="insufficient_scope", scope="auditor"'
    )


def test_the_role_is_looked_at_before_the_question(local: LocalService) -> None:
    problem(Holder(local, "c", Role.STORE).get("/payments?status=rubbish"), 403)


def test_a_revoked_token_is_a_strangers(shops: LocalService, auditor: Holder) -> None:
    auditor.json("/orders")
    shops.service.tokens.revoke("books", Operation.by(ALICE, "tokens revoke", "books"))
    response = auditor.get("/orders")
    problem(response, 401)
    assert response.headers["www-authenticate"] == "Bearer"


def test_an_expired_token_is_a_strangers(local: LocalService) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    problem(Holder(local, "old", *Role, expires_at=past).get("/orders"), 401)


def test_the_document_names_the_role_that_each_operation_wants(local: LocalService) -> None:
    paths = local.json("/openapi.json")["paths"]
    for path in ("/orders", "/orders/{order_id}", "/payments", "/operator-log"):
        assert paths[path]["get"]["security"] == [{"apiToken": ["auditor"]}], path
        assert {"401", "403"} <= set(paths[path]["get"]["responses"]), path


# ---------------------------------------------------------------------------------- a store's own


def test_a_token_of_a_store_lists_that_stores_orders_only(uganda: Holder) -> None:
    for path in ("/orders", "/orders?store=uganda", "/orders?after=WyJhIiwgImEiXQ"):
        assert ids(uganda.json(path)) == ["1", "only-sevi-uganda"], path
    assert {order["store"] for order in uganda.json("/orders")["items"]} == {"uganda"}


@pytest.mark.parametrize("path", ["/orders", "/payments"])
def test_another_stores_list_is_empty_like_one_of_a_store_that_is_not_there(
    uganda: Holder, path: str
) -> None:
    other, nowhere = uganda.get(f"{path}?store=default"), uganda.get(f"{path}?store=nowhere")
    assert other.json() == {"items": [], "next": None}
    assert (other.status_code, other.content) == (nowhere.status_code, nowhere.content)


def test_a_reference_leads_to_the_stores_own_order_only(uganda: Holder) -> None:
    assert [o["store"] for o in uganda.json("/orders?reference=shared")["items"]] == ["uganda"]
    assert ids(uganda.json("/orders?reference=ref-sevi")) == []
    assert uganda.json("/orders/ref-sevi-uganda")["store"] == "uganda"
    problem(uganda.get("/orders/ref-sevi"), 404)


@pytest.mark.parametrize("tail", ["", "/history"])
def test_an_order_of_another_store_is_not_there(uganda: Holder, tail: str) -> None:
    assert uganda.json(f"/orders/1{tail}")["store"] == "uganda"
    assert uganda.json(f"/orders/1{tail}?store=uganda")["store"] == "uganda"
    hidden = uganda.get(f"/orders/1{tail}?store=default")
    missing = uganda.get(f"/orders/no-such-order{tail}")
    assert problem(hidden, 404) == problem(missing, 404)
    assert hidden.content == uganda.get(f"/orders/x{tail}?store=default").content


def test_an_order_of_another_store_was_not_there_before_either(uganda: Holder) -> None:
    problem(uganda.get("/orders/1?store=default&as_of=2030-01-01T00:00:00Z"), 404)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_payments_are_the_stores_own_in_every_form(uganda: Holder, form: str) -> None:
    assert {p["store"] for p in uganda.json("/payments")["items"]} == {"uganda"}
    assert ids(uganda.json("/payments?limit=1&after=0-1")) == ["1"]
    text = uganda.get(f"/payments?format={form}").text
    assert "only-sevi-uganda" in text
    assert "default" not in text
    assert "only-sevi\x22" not in text
    foreign = uganda.get(f"/payments?format={form}&store=default").text
    assert len(foreign.splitlines()) == (1 if form == "csv" else 0)


def test_the_pages_of_a_stores_list_count_nothing_else(uganda: Holder, shops: LocalService) -> None:
    first = uganda.json("/orders?limit=1")
    last = uganda.json(f"/orders?limit=1&after={first['next']}")
    assert (ids(first), ids(last), last["next"]) == (["1"], ["only-sevi-uganda"], None)


def test_without_a_limit_every_store_is_seen_and_default_is_meant(auditor: Holder) -> None:
    stores = [order["store"] for order in auditor.json("/orders")["items"]]
    assert stores == ["default", "default", "uganda", "uganda"]
    assert auditor.json("/orders/1")["store"] == "default"
    assert auditor.json("/orders/1?store=uganda")["store"] == "uganda"


def test_what_is_of_all_stores_is_not_for_a_token_of_one(
    uganda: Holder, auditor: Holder, shops: LocalService
) -> None:
    assert "one store" in problem(uganda.get("/operator-log"), 403)
    assert "details" not in uganda.json("/health/ready")
    assert "details" in auditor.json("/health/ready")
    operator = Holder(shops, "ops", Role.OPERATOR)
    assert "details" not in operator.json("/health/ready")


# ----------------------------------------------------------------------------- the operators' log


def test_what_operators_did_is_read_page_by_page_newest_first(local: LocalService) -> None:
    auditor = Holder(local, "books", Role.AUDITOR)
    Holder(local, "till", Role.STORE)
    first = auditor.json("/operator-log?limit=1")
    assert first["next"] == 2
    (newest,) = first["items"]
    last = auditor.json(f"/operator-log?limit=1&after={first['next']}")
    assert last["next"] is None
    (oldest,) = last["items"]
    assert (newest["object"], oldest["object"]) == ("till", "books")
    at = oldest.pop("at")
    assert datetime.fromisoformat(at).tzinfo is not None
    assert oldest == {
        "id": 1, "who": "user alice", "origin": "command line", "action": "tokens create",
        "object": "books", "reason": None, "outcome": "done",
    }  # fmt: skip


@pytest.mark.parametrize("asked", ["after=0", "after=x", f"after={2**63}", "limit=0", "limit=1001"])
def test_a_page_that_cannot_be_is_422(local: LocalService, asked: str) -> None:
    problem(local.get(f"/operator-log?{asked}"), 422)


# ---------------------------------------------------------------------------------------- headers


@pytest.mark.parametrize(
    "path", [*QUERIES, "/health/live", "/health/ready", "/openapi.json", "/nothing", "/\x01"]
)
@pytest.mark.parametrize("token", [API_TOKEN, "wrong"])
def test_every_answer_tells_browsers_to_do_nothing_with_it(
    shared: LocalService, path: str, token: str
) -> None:
    headers = {"Authorization": f"Bearer {token}", "Origin": "https://elsewhere.example"}
    answer = shared.run(shared.http.get(path.replace("\x01", "%01"), headers=headers))
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-security-policy"] == (
        "default-src 'none'; frame-ancestors 'none'"
    )
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_no_other_site_may_ask(shared: LocalService) -> None:
    asks = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "GET"}
    answer = shared.run(shared.http.options("/orders", headers=asks))
    problem(answer, 405)
    assert not [name for name in answer.headers if name.startswith("access-control")]


# ---------------------------------------------------------------------------------- where it goes


@pytest.mark.parametrize(
    ("trusted", "origin"), [([], "127.0.0.1"), (["127.0.0.1/32"], "198.51.100.7")]
)
def test_a_caller_comes_from_where_a_trusted_proxy_says(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, trusted: list[str], origin: str
) -> None:
    seen: list[str] = []
    admit = doorkeeper.Doorkeeper.admit

    async def listen(self: Any, token: bytes, origin: str) -> Caller | None:
        seen.append(origin)
        return await admit(self, token, origin)

    monkeypatch.setattr(doorkeeper.Doorkeeper, "admit", listen)
    with LocalService(tmp_path, trusted_proxies=trusted) as local:
        holder = Holder(local, "a", Role.AUDITOR)
        assert holder.get("/orders", **{"X-Forwarded-For": "198.51.100.7"}).status_code == 200
    assert seen == [origin]


def test_the_answers_of_the_log_repeat_no_token(local: LocalService) -> None:
    holder = Holder(local, "a", Role.AUDITOR)
    assert holder.token not in json.dumps(holder.json("/operator-log"))


def test_details_of_readiness_are_gathered_only_for_whom_they_are_told(
    shared: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    gathered = []

    def details(service: object) -> dict[str, Any]:
        gathered.append(service)
        return {}

    monkeypatch.setattr(health, "_details", details)
    assert shared.run(shared.http.get("/health/ready")).json() == {"status": "ok"}
    assert gathered == []
    assert shared.get("/health/ready").json() == {"status": "ok", "details": {}}
    assert len(gathered) == 1
