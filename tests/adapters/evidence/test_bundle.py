"""Audit bundles, and the script that checks them without this project."""

import copy
import json
import os
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adapters.evidence.bundle import Bundler, NoBundle
from adapters.evidence.notes import SignedCheckpoint
from adapters.evidence.sealer import Sealer
from adapters.vault.keys import OrderKey
from domain.payment import PaymentStatus
from tests.adapters.evidence.ledgers import Sealed, opened
from tests.notices import delivery, notice

SCRIPT = Path(__file__).parents[3] / "scripts" / "verify_bundle.py"
GOLDEN = Path(__file__).parent / "golden"
REMAKE = "ORDER_LEDGER_TEST_REMAKE_GOLDEN"
SEEDS = (b"a fixed key that signs in tests.", b"another fixed key for the tests.")


def bundler(sealed: Sealed) -> Bundler:
    return Bundler(sealed.evidence, sealed.signer, sealed.sealer, sealed.bodies)


def made(
    sealed: Sealed, order_id: str, since: SignedCheckpoint | None = None, *, bodies: bool = False
) -> Any:
    bundle = bundler(sealed).bundle("default", order_id, since, with_bodies=bodies)
    assert bundle is not None
    return json.loads(bundle.model_dump_json())


def run(bundle: Any, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """The script, in a Python that does not see this project."""
    path = folder / "bundle.json"
    path.write_text(json.dumps(bundle), encoding="utf-8")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, "-P", str(SCRIPT), str(path), *more],
        capture_output=True, text=True, cwd=folder, env=environment, check=False,
    )  # fmt: skip


def verdict(bundle: Any, folder: Path, *more: str) -> tuple[int, str]:
    ran = run(bundle, folder, *more)
    return ran.returncode, ran.stdout + ran.stderr


@pytest.fixture
def story(sealed: Sealed) -> Sealed:
    """An order with a few events among others, sealed twice."""
    sealed.tell("42", PaymentStatus.PENDING)
    sealed.fill(150)
    sealed.sealer.seal()
    sealed.tell("42", PaymentStatus.PAID, PaymentStatus.REFUNDED)
    sealed.fill(200, "later-")
    sealed.sealer.seal()
    return sealed


