#!/usr/bin/env python3
"""Checks an audit bundle of order-ledger without order-ledger: no database, no network, no secret.

    python verify_bundle.py BUNDLE.json [--key KEYS]... [--since CHECKPOINT] [--body FILE]...

It needs Python 3.11 or newer and the package `cryptography`. It checks that

  0. the bundle is written as a ledger writes it: no field twice, more, fewer or in other words;
  1. the checkpoint is signed: by a key that you name with --key, or else by a key that the bundle
     itself names, which proves nothing about who signed it. After a rotation name several: the
     earlier checkpoint may be signed by another one than the newest;
  2. every event is in the tree that the checkpoint tells of, exactly as it is shown;
  3. the events are one order's, with versions from 1 on and none left out between;
  4. the tree continues the earlier checkpoint, where there is one; with --since, the one you kept;
  5. a body, in the bundle or in a file that you name, is the one that its event tells of.
     Once the key of an order is destroyed there is no salt, and no body can be checked any more.
     Where no body is at hand, the bundle's salt and hash of one are not checked, and not shown.

KEYS (one on each line) and CHECKPOINT are texts, or files that hold them. The formats:
docs/evidence.md.
Exit codes: 0 all of it holds; 1 something does not; 2 no bundle, or wrong usage; 3 some events are
not sealed yet, and nothing proves those.
"""

import argparse
import base64
import hashlib
import json
import re
import struct
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIME = "%Y-%m-%dT%H:%M:%S.%fZ"
TEXT, OPTIONAL, LIST = (str,), (str, type(None)), (list,)
BUNDLE = {
    "format": TEXT, "store": TEXT, "order_id": TEXT, "checkpoint": OPTIONAL, "public_keys": LIST,
    "earlier": (dict, type(None)), "events": LIST, "unsealed": LIST,
}  # fmt: skip
EARLIER = {"checkpoint": TEXT, "consistency_proof": LIST}
EVENT = {
    "position": TEXT, "stream": TEXT, "version": (int,), "topic": TEXT, "recorded_at": TEXT,
    "state": OPTIONAL, "state_base64": OPTIONAL, "inclusion_proof": (list, type(None)),
    "body_salt": OPTIONAL, "body_sha256": OPTIONAL, "body_base64": OPTIONAL,
}  # fmt: skip


class Wrong(Exception):
    """Something does not hold; the message says what."""


def require(condition, problem):
    """Raise `Wrong` unless the condition holds."""
    if not condition:
        raise Wrong(problem)


# ------------------------------------------------------------------------ the form of what is read


def read_json(text):
    """What a JSON text says, where it says it once."""
    return json.loads(text, object_pairs_hook=fields_once, parse_constant=no_constant)


def fields_once(pairs):
    """The object of some fields."""
    found = dict(pairs)
    require(len(found) == len(pairs), "a field is written twice")
    return found


def no_constant(name):
    """Refuse what JSON does not know, NaN and Infinity."""
    raise Wrong(f"{name} is no JSON")


def check_form(value, form, what):
    """Require exactly the fields and types of a form."""
    require(type(value) is dict, f"{what} is no object")
    odd = sorted(value.keys() ^ form.keys())
    require(not odd, f"{what}: fields that are not of the format, or missing: {', '.join(odd)}")
    for name, types in form.items():
        found = value[name]
        require(type(found) in types, f"{what}: {name} is of a wrong type")
        if type(found) is list and name != "events":
            require(all(type(each) is str for each in found), f"{what}: {name} is no list of texts")


def unbase64(text):
    """The bytes that a base64 text stands for; one text alone stands for them."""
    raw = base64.b64decode(text, validate=True)
    require(base64.b64encode(raw).decode() == text, "base64 is not written as it has to be")
    return raw


# ----------------------------------------------------------- the tree (RFC 9162, section 2.1)


def sha256(data):
    """The digest of bytes."""
    return hashlib.sha256(data).digest()


def node(left, right):
    """The hash of an inner node; a leaf has 0x00 in front."""
    return sha256(b"\x01" + left + right)


