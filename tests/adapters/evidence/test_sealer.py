"""The sealer: what it takes in, what it signs, and what it refuses to go on from."""

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from adapters.evidence.keys import KeyTrouble, Signer
from adapters.evidence.leaf import leaves
from adapters.evidence.merkle import Tree, root
from adapters.evidence.notes import SignedCheckpoint
from adapters.evidence.sealer import Damaged, Sealer, unsealed
from adapters.evidence.verifying import verify
from adapters.storage.evidence import RawRow
from domain.payment import PaymentStatus
from tests.adapters.evidence.ledgers import Sealed, opened


def root_of_events(sealed: Sealed, size: int) -> bytes:
    """The root over the first events, from the events alone."""
    tree = Tree()
    tree.extend(leaves(0, sealed.evidence.rows(0, size)))
    assert tree.size == size
    return tree.root()


def last(sealed: Sealed) -> SignedCheckpoint:
    kept = sealed.evidence.last_checkpoint()
    assert kept is not None
    return SignedCheckpoint.parse(kept.note)


def test_a_checkpoint_seals_every_event_that_is_there(sealed: Sealed) -> None:
    sealed.fill(300)
    signed = sealed.sealer.seal()
    assert signed is not None
    assert signed.checkpoint.origin == "shop.example/0"
    assert signed.checkpoint.size == 600
    assert signed.checkpoint.root == root_of_events(sealed, 600)
    assert root(600, sealed.evidence.tile) == signed.checkpoint.root
    assert signed.signers(sealed.signer.public_keys()) == sealed.signer.public_keys()


def test_an_empty_ledger_has_nothing_to_sign(sealed: Sealed) -> None:
    assert sealed.sealer.seal() is None


def test_nothing_new_is_not_signed_again(sealed: Sealed) -> None:
    sealed.fill(1)
    assert sealed.sealer.seal() == sealed.sealer.seal() == sealed.another_sealer().seal()
    assert len(sealed.evidence.checkpoints_after(0, 10)) == 1


def test_each_checkpoint_goes_on_from_the_one_before(sealed: Sealed) -> None:
    for number in range(4):
        sealed.fill(90, f"{number}-")
        sealed.sealer.seal()
    for kept in sealed.evidence.checkpoints_after(0, 10):
        read = SignedCheckpoint.parse(kept.note).checkpoint
        assert read.size == kept.size == kept.number * 180
        assert read.root == root_of_events(sealed, kept.size)
        assert root(kept.size, sealed.evidence.tile) == read.root


def test_two_sealers_take_turns(sealed: Sealed) -> None:
    other = sealed.another_sealer()
    for number in range(6):
        sealed.fill(150, f"{number}-")
        (sealed.sealer, other)[number % 2].seal()
    assert last(sealed).checkpoint.root == root_of_events(sealed, 1800)
    assert root(1800, sealed.evidence.tile) == root_of_events(sealed, 1800)


def test_sealers_that_race_sign_one_history(sealed: Sealed) -> None:
    sealers = [sealed.another_sealer() for _ in range(3)]

    def seal(sealer: Sealer) -> None:
        for _ in range(5):
            sealer.seal()

    threads = [threading.Thread(target=seal, args=(sealer,)) for sealer in sealers]
    for thread in threads:
        thread.start()
    for number in range(5):
        sealed.fill(100, f"{number}-")
    for thread in threads:
        thread.join()
    sealed.sealer.seal()
    sizes = [kept.size for kept in sealed.evidence.checkpoints_after(0, 100)]
    assert sizes == sorted(set(sizes))
    for size in sizes:
        assert root(size, sealed.evidence.tile) == root_of_events(sealed, size)


def test_the_unsealed_tail_is_told(sealed: Sealed) -> None:
    assert unsealed(sealed.evidence) == (0, None)
    sealed.fill(2)
    events, since = unsealed(sealed.evidence)
    assert events == 4
    assert since is not None
    sealed.sealer.seal()
    assert unsealed(sealed.evidence) == (0, None)


