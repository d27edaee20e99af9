"""Whatever is altered in an audit bundle is noticed by the script that checks it."""

import base64
import copy
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.evidence.notes import SignedCheckpoint
from domain.payment import PaymentStatus
from tests.adapters.evidence.ledgers import Sealed, opened
from tests.adapters.evidence.test_bundle import SCRIPT, made

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
DASH = "\u2014"

sys.path.insert(0, str(SCRIPT.parent))
try:
    import verify_bundle  # type: ignore[import-not-found]
finally:
    sys.path.pop(0)


class Auditor:
    """Who holds a ledger's public key and an early checkpoint, and runs the script in here."""

    def __init__(self, sealed: Sealed, folder: Path) -> None:
        self.folder = folder
        sealed.tell("42", PaymentStatus.PENDING)
        sealed.tell("a/b", PaymentStatus.PAID)
        sealed.fill(20)
        first = sealed.sealer.seal()
        assert first is not None
        sealed.tell("42", PaymentStatus.PAID)
        sealed.sealer.seal()
        self.first = first
        self.with_bodies = made(sealed, "42", first, bodies=True)
        self.without = made(sealed, "42", first)
        self.with_slash = made(sealed, "a/b", first, bodies=True)
        self.key = str(sealed.signer.public_keys()[0])

    def judges(self, bundle: Any, *more: str) -> int:
        """The exit code; a text is the bundle's own."""
        path = self.folder / "bundle.json"
        text = bundle if isinstance(bundle, str) else json.dumps(bundle, ensure_ascii=False)
        path.write_bytes(text.encode())
        pinned = ["--key", self.key, "--since", self.first.note]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["verify_bundle.py", str(path), *pinned, *more])
            code: int = verify_bundle.main()
        return code


@pytest.fixture(scope="module")
def auditor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Auditor]:
    folder = tmp_path_factory.mktemp("audit")
    with opened(f"sqlite:///{folder / 'ledger.db'}", folder) as sealed:
        yield Auditor(sealed, folder)


def test_what_the_ledger_wrote_is_believed(auditor: Auditor) -> None:
    for bundle in (auditor.with_bodies, auditor.without, auditor.with_slash):
        assert auditor.judges(bundle) == 0
        assert auditor.judges(json.dumps(bundle, indent=1)) == 0


def first_event(**changes: Any) -> Callable[[Any], Any]:
    """Other values in the first event; those that are functions change what was there."""

    def alter(bundle: Any) -> None:
        event = bundle["events"][0]
        for name, value in changes.items():
            event[name] = value(event[name]) if callable(value) else value

    return alter


def without(*names: str) -> Callable[[Any], Any]:
    """The first event without some fields."""

    def alter(bundle: Any) -> None:
        for name in names:
            del bundle["events"][0][name]

    return alter


def twice(name: str, forged: Any) -> Callable[[Any], str]:
    """The first field of a name, written twice: forged, and then as it was."""
    field = f'"{name}": '
    return lambda bundle: json.dumps(bundle).replace(
        field, f"{field}{json.dumps(forged)}, {field}", 1
    )


def signed(change: Callable[[str], str], where: str = "checkpoint") -> Callable[[Any], Any]:
    """Another text of the checkpoint, or of the earlier one."""

    def alter(bundle: Any) -> None:
        note = bundle if where == "checkpoint" else bundle["earlier"]
        note["checkpoint"] = change(note["checkpoint"])

    return alter


def hidden(bundle: Any) -> None:
    """The state where nobody reads it, and nothing said of its body."""
    event = bundle["events"][0]
    event["state_base64"] = base64.b64encode(event["state"].encode()).decode()
    event["state"] = event["body_salt"] = event["body_sha256"] = event["body_base64"] = None


def trailing_bits(text: str) -> str:
    """Base64 that stands for the same bytes."""
    assert text.endswith("=")
    at = len(text.rstrip("=")) - 1
    return text[:at] + ALPHABET[ALPHABET.index(text[at]) ^ 1] + text[at + 1 :]


def second_signature(note: str) -> str:
    """One more of the same key, which is wrong."""
    key_id = base64.b64decode(note.rstrip().split(" ")[-1])[:4]
    return f"{note}{DASH} shop.example/0 {base64.b64encode(key_id + bytes(64)).decode()}\n"


def nothing_sealed(bundle: Any) -> None:
    """All of it shown as what is not sealed yet."""
    bundle["checkpoint"] = None
    bundle["unsealed"] = [event["position"] for event in bundle["events"]]
    for event in bundle["events"]:
        event["inclusion_proof"] = None


