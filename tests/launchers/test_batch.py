"""What AWS Batch is asked for, and what its words mean; tests/images has the suite of all launchers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from runner.errors import EnvironmentWrong, UsageError
from runner.launchers import Batch
from runner.launchers.base import Order, Sighting
from runner.launchers.batch import _rank, _sighting
from support.servers.aws_batch import client, make_queue

if TYPE_CHECKING:
    from support.servers import Server

HOPELESS = ("MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT", "The job resource requirement (vCPU/memory/GPU) is too large")
NO_CAPACITY = ("CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY", "Service cannot fulfill the capacity requested")
PULL = "CannotPullContainerError: Error response from daemon: manifest for org/runner:none not found"
NO_NETWORK = "CannotPullContainerError: Error response from daemon: Get https://registry/: net/http: request timeout"


def job(status: str, said: str = "", code: int | None = None, why: str = "", **more: Any) -> dict[str, Any]:
    container = {name: value for name, value in (("exitCode", code), ("reason", why)) if value not in {None, ""}}
    return {"status": status, "statusReason": said, "container": container, "createdAt": 1, "jobId": "1", **more}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (job("SUBMITTED"), Sighting("waiting", "SUBMITTED", is_queued=True)),
        (job("STARTING"), Sighting("waiting", "STARTING")),
        (job("RUNNABLE", " - ".join(NO_CAPACITY)), Sighting("waiting", NO_CAPACITY[0], NO_CAPACITY[1], is_queued=True)),
        (
            job("RUNNABLE", " - ".join(HOPELESS)),
            Sighting("waiting", HOPELESS[0], HOPELESS[1], is_hopeless=True, is_queued=True),
        ),
        (job("RUNNING"), Sighting("running")),
        (job("SUCCEEDED", "Essential container in task exited", 0), Sighting("ended", exit_code=0)),
        (job("FAILED", "Essential container in task exited", 76), Sighting("ended", exit_code=76)),
        (
            job(
                "FAILED", "Essential container in task exited", 137, "OutOfMemoryError: Container killed due to memory"
            ),
            Sighting("ended", "OOMKilled", "Container killed due to memory", 137),
        ),
        (
            job("FAILED", "Task failed to start", None, PULL),
            Sighting("ended", "CannotPullContainerError", PULL.partition(": ")[2], is_hopeless=True),
        ),
        (
            job("FAILED", "Task failed to start", None, NO_NETWORK),
            Sighting("ended", "CannotPullContainerError", NO_NETWORK.partition(": ")[2]),
        ),
        (
            job("FAILED", "Host EC2 (instance i-0ab) terminated.", startedAt=1),
            Sighting("ended", "HostTerminated", "Host EC2 (instance i-0ab) terminated."),
        ),
        (
            job("FAILED", "Job attempt duration exceeded timeout", 137),
            Sighting("ended", "JobTimeout", "Job attempt duration exceeded timeout", 137),
        ),
        (job("FAILED", "stopped by runner"), Sighting("ended", message="stopped by runner")),
        (job("FAILED", why="OutOfMemoryError: too much"), Sighting("ended", "OOMKilled", "too much", 137)),
    ],
)
def test_the_words_of_batch(told: dict[str, Any], expected: Sighting) -> None:
    assert _sighting(told) == expected


def test_of_several_jobs_of_a_name_that_one_tells_which_has_the_run() -> None:
    held, worked = job("FAILED", code=75), job("FAILED", code=137, createdAt=2)
    assert min([held, worked], key=_rank) is worked
    assert min([worked, running := job("RUNNING", createdAt=3)], key=_rank) is running
    assert min([job("FAILED", isCancelled=True), held, done := job("SUCCEEDED", createdAt=2)], key=_rank) is done


def order(**other: Any) -> Order:
    given: dict[str, Any] = {
        "name": "run-r-1",
        "image": "127.0.0.1:9/runner:none",  # which no engine pulls
        "environ": {"RUNNER_LOCATION": "s3://my-flows/etl"},
        "secrets": {},
        "resources": {},
        "labels": {"runner/flow": "etl", "runner/run-id": "r", "runner/launch": "1"},
        "grace": 30.0,
    }
    return Order(**given | other)


@pytest.fixture
def queue(moto: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in moto.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("runner.launchers.batch._PAUSES", (0.0,))
    return make_queue(moto)


def test_a_definition_is_made_once_for_all_runs(moto: Server, queue: str) -> None:
    launcher = Batch(job_queue=queue, job_definition=queue, platform="FARGATE", tags={"team": "data"})
    for number, memory in enumerate((2, 2, 4, 2)):
        launcher.launch(order(name=f"run-r-{number}", resources={"memory": memory * 2**30}))
    batch = client(moto, "batch")
    known = batch.describe_job_definitions(jobDefinitionName=queue)["jobDefinitions"]
    assert sorted(each["revision"] for each in known) == [1, 2]
    assert {each["tags"]["team"] for each in known} == {"data"}
    jobs = batch.list_jobs(jobQueue=queue, filters=[{"name": "JOB_NAME", "values": ["run-r-*"]}])["jobSummaryList"]
    used = {each["jobName"][-1]: each["jobDefinition"].rpartition(":")[2] for each in jobs}
    assert used == {"0": "1", "1": "1", "2": "2", "3": "1"}


def test_a_launch_that_was_asked_for_before_is_the_same_job(moto: Server, queue: str) -> None:
    launched = [Batch(job_queue=queue).launch(order()) for _ in range(2)]
    assert launched[0] == launched[1]
    filters = [{"name": "JOB_NAME", "values": ["run-r-1"]}]
    assert len(client(moto, "batch").list_jobs(jobQueue=queue, filters=filters)["jobSummaryList"]) == 1


def test_of_two_jobs_that_are_submitted_at_once_the_later_one_is_cancelled(
    moto: Server, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Batch(job_queue=queue).launch(order())
    late = Batch(job_queue=queue)
    firsts = iter(["", late._first("run-r-1")])
    monkeypatch.setattr(late, "_first", lambda _name: next(firsts))
    cancelled: list[dict[str, Any]] = []
    ask = late._ask

    def noted(operation: str, **given: Any) -> dict[str, Any]:
        if operation == "cancel_job":
            cancelled.append(given)
        return ask(operation, **given)

    monkeypatch.setattr(late, "_ask", noted)
    first = late.launch(order())["job"]
    jobs = client(moto, "batch").list_jobs(jobQueue=queue, filters=[{"name": "JOB_NAME", "values": ["run-r-1"]}])
    [later] = {job["jobId"] for job in jobs["jobSummaryList"]} - {first}
    assert cancelled == [{"jobId": later, "reason": f"{first} is the same launch"}]


def test_a_job_that_nobody_submitted_is_absent(queue: str) -> None:
    launcher = Batch(job_queue=queue)
    assert launcher.describe("run-r-0") == Sighting("absent")
    launcher.stop("run-r-0", 0)
    launcher.remove("run-r-0")
    assert launcher.logs("run-r-0") == []


def test_what_batch_cannot_do_is_refused() -> None:
    with pytest.raises(EnvironmentWrong, match="RUNNER_GRACE=25"):
        Batch(job_queue="q").render(order(grace=31.0))


def test_what_batch_does_not_do_is_told(queue: str) -> None:
    instances, told = Batch(job_queue=queue), list[str]()
    instances.tell = told.append
    instances.launch(order(resources={"disk": 2**34}))
    assert told == ["Batch keeps no limit of the disk on instances: theirs must be large enough"]
    assert instances.check() == f"the queue {queue} in us-east-1 answers"
    with pytest.raises(EnvironmentWrong, match="does not exist"):
        Batch(job_queue="none").check()


def test_a_queue_is_named() -> None:
    with pytest.raises(EnvironmentWrong, match="-O job_queue=NAME"):
        Batch().render(order())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"platform": "fargate"}, "There are EC2, FARGATE"),
        ({"attempts": 0}, "from 1 to 10 times"),
        ({"container_properties": "[]"}, "container_properties of batch is a dictionary"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Batch(**options)
