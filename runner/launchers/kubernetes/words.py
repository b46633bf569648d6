"""What Kubernetes says of a Job, its pods and their events, in the words of all launchers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from runner.launchers.base import Sighting
from runner.launchers.kubernetes.job import CONTAINER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.schema.documents import JsonObject

_PULLING = {"ErrImagePull", "ImagePullBackOff"}
# What no time mends: only whoever changes the image's name, or the settings.
_HOPELESS = {"InvalidImageName", "ErrImageNeverPull"}
# The registry has answered, and has no such image.
_NO_SUCH_IMAGE = re.compile(r"not found|manifest unknown|does not exist|repository name not known", re.IGNORECASE)
_NO_REASONS = {"Error", "PodInitializing", "ContainerCreating", "BackoffLimitExceeded"}  # which say that, not why
_NOT_OF_A_NODE = {"ContainersNotReady", "ReadinessGatesNotReady", "PodCompleted"}  # a kubelet has said it, so it lives


def newest(pods: Sequence[JsonObject]) -> JsonObject | None:
    """Return the pod that counts: one that has not ended, of these the one that is not being deleted, and the newest.

    A Job has two when the first was deleted by somebody else: it makes another one, whatever its backoffLimit is.
    """

    def rank(pod: JsonObject) -> tuple[bool, bool, str]:
        meta = pod["metadata"]
        return not _has_ended(pod), "deletionTimestamp" not in meta, meta.get("creationTimestamp", "")

    return max(pods, key=rank, default=None)


def read_sighting(job: JsonObject, pods: Sequence[JsonObject], events: Sequence[JsonObject]) -> Sighting:
    """Return what became of a Job."""
    told = tuple(_texts(events))
    pod, failed = newest(pods), _condition(job, "Failed")
    if pod is None:
        return _without_pod(job, failed, events)._replace(events=told)
    seen = _of_pod(pod, events)
    is_leaving = "deletionTimestamp" in job["metadata"] or failed or _condition(job, "Complete")
    if seen.phase == "ended" and "deletionTimestamp" in pod["metadata"] and not is_leaving:
        seen = Sighting("waiting", "PodDeleted", "somebody has deleted its pod; its Job fails, or makes another one")
    if failed.get("reason") == "DeadlineExceeded" and seen.phase == "ended":
        seen = seen._replace(reason="DeadlineExceeded", message=failed.get("message", ""))
    return seen._replace(events=told)


def last_words(pod: JsonObject) -> list[str]:
    """Return the end of a container's log that Kubernetes has kept with the pod, where its node gives no other."""
    text: str = (_state(pod).get("terminated") or {}).get("message") or ""
    return text.splitlines()


def _without_pod(job: JsonObject, failed: Mapping[str, Any], events: Sequence[JsonObject]) -> Sighting:
    """Return what a Job without a pod is: one that waits for it, or whose pod was removed."""
    if failed:
        return Sighting("ended", failed.get("reason", ""), failed.get("message", ""))
    if _condition(job, "Complete"):
        return Sighting("ended", "Completed", exit_code=0)
    if "deletionTimestamp" in job["metadata"]:
        return Sighting("waiting", "Terminating", "it is being removed")
    if (job.get("spec") or {}).get("suspend"):
        message = _message_of(events, "Suspended", "Stopped", "CreatedWorkload") or "its queue has not admitted it yet"
        return Sighting("waiting", "Suspended", message, is_queued=True)
    if message := _message_of(events, "FailedCreate"):
        return Sighting("waiting", "FailedCreate", message)
    return Sighting("waiting")


def _of_pod(pod: JsonObject, events: Sequence[JsonObject]) -> Sighting:
    status: Mapping[str, Any] = pod.get("status") or {}
    state = _state(pod)
    disruption = _condition(pod, "DisruptionTarget")  # since 1.26
    reason = status.get("reason") or disruption.get("reason") or ""
    message = status.get("message") or disruption.get("message") or ""
    if ended := state.get("terminated"):
        own = "" if ended.get("reason") in _NO_REASONS else ended.get("reason", "")
        # what a container that never began says of that, and not the end of its log
        why = ended.get("message", "") if own not in {"", "Completed", "OOMKilled"} else ""
        return Sighting("ended", reason or own, message or why, ended.get("exitCode"))
    if _has_ended(pod):
        return Sighting("ended", reason, message or _failed_before(status))
    if _is_node_lost(pod, status):
        return Sighting("unknown", "NodeLost", "its node does not answer; whether it runs nobody knows")
    if "running" in state:
        return Sighting("running")
    scheduled = _condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        return Sighting("waiting", scheduled.get("reason", ""), scheduled.get("message", ""))
    return _of_waiting(status, state, events)