def test_a_sealer_that_was_killed_between_tiles_and_checkpoint_goes_on(sealed: Sealed) -> None:
    sealed.fill(100)
    sealed.sealer.seal()
    sealed.fill(700, "later-")
    while sealed.sealer._take_in(is_due=False):
        pass  # whole tiles are stored now, and no checkpoint covers them
    signed = sealed.another_sealer().seal()
    assert signed is not None
    assert signed.checkpoint.root == root_of_events(sealed, 1600)


@pytest.mark.parametrize("lost", ["DELETE FROM tiles", "DELETE FROM tiles WHERE level = 1"])
def test_tiles_that_are_gone_are_made_again_and_compared(sealed: Sealed, lost: str) -> None:
    sealed.fill(1500)
    sealed.sealer.seal()
    sealed.tamper_tree(lost)
    sealed.fill(10, "later-")
    signed = sealed.another_sealer().seal()
    assert signed is not None
    assert signed.checkpoint.root == root_of_events(sealed, 3020)
    assert root(3020, sealed.evidence.tile) == signed.checkpoint.root


def test_last_tiles_that_a_power_cut_undid_are_made_again(sealed: Sealed) -> None:
    sealed.fill(300)
    sealed.sealer.seal()
    sealed.fill(300, "later-")
    sealed.sealer.seal()
    sealed.tamper_tree("DELETE FROM tiles WHERE level = 0 AND number >= 3")
    assert sealed.another_sealer().seal() == last(sealed)
    assert root(1200, sealed.evidence.tile) == root_of_events(sealed, 1200)


def test_a_changed_event_is_not_sealed_over(sealed: Sealed) -> None:
    sealed.fill(300)
    sealed.sealer.seal()
    sealed.tamper("UPDATE stored_events SET topic = 'Delivered' WHERE idx = 3")
    sealed.tamper_tree("DELETE FROM tiles")
    sealed.fill(1, "later-")
    with pytest.raises(Damaged, match="not what checkpoint 1 sealed"):
        sealed.another_sealer().seal()
    assert last(sealed).checkpoint.size == 600


def test_a_log_that_was_cut_is_not_sealed_over(sealed: Sealed) -> None:
    sealed.fill(3)
    sealed.sealer.seal()
    sealed.tamper(
        "DELETE FROM stored_events WHERE idx > 4",
        "DELETE FROM deliveries WHERE id > 2",
        "DELETE FROM bodies WHERE delivery_id > 2",
        *(
            []
            if sealed.url.startswith("sqlite")
            else ["UPDATE log_head SET last_idx = 4, last_delivery_id = 2"]
        ),
    )
    with pytest.raises(Damaged, match="ends before 0-6"):
        sealed.another_sealer().seal()


def test_a_hole_in_the_log_is_not_sealed_over(sealed: Sealed) -> None:
    sealed.fill(3)
    sealed.tamper("DELETE FROM stored_events WHERE idx = 3")
    with pytest.raises(Damaged, match="0-3 is missing"):
        sealed.sealer.seal()
    assert sealed.evidence.last_checkpoint() is None