ALTERATIONS: dict[str, Callable[[Any], Any]] = {
    "an order's id as a number": lambda b: b.update(order_id=42),
    "more fields than there are": lambda b: b.update(payment_status="PAID", amount="1000000.00"),
    "more fields in an event": first_event(payment_status="PAID"),
    "no list of keys": lambda b: b.pop("public_keys"),
    "other keys": lambda b: b.update(public_keys=["evil"]),
    "a key twice": lambda b: b["public_keys"].append(b["public_keys"][0]),
    "a state twice": twice("state", '{"v":1,"status":"PAID"}'),
    "events twice": twice("events", []),
    "an order's id twice": twice("order_id", "666"),
    "a time twice": twice("recorded_at", "1999-01-01T00:00:00.000000Z"),
    "NaN": lambda b: json.dumps(b)[:-1] + ', "x": NaN}',
    "NaN as a value": lambda b: b.update(unsealed=float("nan")),
    "nested deeply": lambda b: f'{json.dumps(b)[:-1]}, "x": {"[" * 200_000}{"]" * 200_000}}}',
    "a byte order mark": lambda b: "\ufeff" + json.dumps(b),
    "a time with nine digits": first_event(recorded_at=lambda at: at[:-1] + "999Z"),
    "a time with three digits": first_event(recorded_at=lambda at: at[:-4] + "Z"),
    "a time as an offset": first_event(recorded_at=lambda at: at[:-1] + "+00:00"),
    "a time elsewhere": first_event(recorded_at="2026-01-06T02:00:00.000000+14:00"),
    "a time of a week": first_event(recorded_at="2026-W02-1T12:00:00.000000Z"),
    "a time with a space": first_event(recorded_at=lambda at: at.replace("T", " ")),
    "a version that is true": first_event(version=True),
    "a version with a point": first_event(version=1.0),
    "a version as text": first_event(version="1"),
    "a position with a nought": first_event(position="00-1"),
    "a position in other digits": first_event(position="0-\u0661"),
    "a topic that looks alike": first_event(topic=lambda topic: topic.replace("P", "\u0420")),
    "a topic that ends elsewhere": first_event(
        topic=lambda topic: topic[:-1], state=lambda state: "d" + state
    ),
    "a state with a space": first_event(state=lambda state: state.replace(":", ": ", 1)),
    "a state that is no text": lambda b: (
        first_event(state=lambda state: state + "\ud800")(b) or json.dumps(b)
    ),
    "a state in both ways": first_event(state_base64="AAAA"),
    "a state that is hidden": hidden,
    "a proof left out": first_event(inclusion_proof=None),
    "a proof left out, and said to be unsealed": lambda b: (
        first_event(inclusion_proof=None)(b) or b["unsealed"].append(b["events"][0]["position"])
    ),
    "a proof in other base64": first_event(
        inclusion_proof=lambda proof: [trailing_bits(proof[0]), *proof[1:]]
    ),
    "a proof with a line end": first_event(
        inclusion_proof=lambda proof: [proof[0] + "\n", *proof[1:]]
    ),
    "a body that is another": first_event(body_base64="AAAA"),
    "no body, another's hash": first_event(body_base64=None, body_sha256="f" * 63),
    "no hash of a body": first_event(body_sha256=None),
    "no salt of a body": first_event(body_salt=None),
    "a salt of another length": first_event(body_base64=None, body_salt="AAAA"),
    "a hash that is a number": first_event(body_base64=None, body_sha256=123),
    "no fields of a body": without("body_salt", "body_sha256", "body_base64"),
    "a stranger's signature": signed(lambda n: f"{n}{DASH} evil.example AAAAAAAA\n"),
    "a second signature": signed(second_signature),
    "a signature twice": signed(lambda n: n + n.rpartition("\n\n")[2]),
    "no last newline": signed(lambda n: n.rstrip("\n")),
    "another line end": signed(lambda n: n.rstrip("\n") + "\u2028"),
    "more newlines": signed(lambda n: n + "\n"),
    "another origin": signed(lambda n: "x" + n),
    "the same size in other words": signed(lambda n: n.replace("\n", "\n0", 1)),
    "an earlier one without newline": signed(lambda n: n.rstrip("\n"), "earlier"),
    "none earlier": lambda b: b.update(earlier=None),
    "nothing sealed": nothing_sealed,
    "its first event left out": lambda b: b["events"].pop(0),
    "its events turned round": lambda b: b["events"].reverse(),
    "something unsealed": lambda b: b.update(unsealed=["0-1"]),
}


