"""What to do about the words in which platforms say why a container did not begin, or died."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from runner.errors import Incompatible, NotStarted, from_code
from runner.launchers.budgets import HOPELESS_CODES
from runner.secrets.redaction import redact

if TYPE_CHECKING:
    from runner.errors import RunnerError
    from runner.launchers.base import Sighting
    from runner.schema.documents import JsonObject, LaunchEnd

_FIRST_SIGNAL = 128  # from here on, exit codes are those of what was killed by a signal
NO_RUNNER = "NoRunner"  # our own word: what was started was not runner
# No start of runner ends so before it has claimed an attempt: a program that is done does, and a shell that can't run,
# or find, what it should. With 1 a script of an image's own may fail as well, which may go better the next time.
_OTHER_PROGRAMS_CODES = frozenset({0, 126, 127})
# https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions, and what others say of it
_TAKEN_AWAY = (
    *("PreemptionByScheduler", "DeletionByTaintManager", "EvictionByEvictionAPI", "DeletionByPodGC"),
    *("TerminationByKubelet", "Terminated", "NodeShutdown", "Preempting", "ContainerStatusUnknown"),
    *("HostTerminated", "SpotInterruption", "NODE_FAIL", "BOOT_FAIL"),
)
_REMEDIES = {
    **dict.fromkeys(
        _TAKEN_AWAY, "Its machine, or its place there, was taken away: allow that it is launched again, --restarts."
    ),
    **dict.fromkeys(
        ("UnexpectedAdmissionError", "OutOfcpu", "OutOfmemory", "OutOfpods", "NodeAffinity"),
        "Its node had no room for it in the end: launch it again, or ask for less.",
    ),
    "CannotPullContainerError": "Look at the image's name, the execution role's rights, and the way to the registry.",
    "JobTimeout": "Give it more time: RUNNER_TIMEOUT.",
    NO_RUNNER: "Build the image FROM one of runner's and leave its ENTRYPOINT, or have your own exec python -m runner; "
    "and look whether an option of the platform's names another command.",
    "NoCapacity": "Try again later, ask for less, or give the platform more room.",
    "OOMKilled": "Give it more memory: resources={'memory': …}, or --memory.",
    "ErrImagePull": "Look at the image's name, and whether the platform may pull it.",
    "ImagePullBackOff": "Look at the image's name, and whether the platform may pull it.",
    "StartError": "Look at the image's entrypoint, and at the platform's options: it does not let it start.",
    "ResourceInitializationError": "Look at the secrets, the execution role's rights, and the way to AWS's endpoints.",
    "TaskFailedToStart": "Look at what ECS says of it, and at the rights of its roles.",
    "InvalidImageName": "Correct the image's name.",
    "ErrImageNeverPull": "Put the image on the machine, or let it be pulled: -O image_pull_policy=IfNotPresent.",
    "CreateContainerConfigError": "Look whether what it names, a Secret most often, is there and has that key.",
    "FailedMount": "Look whether what it names, a Secret most often, is there and has that key.",
    "FailedCreate": "Look at quotas, policies and the service account of the namespace.",
    "Unschedulable": "Ask for less, or add machines: no node has so much left.",
    "Suspended": "It waits for its queue; kubectl describe workloads tells what that waits for.",
    "Evicted": "Ask for what it uses: memory and disk, or --memory and --disk.",
    "DeadlineExceeded": "Give it more time: the platform's own limit was reached.",
    "OUT_OF_MEMORY": "Give it more memory: resources={'memory': …}, or --memory.",
    "TIMEOUT": "Give it more time: -O time=…, or RUNNER_TIMEOUT.",
    "PREEMPTED": "Another job took its place: allow that it is launched again, --restarts, or -O requeue=true.",
    "NodeLost": "Wait, or see to the node: until the cluster gives it up, nobody knows what runs there.",
}


def remedy_for(reason: str) -> str:
    """Return what to do about a platform's word; empty where nobody knows."""
    return _REMEDIES.get(reason, "")


def named_no_runner(sighting: Sighting, image: str | None) -> Sighting:
    """Return what was seen of a container that ended and claimed no attempt; where it was not runner, with that word.

    Args:
        sighting: of the container's end.
        image: its name; None where no container was.
    """
    if sighting.exit_code not in _OTHER_PROGRAMS_CODES or sighting.reason not in {"", "Completed"}:
        return sighting
    message = f"{f'the image {image}' if image else 'what was run'} did not start runner"
    return sighting._replace(reason=NO_RUNNER, message=message, is_hopeless=True)


def not_begun(launch: int, reason: str, text: str, code: int | None, log: list[str]) -> RunnerError:
    """Return the error of a launch that never began: that of its container's exit code, where this says why.

    Args:
        launch: its number.
        reason: the platform's word.
        text: what it says in all.
        code: the container's exit code, if there was one.
        log: its last lines.
    """
    kind = (from_code(code) if code in HOPELESS_CODES else None) or NotStarted
    if reason == NO_RUNNER:
        kind = Incompatible
    said = "" if code is None else f", exit code {code}"
    hint = remedy_for(reason) or "runner show tells what is known."
    return kind(f"launch {launch} was not begun: {text}{said}{last_words(log)}", hint=hint)


def not_begun_error(end: LaunchEnd) -> RunnerError:
    """Return the error of a launch that never began, as its end tells it."""
    text = ": ".join(part for part in (end["reason"], end["message"]) if part) or end["state"]
    return not_begun(end["launch"], end["reason"] or "", text, end["exit_code"], end["log"])


def gone(sighting: Sighting, log: list[str]) -> str:
    """Return what is said of a container that is gone, and has not stored how its run ended.

    Where it ended by itself, as it does where the storage takes no end, it may have told why.
    """
    words = last_words(log) if 0 < (sighting.exit_code or 0) < _FIRST_SIGNAL else ""
    return f"its container is gone: {sighting.text}{words}. {remedy_for(sighting.reason)}".rstrip(". ")


def last_words(log: list[str]) -> str:
    """Return with what error a container said that it ends or, without one, its last line, after a colon.

    Of a line of our log that is its message.
    """
    lines = [line.strip() for line in log if line.strip()]
    entries = [entry for line in lines if (entry := _entry(line))]
    said = [entry["message"] for entry in entries if "message" in entry and "code" in entry]
    last = _entry(lines[-1]).get("message", lines[-1]) if lines else ""
    words = str(said[-1] if said else last)
    return f": {redact(words).rstrip('.')}" if words else ""


def _entry(line: str) -> JsonObject:
    """Return what a line of our log holds; nothing of another."""
    with suppress(ValueError, RecursionError):
        entry = json.loads(line)
        return entry if isinstance(entry, dict) else {}
    return {}
