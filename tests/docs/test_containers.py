"""The Dockerfile and compose.yaml: what they run works, and linters find nothing in them.

No container engine is needed: what they name is read from them, and run as it stands there.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from adapters.settings import load_settings

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", "")
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
BIN = Path(sys.executable).parent
SECONDS = 30.0


def instructions(name: str) -> list[str]:
    """What stands behind each instruction of this name."""
    return re.findall(rf"^{name} (.*)$", DOCKERFILE, re.MULTILINE)


def command(name: str) -> list[str]:
    """The program and arguments of an instruction in its exec form."""
    (text,) = instructions(name)
    words: list[str] = json.loads(text[text.index("[") :])
    return words


class Container:
    """What a container of the image would run, in a folder in the place of /data."""

    def __init__(self, arguments: list[str], folder: Path, env: Mapping[str, str]) -> None:
        (variables,) = instructions("ENV")
        given = dict(word.split("=", 1) for word in shlex.split(variables))
        given = {key: value.replace("/data", str(folder)) for key, value in given.items()}
        given["PATH"] = f"{BIN}:{os.environ['PATH']}"
        outside = {k: v for k, v in os.environ.items() if not k.startswith("ORDER_LEDGER_")}
        with (folder / "stderr.log").open("ab") as errors:
            self.process = subprocess.Popen(
                [*command("ENTRYPOINT"), *arguments],
                cwd=folder,
                env={**outside, **given, **env},
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def url(self) -> str:
        """Where the service listens."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if match := re.search(r"listens on http://0\.0\.0\.0:(\d+),", line):
                return f"http://127.0.0.1:{match[1]}"
        raise AssertionError("the service did not start")

    def stop(self) -> int:
        """Stop as an engine does; returns the exit code."""
        (name,) = instructions("STOPSIGNAL")
        self.process.send_signal(getattr(signal, name))
        return self.process.wait(SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def _healthy(url: str) -> bool:
    check = [sys.executable, *command("HEALTHCHECK.*? CMD")[1:]]
    asked = [word.replace("http://127.0.0.1:8000", url) for word in check]
    assert asked != check, "the check asks another port than the image exposes"
    return subprocess.run(asked, stderr=subprocess.DEVNULL, check=False).returncode == 0


def _until(condition: Any) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _token(folder: Path, name: str) -> str:
    (made,) = folder.rglob(name)  # beside a ledger in a file, or in the user's data folder
    return made.read_text().strip()


def _pay(url: str, folder: Path) -> None:
    headers = {"Authorization": _token(folder, "webhook-token-sevi")}
    body = '{"orderId": "1", "orderPayment": "PAID"}'
    httpx.post(f"{url}/webhooks/sevi", content=body, headers=headers).raise_for_status()


def _status(url: str, folder: Path) -> str | None:
    headers = {"Authorization": f"Bearer {_token(folder, 'api-token')}"}
    answer = httpx.get(f"{url}/orders", headers=headers).raise_for_status().json()
    return answer["items"][0]["status"] if answer["items"] else None


# ---------------------------------------------------------------------------------- what they run


def test_the_image_serves_is_healthy_and_stops_gracefully(tmp_path: Path) -> None:
    with Container(command("CMD"), tmp_path, {"ORDER_LEDGER_PORT": "0"}) as container:
        url = container.url()
        assert _healthy(url)
        _pay(url, tmp_path)
        _until(lambda: _status(url, tmp_path) == "DELIVERED")
        assert container.stop() == 0
    assert "Application shutdown complete" in (tmp_path / "stderr.log").read_text()
    assert not _healthy(url)
    assert {path.name for path in tmp_path.iterdir()} == {"var", "stderr.log"}


@pytest.fixture(params=["sqlite", "postgresql"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """The secret file that compose.yaml names as the configuration."""
    secret = SERVICES["service"]["environment"]["ORDER_LEDGER_CONFIG"]
    assert secret == f"/run/secrets/{SERVICES['service']['secrets'][0]}"
    lines = ["port = 0"]
    if request.param == "postgresql":
        lines.append(f'database_url = "{request.getfixturevalue("postgres_url")}"')
    file = tmp_path / "secret.toml"
    file.write_text("\n".join(lines))
    return {"ORDER_LEDGER_CONFIG": str(file)}


def test_the_worker_keeps_the_read_models_of_the_service_and_nobody_else_does(
    tmp_path: Path, config: dict[str, str]
) -> None:
    with Container(SERVICES["service"]["command"], tmp_path, config) as service:
        url = service.url()
        _pay(url, tmp_path)
        time.sleep(1.5)
        assert _status(url, tmp_path) is None
        with Container(SERVICES["worker"]["command"], tmp_path, config) as worker:
            _until(lambda: _status(url, tmp_path) == "DELIVERED")
            assert worker.stop() == 0
        headers = {"Authorization": f"Bearer {_token(tmp_path, 'api-token')}"}
        details = httpx.get(f"{url}/health/ready", headers=headers).json()["details"]
        assert details["evidence"]["unsealed_events"] == 0, "it seals before it stops"
        assert service.stop() == 0


# ------------------------------------------------------------------------------- what they promise


def test_every_image_is_pinned_to_a_version() -> None:
    images = [line.split()[0] for line in instructions("FROM")]
    images += [service["image"] for service in SERVICES.values()]
    assert len(images) == 6
    for image in images:
        assert re.fullmatch(r"[a-z/-]+:v?\d+\.\d+(\.\d+)?(-[a-z-]+)?", image), image
    assert len(set(instructions("FROM")[0].split()[:1] + instructions("FROM")[1:])) == 1


def test_nothing_runs_as_root_or_may_write_but_where_it_has_to() -> None:
    (user,) = instructions("USER")
    assert int(user.partition(":")[0]) > 0
    for name, service in SERVICES.items():
        assert service["read_only"] is True, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["restart"] == "unless-stopped", name
    for name in ("service", "worker", "prometheus"):
        assert SERVICES[name]["cap_drop"] == ["ALL"]
    for ports in (service.get("ports", []) for service in SERVICES.values()):
        assert all(port.startswith("127.0.0.1:") for port in ports)


def test_secrets_come_from_files_that_git_and_the_image_do_not_hold() -> None:
    files = {name: secret["file"] for name, secret in COMPOSE["secrets"].items()}
    used = {name for service in SERVICES.values() for name in service.get("secrets", [])}
    assert files.keys() == used
    assert all(file.startswith("./secrets/") for file in files.values())
    assert "secrets/" in (ROOT / ".gitignore").read_text().splitlines()
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*"
    copied = {words.split()[0] for words in instructions("COPY") if "--from" not in words}
    taken = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert taken >= copied
    assert "secrets" not in taken


def test_the_lines_that_make_the_secrets_make_a_configuration_that_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    lines = re.search(r"<!-- secrets -->\n```sh\n(.*?)```", text, re.DOTALL)
    assert lines is not None
    subprocess.run(["sh", "-ec", lines[1]], cwd=tmp_path, check=True)
    for secret in COMPOSE["secrets"].values():
        assert (tmp_path / secret["file"]).exists()
    monkeypatch.setenv("ORDER_LEDGER_CONFIG", str(tmp_path / "secrets" / "order-ledger.toml"))
    url = urlsplit(load_settings().database_url)
    environment = SERVICES["postgres"]["environment"]
    assert url.password == (tmp_path / "secrets" / "postgres_password").read_text()
    assert len(url.password) == 32
    assert (url.username, url.path) == (environment["POSTGRES_USER"], "/order_ledger")
    assert url.hostname in SERVICES


def test_prometheus_asks_the_service_where_compose_has_it_with_the_secret_it_has() -> None:
    config = yaml.safe_load((ROOT / "docs/monitoring/prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    (secret,) = SERVICES["prometheus"]["secrets"]
    assert job["authorization"]["credentials_file"] == f"/run/secrets/{secret}"
    (port,) = instructions("EXPOSE")
    assert job["static_configs"][0]["targets"] == [f"service:{port}"]
    assert config["rule_files"] == ["alerts.yml"]


# ---------------------------------------------------------------------------------------- linters


@pytest.mark.skipif(not (BIN / "hadolint").exists(), reason="hadolint has no build for this system")
def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    _finds_nothing("hadolint", "Dockerfile")


def test_the_compose_file_keeps_the_compose_specification() -> None:
    _finds_nothing("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml")


def _finds_nothing(program: str, *arguments: str) -> None:
    done = subprocess.run(
        [BIN / program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