def check_inclusion(index, size, leaf, proof, root):
    """Section 2.1.3.2: walk from the leaf to the root."""
    require(0 <= index < size, "the event stands behind the end of the tree")
    at, last, found = index, size - 1, leaf
    for step in proof:
        require(last > 0, "the proof is too long")
        if at & 1 or at == last:
            found = node(step, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node(found, step)
        at, last = at >> 1, last >> 1
    require(last == 0, "the proof is too short")
    require(found == root, "it is not in the tree as it is shown here")


def check_consistency(old_size, old_root, size, root, proof):
    """Section 2.1.4.2: the old tree is the beginning of the new one."""
    require(0 < old_size <= size, "the earlier checkpoint is of a larger tree, or of none")
    if old_size == size:
        require(not proof and old_root == root, "two roots of one size")
        return
    steps = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    require(steps, "the consistency proof is empty")
    at, last = old_size - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    from_old = from_new = steps[0]
    for step in steps[1:]:
        require(last > 0, "the consistency proof is too long")
        if at & 1 or at == last:
            from_old, from_new = node(step, from_old), node(step, from_new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            from_new = node(from_new, step)
        at, last = at >> 1, last >> 1
    require(last == 0, "the consistency proof is too short")
    require((from_old, from_new) == (old_root, root), "the log was changed since the earlier one")


# ------------------------------------------------- checkpoints (C2SP signed-note, tlog-checkpoint)


def read_key(text):
    """The name, id and 32 bytes of a key that is written NAME+ID+BASE64."""
    require(text.count("+") >= 2, "a public key looks like NAME+ID+BASE64")
    name, key_id, encoded = text.split("+", 2)
    raw = unbase64(encoded)
    require(len(raw) == 33 and raw[0] == 1, "the key is not of type Ed25519")
    expected = sha256(name.encode() + b"\n" + raw)[:4]
    require(expected.hex() == key_id, "the id of the key is not that of its bytes")
    return name, expected, raw[1:]


def read_checkpoint(note):
    """The signed text of a checkpoint, its origin, size and root, and its signatures."""
    text, _, below = note.rpartition("\n\n")
    require(text.count("\n") == 2, "a checkpoint has three lines: origin, size, root")
    origin, size, root = text.split("\n")
    require(re.fullmatch("0|[1-9][0-9]{0,18}", size), "the size of the checkpoint is none")
    require(len(unbase64(root)) == 32, "the root of the checkpoint is none")
    signatures = []
    for line in below.split("\n")[:-1]:
        dash, name, encoded = line.split(" ")
        require(dash == "\u2014", "a signature does not begin with a dash")
        raw = unbase64(encoded)
        signatures.append((name, raw[:4], raw[4:]))
    require(below.endswith("\n"), "the checkpoint does not end with a line")
    return (text + "\n").encode(), origin, int(size), unbase64(root), signatures


def check_signature(note, listed, trusted, is_kept=False):
    """The fingerprint of the newest key that signed a checkpoint, of those that are trusted.

    All its signatures have to be of keys that the bundle lists, the newest key's first; only a note
    that was kept elsewhere may have been signed by others too.
    """
    text, origin, _, _, signatures = read_checkpoint(note)
    by_name = {(name, key_id): (at, raw) for at, (name, key_id, raw) in enumerate(listed)}
    require(all(name == origin for name, _, _ in listed), "a listed key is of another log")
    signed = []
    for name, signer_id, signature in signatures:
        known = by_name.get((name, signer_id))
        require(known or is_kept, "a signature of the checkpoint is of a key that is not listed")
        if known:
            signed.append(known)
            try:
                Ed25519PublicKey.from_public_bytes(known[1]).verify(signature, text)
            except InvalidSignature:
                raise Wrong("the signature of the checkpoint is wrong") from None
    places = [at for at, _ in signed]
    require(places == sorted(set(places), reverse=True), "the signatures are not in their order")
    good = [raw for at, raw in signed if listed[at] in trusted]
    told = f"the checkpoint of {origin} is not signed by that key, or by any that you named"
    require(good, f"{told}. After a rotation name the older and the newer keys, each with --key")
    return "sha256:" + sha256(good[0]).hex()


# ------------------------------------------------------------------------------------ the events


def leaf_of(event):
    """The leaf hash of an event, from the very fields that are shown."""
    partition, index = map(int, event["position"].split("-"))
    stream, topic, state = event["stream"].encode(), event["topic"].encode(), state_of(event)
    at = datetime.strptime(event["recorded_at"], TIME).replace(tzinfo=UTC)
    require(f"{at:{TIME}}" == event["recorded_at"], "its time is not written as it has to be")
    microseconds = (at - EPOCH) // timedelta(microseconds=1)
    lengths = (len(stream), len(topic), len(state))
    head = struct.pack(">BIQIqIII", 1, partition, index, event["version"], microseconds, *lengths)
    return sha256(b"\x00" + head + stream + topic + state)


def state_of(event):
    """The stored bytes of an event: as base64 only what is no text."""
    require((event["state"] is None) != (event["state_base64"] is None), "a state is shown twice")
    if event["state"] is not None:
        return event["state"].encode()
    state = unbase64(event["state_base64"])
    try:
        state.decode()
    except UnicodeDecodeError:
        return state
    raise Wrong("a text is shown as base64")


def check_events(bundle, origin, size, root):
    """Check every event that is sealed; returns the positions of the others."""
    require("/" not in bundle["store"], "the name of a store has no slash")
    stream = f"{bundle['store']}/{bundle['order_id']}"
    unsealed, before = [], 0
    for version, event in enumerate(bundle["events"], 1):
        check_form(event, EVENT, f"event {version}")
        where = event["position"]
        require(re.fullmatch("[0-9]{1,9}-[0-9]{1,19}", where), f"{where} is no position")
        partition, index = map(int, where.split("-"))
        require(where == f"{partition}-{index}" and index > before, f"{where} is no position here")
        require(event["stream"] == stream, f"{where} is of another order")
        require(event["version"] == version, f"before {where} a version is missing")
        require(not origin or origin.endswith(f"/{partition}"), f"{where} is of another log")
        before = index
        try:
            leaf = leaf_of(event)
            if index > size:
                require(event["inclusion_proof"] is None, "nothing can prove it yet")
                unsealed.append(where)
                continue
            require(event["inclusion_proof"] is not None, "it is sealed, and its proof left out")
            proof = list(map(unbase64, event["inclusion_proof"]))
            check_inclusion(index - 1, size, leaf, proof, root)
        except Wrong as wrong:
            raise Wrong(f"{where}: {wrong}") from None
    require(unsealed == bundle["unsealed"], "the list of unsealed events is wrong")
    return unsealed


def check_body(event, files):
    """Check the body that an event tells of. Returns a line to show, None where there is none, and
    which of the files are that body."""
    where = event["position"]
    told = read_json(event["state"]) if event["state"] is not None else {}
    digest = told.get("body_digest") if isinstance(told, dict) else None
    salt, shown, encoded = event["body_salt"], event["body_sha256"], event["body_base64"]
    if digest is None:
        require((salt, shown, encoded) == (None, None, None), f"{where} tells of no body")
        return None, []
    if salt is None:
        require((shown, encoded) == (None, None), f"{where} shows a body without its salt")
        return "body: no salt is shown, so it cannot be checked (its key was destroyed?)", []
    raw_salt, is_hash = unbase64(salt), re.fullmatch("[0-9a-f]{64}", shown or "")
    require(len(raw_salt) == 32 and is_hash, f"{where}: the salt or the sha256 of its body is none")
    bodies = {name: body for name, body in files.items() if is_body(raw_salt, body, digest)}
    line = "body: not shown, so not checked"
    if encoded is not None:
        body = unbase64(encoded)
        problem = f"{where}: the body is not the one whose digest is in the event"
        require(is_body(raw_salt, body, digest), problem)
        line = f"body: {len(body)} bytes, sha256 {shown}, is the one that was recorded"
    elif bodies:
        name, body = next(iter(bodies.items()))
        line = f"body: {name} is the one that was recorded"
    if encoded is not None or bodies:
        require(sha256(body).hex() == shown, f"{where}: the sha256 of the body is wrong")
    return line, list(bodies)


def is_body(salt, body, digest):
    """Whether a body is the one of a digest."""
    return sha256(salt + body).hex() == digest


def check_earlier(earlier, listed, trusted, kept, size, root):
    """Check the earlier checkpoint, if there is one; returns its size."""
    if earlier is None:
        require(kept is None, "the bundle does not continue a checkpoint: ask for one that does")
        return None
    check_form(earlier, EARLIER, "the earlier checkpoint")
    note = earlier["checkpoint"]
    require(kept in (None, note), "the earlier checkpoint is not the one you kept")
    check_signature(note, listed, trusted, is_kept=kept is not None)
    _, _, old_size, old_root, _ = read_checkpoint(note)
    proof = list(map(unbase64, earlier["consistency_proof"]))
    check_consistency(old_size, old_root, size, root, proof)
    return old_size


def check(bundle, keys, kept, files):
    """Check a bundle; returns lines to show, and the positions that nothing proves.

    `keys` are the texts of those that you trust, `kept` is your checkpoint; either may be None."""
    check_form(bundle, BUNDLE, "the bundle")
    require(bundle["format"] == "order-ledger bundle v1", "the format is not known here")
    require(bundle["events"], "the bundle has no event")
    lines = [f"order {bundle['order_id']} of store {bundle['store']}"]
    origin, size, root = None, 0, b""
    listed = list(map(read_key, bundle["public_keys"]))
    require(len(set(listed)) == len(listed), "a public key is listed twice")
    trusted = listed if keys is None else list(map(read_key, keys))
    if bundle["checkpoint"] is not None:
        signer = check_signature(bundle["checkpoint"], listed, trusted)
        _, origin, size, root, _ = read_checkpoint(bundle["checkpoint"])
        lines.append(f"checkpoint of {origin}: {size} events, root {root.hex()}")
        lines.append(f"{'signer not checked' if keys is None else 'signer'}: {signer}")
    else:
        require(bundle["earlier"] is None, "nothing is sealed, so nothing can be continued")
    old_size = check_earlier(bundle["earlier"], listed, trusted, kept, size, root)
    if old_size is not None:
        lines.append(f"continues the checkpoint of {old_size} events")
    unsealed = check_events(bundle, origin, size, root)
    left = set(files)
    for event in bundle["events"]:
        is_proven = "NOT SEALED" if event["position"] in unsealed else "in the log"
        lines.append(f"{event['position']}  {event['recorded_at']}  {event['topic']}  {is_proven}")
        lines.append(f"    {event['state'] or 'base64 ' + event['state_base64']}")
        body, names = check_body(event, files)
        left -= set(names)
        if body is not None:
            lines.append(f"    {body}")
    require(not left, f"no event here tells of this body: {', '.join(sorted(left))}")
    erased = [event for event in bundle["events"] if event["topic"] == "PersonalDataErased"]
    if erased:
        at = f"{erased[0]['recorded_at']}, at {erased[0]['position']}"
        lines.append(f"personal data was erased {at}: bodies before it cannot be read any more")
    return lines, unsealed


def visible(text):
    """The text without what a terminal would obey instead of showing."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def text_or_file(given):
    """What was given, or what the file of this name holds."""
    if given is not None and "\n" not in given and len(given) < 1024 and Path(given).is_file():
        return Path(given).read_text(encoding="utf-8")
    return given


def read_keys(given):
    """The lines of some texts or files that hold public keys."""
    lines = [line.strip() for each in given for line in text_or_file(each).splitlines()]
    keys = [line for line in lines if line]
    require(keys, "there is no key in what you named with --key")
    return keys


def main():
    """Check the bundle that the command line names."""
    about, usage = __doc__.split("\n\n", 1)
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=about, epilog=usage, formatter_class=raw)
    parser.add_argument("bundle", type=Path, help="the file")
    parser.add_argument("--key", action="append", help="public keys whose signature counts")
    parser.add_argument("--since", help="a checkpoint that you kept")
    parser.add_argument("--body", action="append", default=[], type=Path, help="a body's file")
    given = parser.parse_args()
    try:
        bundle = read_json(given.bundle.read_bytes().decode())
        files = {str(path): path.read_bytes() for path in given.body}
        keys = read_keys(given.key) if given.key is not None else None
        lines, unsealed = check(bundle, keys, text_or_file(given.since), files)
    except RecursionError:
        sys.stderr.write("this is no bundle: it is nested deeper than any\n")
        return 2
    except Wrong as wrong:
        sys.stderr.write(f"WRONG: {visible(str(wrong))}\n")
        return 1
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        sys.stderr.write(f"this is no bundle, key or checkpoint: {error!r}\n")
        return 2
    sys.stdout.write("\n".join(map(visible, lines)) + "\n")
    if unsealed:
        sys.stderr.write(f"not sealed yet, so not proven: {', '.join(unsealed)}\n")
        return 3
    sys.stdout.write(f"all {len(bundle['events'])} events are in the log as shown\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
