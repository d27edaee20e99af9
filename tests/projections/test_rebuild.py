"""A rebuild: it goes on where it was stopped, is compared at one position, switches in one step."""

from collections.abc import Iterator
from threading import Event, Thread

import pytest

from adapters.read_models.folding import Poisoned, fold_part
from adapters.read_models.parity import Difference, Parity, csv_lines
from adapters.read_models.rebuilding import Rebuild
from adapters.storage.opening import Storage
from adapters.storage.rebuilds import Refused
from domain.log import Position
from projections.model import Generation, Projection, State
from projections.order_status import ORDER_STATUS, ORDERS, REFERENCES
from projections.runner import CheckpointMoved
from tests.projections.conftest import Models
from tests.projections.folds import BUGGY, STUMBLING

ROWS = 20


def _quiet(done: int, whole: int) -> None:
    assert 0 <= done <= whole


def _build(models: Models, projection: Projection = ORDER_STATUS) -> tuple[Rebuild, Generation]:
    work = Rebuild(models.storage, projection)
    return work, work.build(1, models.url, _quiet)


def _report(models: Models) -> tuple[Rebuild, Generation, Parity]:
    work, new = _build(models)
    return work, new, work.compare(new, 5)


def test_a_changed_fold_makes_a_rebuild_due_and_takes_over_meanwhile(models: Models) -> None:
    models.record(5)
    models.follow(BUGGY)
    (live,) = models.storage.views.generations("order_status")
    assert live.rebuild_due(ORDER_STATUS) == "the code of its fold changed"
    models.record(5, first=5)
    models.follow(ORDER_STATUS)
    (live,) = models.storage.views.generations("order_status")
    assert live.position == Position(0, 20), "queries go on"
    assert live.changed_at == Position(0, 10)
    assert live.rebuild_due(ORDER_STATUS), "part of it is the old fold's"


def test_a_generation_that_is_compared_equal_differs_in_nothing(models: Models) -> None:
    models.record(ROWS)
    models.follow(ORDER_STATUS)
    work, new, report = _report(models)
    assert report.differences == 0
    assert [(t.table, t.rows_old, t.rows_new) for t in report.tables] == [
        ("order_status", ROWS, ROWS),
        ("order_references", ROWS, ROWS),
    ]
    assert (new.state, work.live.number) == (State.BUILDING, 1)


def test_the_report_names_the_wrong_rows_their_columns_and_the_event_that_sets_them(
    models: Models,
) -> None:
    models.record(ROWS)
    models.follow(BUGGY)
    work, new, report = _report(models)
    orders, references = report.tables
    assert (orders.added, orders.gone, orders.changed) == (0, 0, 2)
    assert orders.columns == {"status": 2, "delivered_at": 2}
    assert report.by_column["order_status.status"] == 2
    assert (references.added, references.gone, references.changed) == (0, 0, 0)
    first, second = orders.samples
    assert (first.order_id, second.order_id) == ("0003", "0013")
    assert first.columns["status"] == ("AWAITING_PAYMENT", "DELIVERED")
    assert [(e.position, e.type, sorted(e.sets)) for e in first.events] == [
        ("0-7", "PaymentReceived", []),
        ("0-8", "Delivered", ["delivered_at", "status"]),
    ]
    lines: list[str] = []

    def write(differences: Iterator[Difference]) -> None:
        lines.extend(csv_lines(differences))

    work.compare(new, 0, write)
    assert lines[0] == "table,kind,store,order_id,key,column,old,new,because_of\n"
    key = "store=default order_id=0003"
    status = f"order_status,changed,default,0003,{key},status,AWAITING_PAYMENT,DELIVERED,0-8\n"
    assert status in lines
    assert len(lines) == 1 + 4