def test_a_hole_that_is_larger_than_a_batch_is_not_sealed_over(
    sealed: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.evidence.sealer.BATCH_SIZE_MAX", 16)
    sealed.fill(20)
    sealed.tamper("DELETE FROM stored_events WHERE idx <= 20")
    with pytest.raises(Damaged, match="0-1 is missing"):
        sealed.sealer.seal()


def test_a_checkpoint_that_was_forged_is_not_gone_on_from(sealed: Sealed) -> None:
    sealed.fill(2)
    signed = sealed.sealer.seal()
    assert signed is not None
    sealed.tamper(
        "UPDATE checkpoints SET note = replace(note, 'shop.example/0\n4', 'shop.example/0\n3')"
    )
    with pytest.raises(Damaged, match="checkpoint 1 cannot be used"):
        sealed.another_sealer().seal()


def test_what_stands_in_the_way_is_told_until_it_is_gone(sealed: Sealed) -> None:
    sealed.fill(2)
    sealed.sealer.seal()
    key_file = sealed.signer.path.read_bytes()
    sealed.signer.path.unlink()
    sealer = sealed.another_sealer()
    stop = threading.Event()
    stop.set()
    sealer.run(stop)
    problem = sealed.evidence.problem()
    assert problem is not None
    assert "put its key file back" in problem
    sealed.signer.path.touch(mode=0o600)
    sealed.signer.path.write_bytes(key_file)
    sealer.run(stop)
    assert sealed.evidence.problem() is None


def test_a_graceful_stop_seals_what_is_there(sealed: Sealed) -> None:
    sealed.fill(2)
    stop = threading.Event()
    stop.set()
    sealed.sealer.run(stop)
    assert last(sealed).checkpoint.size == 4


def test_a_sealer_that_is_off_signs_nothing(sealed: Sealed) -> None:
    sealed.fill(2)
    stop = threading.Event()
    stop.set()
    Sealer(sealed.evidence, sealed.signer, 0).run(stop)
    assert sealed.evidence.last_checkpoint() is None


def test_a_checkpoint_comes_when_its_time_has_come(sealed: Sealed) -> None:
    now = [0.0]
    sealer = Sealer(sealed.evidence, sealed.signer, 60, lambda: now[0])
    sealed.fill(200)
    sealer._follow(threading.Event())
    assert sealed.evidence.last_checkpoint() is None
    assert len(sealed.evidence.tile(0, 0)) == 256 * 32
    assert sealed.evidence.tile(0, 1) == b"", "a tile is written when it is full"
    now[0] = 60.0
    sealer._follow(threading.Event())
    assert last(sealed).checkpoint.size == 400
    now[0] = 119.0
    sealed.fill(1, "later-")
    sealer._follow(threading.Event())
    assert last(sealed).checkpoint.size == 400


def test_a_ledger_keeps_its_name(sealed: Sealed) -> None:
    sealed.fill(1)
    sealed.sealer.seal()
    renamed = Signer(sealed.evidence, sealed.signer.path, "other.example")
    with pytest.raises((KeyTrouble, Damaged)):
        Sealer(sealed.evidence, renamed, 60).seal()


def test_a_ledger_has_an_id_of_its_own_for_ever(database_url: str, tmp_path: Path) -> None:
    with opened(database_url, tmp_path) as first:
        name = first.evidence.ledger_id()
    assert name.startswith("ledger-")
    with opened(database_url, tmp_path) as again:
        assert again.evidence.ledger_id() == name


def test_what_was_read_a_moment_ago_is_not_read_again(sealed: Sealed) -> None:
    """Between checkpoints whole tiles come from the projections' reader, the rest from the log."""
    sealed.fill(400)
    asked: list[int] = []

    def at_hand(after: int, limit: int) -> Sequence[RawRow]:
        asked.append(after)
        return sealed.evidence.raw_rows(after, limit)[: 600 - after]

    sealer = Sealer(sealed.evidence, sealed.signer, 60, recent=at_hand)
    signed = sealer.seal()
    assert asked == [0]
    assert signed is not None
    assert signed.checkpoint.size == 800
    assert signed.checkpoint.root == root_of_events(sealed, 800)


def judged(sealed: Sealed) -> dict[str, str]:
    verdict = verify(
        sealed.evidence,
        sealed.url,
        sealed.signer.public_keys(),
        vault=sealed.ledger.vault,
        signer=sealed.signer,
    )
    return {finding.at: finding.problem for finding in verdict.findings}


def test_what_was_signed_last_is_kept_beside_the_keys(sealed: Sealed) -> None:
    sealed.fill(2)
    assert sealed.sealer.seal() == sealed.signer.last_signed()
    sealed.fill(2, "more-")
    assert sealed.another_sealer().seal() == sealed.signer.last_signed()
    assert judged(sealed) == {}


@pytest.mark.parametrize("number", [1, 2])
def test_who_changes_the_data_alone_is_not_signed_for(sealed: Sealed, number: int) -> None:
    """Also where checkpoints and tree are taken away with it, all of them or the last alone."""
    sealed.fill(300)
    sealed.sealer.seal()
    sealed.tell("42", PaymentStatus.PENDING)
    sealed.sealer.seal()
    idx = 1 if number == 1 else 601
    sealed.tamper(
        f"DELETE FROM checkpoints WHERE number >= {number}",
        f"UPDATE stored_events SET topic = 'PaymentFailed' WHERE idx = {idx}",
    )
    sealed.tamper_tree("DELETE FROM tiles")
    sealed.fill(3, "more-")
    with pytest.raises(Damaged, match="does not continue the 601 events that were signed last"):
        sealed.another_sealer().seal()
    assert any("signed last" in at for at in judged(sealed))


def test_an_older_backup_is_not_signed_for_until_somebody_decides_so(sealed: Sealed) -> None:
    sealed.fill(3)
    sealed.sealer.seal()
    sealed.fill(3, "lost-")
    sealed.sealer.seal()
    sealed.tamper(
        "DELETE FROM checkpoints WHERE number = 2",
        "DELETE FROM stored_events WHERE idx > 6",
        "DELETE FROM bodies WHERE delivery_id > 3",
        "DELETE FROM deliveries WHERE id > 3",
        *([] if sealed.url.startswith("sqlite") else ["UPDATE log_head SET last_idx = 6"]),
    )
    with pytest.raises(Damaged, match=r"older backup was restored.*move it away"):
        sealed.another_sealer().seal()
    sealed.signer.last_file.rename(sealed.folder / "before-the-restore")
    signed = sealed.another_sealer().seal()
    assert signed is not None
    assert signed == sealed.signer.last_signed()


def test_a_process_that_ends_between_signing_and_giving_out_is_gone_on_from(
    sealed: Sealed, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed.fill(3)
    sealed.sealer.seal()
    sealed.fill(3, "more-")
    with monkeypatch.context() as patch:
        patch.setattr(sealed.evidence, "add_checkpoint", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            sealed.another_sealer().seal()
    kept = sealed.signer.last_signed()
    assert kept is not None
    assert kept.checkpoint.size == 12
    sealed.fill(3, "later-")
    signed = sealed.another_sealer().seal()
    assert signed is not None
    assert signed.checkpoint.size == 18


def test_a_process_whose_own_note_is_older_goes_on(sealed: Sealed) -> None:
    """Keys that lie on several hosts: another one signed since."""
    sealed.fill(3)
    first = sealed.sealer.seal()
    sealed.fill(300, "more-")
    sealed.sealer.seal()
    assert first is not None
    sealed.signer.keep(first)
    sealed.fill(1, "later-")
    signed = sealed.another_sealer().seal()
    assert signed is not None
    assert signed.checkpoint.size == 608


def test_a_ledger_of_before_begins_to_keep_what_is_signed(sealed: Sealed) -> None:
    sealed.fill(3)
    signed = sealed.sealer.seal()
    sealed.signer.last_file.unlink()
    sealed.another_sealer().seal()
    assert sealed.signer.last_signed() == signed


def test_keys_that_sign_another_ledger_are_not_used(sealed: Sealed) -> None:
    sealed.fill(3)
    sealed.sealer.seal()
    other = Signer(sealed.evidence, sealed.signer.path, "other.example", sealed.clock)
    sealed.tamper("DELETE FROM checkpoints")
    with pytest.raises(KeyTrouble, match=r"sign shop\.example/0"):
        Sealer(sealed.evidence, other, 60).seal()


def test_where_the_keys_are_not_ours_to_write_beside_the_log_says_what_is_weaker(
    sealed: Sealed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> Path:
        raise PermissionError(13, "Permission denied")

    sealed.signer.signing_keys()
    monkeypatch.setattr("adapters.evidence.keys.draft_of", refuse)
    sealed.fill(3)
    assert sealed.sealer.seal() is not None
    assert "cannot be kept" in caplog.text


def test_keys_that_took_the_place_of_the_ledgers_own_are_named(sealed: Sealed) -> None:
    sealed.fill(3)
    sealed.sealer.seal()
    (own,) = sealed.signer.public_keys()
    sealed.tamper("DELETE FROM seal_keys", "DELETE FROM checkpoints")
    stranger = Signer(sealed.evidence, sealed.folder / "mine.pem", "shop.example", sealed.clock)
    assert Sealer(sealed.evidence, stranger, 60).seal() is not None
    assert "not in the key file" in judged(sealed)["keys"]
    verdict = verify(
        sealed.evidence, sealed.url, stranger.public_keys(),
        vault=sealed.ledger.vault, pinned=[own],
    )  # fmt: skip
    assert [f.problem for f in verdict.findings] == [
        "by the keys that you named: no known key signed it"
    ]
