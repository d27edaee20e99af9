"""What takes longer than a request: one at a time, told in the database, in its own process."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.access.roles import Caller
from adapters.deliveries.intake import delivery_of
from adapters.jobs import VERIFY, JobRunner, rebuild_of
from adapters.providers import Request
from adapters.read_models.folding import fold_part
from adapters.read_models.read_model import ReadModel, generation_views, projection_of
from adapters.service import Service, providers
from adapters.settings import Settings
from adapters.storage import jobs as job_store
from adapters.storage.jobs import LEASE, Job, Jobs
from adapters.storage.opening import open_storage
from adapters.storage.rebuilds import Refused
from projections.model import State

ALICE = Caller.with_every_role("token alice", "192.0.2.7")
WAIT_SECONDS = 60.0
ORDER_STATUS = "order_status"
REBUILD = rebuild_of(ORDER_STATUS)


@pytest.fixture
def service(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """A ledger of three orders, its read models up to date."""
    monkeypatch.chdir(tmp_path)
    keys = tmp_path / "keys.pem"
    opened = Service(
        Settings(
            database_url=url,
            providers={"sevi": {"kind": "sevi", "tokens": ["token"]}},
            seal_keys_file=keys,
        )
    )
    sender = providers(opened.settings)["sevi"]
    for n in range(3):
        body = json.dumps({"orderId": f"o-{n}", "orderPayment": "PAID"}).encode()
        request = Request([], body, datetime.now(UTC))
        opened.ledger.record([delivery_of(sender, request, "key", opened.vault.hashing)])
    opened.runner.catch_up()
    yield opened
    opened.close()


@pytest.fixture
def runner(service: Service) -> Iterator[JobRunner]:
    made = JobRunner(service)
    yield made
    made.stop()


def ended(runner: JobRunner, name: str) -> Job:
    """The run of a job, once it has ended."""
    return ended_run(runner.jobs, name)


def ended_run(jobs: Jobs, name: str) -> Job:
    """The run of a job, once nobody is left to end it; a server lets go of a lock in its time."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        job = jobs.get(name)
        assert job is not None
        if not job.is_running:
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.05)


def test_a_rebuild_is_made_by_another_process_and_waits_for_a_person(
    service: Service, runner: JobRunner
) -> None:
    runner.start(REBUILD, ALICE)
    job = ended(runner, REBUILD)
    assert (job.is_done, job.told, job.who, job.origin) == (True, None, "token alice", "192.0.2.7")
    states = [g.state for g in service.views.generations(ORDER_STATUS)]
    assert states == [State.LIVE, State.BUILT], "nothing is switched by itself"
    model = ReadModel(service, ALICE, projection_of(ORDER_STATUS))
    report = model.report()
    assert report is not None
    assert (report.new, report.differences) == (2, 0)
    (operation,) = service.operators.page(None, 10)
    assert (operation.who, operation.action) == ("token alice", "projections rebuild")
    assert model.switch().number == 2


def test_a_verification_tells_its_verdict(service: Service, runner: JobRunner) -> None:
    service.sealer.seal()
    runner.start(VERIFY, ALICE)
    job = ended(runner, VERIFY)
    assert job.is_done
    assert job.told is not None
    verdict = json.loads(job.told)
    assert (verdict["is_sound"], verdict["events"], verdict["deliveries"]) == (True, 6, 3)


def test_there_is_one_job_at_a_time(runner: JobRunner) -> None:
    runner.start(VERIFY, ALICE)
    with pytest.raises(Refused, match="verify is running"):
        runner.start(REBUILD, ALICE)
    ended(runner, VERIFY)
    runner.start(REBUILD, ALICE)
    assert ended(runner, REBUILD).is_done


def test_what_cannot_be_done_is_told(service: Service, runner: JobRunner) -> None:
    assert service.views.leads(f"{ORDER_STATUS}-rebuild"), "somebody rebuilds by hand"
    runner.start(REBUILD, ALICE)
    job = ended(runner, REBUILD)
    assert (job.is_done, job.told) == (False, "a rebuild of order_status is running already")
    with pytest.raises(Refused, match="there is no read model orders"):
        projection_of("orders")


def test_a_job_whose_process_is_killed_has_failed_and_can_be_started_again(
    runner: JobRunner,
) -> None:
    runner.start(VERIFY, ALICE)
    process = runner._process
    assert process is not None
    process.kill()
    process.join()  # the exit status may go to this thread: the runner has to see the end anyhow
    deadline = time.monotonic() + WAIT_SECONDS
    while (job := runner.jobs.get(VERIFY)) is None or job.told is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (job.is_done, "its process was ended" in job.told) == (False, True)
    runner.start(VERIFY, ALICE)
    assert ended(runner, VERIFY).is_done


def test_a_job_of_which_nobody_is_left_does_not_run(
    service: Service, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service was killed with it, so nobody could say that it ended."""
    jobs = Jobs(service.views)
    jobs.begin(VERIFY, ALICE)
    other = open_storage(url, ())
    assert other.views.leads(LEASE)
    monkeypatch.setattr(job_store, "START_SECONDS", -1)
    assert [job.is_running for job in jobs.all().values()] == [True]
    other.close()
    assert not ended_run(jobs, VERIFY).is_done
    jobs.begin(REBUILD, ALICE)


def test_a_generation_that_is_being_folded_is_not_dropped(service: Service, url: str) -> None:
    model = ReadModel(service, ALICE, projection_of(ORDER_STATUS))
    begun = model.work.steps.begin(model.work.projection, 1, 6)
    assert [view.folded for view in generation_views(service, ORDER_STATUS)] == [None, 0]
    (part,) = model.work.steps.parts(begun)
    assert list(fold_part(service.storage, model.work.projection, begun, part, 4)) == [4]
    assert [view.folded for view in generation_views(service, ORDER_STATUS)] == [None, 4]
    other = open_storage(url, ())
    assert other.views.leads(f"{ORDER_STATUS}-rebuild")
    with pytest.raises(Refused, match="is being folded"):
        model.drop(begun.number)
    other.close()
    model.drop(begun.number)
    assert [g.state for g in service.views.generations(ORDER_STATUS)] == [State.LIVE]
