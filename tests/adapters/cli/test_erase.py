"""A person asks to be forgotten, and an operator does it at the command line."""

import json
import shlex
from typing import Any

import pytest

from adapters.cli import erase as erasing
from adapters.erasure import erasing as planning
from projections.order_status import ORDER_STATUS
from projections.runner import Runner
from tests.adapters.cli.shops import CommandLine, Shop

WHY = ("--reason", "request 7")


def body(order_id: str, customer: str = "CUS-000017") -> str:
    told = {"id": order_id, "paymentStatus": "PAID"}
    return json.dumps({"order": told, "customer": {"reference": customer, "name": "Wanjiru"}})


@pytest.fixture
def run(order_ledger: CommandLine, shop: Shop) -> CommandLine:
    """The command, in the folder of a shop with two orders of a customer and one of another."""
    shop.hears(body("100017"), body("100018"), body("200018", "CUS-000018"), '{"orderId": "100017"')
    return order_ledger


def bodies(run: CommandLine) -> list[bool]:
    """Of which deliveries the body can be read, the oldest first."""
    found = []
    for number in range(1, 5):
        told = json.loads(run("deliveries", "show", str(number), "--json").out)
        found.append(told["body"] is not None)
    return found


def erased(run: CommandLine) -> list[str]:
    items: Any = json.loads(run("orders", "list", "--json").out)["items"]
    return [order["order_id"] for order in items if order["erased"]]


def test_an_order_is_erased_once_somebody_said_yes(run: CommandLine) -> None:
    ran = run("erase", "100017", *WHY, stdin=b"n\n")
    assert ran.code == 1
    assert "order default/100017" in ran.out
    assert "1 deliveries that were set aside: 4" in ran.out
    assert "nothing was erased" in ran.stderr.decode()
    assert (erased(run), bodies(run)) == ([], [True] * 4)
    ran = run("erase", "100017", *WHY, stdin=b"y\n")
    assert ran.code == 0
    assert [line.strip() for line in ran.lines[-2:]] == [
        "order 100017 of store default: erased",
        "deliveries that were set aside, erased: 1",
    ]
    assert (erased(run), bodies(run)) == (["100017"], [False, True, True, False])
    assert run("verify").code == 0
    history = json.loads(run("orders", "history", "100017", "--json").out)["events"]
    assert (history[-1]["type"], history[-1]["reason"]) == ("PersonalDataErased", "request 7")
    (line,) = [x for x in run("orders", "history", "100017").lines if "PersonalDataErased" in x]
    assert line.split()[-4:] == ["user", history[-1]["by"].split()[1], "request", "7"]
    assert "Personal data  erased" in run("orders", "show", "100017").out
    operations = json.loads(run("operators", "log", "--json").out)["items"]
    assert "erase" in {row["action"] for row in operations}


def test_nobody_to_ask_erases_nothing(run: CommandLine) -> None:
    ran = run("erase", "100017", *WHY)
    assert ran.code == 1
    assert "--yes" in ran.stderr.decode()
    assert erased(run) == []


def test_erasing_twice_says_so(run: CommandLine) -> None:
    first = json.loads(run("erase", "100017", *WHY, "--yes", "--json").out)
    order = {"order_id": "100017", "store": "default"}
    assert first == {
        "orders": [order | {"outcome": "erased"}],
        "deliveries": [4],
        "refused_deliveries": 0,
        "look_at": [],
        "look_at_refused": [],
        "left_to_do": None,
    }
    ran = run("erase", "100017", *WHY, "--yes", "--json")
    assert (ran.code, json.loads(ran.out)["orders"]) == (0, [order | {"outcome": "unchanged"}])
    assert "was erased before" in run("erase", "100017", *WHY, "--yes").out


def test_a_customer_is_erased_over_all_orders(run: CommandLine) -> None:
    ran = run("erase", "--customer", "CUS-000017", *WHY, "--yes")
    assert ran.code == 0
    assert ran.lines[:2] == [
        "order 100017 of store default: erased",
        "order 100018 of store default: erased",
    ]
    assert (erased(run), bodies(run)) == (["100017", "100018"], [False, False, True, False])
    assert run("verify").code == 0