@pytest.mark.parametrize("what", ALTERATIONS)
def test_an_alteration_is_noticed(
    auditor: Auditor, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = copy.deepcopy(auditor.with_bodies)
    altered = ALTERATIONS[what](bundle)
    text = altered if isinstance(altered, str) else json.dumps(bundle, ensure_ascii=False)
    assert text != json.dumps(auditor.with_bodies, ensure_ascii=False)
    assert auditor.judges(text) in (1, 2)
    assert capsys.readouterr().out == ""  # nothing is shown of what is not believed


def test_an_order_of_another_store_is_not_taken_for_it(auditor: Auditor) -> None:
    """`default/a/b` is order `a/b` of store `default`, since the name of a store has no slash."""
    bundle = copy.deepcopy(auditor.with_slash)
    bundle.update(store="default/a", order_id="b")
    assert auditor.judges(bundle) == 1


def test_a_body_that_is_none_of_these_is_said_to_be_so(
    auditor: Auditor, capsys: pytest.CaptureFixture[str]
) -> None:
    event = auditor.with_bodies["events"][0]
    (auditor.folder / "real").write_bytes(base64.b64decode(event["body_base64"]))
    (auditor.folder / "forged").write_bytes(b'{"amount": 1}')
    real, forged = (str(auditor.folder / name) for name in ("real", "forged"))
    for bundle in (auditor.without, auditor.with_bodies):
        assert auditor.judges(bundle, "--body", real) == 0
        capsys.readouterr()
        assert auditor.judges(bundle, "--body", real, "--body", forged) == 1
        assert "no event here tells of this body" in capsys.readouterr().err


def test_what_was_not_checked_of_a_body_is_not_shown(
    auditor: Auditor, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = copy.deepcopy(auditor.without)
    bundle["events"][0]["body_sha256"] = "0" * 64
    assert auditor.judges(bundle) == 0
    told = capsys.readouterr().out
    assert "body: not shown, so not checked" in told
    assert "sha256 0" not in told


OTHERS: tuple[Any, ...] = (None, True, 0, 1, 1.5, "", "x", [], ["x"], {}, {"x": 1})


def variants(value: Any) -> Iterator[Any]:
    """The value with one thing in it changed, each in its turn."""
    yield from (other for other in OTHERS if other != value or type(other) is not type(value))
    match value:
        case dict():
            for key, inner in value.items():
                yield from ({**value, key: other} for other in variants(inner))
                yield {k: v for k, v in value.items() if k != key}
                yield {(k + "x" if k == key else k): v for k, v in value.items()}
            yield {**value, "x": None}
        case list():
            for at, inner in enumerate(value):
                yield from ([*value[:at], o, *value[at + 1 :]] for o in variants(inner))
                yield [*value[:at], *value[at + 1 :]]
                yield [*value[: at + 1], inner, *value[at + 1 :]]
            if len(value) > 1:
                yield value[::-1]
            yield [*value, "x"]
        case str():
            yield from (value + "x", value + "\n", " " + value, value[:-1], value[1:])
            yield ("A" if value[:1] != "A" else "B") + value[1:]
            if value.endswith("="):
                yield from (trailing_bits(value), value.rstrip("="))
        case int():
            yield from (value + 1, float(value), str(value))


def test_any_change_of_any_field_is_noticed(
    auditor: Auditor, capsys: pytest.CaptureFixture[str]
) -> None:
    """But for what says less: nothing tells which event is the last, no body has to be shown."""
    bundle = auditor.with_bodies
    without_last = {**bundle, "events": bundle["events"][:-1]}
    less = [without_last]
    for at, event in enumerate(bundle["events"]):
        if event["body_base64"] is not None:
            less.append(copy.deepcopy(bundle))
            less[-1]["events"][at]["body_base64"] = None
    seen, believed = 0, []
    for other in variants(bundle):
        seen += 1
        if json.dumps(other) != json.dumps(bundle) and auditor.judges(json.dumps(other)) == 0:
            believed.append(other)
    capsys.readouterr()
    assert seen > 1000
    assert all(other in less for other in believed)
    assert len(believed) == len(less)


def test_a_note_that_a_witness_signed_too_may_be_the_one_that_was_kept(
    auditor: Auditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = f"{auditor.first.note}{DASH} witness.example AAAAAAAAAAAA\n"
    monkeypatch.setattr(auditor, "first", SignedCheckpoint.parse(note))
    bundle = copy.deepcopy(auditor.with_bodies)
    assert auditor.judges(bundle) == 1
    bundle["earlier"]["checkpoint"] = note
    assert auditor.judges(bundle) == 0
