"""What Kubernetes says of a Job, in the words of all launchers: also what the tests' own cluster cannot bring about."""

from __future__ import annotations

from typing import Any

import pytest

from runner.launchers.base import Sighting
from runner.launchers.kubernetes.words import last_words, newest, read_sighting
from runner.launchers.remedies import remedy_for


def job(*conditions: dict[str, str], **more: Any) -> dict[str, Any]:
    meta = {"name": "j", "uid": "1", **more.pop("metadata", {})}
    return {"metadata": meta, "spec": more, "status": {"conditions": list(conditions)}}


def condition(kind: str, reason: str = "", message: str = "", status: str = "True") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def pod(state: dict[str, Any] | None = None, phase: str = "Running", **status: Any) -> dict[str, Any]:
    meta = {"name": "p", "creationTimestamp": "2026-01-01T00:00:00Z", **status.pop("metadata", {})}
    states = [] if state is None else [{"name": "sidecar", "state": {}}, {"name": "runner", "state": state}]
    return {"metadata": meta, "status": {"phase": phase, "containerStatuses": states, **status}}


def event(reason: str, message: str, second: int = 0, kind: str = "Warning") -> dict[str, Any]:
    when = f"2026-01-01T00:00:{second:02}Z"
    return {"metadata": {}, "reason": reason, "message": message, "type": kind, "lastTimestamp": when}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def terminated(reason: str, code: int, message: str = "") -> dict[str, Any]:
    return {"terminated": {"reason": reason, "exitCode": code, "message": message}}


PULL = 'Failed to pull image "x:1": rpc error: '


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (pod({"running": {}}), Sighting("running")),
        (pod(terminated("Completed", 0), "Succeeded"), Sighting("ended", "Completed", exit_code=0)),
        (pod(terminated("Error", 76, "the log's last lines"), "Failed"), Sighting("ended", exit_code=76)),
        (pod(terminated("OOMKilled", 137, "lines"), "Failed"), Sighting("ended", "OOMKilled", exit_code=137)),
        (pod(terminated("Error", 1)), Sighting("ended", exit_code=1)),  # beside another container of a template
        (
            pod(terminated("StartError", 128, "exec: no such file"), "Failed"),
            Sighting("ended", "StartError", "exec: no such file", 128),
        ),
        (
            pod(None, "Failed", reason="Evicted", message="The node was low on resource: memory."),
            Sighting("ended", "Evicted", "The node was low on resource: memory."),
        ),
        (
            pod(terminated("Error", 137), "Failed", reason="DeadlineExceeded", message="Pod was active too long"),
            Sighting("ended", "DeadlineExceeded", "Pod was active too long", 137),
        ),
        (
            pod(
                terminated("Error", 143),
                "Failed",
                conditions=[condition("DisruptionTarget", "PreemptionByScheduler", "preempted by another")],
            ),
            Sighting("ended", "PreemptionByScheduler", "preempted by another", 143),
        ),
        (
            pod(
                waiting("PodInitializing"),
                "Failed",
                initContainerStatuses=[{"name": "setup", "state": terminated("Error", 3)}],
            ),
            Sighting("ended", "", "the container setup before it ended with 3"),
        ),
        (
            pod(None, "Pending", conditions=[condition("PodScheduled", "Unschedulable", "0/1 nodes", "False")]),
            Sighting("waiting", "Unschedulable", "0/1 nodes"),
        ),
        (pod(None, "Pending", conditions=[condition("PodScheduled")]), Sighting("waiting")),
        (pod(waiting("ContainerCreating"), "Pending"), Sighting("waiting")),
        (
            pod(waiting("CreateContainerConfigError", 'secret "x" not found'), "Pending"),
            Sighting("waiting", "CreateContainerConfigError", 'secret "x" not found'),
        ),
        (
            pod(waiting("InvalidImageName", "couldn't parse"), "Pending"),
            Sighting("waiting", "InvalidImageName", "couldn't parse", is_hopeless=True),
        ),
        (
            pod(waiting("ErrImagePull", "dial tcp: i/o timeout"), "Pending"),
            Sighting("waiting", "ErrImagePull", "dial tcp: i/o timeout"),
        ),
        (
            pod(waiting("ErrImagePull", "manifest unknown"), "Pending"),
            Sighting("waiting", "ErrImagePull", "manifest unknown", is_hopeless=True),
        ),
        (
            pod(
                waiting("PodInitializing"),
                "Pending",
                initContainerStatuses=[{"name": "setup", "state": waiting("ImagePullBackOff", "Back-off")}],
            ),
            Sighting("waiting", "ImagePullBackOff", "Back-off"),
        ),
        (
            pod({"running": {}}, "Unknown"),
            Sighting("unknown", "NodeLost", "its node does not answer; whether it runs nobody knows"),
        ),
        (
            pod({"running": {}}, conditions=[condition("Ready", status="False")]),
            Sighting("unknown", "NodeLost", "its node does not answer; whether it runs nobody knows"),
        ),
        (
            pod({"running": {}}, conditions=[condition("Ready", "ContainersNotReady", status="False")]),
            Sighting("running"),
        ),
    ],
)
def test_what_is_said_of_a_pod(made: dict[str, Any], expected: Sighting) -> None:
    assert read_sighting(job(), [made], []) == expected


