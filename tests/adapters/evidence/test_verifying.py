"""What a verification finds: all that was done to a ledger, by its place and what is wrong."""

import json
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from adapters.evidence import checks, verifying
from adapters.evidence.leaf import leaves
from adapters.evidence.merkle import Tree
from adapters.evidence.notes import SignedCheckpoint
from adapters.evidence.verifying import Verdict
from domain.payment import PaymentStatus
from tests.adapters.evidence.ledgers import Sealed

COLUMNS = "originator_id, originator_version, topic, state, recorded_at, delivery_id"


@pytest.fixture
def ledger(sealed: Sealed) -> Sealed:
    """600 sealed events, and 6 that are not sealed."""
    sealed.fill(300)
    sealed.sealer.seal()
    sealed.fill(3, "tail-")
    return sealed


def verify(
    sealed: Sealed, kept: SignedCheckpoint | None = None, notes: Path | None = None
) -> Verdict:
    return verifying.verify(
        sealed.evidence,
        sealed.url,
        sealed.signer.public_keys(),
        kept_by_auditor=kept,
        notes=notes,
        vault=sealed.ledger.vault,
    )


def found(sealed: Sealed, kept: SignedCheckpoint | None = None) -> dict[str, str]:
    """The findings, by their place."""
    verdict = verify(sealed, kept)
    assert verdict.is_sound == (not verdict.findings)
    named: dict[str, str] = {}
    for finding in verdict.findings:
        before = f"{named[finding.at]}; " if finding.at in named else ""
        named[finding.at] = before + finding.problem
    return named


def swap(idx: int, other: int) -> Sequence[str]:
    return [
        f"UPDATE stored_events SET idx = 1000000 WHERE idx = {idx}",
        f"UPDATE stored_events SET idx = {idx} WHERE idx = {other}",
        f"UPDATE stored_events SET idx = {other} WHERE idx = 1000000",
    ]


def shift(after: int) -> Sequence[str]:
    """Make room behind an index."""
    return [
        f"UPDATE stored_events SET idx = -idx WHERE idx > {after}",
        "UPDATE stored_events SET idx = 1 - idx WHERE idx < 0",
    ]


def test_a_ledger_that_nobody_touched_is_sound(ledger: Sealed) -> None:
    for status in PaymentStatus:
        ledger.tell(f"of-{status}", status, PaymentStatus.PAID, PaymentStatus.PENDING)
    verdict = verify(ledger)
    assert verdict.findings == []
    assert verdict.is_sound
    assert (verdict.sealed_upto, verdict.checkpoints) == ("0-600", 1)
    assert verdict.unsealed_events == verdict.events - 600
    ledger.sealer.seal()
    assert verify(ledger).unsealed_events == 0
    assert verify(ledger).is_sound


def test_an_empty_ledger_is_sound(sealed: Sealed) -> None:
    assert verify(sealed).is_sound


@pytest.mark.parametrize(
    "change",
    [
        "state = replace(state, '902.10', '902.11')",
        "topic = 'PaymentFailed'",
        "originator_version = 7",
        "originator_id = 'default/o1x'",
    ],
)
def test_a_changed_event_is_named(ledger: Sealed, change: str) -> None:
    if ledger.url.startswith("sqlite"):
        change = change.replace("replace(state,", "replace(CAST(state AS TEXT),")
    ledger.tamper(f"UPDATE stored_events SET {change} WHERE idx = 3")
    assert found(ledger)["0-3"].startswith("not the event that was sealed here")


def test_a_changed_time_is_named(ledger: Sealed) -> None:
    later = "recorded_at + 1" if "sqlite" in ledger.url else "recorded_at + interval '1 us'"
    ledger.tamper(f"UPDATE stored_events SET recorded_at = {later} WHERE idx = 300")
    assert found(ledger) == {"0-300": "not the event that was sealed here"}