def test_what_comes_while_it_asks_is_erased_too(
    run: CommandLine, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(*_: str) -> None:
        shop.hears(body("100019"), '{"customer_reference": "CUS-000017"')

    monkeypatch.setattr(erasing, "require_yes", meanwhile)
    ran = run("erase", "--customer", "CUS-000017", *WHY)
    assert ran.code == 0
    assert "order 100019 of store default: erased" in ran.out
    assert erased(run) == ["100017", "100018", "100019"]
    assert not json.loads(run("deliveries", "show", "6", "--json").out)["body"]


def test_what_comes_while_it_erases_is_erased_too(
    run: CommandLine, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    do, late = erasing._do, iter(["100019", "100020"])

    def slowly(*told: Any) -> None:
        do(*told)
        for order_id in late:
            shop.hears(body(order_id))
            break

    monkeypatch.setattr(erasing, "_do", slowly)
    told = json.loads(run("erase", "--customer", "CUS-000017", *WHY, "--yes", "--json").out)
    ids = [order["order_id"] for order in told["orders"]]
    assert sorted(ids) == ["100017", "100018", "100019", "100020"]
    assert {order["outcome"] for order in told["orders"]} == {"erased"}


def test_a_customer_is_not_erased_where_not_every_order_may_be_found(
    run: CommandLine, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a fold of another release made may lack customers, and what it does not follow lacks
    orders."""
    wanted = ("erase", "--customer", "CUS-000017", *WHY, "--yes")
    for older in ("version = 2", "fingerprint = 'older'"):
        with shop.service() as service, service.views.transaction(commit=True) as c:
            c.execute(f"UPDATE generations SET {older} WHERE projection = 'order_status'")
        shop.hears(body("100019"))
        ran = run(*wanted)
        assert ran.code == 1
        assert "order-ledger projections rebuild order_status" in ran.complaint
        with shop.service() as service, service.views.transaction(commit=True) as c:
            c.execute(
                "UPDATE generations SET version = ?, fingerprint = followed_by "
                "WHERE projection = 'order_status'",
                (ORDER_STATUS.version,),
            )
    assert erased(run) == []
    monkeypatch.setattr(planning, "CATCHING_UP_SECONDS", 0.1)
    with monkeypatch.context() as patch:
        patch.setattr(Runner, "catch_up", lambda self: 0)
        shop.hears(body("100021"))
        ran = run(*wanted)
    assert "not every order of a customer is found yet" in ran.complaint
    assert erased(run) == []
    assert run(*wanted).code == 0
    assert erased(run) == ["100017", "100018", "100019", "100021"]


def test_a_reference_is_told_to_be_one(run: CommandLine, shop: Shop) -> None:
    order = {"id": "100020", "paymentStatus": "PAID", "referenceNumber": "INV-9"}
    shop.hears(json.dumps({"order": order}))
    ran = run("erase", "INV-9", *WHY, "--yes")
    assert ran.code == 1
    assert "INV-9 is a reference of the order 100020 of store default" in ran.complaint


@pytest.mark.parametrize(
    ("args", "code", "named"),
    [
        (["nobody"], 1, "nothing is known of the order nobody"),
        (["100017", "--store", "elsewhere"], 1, "of store elsewhere"),
        (["--customer", "CUS-9"], 1, "a customer CUS-9"),
        ([], 2, "--customer"),
        (["100017", "--customer", "CUS-000017"], 2, "--customer"),
    ],
    ids=str,
)
def test_what_cannot_be_erased_is_told(
    run: CommandLine, args: list[str], code: int, named: str
) -> None:
    ran = run("erase", *args, *WHY, "--yes")
    assert ran.code == code
    assert named in ran.complaint
    assert erased(run) == []


def test_a_reason_is_wanted(run: CommandLine) -> None:
    ran = run("erase", "100017", "--yes")
    assert ran.code == 2
    assert "--reason" in ran.complaint


def test_what_a_person_has_to_look_at_is_named_with_its_command(
    shop: Shop, order_ledger: CommandLine
) -> None:
    note = '{"note": "Wanjiru asked about order 100017"}'
    shop.hears(body("100017"), note, note.replace("asked", "called"))
    ran = order_ledger("erase", "100017", "--reason", "it's request 7", "--yes")
    assert ran.code == 0
    told = [line.strip() for line in ran.lines]
    assert "look at these, which may name them and stay: deliveries 2, 3" in told
    first, second = (line for line in told if line.startswith("where it is theirs: "))
    program, *words = shlex.split(first.removeprefix("where it is theirs: "))
    assert (program, words[:3]) == ("order-ledger", ["quarantine", "erase", "2"])
    assert second.startswith("where it is theirs: order-ledger quarantine erase 3 --reason ")
    assert order_ledger(*words, "--yes").code == 0
    (row, *_) = json.loads(order_ledger("operators", "log", "--json").out)["items"]
    assert (row["action"], row["reason"]) == ("quarantine erase", "it's request 7")
    again = json.loads(order_ledger("erase", "100017", *WHY, "--yes", "--json").out)
    assert again["look_at"] == [3]
