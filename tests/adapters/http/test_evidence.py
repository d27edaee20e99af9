"""Evidence over HTTP: bundles, checkpoints, keys, and what is not sealed yet."""

import json
import subprocess
import sys
from pathlib import Path

from adapters.evidence.notes import SignedCheckpoint
from tests.adapters.http.local import LocalService, problem

SCRIPT = Path(__file__).parents[3] / "scripts" / "verify_bundle.py"


def test_a_bundle_is_believed_by_who_has_only_the_script(
    local: LocalService, tmp_path: Path
) -> None:
    local.tell("42", "PENDING")
    first = local.json("/orders/42/bundle")
    size = SignedCheckpoint.parse(first["checkpoint"]).checkpoint.size
    local.tell("42", "PAID")
    bundle = local.json("/orders/42/bundle", since=size)
    assert [event["topic"] for event in bundle["events"]] == [
        "PaymentReceived", "PaymentReceived", "Delivered",
    ]  # fmt: skip
    key = local.json("/public-keys")["items"][0]["public_key"]
    (tmp_path / "42.json").write_text(json.dumps(bundle))
    command = [sys.executable, str(SCRIPT), "42.json", "--key", key, "--since", first["checkpoint"]]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_a_bundle_is_of_one_store(local: LocalService) -> None:
    local.tell("42", "PAID", provider="sevi-uganda")
    assert local.json("/orders/42/bundle", store="uganda")["store"] == "uganda"
    problem(local.get("/orders/42/bundle"), 404)
    problem(local.get("/orders/42/bundle", store="uganda", since=77), 409)
    problem(local.get("/orders/42/bundle", store="uganda", since=0), 422)


def test_checkpoints_and_the_tail_are_shown(local: LocalService) -> None:
    problem(local.get("/checkpoints/latest"), 404)
    local.tell("42", "PENDING")
    local.settle()
    ready = local.json("/health/ready")["details"]["evidence"]
    assert (ready["sealed_upto"], ready["unsealed_events"]) == (None, 1)
    assert ready["unsealed_since"] is not None
    assert ready["problem"] is None
    for number in (1, 2):
        local.tell(f"more-{number}", "PENDING")
        local.service.sealer.seal()
    page = local.json("/checkpoints", limit=1)
    assert (page["items"][0]["number"], page["next"]) == (2, 2)
    older = local.json("/checkpoints", after=page["next"])
    assert [item["size"] for item in older["items"]] == [2]
    latest = local.get("/checkpoints/latest")
    assert latest.text == page["items"][0]["note"]
    assert latest.headers["content-type"].startswith("text/plain")
    assert local.json("/health/ready")["details"]["evidence"]["unsealed_events"] == 0


def test_evidence_is_for_who_has_a_token(local: LocalService) -> None:
    for path in ("/orders/42/bundle", "/checkpoints", "/checkpoints/latest", "/public-keys"):
        problem(local.run(local.http.get(path)), 401)


def test_an_order_whose_bundle_cannot_be_made_yet(local: LocalService) -> None:
    local.tell("42", "PAID")
    local.service.sealer.seal()
    with local.service.evidence.tree_transaction(commit=True) as c:
        c.execute("DELETE FROM tiles")
    assert "try again later" in problem(local.get("/orders/42/bundle"), 409)