def test_any_flipped_byte_of_a_state_is_named(ledger: Sealed) -> None:
    if not ledger.url.startswith("sqlite"):
        pytest.skip("PostgreSQL stores text: a byte that is none is refused by the server")
    for offset in range(0, 320, 40):
        ledger.tamper(
            f"UPDATE stored_events SET state = CAST(substr(state, 1, {offset}) || "
            f"CASE WHEN substr(state, {offset} + 1, 1) = x'61' THEN x'62' ELSE x'61' END || "
            f"substr(state, {offset} + 2) AS BLOB) WHERE idx = {2 * offset + 1}"
        )
    named = found(ledger)
    assert {f"0-{2 * offset + 1}" for offset in range(0, 320, 40) if offset < 300} <= set(named)


@pytest.mark.parametrize(
    "change",
    [
        "originator_version = 'x'",
        "originator_version = 1.5",
        "recorded_at = 'x'",
        "recorded_at = 9223372036854775807",
        "delivery_id = 'x'",
        "delivery_id = 9223372036854775807",
        "topic = x'ff00'",
        "originator_id = x'ff00'",
        "state = x'ff'",
        "state = '[' || char(0) || ']'",
    ],
)
def test_a_value_that_no_event_has_is_named(ledger: Sealed, change: str) -> None:
    if not ledger.url.startswith("sqlite"):
        pytest.skip("PostgreSQL's columns take no value of another type")
    ledger.tamper(f"UPDATE stored_events SET {change} WHERE idx = 301")
    assert set(found(ledger)) >= ({"0-301"} if "id = '" not in change else set())


def test_a_deleted_event_is_named(ledger: Sealed) -> None:
    ledger.tamper("DELETE FROM stored_events WHERE idx IN (5, 6, 9)")
    named = found(ledger)
    assert named["0-5 to 0-6"] == named["0-9"] == "missing: sealed, and not in the log"


def test_events_that_changed_places_are_named(ledger: Sealed) -> None:
    ledger.tamper(*swap(7, 21))
    named = found(ledger)
    assert "not the event that was sealed here; that one stands at 0-21" in named["0-7"]
    assert "not the event that was sealed here; that one stands at 0-7" in named["0-21"]


def test_an_event_that_was_slipped_in_is_named(ledger: Sealed) -> None:
    insert = (
        f"INSERT INTO stored_events (idx, {COLUMNS}) SELECT 101, 'default/new', 1, topic, state"
    )
    partition = "" if "sqlite" in ledger.url else ", partition"
    insert = insert.replace("(idx", f"(idx{partition}").replace(
        "101", f"101{', 0' if partition else ''}"
    )
    ledger.tamper(
        *shift(100), f"{insert}, recorded_at, delivery_id FROM stored_events WHERE idx = 1"
    )
    named = found(ledger)
    assert "0-100" not in named
    assert "not the event that was sealed here; that one stands at 0-102" in named["0-101"]
    assert "not the event that was sealed here; that one stands at 0-103" in named["0-102"]
    assert verify(ledger).findings_count >= 500


def test_an_event_outside_the_log_is_named(ledger: Sealed) -> None:
    ledger.tamper("UPDATE stored_events SET idx = -4 WHERE idx = 605")
    named = found(ledger)
    assert named["outside the log"] == "1 events stand where no position is"
    assert named["0-605"] == "missing: not sealed yet, but the log was longer"


@pytest.mark.parametrize("partition", [-1, 1])
def test_an_event_of_another_partition_is_named(ledger: Sealed, partition: int) -> None:
    if ledger.url.startswith("sqlite"):
        pytest.skip("SQLite's log has no other partition")
    ledger.tamper(f"UPDATE stored_events SET partition = {partition} WHERE idx = 605")
    assert found(ledger)["outside the log"] == "1 events stand where no position is"


def test_a_cut_in_the_sealed_part_is_named(ledger: Sealed) -> None:
    ledger.tamper("DELETE FROM stored_events WHERE idx > 590")
    named = found(ledger)
    assert named["0-591 to 0-600"] == "missing: sealed, and not in the log"
    assert named["0-601 to 0-606"] == "missing: not sealed yet, but the log was longer"


