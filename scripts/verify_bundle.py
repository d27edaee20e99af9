#!/usr/bin/env python3
"""Checks an audit bundle of order-ledger without order-ledger: no database, no network, no secret.

    python verify_bundle.py BUNDLE.json [--key PUBLIC_KEY] [--since CHECKPOINT] [--body FILE]...

It needs Python 3.11 or newer and the package `cryptography`. It checks that

  1. the checkpoint is signed: by the key that you name with --key, or else by a key that the bundle
     itself names, which proves nothing about who signed it;
  2. every event is in the tree that the checkpoint tells of, exactly as it is shown;
  3. the events are one order's, with versions from 1 on and none left out between;
  4. the tree continues the earlier checkpoint, where there is one; with --since, the one you kept;
  5. a body, in the bundle or in a file that you name, is the one that its event tells of.
     Once the key of an order is destroyed there is no salt, and no body can be checked any more.

PUBLIC_KEY and CHECKPOINT are texts, or files that hold them. The formats: docs/evidence.md.
Exit codes: 0 all of it holds; 1 something does not; 2 no bundle, or wrong usage; 3 some events are
not sealed yet, and nothing proves those.
"""

import argparse
import base64
import hashlib
import json
import struct
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Wrong(Exception):
    """Something does not hold; the message says what."""


def require(condition, problem):
    """Raise `Wrong` unless the condition holds."""
    if not condition:
        raise Wrong(problem)


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
    name, key_id, encoded = text.strip().split("+", 2)
    raw = base64.b64decode(encoded, validate=True)
    require(len(raw) == 33 and raw[0] == 1, "the key is not of type Ed25519")
    expected = sha256(name.encode() + b"\n" + raw)[:4]
    require(expected.hex() == key_id, "the id of the key is not that of its bytes")
    return name, expected, raw[1:]


def read_checkpoint(note):
    """The signed text of a checkpoint, its origin, size and root, and its signatures."""
    text, _, below = note.rpartition("\n\n")
    origin, size, root = text.split("\n")
    signatures = []
    for line in below.splitlines():
        dash, name, encoded = line.split(" ")
        require(dash == "\u2014", "a signature does not begin with a dash")
        raw = base64.b64decode(encoded, validate=True)
        signatures.append((name, raw[:4], raw[4:]))
    return (text + "\n").encode(), origin, int(size), base64.b64decode(root), signatures


def check_signature(note, keys):
    """The fingerprint of the first key that signed a checkpoint."""
    text, origin, _, _, signatures = read_checkpoint(note)
    for key_name, key_id, raw in map(read_key, keys):
        for name, signer_id, signature in signatures:
            if (name, signer_id) == (key_name, key_id) and name == origin:
                try:
                    Ed25519PublicKey.from_public_bytes(raw).verify(signature, text)
                except InvalidSignature:
                    raise Wrong("the signature of the checkpoint is wrong") from None
                return "sha256:" + sha256(raw).hex()
    raise Wrong("the checkpoint is not signed by that key")


# ------------------------------------------------------------------------------------ the events


def leaf_of(event):
    """The leaf hash of an event, from the very fields that are shown."""
    partition, index = map(int, event["position"].split("-"))
    stream, topic, state = event["stream"].encode(), event["topic"].encode(), state_of(event)
    at = datetime.fromisoformat(event["recorded_at"])
    microseconds = (at - EPOCH) // timedelta(microseconds=1)
    lengths = (len(stream), len(topic), len(state))
    head = struct.pack(">BIQIqIII", 1, partition, index, event["version"], microseconds, *lengths)
    return sha256(b"\x00" + head + stream + topic + state)


def state_of(event):
    """The stored bytes of an event."""
    require((event["state"] is None) != (event["state_base64"] is None), "a state is shown twice")
    if event["state"] is not None:
        return event["state"].encode()
    return base64.b64decode(event["state_base64"], validate=True)


def check_events(bundle, origin, size, root):
    """Check every event that is sealed; returns the positions of the others."""
    stream = f"{bundle['store']}/{bundle['order_id']}"
    unsealed = []
    for version, event in enumerate(bundle["events"], 1):
        where = event["position"]
        partition, index = where.split("-")
        require(where == f"{int(partition)}-{int(index)}", f"{where} is no position")
        require(event["stream"] == stream, f"{where} is of another order")
        require(event["version"] == version, f"before {where} a version is missing")
        require(origin is None or origin.endswith("/" + partition), f"{where} is of another log")
        if event["inclusion_proof"] is None:
            unsealed.append(where)
            continue
        proof = [base64.b64decode(step, validate=True) for step in event["inclusion_proof"]]
        try:
            check_inclusion(int(index) - 1, size, leaf_of(event), proof, root)
        except Wrong as wrong:
            raise Wrong(f"{where}: {wrong}") from None
    require(unsealed == bundle["unsealed"], "the list of unsealed events is wrong")
    return unsealed