def test_rows_that_were_lost_or_invented_are_added_and_gone(models: Models) -> None:
    models.record(3)
    models.follow(ORDER_STATUS)
    with models.storage.views.transaction(commit=True) as c:
        c.execute("DELETE FROM order_status__g1 WHERE order_id = '0001'")
        c.execute("UPDATE order_references__g1 SET reference = 'X' WHERE reference = 'R2'")
    _, _, report = _report(models)
    orders, references = report.tables
    assert (orders.added, orders.gone, orders.changed) == (1, 0, 0)
    assert (references.added, references.gone, references.changed) == (1, 1, 0)
    assert [d.kind for d in references.samples] == ["gone", "added"]
    gone, added = references.samples
    assert gone.key == {"store": "default", "order_id": "0002", "reference": "X"}
    assert [e for e in gone.events if e.sets] == []
    assert [(e.position, e.sets) for e in added.events if e.sets] == [("0-5", ["reference"])]
    key = "store=default order_id=0002 reference=R2"
    row = f"order_references,added,default,0002,{key},,,,0-5\n"
    assert row in list(csv_lines(iter([gone, added])))


def test_what_was_stopped_between_two_chunks_goes_on_from_there(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(models.storage.views), "chunk_events", 5)
    models.record(ROWS)
    models.follow(ORDER_STATUS)
    work = Rebuild(models.storage, ORDER_STATUS)
    begun = work.steps.begin(ORDER_STATUS, 3, 40)
    first, *_ = work.steps.parts(begun)
    chunks = fold_part(models.storage, ORDER_STATUS, begun, first, 40)
    assert next(chunks) == 15, "three slices, so chunks of three times five events"
    del chunks
    assert [part.idx for part in work.steps.parts(begun)] == [15, 0, 0]

    assert work.begun == begun
    new = work.build(1, models.url, _quiet)
    assert new.number == begun.number
    assert work.compare(new, 5).differences == 0


def test_several_processes_fold_a_slice_each(models: Models) -> None:
    models.record(ROWS)
    models.follow(ORDER_STATUS)
    work = Rebuild(models.storage, ORDER_STATUS)
    new = work.build(2, models.url, _quiet)
    assert new.position == Position(0, 40)
    assert work.compare(new, 5).differences == 0


def test_what_another_fold_began_is_begun_anew(models: Models) -> None:
    models.record(2)
    models.follow(ORDER_STATUS)
    steps = Rebuild(models.storage, BUGGY).steps
    begun = steps.begin(BUGGY, 1, 4)
    anew = steps.begin(ORDER_STATUS, 1, 4)
    assert (begun.number, anew.number) == (2, 3)


def test_only_one_rebuild_runs_at_a_time(models: Models) -> None:
    models.record(1)
    models.follow(ORDER_STATUS)
    assert models.another().views.leads("order_status-rebuild")
    with pytest.raises(Refused, match="running already"):
        _build(models)


def test_a_poison_event_parks_the_new_generation_and_after_the_fix_it_is_built(
    models: Models,
) -> None:
    models.record(ROWS)
    models.follow(ORDER_STATUS)
    with pytest.raises(Poisoned, match=r"PaymentReceived of default/0003 at 0-7"):
        _build(models, STUMBLING)
    ((place, poison),) = models.storage.views.poisons().items()
    assert place == ("order_status", 2)
    assert "a bug in the fold" in poison.error
    assert models.storage.views.parked() == {}, "the live one is well"
    work, _, report = _report(models)
    assert report.differences == 0
    assert models.storage.views.poisons() == {}
    assert work.live.number == 1


def test_a_switch_is_refused_while_the_new_generation_is_behind(models: Models) -> None:
    models.record(2)
    models.follow(ORDER_STATUS)
    work, new, report = _report(models)
    work.steps.settle(new, report.model_dump_json())
    models.record(1, first=2)
    Rebuild(models.storage, ORDER_STATUS)
    models.storage.views.write(
        models.storage.views.followed((ORDER_STATUS,))[0], Position(0, 6), {}
    )
    with pytest.raises(CheckpointMoved):
        work.steps.switch("order_status", new.number)
    work.switch(new)
    assert work.live.number == new.number


def test_a_built_generation_is_followed_until_the_switch(models: Models) -> None:
    models.record(4)
    models.follow(BUGGY)
    work, new, report = _report(models)
    work.steps.settle(new, report.model_dump_json())
    models.record(1, first=4)
    models.follow(ORDER_STATUS)
    assert {g.position for g in models.storage.views.generations("order_status")} == {
        Position(0, 10)
    }
    work.switch(new)
    assert {row.status for row in models.storage.views.select(ORDERS, "")} == {"DELIVERED"}