@pytest.mark.parametrize(
    ("made", "events", "expected"),
    [
        (job(), [], Sighting("waiting")),
        (job(condition("Complete")), [], Sighting("ended", "Completed", exit_code=0)),
        (
            job(condition("Failed", "DeadlineExceeded", "Job was active longer")),
            [],
            Sighting("ended", "DeadlineExceeded", "Job was active longer"),
        ),
        (job(metadata={"deletionTimestamp": "now"}), [], Sighting("waiting", "Terminating", "it is being removed")),
        (job(suspend=True), [], Sighting("waiting", "Suspended", "its queue has not admitted it yet", is_queued=True)),
        (
            job(suspend=True),
            [event("Stopped", "couldn't assign flavors")],
            Sighting("waiting", "Suspended", "couldn't assign flavors", is_queued=True),
        ),
        (
            job(),
            [event("FailedCreate", "exceeded quota", 2), event("FailedCreate", "earlier", 1)],
            Sighting("waiting", "FailedCreate", "exceeded quota"),
        ),
    ],
)
def test_what_is_said_of_a_job_without_a_pod(
    made: dict[str, Any], events: list[dict[str, Any]], expected: Sighting
) -> None:
    seen = read_sighting(made, [], events)
    assert seen._replace(events=()) == expected
    assert len(seen.events) == len(events)


def test_the_registrys_words_are_told_while_the_pull_is_only_said_to_be_tried_again() -> None:
    made = pod(waiting("ImagePullBackOff", 'Back-off pulling image "x:1"'), "Pending")
    events = [
        event("Failed", "Error: ImagePullBackOff", 3),
        event("Failed", f"{PULL}not found", 1),
        event("BackOff", "x", 2),
    ]
    seen = read_sighting(job(), [made], events)
    assert (seen.reason, seen.message, seen.is_hopeless) == ("ImagePullBackOff", f"{PULL}not found", True)
    assert seen.events == (f"Failed: {PULL}not found", "BackOff: x", "Failed: Error: ImagePullBackOff")


def test_what_keeps_a_container_from_being_created_is_the_last_warning() -> None:
    made = pod(waiting("ContainerCreating"), "Pending")
    events = [
        event("FailedScheduling", "0/1 nodes", 1),
        event("FailedMount", 'secret "x" not found', 2),
        event("Pulled", "it is there", 3, "Normal"),
    ]
    assert read_sighting(job(), [made], events)[:3] == ("waiting", "FailedMount", 'secret "x" not found')


def test_of_several_pods_the_one_that_has_not_ended_counts_and_then_the_newest() -> None:
    old = pod(terminated("Error", 143), "Failed", metadata={"name": "old"})
    new = pod({"running": {}}, metadata={"name": "new", "creationTimestamp": "2026-01-02T00:00:00Z"})
    late = pod(
        terminated("Error", 75), "Failed", metadata={"name": "late", "creationTimestamp": "2026-01-03T00:00:00Z"}
    )
    leaving = pod({"running": {}}, metadata={"name": "leaving", "deletionTimestamp": "x", "creationTimestamp": "2027"})
    for pods, expected in (
        ([old, new, late], "new"),
        ([old, late], "late"),
        ([leaving, new], "new"),
        ([leaving, old], "leaving"),
    ):
        found = newest(pods)
        assert found is not None
        assert found["metadata"]["name"] == expected
    assert newest([]) is None


def test_a_pod_that_somebody_deleted_is_not_the_jobs_end_but_where_the_job_says_so() -> None:
    deleted = pod(terminated("Error", 143), "Failed", metadata={"deletionTimestamp": "2026-01-01T00:00:01Z"})
    assert read_sighting(job(), [deleted], [])[:2] == ("waiting", "PodDeleted")
    assert read_sighting(job(condition("Failed", "BackoffLimitExceeded")), [deleted], [])[:1] == ("ended",)
    assert read_sighting(job(metadata={"deletionTimestamp": "now"}), [deleted], [])[:1] == ("ended",)


def test_the_jobs_own_deadline_is_the_reason_of_its_pods_end() -> None:
    failed = job(condition("Failed", "DeadlineExceeded", "Job was active longer than specified deadline"))
    seen = read_sighting(failed, [pod(terminated("Error", 143), "Failed")], [])
    assert (seen.reason, seen.exit_code) == ("DeadlineExceeded", 143)
    assert read_sighting(failed, [pod({"running": {}})], []).phase == "running"


def test_the_end_of_a_log_that_the_pod_has_kept_is_there_without_its_node() -> None:
    assert last_words(pod(terminated("Error", 1, "one\ntwo"))) == ["one", "two"]
    assert last_words(pod({"running": {}})) == []


@pytest.mark.parametrize(
    "reason",
    [
        "PreemptionByScheduler",
        "DeletionByTaintManager",
        "EvictionByEvictionAPI",
        "DeletionByPodGC",
        "TerminationByKubelet",
    ],
)
def test_a_pod_that_was_taken_away_is_told_with_what_to_do(reason: str) -> None:
    taken = pod(terminated("Error", 143), "Failed", conditions=[condition("DisruptionTarget", reason, "Preempted")])
    seen = read_sighting(job(), [taken], [])
    assert (seen.phase, seen.reason, seen.exit_code) == ("ended", reason, 143)
    assert "--restarts" in remedy_for(seen.reason)
    assert remedy_for("UnexpectedAdmissionError")  # of a node whose GPU has gone meanwhile
