"""Keys: made once, rotated with an overlap, and never replaced behind anyone's back."""

import threading
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.evidence.keys import KeyTrouble, Signer
from adapters.evidence.notes import Checkpoint, PublicKey, SignedCheckpoint
from tests.adapters.evidence.ledgers import Sealed


def signers(sealed: Sealed) -> list[PublicKey]:
    """Who signs a checkpoint now."""
    signed = sealed.signer.sign(Checkpoint(sealed.signer.origin, 1, bytes(32)))
    return signed.signers(sealed.signer.public_keys())


def test_the_first_key_is_made_once_and_only_its_owner_can_read_it(sealed: Sealed) -> None:
    (key,) = sealed.signer.signing_keys()
    assert sealed.signer.path.stat().st_mode & 0o777 == 0o600
    again = Signer(sealed.evidence, sealed.signer.path, None)
    assert [k.private_bytes_raw() for k in again.signing_keys()] == [key.private_bytes_raw()]
    assert len(sealed.evidence.known_keys()) == 1


def test_a_ledger_without_its_key_says_where_it_belongs_and_makes_no_other(sealed: Sealed) -> None:
    sealed.signer.signing_keys()
    key = sealed.signer.public_keys()[0]
    sealed.signer.path.unlink()
    with pytest.raises(KeyTrouble, match=key.fingerprint):
        sealed.signer.signing_keys()
    assert not sealed.signer.path.exists()


def test_a_key_file_of_another_ledger_is_refused(sealed: Sealed, tmp_path: Path) -> None:
    sealed.signer.signing_keys()
    other = Signer(sealed.evidence, tmp_path / "other.pem", None)
    with pytest.raises(KeyTrouble, match="not in"):
        other.signing_keys()


def test_after_a_rotation_both_keys_sign_for_a_while(sealed: Sealed) -> None:
    sealed.signer.signing_keys()
    (old,) = sealed.signer.public_keys()
    new = sealed.signer.rotate(timedelta(days=30))
    assert sealed.signer.public_keys() == [old, new]
    assert signers(sealed) == [old, new]
    sealed.clock.advance(days=29)
    assert signers(sealed) == [old, new]
    sealed.clock.advance(days=1)
    assert signers(sealed) == [new]


def test_rotations_may_overlap(sealed: Sealed) -> None:
    sealed.signer.signing_keys()
    (first,) = sealed.signer.public_keys()
    second = sealed.signer.rotate(timedelta(days=30))
    sealed.clock.advance(days=10)
    third = sealed.signer.rotate(timedelta(days=5))
    assert signers(sealed) == [first, second, third]
    sealed.clock.advance(days=6)
    assert signers(sealed) == [third]
    fourth = sealed.signer.rotate()
    assert signers(sealed) == [third, fourth]
    assert len(sealed.signer.path.read_bytes().split(b"BEGIN")) == 3, "what signs no more is gone"


def test_a_lost_key_is_followed_by_one_that_signs_alone(sealed: Sealed) -> None:
    sealed.signer.signing_keys()
    sealed.signer.path.unlink()
    with pytest.raises(KeyTrouble):
        sealed.signer.rotate()
    new = sealed.signer.rotate(is_lost=True)
    assert signers(sealed) == [new]
    assert len(sealed.signer.public_keys()) == 2


def test_a_rotation_is_signed_by_at_the_next_checkpoint(sealed: Sealed) -> None:
    sealed.fill(1)
    sealed.sealer.seal()
    sealed.signer.rotate()
    signed = sealed.sealer.seal()
    assert signed is not None
    assert len(signed.signatures) == 2
    assert [kept.size for kept in sealed.evidence.checkpoints_after(0, 9)] == [2, 2]
    kept = sealed.evidence.checkpoint_of(2)
    assert kept is not None
    assert SignedCheckpoint.parse(kept.note) == signed


def test_a_key_file_that_others_can_read_is_refused(sealed: Sealed) -> None:
    sealed.signer.signing_keys()
    sealed.signer.path.chmod(0o644)
    with pytest.raises(KeyTrouble, match="chmod 600"):
        sealed.signer.signing_keys()


@pytest.mark.parametrize("content", [b"", b"secret", b"-----END PRIVATE KEY-----\n"])
def test_a_key_file_that_holds_no_key_is_refused(sealed: Sealed, content: bytes) -> None:
    sealed.signer.path.touch(mode=0o600)
    sealed.signer.path.write_bytes(content)
    with pytest.raises(KeyTrouble):
        sealed.signer.signing_keys()
    assert sealed.evidence.known_keys() == []


def test_rotations_that_race_leave_a_key_file_that_can_sign(sealed: Sealed) -> None:
    sealed.signer.signing_keys()
    threads = [threading.Thread(target=sealed.signer.rotate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert signers(sealed) == sealed.signer.public_keys()
    assert len(sealed.signer.public_keys()) == 5


def test_processes_that_start_together_agree_on_one_first_key(sealed: Sealed) -> None:
    threads = [threading.Thread(target=sealed.signer.signing_keys) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert signers(sealed) == sealed.signer.public_keys()
    assert len(sealed.signer.public_keys()) == 1
