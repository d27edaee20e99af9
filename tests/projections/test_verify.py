"""Orders are folded again, and each live row that is not what comes out is named and repaired."""

import json
from time import monotonic, sleep

import pytest

from adapters.read_models import watching
from adapters.read_models.folding import Poisoned
from adapters.read_models.rebuilding import Rebuild
from adapters.read_models.verifying import Verifier
from adapters.read_models.watching import Watch
from adapters.storage.rebuilds import Refused
from adapters.storage.views import Views
from domain.log import Position
from projections.audit_history import AUDIT_HISTORY
from projections.order_status import ORDER_STATUS, ORDERS, REFERENCES
from projections.runner import Followed
from tests.notices import delivery, notice
from tests.projections.conftest import Models
from tests.projections.folds import BUGGY, STUMBLING

TAKE_OVER_SECONDS = 10


def _tamper(models: Models, *statements: str) -> None:
    with models.storage.views.transaction(commit=True) as c:
        for statement in statements:
            c.execute(statement)


def _all(models: Models) -> Verifier:
    return Verifier(models.storage, ORDER_STATUS)


def test_rows_that_the_events_make_are_not_named(models: Models) -> None:
    models.record(5)
    models.follow(ORDER_STATUS, AUDIT_HISTORY)
    for projection in (ORDER_STATUS, AUDIT_HISTORY):
        verifier = Verifier(models.storage, projection)
        (streams,) = verifier.orders(None)
        assert streams == [f"default/000{n}" for n in range(5)]
        assert verifier.check(streams) == []
        assert [stray for strays in verifier.strays() for stray in strays] == []


def test_a_row_that_differs_is_named_with_the_last_event_up_to_which_it_agrees(
    models: Models,
) -> None:
    models.record(2)
    models.follow(ORDER_STATUS)
    stale = models.storage.views.select(ORDERS, "WHERE order_id = '0001'")[0]
    models.ledger.record([delivery(notice(order_id="0001"))])
    models.follow(ORDER_STATUS)
    _tamper(
        models,
        f"UPDATE order_status__g1 SET version = {stale.version}, idx = {stale.idx}, "
        "updated_at = (SELECT delivered_at FROM order_status__g1 WHERE order_id = '0001') "
        "WHERE order_id = '0001'",
        "UPDATE order_status__g1 SET status = 'LOST' WHERE order_id = '0000'",
    )
    lost, missed = sorted(
        _all(models).check(["default/0000", "default/0001"]), key=lambda d: d.order_id or ""
    )
    assert (lost.table, lost.kind, lost.columns) == (
        "order_status",
        "changed",
        {"status": ("LOST", "DELIVERED")},
    )
    assert lost.agrees_upto is None
    assert set(missed.columns) >= {"version", "idx"}
    assert missed.agrees_upto == "0-4", "as it was before the last event"


def test_rows_that_are_missing_or_too_many_are_named(models: Models) -> None:
    models.record(2)
    models.follow(ORDER_STATUS)
    _tamper(
        models,
        "DELETE FROM order_status__g1 WHERE order_id = '0000'",
        "INSERT INTO order_references__g1 VALUES ('default', 'X', '0001')",
        "INSERT INTO order_references__g1 VALUES ('default', 'X', 'nobody')",
    )
    found = _all(models).check(["default/0000", "default/0001"])
    assert {(d.table, d.kind, d.order_id) for d in found} == {
        ("order_status", "gone", "0000"),
        ("order_references", "added", "0001"),
    }
    (strays,) = [s for s in _all(models).strays() if s]
    assert strays == ["default/nobody"]
    (stray,) = _all(models).check(strays)
    assert (stray.kind, stray.key["reference"]) == ("added", "X")