def _of_waiting(status: Mapping[str, Any], state: Mapping[str, Any], events: Sequence[JsonObject]) -> Sighting:
    """Return why a container that has a node has not begun."""
    states = [state, *((each.get("state") or {}) for each in status.get("initContainerStatuses", []))]
    waiting = [each["waiting"] for each in states if each.get("waiting")]
    telling: Mapping[str, Any] = next((each for each in waiting if each.get("reason") not in _NO_REASONS), {})
    reason, message = telling.get("reason", ""), telling.get("message", "")
    if reason in _PULLING:  # in between it only says that it waits; the event has the registry's words
        message = _message_of(events, "Failed", containing="pull image") or message
    if not reason:
        reason, message = _last_warning(events)
    is_hopeless = reason in _HOPELESS or (reason in _PULLING and bool(_NO_SUCH_IMAGE.search(message)))
    return Sighting("waiting", reason, message, is_hopeless=is_hopeless)


def _state(pod: JsonObject) -> Mapping[str, Any]:
    """Return the state of the flow's container; empty as long as it has none."""
    statuses = (pod.get("status") or {}).get("containerStatuses", [])
    return next((each.get("state") or {} for each in statuses if each["name"] == CONTAINER), {})


def _has_ended(pod: JsonObject) -> bool:
    return (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"} or "terminated" in _state(pod)


def _failed_before(status: Mapping[str, Any]) -> str:
    """Return which container of a template failed before the flow's could begin."""
    for each in status.get("initContainerStatuses", []):
        ended = (each.get("state") or {}).get("terminated") or {}
        if ended.get("exitCode"):
            return f"the container {each['name']} before it ended with {ended['exitCode']}"
    return ""


def _is_node_lost(pod: JsonObject, status: Mapping[str, Any]) -> bool:
    """Return whether the cluster has given up on the pod's node: it says so, and no kubelet has said anything since."""
    if status.get("phase") == "Unknown" or status.get("reason") == "NodeLost":
        return True
    ready = _condition(pod, "Ready", value="False")
    return "running" in _state(pod) and bool(ready) and ready.get("reason") not in _NOT_OF_A_NODE


def _condition(thing: JsonObject, kind: str, value: str | None = None) -> Mapping[str, Any]:
    """Return a condition that holds; of whether a pod is scheduled, also that it is not."""
    wanted = {value} if value else {"True", "False"} if kind == "PodScheduled" else {"True"}
    for each in (thing.get("status") or {}).get("conditions") or []:
        if each["type"] == kind and each.get("status") in wanted:
            found: Mapping[str, Any] = each
            return found
    return {}


def _sorted(events: Sequence[JsonObject]) -> list[JsonObject]:
    def when(event: JsonObject) -> str:
        times = (event.get("lastTimestamp"), event.get("eventTime"), event["metadata"].get("creationTimestamp"))
        return next((time for time in times if time), "")

    return sorted(events, key=when)


def _texts(events: Sequence[JsonObject]) -> list[str]:
    return [f"{event.get('reason', '')}: {event.get('message', '')}" for event in _sorted(events)]


def _message_of(events: Sequence[JsonObject], *reasons: str, containing: str = "") -> str:
    """Return the message of the last event of one of these reasons."""
    found = [event.get("message", "") for event in _sorted(events) if event.get("reason") in reasons]
    return next((message for message in reversed(found) if containing in message), "")


def _last_warning(events: Sequence[JsonObject]) -> tuple[str, str]:
    """Return why a container that only says to be created is not: a volume that is missing, a network that fails."""
    for event in reversed(_sorted(events)):
        if event.get("type") == "Warning" and event.get("reason") not in {"FailedScheduling", "NodeNotReady"}:
            return event.get("reason", ""), event.get("message", "")
    return "", ""