def test_in_the_tail_what_is_missing_before_the_head_is_named(ledger: Sealed) -> None:
    ledger.tamper("DELETE FROM stored_events WHERE idx IN (602, 605, 606)")
    named = found(ledger)
    assert named["0-602"] == named["0-605 to 0-606"]
    assert named["0-602"] == "missing: not sealed yet, but the log was longer"


def cut_together(sealed: Sealed) -> None:
    """Cut data and checkpoints as one who may do everything would, and reaches the keys too."""
    sealed.signer.last_file.unlink()
    head = (
        [] if "sqlite" in sealed.url else ["UPDATE log_head SET last_idx=400, last_delivery_id=200"]
    )
    sealed.tamper(
        "DELETE FROM stored_events WHERE idx > 400",
        "DELETE FROM deliveries WHERE id > 200",
        "DELETE FROM bodies WHERE delivery_id > 200",
        "DELETE FROM order_keys WHERE id > 400",
        "DELETE FROM checkpoints",
        *head,
    )
    sealed.tamper_tree("DELETE FROM tiles")
    sealed.another_sealer().seal()


def test_data_and_checkpoints_that_were_cut_together_need_a_checkpoint_kept_elsewhere(
    ledger: Sealed,
) -> None:
    kept = ledger.sealer.seal()
    assert kept is not None
    cut_together(ledger)
    assert verify(ledger).is_sound, "nothing inside tells; the documentation says so"
    named = found(ledger, kept)
    assert "the log was cut: it ends at 0-400" in named.values()
    ledger.fill(300, "filled-up-again-")
    named = found(ledger, kept)
    assert any("this ledger is not its continuation" in problem for problem in named.values())


def test_a_checkpoint_that_was_kept_is_continued(ledger: Sealed) -> None:
    kept = ledger.sealer.seal()
    ledger.fill(400, "later-")
    assert found(ledger, kept) == {}
    ledger.sealer.seal()
    assert found(ledger, kept) == {}


def test_a_kept_checkpoint_of_what_is_not_sealed_any_more_is_compared_with_the_events(
    ledger: Sealed,
) -> None:
    kept = ledger.sealer.seal()
    ledger.tamper("DELETE FROM checkpoints WHERE number = 2")
    assert found(ledger, kept) == {}


def test_a_checkpoint_of_another_ledger_is_named(ledger: Sealed) -> None:
    kept = ledger.sealer.seal()
    ledger.signer.path.unlink()
    ledger.tamper("DELETE FROM seal_keys", "DELETE FROM checkpoints")
    ledger.signer.signing_keys()
    ledger.sealer.seal()
    assert "no known key signed it" in next(iter(found(ledger, kept).values()))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("UPDATE checkpoints SET note = replace(note, '600', '599')", "is wrong"),
        ("UPDATE checkpoints SET note = 'x'", "a checkpoint has"),
        ("UPDATE checkpoints SET tree_size = 599", "its size is not what was signed"),
        ("UPDATE checkpoints SET number = 2", "checkpoint 1 is missing before it"),
        ("DELETE FROM seal_keys", "no known key signed it"),
    ],
)
def test_a_checkpoint_that_was_touched_is_named(ledger: Sealed, change: str, problem: str) -> None:
    ledger.tamper(change)
    assert any(problem in told for told in found(ledger).values())


def test_a_checkpoint_that_does_not_fit_the_tree_is_named(ledger: Sealed) -> None:
    signed = ledger.sealer.seal()
    assert signed is not None
    note = signed.note
    ledger.tamper(f"UPDATE checkpoints SET note = '{note}', tree_size = 606 WHERE number = 1")
    assert found(ledger) == {}
    ledger.tamper_tree(
        "UPDATE tiles SET hashes = (SELECT hashes FROM tiles WHERE number = 0 "
        "AND level = 0) WHERE level = 0 AND number = 1"
    )
    named = found(ledger)
    assert named["tile 0/1"] == "damaged; the events below it are what was sealed"