def test_a_bundle_proves_a_whole_history(story: Sealed, tmp_path: Path) -> None:
    bundle = made(story, "42")
    assert [event["topic"] for event in bundle["events"]] == [
        "PaymentReceived", "PaymentReceived", "Delivered", "PaymentReceived", "ReviewRequired",
    ]  # fmt: skip
    assert bundle["unsealed"] == []
    ran = run(bundle, tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "all 5 events are in the log as shown" in ran.stdout
    (key,) = story.signer.public_keys()
    assert f"signer not checked: {key.fingerprint}" in ran.stdout


def test_a_pinned_key_is_checked(story: Sealed, tmp_path: Path) -> None:
    (key,) = story.signer.public_keys()
    code, told = verdict(made(story, "42"), tmp_path, "--key", str(key))
    assert (code, f"signer: {key.fingerprint}" in told) == (0, True)
    (tmp_path / "key").write_text(f"{key}\n")
    assert verdict(made(story, "42"), tmp_path, "--key", "key")[0] == 0
    new = story.signer.rotate()
    code, told = verdict(made(story, "42"), tmp_path, "--key", str(new))
    assert (code, "not signed by that key" in told) == (1, True)
    story.sealer.seal()
    for pinned in (key, new):
        assert verdict(made(story, "42"), tmp_path, "--key", str(pinned))[0] == 0


def test_after_a_rotation_an_auditor_names_the_older_key_and_the_newer(
    story: Sealed, tmp_path: Path
) -> None:
    first = story.evidence.checkpoints_after(0, 1)[0]
    (old,) = story.signer.public_keys()
    new = story.signer.rotate()
    story.clock.advance(days=40)
    story.tell("42", PaymentStatus.DISPUTED)
    story.sealer.seal()
    bundle = made(story, "42", SignedCheckpoint.parse(first.note))
    (tmp_path / "exported").write_text(f"{old}\n{new}\n")
    for named in (("--key", str(old), "--key", str(new)), ("--key", "exported")):
        code, told = verdict(bundle, tmp_path, "--since", first.note, *named)
        assert (code, f"signer: {new.fingerprint}" in told) == (0, True), told
    for alone in (old, new):
        code, told = verdict(bundle, tmp_path, "--since", first.note, "--key", str(alone))
        assert (code, "After a rotation name the older and the newer" in told) == (1, True)
    (tmp_path / "empty").write_text("\n")
    assert verdict(bundle, tmp_path, "--key", "empty")[0] == 1


def test_a_bundle_of_another_signer_convinces_only_who_pins_nobody(
    story: Sealed, tmp_path: Path
) -> None:
    (key,) = story.signer.public_keys()
    forged = copy.deepcopy(made(story, "42"))
    signed = SignedCheckpoint.parse(forged["checkpoint"])
    other = Ed25519PrivateKey.generate()
    from adapters.evidence.notes import PublicKey, sign

    forged["checkpoint"] = sign(signed.checkpoint, [other]).note
    raw = other.public_key().public_bytes_raw()
    forged["public_keys"] = [str(PublicKey(signed.checkpoint.origin, raw))]
    code, told = verdict(forged, tmp_path)
    assert (code, "signer not checked" in told) == (0, True)
    assert verdict(forged, tmp_path, "--key", str(key))[0] == 1


def test_a_bundle_continues_an_earlier_checkpoint(story: Sealed, tmp_path: Path) -> None:
    first = story.evidence.checkpoints_after(0, 1)[0]
    bundle = made(story, "42", SignedCheckpoint.parse(first.note))
    (tmp_path / "kept").write_text(first.note, encoding="utf-8")
    code, told = verdict(bundle, tmp_path, "--since", "kept")
    assert (code, f"continues the checkpoint of {first.size} events" in told) == (0, True)
    last = story.evidence.last_checkpoint()
    assert last is not None
    assert verdict(bundle, tmp_path, "--since", last.note)[0] == 1
    assert verdict(made(story, "42"), tmp_path, "--since", first.note)[0] == 1
    bundle["earlier"]["consistency_proof"].pop()
    assert verdict(bundle, tmp_path)[0] == 1


def test_a_ledger_that_does_not_continue_a_checkpoint_gives_no_bundle_for_it(
    story: Sealed, tmp_path: Path
) -> None:
    last = story.evidence.last_checkpoint()
    assert last is not None
    story.tamper(
        f"DELETE FROM checkpoints WHERE number = {last.number}",
        "UPDATE stored_events SET topic = 'PaymentFailed' WHERE idx = 500",
    )
    with pytest.raises(NoBundle, match="does not continue"):
        Bundler(story.evidence, story.signer, story.another_sealer(), story.bodies).bundle(
            "default", "42", SignedCheckpoint.parse(last.note)
        )


def test_what_is_not_sealed_is_sealed_first(sealed: Sealed, tmp_path: Path) -> None:
    sealed.tell("42", PaymentStatus.PAID)
    assert made(sealed, "42")["unsealed"] == []
    assert sealed.evidence.last_checkpoint() is not None


def test_what_cannot_be_sealed_is_named(story: Sealed, tmp_path: Path) -> None:
    story.tell("42", PaymentStatus.DISPUTED)
    unable = Bundler(
        story.evidence, story.signer, Sealer(story.evidence, story.signer, 0), story.bodies
    )
    bundle = unable.bundle("default", "42")
    assert bundle is not None
    assert bundle.unsealed == ["0-706", "0-707"]
    code, told = verdict(json.loads(bundle.model_dump_json()), tmp_path)
    assert code == 3
    assert "not proven: 0-706, 0-707" in told


def test_a_ledger_that_never_sealed_proves_nothing(sealed: Sealed, tmp_path: Path) -> None:
    sealed.tell("42", PaymentStatus.PENDING)
    unable = Bundler(
        sealed.evidence, sealed.signer, Sealer(sealed.evidence, sealed.signer, 0), sealed.bodies
    )
    bundle = unable.bundle("default", "42")
    assert bundle is not None
    assert verdict(json.loads(bundle.model_dump_json()), tmp_path)[0] == 3


def test_an_order_that_nobody_told_of_has_no_bundle(sealed: Sealed) -> None:
    assert bundler(sealed).bundle("default", "42") is None


def test_a_tree_that_is_being_made_again_gives_no_bundle_yet(story: Sealed) -> None:
    story.tamper_tree("DELETE FROM tiles")
    with pytest.raises(NoBundle, match="try again later"):
        bundler(story).bundle("default", "42")


@pytest.mark.parametrize("text", ["", "[]", "{}", "nothing", '{"format": 1}'])
def test_what_is_no_bundle_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bundle.json"
    path.write_text(text)
    ran = subprocess.run(
        [sys.executable, str(SCRIPT), str(path)], capture_output=True, text=True, check=False
    )
    assert ran.returncode in (1, 2)
    assert "Traceback" not in ran.stderr


# ------------------------------------------------------------------------------------ golden files


def golden_bundle(folder: Path) -> Any:
    """A bundle of which every byte is known beforehand: fixed bodies, times and keys."""
    pems = [
        Ed25519PrivateKey.from_private_bytes(seed).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        for seed in SEEDS
    ]
    url = f"sqlite:///{folder / 'ledger.db'}"
    keys = (OrderKey(bytes([n]) * 32) for n in count(1))
    with pytest.MonkeyPatch.context() as patch, opened(url, folder) as sealed:
        patch.setattr(OrderKey, "new", lambda _: next(keys))
        sealed.signer.path.touch(mode=0o600)
        sealed.signer.path.write_bytes(pems[0])
        for order, status in (("42", "PENDING"), ("7", "PAID"), ("42", "PAID")):
            told = notice(order, PaymentStatus(status), f"{order} {status}".encode())
            sealed.ledger.record([delivery(told)])
        sealed.tamper(
            "UPDATE stored_events SET recorded_at = 1767614400000000 + 1500001 * idx",
            # What is no text, as a ciphertext would be.
            "UPDATE stored_events SET state = x'ff00feff' WHERE idx = 5",
        )
        first = sealed.sealer.seal()
        sealed.fill(20)
        sealed.tamper(
            "UPDATE stored_events SET recorded_at = 1767614400000000 + 1500001 * idx WHERE idx > 5",
            "UPDATE stored_events SET state = CAST('{\"n\":' || idx || '}' AS BLOB) WHERE idx > 5",
        )
        sealed.sealer.seal()
        return made(sealed, "42", first, bodies=True)


def test_the_format_stays_what_it_was(tmp_path: Path) -> None:
    path = GOLDEN / "bundle.json"
    bundle = golden_bundle(tmp_path)
    if os.environ.get(REMAKE):
        path.write_text(json.dumps(bundle, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert bundle == json.loads(path.read_text(encoding="utf-8"))


def test_the_golden_bundle_is_believed_and_shown(tmp_path: Path) -> None:
    bundle = json.loads((GOLDEN / "bundle.json").read_text(encoding="utf-8"))
    ran = run(bundle, tmp_path, "--key", (GOLDEN / "public.key").read_text())
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == (GOLDEN / "verified.txt").read_text(encoding="utf-8")
