"""An engineer sees where the read models stand, and makes one anew."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from adapters.read_models.rebuilding import Rebuild
from domain.log import Position
from projections.order_status import ORDER_STATUS
from projections.runner import CheckpointMoved, Followed, Poison
from tests.adapters.cli.shops import CommandLine, Shop

ONE = '{"orderId": "%s", "orderPayment": "%s"}'


@pytest.fixture
def busy(shop: Shop, order_ledger: CommandLine) -> CommandLine:
    """The command over a ledger of five orders, whose read models know them."""
    for n in range(5):
        shop.hears(ONE % (n, "PAID"))
    order_ledger("orders", "list")
    return order_ledger


def tamper(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(next(folder.rglob("ledger-views.db")))) as connection:
        connection.execute(statement)
        connection.commit()


def listed(ran: Any) -> dict[tuple[str, int], Any]:
    return {(f["projection"], f["generation"]): f for f in json.loads(ran.out)}


def test_the_list_tells_of_every_generation(busy: CommandLine) -> None:
    ran = busy("projections", "list")
    assert ran.code == 0
    headings = ["Read", "model", "Gen", "State", "Version"]
    assert ran.lines[0].split()[:5] == headings
    facts = listed(busy("projections", "list", "--json"))
    assert set(facts) == {("order_status", 1), ("audit_history", 1), ("money", 1)}
    for fact in facts.values():
        assert (fact["state"], fact["position"], fact["lag"]) == ("live", "0-10", 0)
        assert (fact["followed"], fact["rebuild_due"], fact["parked_at"]) == (True, None, None)
        assert fact["bytes"] > 0


def test_a_rebuild_without_a_difference_switches_by_itself(busy: CommandLine) -> None:
    ran = busy("projections", "rebuild", "order_status", "--json")
    assert ran.code == 0
    report = json.loads(ran.out)
    assert (report["old"], report["new"], report["position"]) == (1, 2, "0-10")
    assert b"generation 2 is live" in ran.stderr
    facts = listed(busy("projections", "list", "--json"))
    assert {n: facts["order_status", n]["state"] for n in (1, 2)} == {1: "kept", 2: "live"}


def test_what_only_one_release_keeps_is_said_not_to_be_compared(
    busy: CommandLine, tmp_path: Path
) -> None:
    tamper(tmp_path, """UPDATE generations SET columns = replace(columns, '"review"', '"sloth"')""")
    tamper(tmp_path, "ALTER TABLE order_status__g1 RENAME review TO sloth")
    ran = busy("projections", "rebuild", "order_status")
    assert ran.code == 0
    assert "not compared, only the old order_status has: sloth" in ran.lines
    assert "not compared, only the new order_status has: review" in ran.lines
    report = json.loads(busy("projections", "rebuild", "order_status", "--json").out)
    assert [(t["columns_gone"], t["columns_new"]) for t in report["tables"]] == [([], []), ([], [])]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), 3),
        (("--accept",), 0),
        (("--tolerance", "1"), 3),
        (("--tolerance", "2"), 0),
        (("--tolerance", "status=1"), 3),
        (("--tolerance", "status=2"), 0),
        (("--tolerance", "order_status.status=2", "--tolerance", "review=0"), 0),
        (("--accept", "--tolerance", "1"), 3),
    ],
)
def test_differences_need_to_be_accepted(
    busy: CommandLine, tmp_path: Path, arguments: tuple[str, ...], code: int
) -> None:
    tamper(tmp_path, "UPDATE order_status__g1 SET status = 'LOST' WHERE order_id < '2'")
    ran = busy("projections", "rebuild", "order_status", *arguments)
    assert ran.code == code, ran.out
    assert "order_status, changed: store default, order_id 0" in ran.out
    assert "LOST" in ran.out
    state = listed(busy("projections", "list", "--json"))["order_status", 2]["state"]
    assert state == ("built" if code else "live")
    if code:
        assert busy("projections", "switch", "order_status").code == 0
        assert listed(busy("projections", "list", "--json"))["order_status", 2]["state"] == "live"


@pytest.mark.parametrize(
    ("bounds", "code"),
    [
        (("status=9",), 3),  # nothing was said of amounts, nor of rows that are gone
        (("status=9", "amount=9"), 3),
        (("3", "status=1"), 0),
        (("2", "status=1"), 3),
    ],
)
def test_a_bound_of_one_column_allows_nothing_else(
    busy: CommandLine, tmp_path: Path, bounds: tuple[str, ...], code: int
) -> None:
    tamper(tmp_path, "UPDATE order_status__g1 SET status = 'LOST' WHERE order_id = '1'")
    tamper(tmp_path, "UPDATE order_status__g1 SET amount = '7' WHERE order_id = '2'")
    tamper(tmp_path, "DELETE FROM order_status__g1 WHERE order_id = '3'")
    options = [word for bound in bounds for word in ("--tolerance", bound)]
    assert busy("projections", "rebuild", "order_status", *options).code == code


def test_a_column_with_a_bound_that_is_not_there_is_wrong_usage(
    busy: CommandLine, tmp_path: Path
) -> None:
    tamper(tmp_path, "UPDATE order_status__g1 SET status = 'LOST' WHERE order_id = '1'")
    ran = busy("projections", "rebuild", "order_status", "--tolerance", "stauts=0")
    assert ran.code == 2
    assert "stauts: order_status has no such column; it has version, provider, st" in ran.complaint
    assert ("order_status", 2) not in listed(busy("projections", "list", "--json"))


def test_a_read_model_that_is_parked_shows_the_traceback_line_by_line(
    busy: CommandLine, shop: Shop
) -> None:
    error = 'Traceback (most recent call last):\n  File "fold.py", line 1\nValueError: no\n'
    with shop.service() as service:
        poison = Poison(Position(0, 11), "PaymentReceived of default/9", error)
        service.views.park(Followed(ORDER_STATUS, 1, Position(0, 10)), poison)
    ran = busy("projections", "show", "order_status")
    assert [line.strip() for line in ran.lines[-3:]] == [
        "Traceback (most recent call last):",
        'File "fold.py", line 1',
        "ValueError: no",
    ]
    (fact,) = json.loads(busy("projections", "show", "order_status", "--json").out)
    assert fact["parked_at"] == "0-11"
    assert (fact["parked_event"], fact["parked_error"]) == (poison.event, poison.error)


def test_a_file_that_cannot_be_written_is_told_before_anything_is_folded(
    busy: CommandLine, tmp_path: Path
) -> None:
    ran = busy("projections", "rebuild", "order_status", "--csv", str(tmp_path / "not" / "there"))
    assert ran.code == 1
    assert ("order_status", 2) not in listed(busy("projections", "list", "--json"))


def test_a_dry_run_that_fails_leaves_nothing_behind(
    busy: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> Any:
        raise CheckpointMoved

    monkeypatch.setattr(Rebuild, "compare", fails)
    assert busy("projections", "rebuild", "order_status", "--dry-run").code == 1
    assert ("order_status", 2) not in listed(busy("projections", "list", "--json"))


def test_a_dry_run_leaves_nothing_behind(busy: CommandLine, tmp_path: Path) -> None:
    assert busy("projections", "rebuild", "order_status", "--dry-run").code == 0
    tamper(tmp_path, "UPDATE order_status__g1 SET status = 'LOST' WHERE order_id < '2'")
    csv = tmp_path / "differences.csv"
    ran = busy("projections", "rebuild", "order_status", "--dry-run", "--csv", str(csv))
    assert ran.code == 3
    assert len(csv.read_text().splitlines()) == 3
    assert set(listed(busy("projections", "list", "--json"))) == {
        ("order_status", 1),
        ("audit_history", 1),
        ("money", 1),
    }


def test_a_plan_says_how_much_there_is_to_do(busy: CommandLine) -> None:
    ran = busy("projections", "rebuild", "order_status", "--plan")
    assert ran.code == 0
    facts = dict(line.split(maxsplit=1) for line in ran.lines)
    assert facts["events"] == "10"
    assert facts["time"].startswith("about ")
    assert facts["disk"].endswith(" MB")
    plan = json.loads(busy("projections", "rebuild", "order_status", "--plan", "--json").out)
    assert (plan["events"], plan["sampled"]) == (10, 10)


@pytest.mark.parametrize("option", [("--plan",), ("--accept",), ("--workers", "2")])
def test_options_that_one_order_has_no_use_for_are_refused(
    busy: CommandLine, option: tuple[str, ...]
) -> None:
    assert busy("projections", "rebuild", "order_status", "--order", "3", *option).code == 2


def test_a_verification_names_what_differs_and_one_order_is_repaired(
    busy: CommandLine, tmp_path: Path
) -> None:
    assert busy("projections", "verify", "order_status").code == 0
    tamper(tmp_path, "UPDATE order_status__g1 SET status = 'LOST' WHERE order_id = '3'")
    ran = busy("projections", "verify", "order_status", "--json")
    assert ran.code == 3
    (drift,) = json.loads(ran.out)["drift"]
    assert (drift["order_id"], drift["agrees_upto"]) == ("3", None)
    assert drift["columns"] == {"status": ["LOST", "DELIVERED"]}
    shown = busy("projections", "verify", "order_status", "--sample", "100%")
    assert "at no event does the fold agree with the live row" in shown.out
    repair = ("projections", "rebuild", "order_status", "--order", "3")
    assert busy(*repair, "--dry-run").code == 3
    ran = busy(*repair)
    assert ran.code == 0
    assert "the rows of order default/3 are written anew" in ran.complaint
    assert busy("projections", "verify", "order_status").code == 0
    assert busy("projections", "rebuild", "order_status", "--order", "9").code == 1


@pytest.mark.parametrize("sample", [(), ("--sample", "100%")])
def test_a_row_of_an_order_that_never_was_is_found(
    busy: CommandLine, tmp_path: Path, sample: tuple[str, ...]
) -> None:
    tamper(tmp_path, "UPDATE order_status__g1 SET order_id = 'invented' WHERE order_id = '3'")
    ran = busy("projections", "verify", "order_status", *sample, "--json")
    assert ran.code == 3
    assert {d["order_id"] for d in json.loads(ran.out)["drift"]} == {"3", "invented"}


def test_the_way_back_is_there_until_it_is_dropped(busy: CommandLine) -> None:
    assert b"nothing of order_status waits" in busy("projections", "switch", "order_status").stderr
    busy("projections", "rebuild", "order_status")
    ran = busy("projections", "rollback", "order_status")
    assert (ran.code, ran.lines) == (0, ["generation 1 of order_status is live"])
    ran = busy("projections", "drop", "order_status")
    assert (ran.code, ran.lines) == (0, ["generation 2 of order_status is dropped"])
    ran = busy("projections", "rollback", "order_status")
    assert ran.code == 1
    assert b"no earlier generation of order_status is kept" in ran.stderr


def test_a_second_rollback_does_not_go_forward_again(busy: CommandLine) -> None:
    busy("projections", "rebuild", "order_status")
    busy("projections", "rollback", "order_status")
    ran = busy("projections", "rollback", "order_status")
    assert ran.code == 1
    assert b"no earlier generation of order_status is kept" in ran.stderr
    assert b"projections switch returns to generation 2" in ran.stderr
    ran = busy("projections", "switch", "order_status")
    assert (ran.code, ran.lines) == (0, ["generation 2 of order_status is live"])
    ran = busy("projections", "rollback", "order_status")
    assert (ran.code, ran.lines) == (0, ["generation 1 of order_status is live"])


def test_a_read_model_that_is_not_there_is_one_clear_line(busy: CommandLine) -> None:
    ran = busy("projections", "show", "orders")
    assert ran.code == 1
    assert b"there are: order_status, audit_history" in ran.stderr


@pytest.mark.parametrize("share", ["1", "0%", "101%", "x%"])
def test_a_share_is_a_percentage(busy: CommandLine, share: str) -> None:
    assert busy("projections", "verify", "order_status", "--sample", share).code == 2


def test_what_changes_a_read_model_is_in_the_operators_log(busy: CommandLine) -> None:
    busy("projections", "rebuild", "order_status")
    busy("projections", "rollback", "order_status")
    busy("projections", "drop", "order_status", "--generation", "2")
    busy("projections", "rebuild", "order_status", "--order", "1")
    items = json.loads(busy("operators", "log", "--json").out)["items"]
    assert [(o["action"], o["object"]) for o in items[::-1]] == [
        ("projections rebuild", "order_status, generation 2"),
        ("projections switch", "order_status, generation 2"),
        ("projections rollback", "order_status, generation 1"),
        ("projections drop", "order_status, generation 2"),
        ("projections rebuild", "order_status, order default/1"),
    ]