def check_body(event, files):
    """Check the body that an event tells of; returns a line to show, None where there is none."""
    where, told = event["position"], {}
    if event["state"] is not None:
        told = json.loads(event["state"])
    digest = told.get("body_digest") if isinstance(told, dict) else None
    salt, shown, encoded = event["body_salt"], event["body_sha256"], event["body_base64"]
    if digest is None:
        require((salt, shown, encoded) == (None, None, None), f"{where} tells of no body")
        return None
    if salt is None:
        require((shown, encoded) == (None, None), f"{where} shows a body without its salt")
        return "body: no salt is shown, so it cannot be checked (its key was destroyed?)"
    raw_salt = base64.b64decode(salt, validate=True)
    if encoded is not None:
        body = base64.b64decode(encoded, validate=True)
        problem = f"{where}: the body is not the one whose digest is in the event"
        require(sha256(raw_salt + body).hex() == digest, problem)
        require(sha256(body).hex() == shown, f"{where}: the sha256 of the body is wrong")
        return f"body: {len(body)} bytes, sha256 {shown}, is the one that was recorded"
    for name, body in files.items():
        if sha256(raw_salt + body).hex() == digest:
            require(sha256(body).hex() == shown, f"{where}: the sha256 of the body is wrong")
            return f"body: {name} is the one that was recorded"
    return f"body: not checked, said to have sha256 {shown}"


def check_earlier(bundle, keys, kept, size, root):
    """Check the earlier checkpoint, if there is one; returns its size."""
    earlier = bundle["earlier"]
    if earlier is None:
        require(kept is None, "the bundle does not continue a checkpoint: ask for one that does")
        return None
    if kept is not None:
        require(kept == earlier["checkpoint"], "the earlier checkpoint is not the one you kept")
    check_signature(earlier["checkpoint"], keys)
    _, _, old_size, old_root, _ = read_checkpoint(earlier["checkpoint"])
    proof = [base64.b64decode(step, validate=True) for step in earlier["consistency_proof"]]
    check_consistency(old_size, old_root, size, root, proof)
    return old_size


def check(bundle, key, kept, files):
    """Check a bundle; returns lines to show, and the positions that nothing proves."""
    require(bundle["format"] == "order-ledger bundle v1", "the format is not known here")
    require(bundle["events"], "the bundle has no event")
    lines = [f"order {bundle['order_id']} of store {bundle['store']}"]
    origin, size, root = None, 0, b""
    if bundle["checkpoint"] is not None:
        keys = [key] if key else bundle["public_keys"]
        signer = check_signature(bundle["checkpoint"], keys)
        _, origin, size, root, _ = read_checkpoint(bundle["checkpoint"])
        lines.append(f"checkpoint of {origin}: {size} events, root {root.hex()}")
        lines.append(f"{'signer' if key else 'signer not checked'}: {signer}")
        old_size = check_earlier(bundle, keys, kept, size, root)
        if old_size is not None:
            lines.append(f"continues the checkpoint of {old_size} events")
    unsealed = check_events(bundle, origin, size, root)
    for event in bundle["events"]:
        is_proven = "NOT SEALED" if event["position"] in unsealed else "in the log"
        lines.append(f"{event['position']}  {event['recorded_at']}  {event['topic']}  {is_proven}")
        lines.append(f"    {event['state'] or 'base64 ' + event['state_base64']}")
        body = check_body(event, files)
        if body is not None:
            lines.append(f"    {body}")
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


def main():
    """Check the bundle that the command line names."""
    about, usage = __doc__.split("\n\n", 1)
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=about, epilog=usage, formatter_class=raw)
    parser.add_argument("bundle", type=Path, help="the file")
    parser.add_argument("--key", help="the public key whose signature counts")
    parser.add_argument("--since", help="a checkpoint that you kept")
    parser.add_argument("--body", action="append", default=[], type=Path, help="a body's file")
    given = parser.parse_args()
    try:
        bundle = json.loads(given.bundle.read_text(encoding="utf-8"))
        files = {str(path): path.read_bytes() for path in given.body}
        lines, unsealed = check(bundle, text_or_file(given.key), text_or_file(given.since), files)
    except Wrong as wrong:
        sys.stderr.write(f"WRONG: {wrong}\n")
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