def test_a_rollback_returns_to_the_rows_as_they_were_and_nobody_takes_them_over(
    models: Models,
) -> None:
    models.record(4)
    models.follow(BUGGY)
    work, new, report = _report(models)
    work.steps.settle(new, report.model_dump_json())
    work.switch(new)
    former, is_current = work.roll_back()
    assert (former.number, is_current) == (1, False)
    models.record(1, first=4)
    models.follow(ORDER_STATUS)
    assert work.live.position == Position(0, 8), "it stands where it stood"
    models.follow(BUGGY)
    assert work.live.position == Position(0, 10), "the release with its fold goes on with it"


def test_a_rollback_to_a_fold_that_is_still_here_catches_up_first(models: Models) -> None:
    models.record(2)
    models.follow(ORDER_STATUS)
    work, new, report = _report(models)
    work.steps.settle(new, report.model_dump_json())
    work.switch(new)
    models.record(1, first=2)
    models.follow(ORDER_STATUS)
    former, is_current = work.roll_back()
    assert (former.number, is_current) == (1, True)
    assert work.live.position == Position(0, 6)


def test_rollbacks_go_back_one_by_one_and_not_to_what_one_of_them_took_back(models: Models) -> None:
    models.record(2)
    models.follow(ORDER_STATUS)
    for _ in range(2):
        work, new, report = _report(models)
        work.steps.settle(new, report.model_dump_json())
        work.switch(new)
    went = [work.roll_back()[0].number for _ in range(2)]
    assert (new.number, went) == (3, [2, 1])
    with pytest.raises(Refused, match="switch returns to generation 2"):
        work.roll_back()
    work, new, report = _report(models)
    work.steps.settle(new, report.model_dump_json())
    work.switch(new)
    assert (new.number, work.roll_back()[0].number) == (4, 1), "2 and 3 were taken back"


def test_dropped_tables_are_gone_and_the_live_ones_are_not_to_be_dropped(models: Models) -> None:
    models.record(2)
    models.follow(ORDER_STATUS)
    work, new, report = _report(models)
    work.steps.settle(new, report.model_dump_json())
    work.switch(new)
    with pytest.raises(Refused, match="is live"):
        work.steps.drop("order_status", new.number)
    work.steps.drop("order_status", 1)
    assert [g.number for g in models.storage.views.generations("order_status")] == [2]
    with pytest.raises(Refused, match="no earlier generation"):
        work.roll_back()
    work, new = _build(models)
    assert new.number == 3, "no number is used twice"


def test_readers_see_one_generation_whole_while_others_switch_and_drop(models: Models) -> None:
    """Every reading finds the references of the generation that its orders are of."""
    models.record(3)
    models.follow(ORDER_STATUS)
    reader, stop, seen = models.another(), Event(), set[tuple[int, str]]()

    def ask(storage: Storage) -> tuple[int, str]:
        return storage.views.read(
            lambda r: (
                r.live["order_status"].number,
                r.select(ORDERS, "WHERE order_id = '0001'")[0].status,
            )
        )

    def keep_asking() -> None:
        while not stop.is_set():
            seen.add(ask(reader))
            reader.views.select(REFERENCES, "WHERE reference = 'R1'")

    thread = Thread(target=keep_asking)
    thread.start()
    try:
        for n in range(12):
            work, new, report = _report(models)
            status = f"generation {new.number}"
            with models.storage.views.transaction(commit=True) as c:
                c.execute(f"UPDATE order_status__g{new.number} SET status = ?", (status,))
            work.steps.settle(new, report.model_dump_json())
            work.switch(new)
            work.steps.drop("order_status", new.number - 1)
            assert thread.is_alive(), f"a reader failed at switch {n}"
    finally:
        stop.set()
        thread.join()
    assert all(status in ("DELIVERED", f"generation {n}") for n, status in seen)
    assert {status for n, status in seen if n > 1} <= {f"generation {n}" for n, _ in seen}
    assert len(seen) > 2


def test_a_plan_writes_nothing(models: Models) -> None:
    models.record(ROWS)
    models.follow(ORDER_STATUS)
    plan = Rebuild(models.storage, ORDER_STATUS).plan(1)
    assert (plan.events, plan.sampled) == (40, 40)
    assert plan.bytes is None or plan.bytes > 0
    assert [g.number for g in models.storage.views.generations("order_status")] == [1]
    assert models.storage.views.poisons() == {}