def test_an_event_that_was_changed_with_its_tile_is_found(ledger: Sealed) -> None:
    ledger.tamper("UPDATE stored_events SET topic = 'ReviewRequired' WHERE idx = 2")
    tree = Tree()
    (tile, *_) = tree.extend(leaves(0, ledger.evidence.raw_rows(0, 256)))
    with ledger.evidence.sealing() as sealing:
        sealing.put([tile])
    told = found(ledger)["0-1 to 0-256"]
    assert told == "changed, some of them: tile 0/0 has another root, and so have they"


def test_tiles_that_are_gone_are_said_and_made_again(ledger: Sealed) -> None:
    ledger.tamper_tree("DELETE FROM tiles")
    named = found(ledger)
    assert named["tile 0/0"] == "missing: what it sealed is not known"
    assert "cannot be compared" in named["checkpoint 1"]
    ledger.another_sealer().seal()
    assert found(ledger) == {}


def test_delivered_without_a_paid_is_named_also_in_the_tail(ledger: Sealed) -> None:
    ledger.tell("pending", PaymentStatus.PENDING)
    state = '{"v":1,"caused_by":1}'
    as_stored = f"CAST('{state}' AS BLOB)" if "sqlite" in ledger.url else f"'{state}'"
    partition, zero = ("", "") if "sqlite" in ledger.url else ("partition, ", "0, ")
    ledger.tamper(
        f"INSERT INTO stored_events ({partition}idx, {COLUMNS}) "
        f"SELECT {zero}608, 'default/pending', 2, 'Delivered', {as_stored}, "
        "recorded_at, delivery_id FROM stored_events WHERE idx = 607"
    )
    assert (
        found(ledger)["0-608"] == "order default/pending: Delivered at version 2: no PAID caused it"
    )


def test_a_version_that_is_missing_is_named_also_in_the_tail(ledger: Sealed) -> None:
    ledger.tamper("UPDATE stored_events SET originator_version = 3 WHERE idx = 606")
    assert "a version is missing or double" in found(ledger)["0-606"]