def test_one_order_is_repaired_and_a_running_fold_goes_on_from_the_new_row(
    models: Models,
) -> None:
    models.record(5)
    models.follow(BUGGY)
    verifier = _all(models)
    assert len(verifier.repair("default/0003", is_dry_run=True)) == 1
    assert len(verifier.repair("default/0003", is_dry_run=False)) == 1
    assert verifier.repair("default/0003", is_dry_run=False) == []
    (row,) = models.storage.views.select(ORDERS, "WHERE order_id = '0003'")
    assert row.status == "DELIVERED"
    assert len(models.storage.views.select(REFERENCES, "WHERE order_id = '0003'")) == 1
    (followed,) = models.storage.views.followed((BUGGY,))
    assert followed.repairs == 1, "whoever remembers rows has to forget them"


def test_an_event_that_cannot_be_folded_is_named(models: Models) -> None:
    models.record(4)
    models.follow(ORDER_STATUS)
    verifier = Verifier(models.storage, STUMBLING)
    assert verifier.check(["default/0002"]) == []
    with pytest.raises(Poisoned, match=r"PaymentReceived of default/0003 at 0-7") as found:
        verifier.check(["default/0003"])
    assert "a bug in the fold" in found.value.poison.error


def test_a_sample_takes_a_part_of_the_orders(models: Models) -> None:
    models.record(300)
    taken = [s for streams in _all(models).orders(0.2, seed=1) for s in streams]
    assert 30 < len(taken) < 90
    assert len(set(taken)) == len(taken)


def test_the_watch_finds_drift_keeps_it_and_forgets_it_after_the_repair(models: Models) -> None:
    models.record(3)
    models.follow(ORDER_STATUS)
    watch = Watch(models.storage, (ORDER_STATUS,))
    watch.check(ORDER_STATUS)
    assert models.storage.views.watched("order_status").drift == {}
    _tamper(models, "UPDATE order_status__g1 SET status = 'LOST' WHERE order_id = '0001'")
    watch.check(ORDER_STATUS)
    watched = models.storage.views.watched("order_status")
    assert (watched.checked, list(watched.drift)) == (6, ["default/0001"])
    assert json.loads(watched.drift["default/0001"])["columns"] == {"status": ["LOST", "DELIVERED"]}
    _all(models).repair("default/0001", is_dry_run=False)
    watch.check(ORDER_STATUS)
    assert models.storage.views.watched("order_status").drift == {}


