"""The dashboard and the alert rules ask for what /metrics really answers."""

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.adapters.http.local import LocalService

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "docs" / "monitoring"
RULES = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((MONITORING / "grafana-dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
SHOWN = [target["expr"] for panel in PANELS for target in panel["targets"]]
EXPRESSIONS = dict.fromkeys([*(rule["expr"] for rule in RULES), *SHOWN])
WAIT_SECONDS = 30.0

Answered = dict[str, set[str]]  # the labels of each sample's name


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answered]:
    """What /metrics answers once there is something of everything: a delivery, a refusal, a
    checkpoint, an effect that was refused."""
    command = {"kind": "command", "command": [sys.executable, "-c", "raise SystemExit(1)"]}
    effects = {"shop": command | {"tries": 1}}
    folder = tmp_path_factory.mktemp("monitored")
    with LocalService(folder, effects=effects, seal_seconds=1) as local:
        local.tell("1", "PAID")
        local.run(local.post(b"{}", headers={"Authorization": "wrong"}))
        deadline = time.monotonic() + WAIT_SECONDS
        while "order_ledger_checkpoint_timestamp_seconds" not in (found := _answered(local)):
            assert time.monotonic() < deadline, "nothing was sealed"
            time.sleep(0.1)
        yield found


def _answered(local: LocalService) -> Answered:
    found: Answered = {}
    for family in text_string_to_metric_families(local.get("/metrics").text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def asked(expression: str) -> dict[str, set[str]]:
    """The metrics of an expression, and the labels that it selects or groups them by."""
    names = re.findall(r"\b(up|order_ledger_\w+)(?:{([^}]*)})?", expression)
    grouped = re.findall(r"\bby \(([^)]*)\)", expression)
    labels = {label.strip() for group in grouped for label in group.split(",")}
    return {
        name: labels | {part.partition("=")[0].strip(" !") for part in selected.split(",") if part}
        for name, selected in names
    }


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_metric_and_label_that_is_asked_for_is_answered(
    answered: Answered, expression: str
) -> None:
    names = asked(expression)
    assert names, "the expression asks for nothing"
    for name, labels in names.items():
        if name == "up":  # Prometheus' own
            continue
        assert name in answered
        assert labels <= answered[name], name


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_expression_is_promql(expression: str) -> None:
    promql_parser.parse(expression.replace("$__rate_interval", "5m"))


def test_an_expression_is_taken_apart_rightly() -> None:
    expression = 'max by (le, b) (rate(order_ledger_x_total{c="1",d!=""}[5m])) > up{job="e"}'
    assert asked(expression) == {
        "order_ledger_x_total": {"le", "b", "c", "d"},
        "up": {"le", "b", "job"},
    }


def test_every_metric_is_on_the_dashboard(answered: Answered) -> None:
    parts = r"_(bucket|count|sum|created)$"  # one of a histogram's is enough
    shown = {re.sub(parts, "", name) for expression in SHOWN for name in asked(expression)}
    assert {re.sub(parts, "", name) for name in answered} - shown == set()


def test_every_panel_and_every_rule_is_whole() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    for panel in PANELS:
        assert panel["title"]
        assert panel["description"]
        assert panel["datasource"]["uid"] == "${datasource}"
    for rule in RULES:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert rule["annotations"]["summary"]


def test_what_each_alarm_means_is_written_down() -> None:
    sections = re.findall(r"^### (OrderLedger\w+)$", _operations(), re.MULTILINE)
    assert sections == [rule["alert"] for rule in RULES]


def _operations() -> str:
    return (ROOT / "docs" / "operations.md").read_text()


def test_prometheus_own_tool_takes_the_rules_and_the_configuration() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not here (Debian's package prometheus has it)")
    for check in (["rules", "alerts.yml"], ["config", "--syntax-only", "prometheus.yml"]):
        _succeeds([promtool, "check", *check])


def _succeeds(command: list[str]) -> Any:
    done = subprocess.run(command, cwd=MONITORING, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