def test_an_order_that_goes_on_in_another_part_is_folded_whole(
    ledger: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        ledger.tell("o1", PaymentStatus.REFUNDED, PaymentStatus.PENDING)
    monkeypatch.setattr(verifying, "EVENTS_IN_PART", 256)
    monkeypatch.setattr(verifying, "PARTS_ALONE_MAX", 99)
    assert found(ledger) == {}


@pytest.mark.parametrize(
    ("change", "at", "problem"),
    [
        ("UPDATE bodies SET body = body || body WHERE delivery_id = 9", "delivery 9", "not the"),
        ("DELETE FROM bodies WHERE delivery_id = 9", "delivery 9", "its body is missing"),
        ("DELETE FROM deliveries WHERE id IN (9, 10)", "deliveries 9 to 10", "missing in the"),
        ("UPDATE deliveries SET body_hash = 'aa' WHERE id = 9", "0-17", "not that of"),
    ],
)  # fmt: skip
def test_a_body_that_is_not_what_was_delivered_is_named(
    ledger: Sealed, change: str, at: str, problem: str
) -> None:
    ledger.tamper(change)
    assert problem in found(ledger)[at]


def test_parts_that_run_side_by_side_find_the_same(
    ledger: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "EVENTS_IN_PART", 256)
    monkeypatch.setattr(verifying, "DELIVERIES_IN_PART", 100)
    ledger.tamper("UPDATE stored_events SET topic = 'x' WHERE idx IN (3, 300)")
    side_by_side = verify(ledger)
    monkeypatch.setattr(verifying, "PARTS_ALONE_MAX", 99)
    assert verify(ledger) == side_by_side
    assert side_by_side.findings_count == 5


def test_a_verification_that_was_interrupted_goes_on(
    ledger: Sealed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "EVENTS_IN_PART", 256)
    monkeypatch.setattr(verifying, "PARTS_ALONE_MAX", 99)
    notes = tmp_path / "notes"
    ledger.tamper("UPDATE stored_events SET topic = 'x' WHERE idx = 3")
    checked: list[checks.Part] = []

    def check(store: object, vault: object, part: checks.Part) -> checks.Checked:
        if len(checked) == 2:
            raise KeyboardInterrupt
        return note(store, vault, part)

    def note(store: object, vault: object, part: checks.Part) -> checks.Checked:
        checked.append(part)
        return checks.check(ledger.evidence, None, part)

    monkeypatch.setattr(verifying, "check", check)
    with pytest.raises(KeyboardInterrupt):
        verify(ledger, notes=notes)
    assert len(json.loads(notes.read_text())["done"]) == 2
    ledger.fill(1, "meanwhile-")
    ledger.sealer.seal()
    monkeypatch.setattr(verifying, "check", note)
    verdict = verify(ledger, notes=notes)
    assert len(checked) == len(set(checked)), "nothing is done twice"
    assert verdict.findings[0].at == "0-3"
    assert not notes.exists()


def test_notes_about_parts_that_are_cut_otherwise_by_now_are_not_believed(
    ledger: Sealed, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    checkpoint = ledger.evidence.last_checkpoint()
    assert checkpoint is not None
    done = [[["events", 0, 300, 600], [["0-3", "told by an earlier release"]], 1]]
    kept = {"events": 606, "deliveries": 303, "checkpoint": [1, checkpoint.note], "done": done}
    notes.write_text(json.dumps(kept))
    assert verify(ledger, notes=notes).findings == []


def test_notes_of_what_was_replaced_since_are_not_believed(ledger: Sealed, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.write_text(
        json.dumps({"events": 1, "deliveries": 0, "checkpoint": [1, "another"], "done": []})
    )
    assert verify(ledger, notes=notes).events == 606


def test_a_ledger_can_be_verified_while_it_grows(ledger: Sealed) -> None:
    stop = threading.Event()

    def grow() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            ledger.fill(20, f"growing-{number}-")

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        for _ in range(5):
            ledger.sealer.seal()
            assert verify(ledger).findings == []
    finally:
        stop.set()
        thread.join()


LOST = "DELETE FROM bodies WHERE delivery_id = 1"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (["UPDATE deliveries SET outcome = 'duplicate' WHERE id = 1"], "said to be a duplicate"),
        (["UPDATE deliveries SET replay_of = 999999 WHERE id = 1"], "has no such body"),
        (["UPDATE deliveries SET replay_of = 2 WHERE id = 1"], "has no such body"),
        (["UPDATE deliveries SET replay_of = 2, idx = NULL WHERE id = 1"], "other events"),
        (["UPDATE stored_events SET delivery_id = NULL WHERE delivery_id = 1"], "is not said"),
        (["UPDATE stored_events SET delivery_id = 2 WHERE delivery_id = 1"], "not that of its"),
        (
            [
                "DELETE FROM order_keys WHERE id = 1",
                "UPDATE deliveries SET outcome = 'duplicate' WHERE id = 1",
            ],
            "said to be a duplicate",
        ),
        (
            [
                "UPDATE stored_events SET delivery_id = NULL",
                "DELETE FROM bodies",
                "DELETE FROM deliveries",
            ],
            "is not said",
        ),
    ],
)
def test_a_body_is_missed_whatever_its_delivery_is_made_to_say(
    sealed: Sealed, changes: Sequence[str], problem: str
) -> None:
    sealed.tell("42", PaymentStatus.PENDING)
    sealed.tell("43", PaymentStatus.PENDING)
    sealed.sealer.seal()
    assert verify(sealed).is_sound
    sealed.tamper(*changes, LOST)
    assert problem in found(sealed)["0-1"]