def test_a_watch_that_fails_by_itself_stops_nothing_and_repeats_no_value(
    models: Models, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    models.record(1)
    models.follow(ORDER_STATUS)
    monkeypatch.setattr(watching, "PAUSE_SECONDS", -1)
    watch = Watch(models.storage, (ORDER_STATUS,))

    def fail(_: object) -> None:
        raise ValueError("Amina Otieno")

    monkeypatch.setattr(watch, "check", fail)
    watch.look([ORDER_STATUS.name])
    assert "projection order_status is not watched: ValueError" in caplog.text
    assert "Amina" not in caplog.text


def test_an_order_of_another_version_is_not_repaired_alone(models: Models) -> None:
    models.record(1)
    models.follow(ORDER_STATUS)
    _tamper(models, "UPDATE generations SET version = 7 WHERE projection = 'order_status'")
    with pytest.raises(Refused, match="live in version 7"):
        _all(models).repair("default/0000", is_dry_run=False)


def test_rows_of_another_version_are_not_compared_with_this_ones(models: Models) -> None:
    models.record(1)
    models.follow(ORDER_STATUS)
    _tamper(models, "UPDATE generations SET version = 7 WHERE projection = 'order_status'")
    with pytest.raises(Refused, match="live in version 7: rebuild it"):
        _all(models).check(["default/0000"])


def test_of_two_services_one_leads_and_the_other_takes_over(models: Models) -> None:
    first, second = models.storage.views, models.another().views
    assert first.leads("order_status")
    assert first.leads("order_status"), "it goes on leading"
    assert not second.leads("order_status")
    assert second.leads("audit_history"), "each projection has a leader of its own"
    models.opened.pop()
    second.close()
    third = models.another().views
    assert _leads_soon(third, "audit_history")
    assert not third.leads("order_status")
    first.close()
    assert _leads_soon(third, "order_status")


def _leads_soon(views: Views, projection: str) -> bool:
    """Whether it comes to lead: a server takes a lock back a moment after its holder has gone."""
    deadline = monotonic() + TAKE_OVER_SECONDS
    while not views.leads(projection):
        if monotonic() > deadline:
            return False
        sleep(0.05)
    return True


def test_a_column_that_the_live_generation_does_not_have_is_null(models: Models) -> None:
    models.record(1)
    models.follow(ORDER_STATUS)
    _tamper(
        models,
        "UPDATE generations SET columns = replace(columns, '\"review\", ', '') "
        "WHERE projection = 'order_status'",
        "UPDATE order_status__g1 SET review = 'hidden'",
    )
    (row,) = models.storage.views.select(ORDERS, "WHERE review IS NULL")
    assert (row.order_id, row.review) == ("0000", None)


def test_a_fold_that_is_no_more_the_follower_writes_nothing(models: Models) -> None:
    models.record(1)
    models.follow(BUGGY)
    models.follow(ORDER_STATUS)
    assert models.storage.views.followed((BUGGY,)) == []
    assert models.storage.views.followed((ORDER_STATUS,)) == [
        Followed(ORDER_STATUS, 1, Position(0, 2))
    ]


UNREADABLE = [
    ("amount", "'abc'", "abc"),
    ("amount", "'NaN'", "NaN"),
    ("amount", "'902.1000'", "902.1000"),
    ("references", "'x'", "x"),
    ("references", "'[1]'", "[1]"),
    ("updated_at", "9223372036854775807", "9223372036854775807"),
    ("registered", "2", "true"),
]


@pytest.mark.parametrize(("column", "value", "shown"), UNREADABLE)
def test_a_value_that_no_fold_writes_is_drift_with_what_stands_there_and_stops_nothing(
    models: Models, column: str, value: str, shown: str
) -> None:
    models.record(4)
    models.follow(ORDER_STATUS)
    _tamper(
        models,
        f"UPDATE order_status__g1 SET \"{column}\" = {value} WHERE order_id = '0001'",
        "UPDATE order_status__g1 SET status = 'LOST' WHERE order_id = '0003'",
    )
    Watch(models.storage, (ORDER_STATUS,)).check(ORDER_STATUS)
    watched = models.storage.views.watched("order_status")
    assert list(watched.drift) == ["default/0001", "default/0003"]
    live, _ = json.loads(watched.drift["default/0001"])["columns"][column]
    assert live == shown

    work = Rebuild(models.storage, ORDER_STATUS)
    report = work.compare(work.build(1, models.url, lambda done, whole: None), 5)
    samples = {d.order_id: d.columns for d in report.tables[0].samples}
    assert (report.differences, samples["0001"][column][0]) == (2, shown)

    _all(models).repair("default/0001", is_dry_run=False)
    assert [d.order_id for d in _all(models).check(["default/0001", "default/0003"])] == ["0003"]


def test_names_that_would_look_alike_in_a_line_are_told_apart(models: Models) -> None:
    models.ledger.record([delivery(notice(order_id="0001", references=("a b", "c")))])
    models.follow(ORDER_STATUS)
    _tamper(models, """UPDATE order_status__g1 SET "references" = '["a","b c"]'""")
    (drift,) = _all(models).check(["default/0001"])
    assert drift.columns == {"references": ('["a", "b c"]', '["a b", "c"]')}
    work = Rebuild(models.storage, ORDER_STATUS)
    new = work.build(1, models.url, lambda done, whole: None)
    (sample,) = work.compare(new, 5).tables[0].samples
    assert sample.columns == drift.columns
    assert [e.position for e in sample.events if "references" in e.sets] == ["0-1"]


def test_an_order_that_cannot_be_checked_keeps_the_watch_from_no_other(
    models: Models, caplog: pytest.LogCaptureFixture
) -> None:
    models.record(5)
    models.follow(ORDER_STATUS)
    _tamper(models, "UPDATE order_status__g1 SET status = 'LOST' WHERE order_id = '0004'")
    Watch(models.storage, (STUMBLING,)).check(STUMBLING)
    watched = models.storage.views.watched("order_status")
    assert (watched.checked, list(watched.drift)) == (5, ["default/0004"])
    assert "an order is not watched: Poisoned" in caplog.text
