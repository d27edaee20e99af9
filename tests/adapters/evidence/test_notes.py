"""Checkpoints as signed notes, and the keys that sign them."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adapters.evidence.notes import BadNote, Checkpoint, PublicKey, SignedCheckpoint, sign

# The example of C2SP's tlog-checkpoint.
EXAMPLE = (
    "example.com/behind-the-sofa\n"
    "20852163\n"
    "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    "\n"
    "\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/"
    "Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)
# The example of Go's package golang.org/x/mod/sumdb/note.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_SAID = (
    b"If you think cryptography is the answer to your problem,\n"
    b"then you don't know what your problem is.\n"
)
PETER_SIGNED = (
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
)
ROOT = bytes(range(32))
OLD, NEW = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))


def public(key: Ed25519PrivateKey, name: str = "shop/0") -> PublicKey:
    return PublicKey(name, key.public_key().public_bytes_raw())


def test_a_checkpoint_of_another_log_is_read_and_written_as_it_was() -> None:
    read = SignedCheckpoint.parse(EXAMPLE)
    assert read.checkpoint.origin == "example.com/behind-the-sofa"
    assert read.checkpoint.size == 20852163
    assert read.note == EXAMPLE


def test_a_key_and_a_signature_of_another_tool_are_understood() -> None:
    key = PublicKey.parse(PETER)
    assert str(key) == PETER
    signed = base64.b64decode(PETER_SIGNED)
    assert signed[:4] == key.id
    assert key.verifies(signed[4:], PETER_SAID)
    assert not key.verifies(signed[4:], PETER_SAID + b" ")


def test_who_signed_is_known_by_the_keys() -> None:
    signed = sign(Checkpoint("shop/0", 3, ROOT), [NEW, OLD])
    read = SignedCheckpoint.parse(signed.note)
    assert read == signed
    assert read.signers([public(OLD)]) == [public(OLD)]
    assert read.signers([public(OLD), public(NEW)]) == [public(OLD), public(NEW)]
    with pytest.raises(BadNote, match="no known key"):
        read.signers([public(NEW, "other/0")])


def test_one_wrong_signature_spoils_the_note() -> None:
    signed = sign(Checkpoint("shop/0", 3, ROOT), [NEW, OLD])
    other = SignedCheckpoint(Checkpoint("shop/0", 4, ROOT), signed.signatures)
    with pytest.raises(BadNote, match="is wrong"):
        other.signers([public(OLD)])


@pytest.mark.parametrize(
    "note",
    [
        "",
        EXAMPLE[:-1],
        EXAMPLE.replace("\n\n", "\n"),
        EXAMPLE.replace("20852163", "020852163"),
        EXAMPLE.replace("20852163", "-1"),
        EXAMPLE.replace("20852163\n", "20852163\nmore\n"),
        EXAMPLE.replace("CsUY", "CsU*"),
        EXAMPLE.replace("CsUYapGG", "CsUY"),
        EXAMPLE.replace("q2I=", "q2J="),
        EXAMPLE.replace("\u2014", "-"),
        EXAMPLE.replace(" Az3g", " Az3g "),
        EXAMPLE.partition("\u2014")[0],
        EXAMPLE + "\u2014 b AAAA\n",
        EXAMPLE + "\u2014 b AAAAAAA=\n" * 40,
        "x" * 20_000,
    ],
)
def test_what_is_no_checkpoint_is_refused(note: str) -> None:
    with pytest.raises(BadNote):
        SignedCheckpoint.parse(note)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a+b",
        PETER[:-1],
        PETER.replace("c74f20a3", "c74f20a4"),
        PETER.replace("+AR", "+BR"),
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(BadNote):
        PublicKey.parse(text)
