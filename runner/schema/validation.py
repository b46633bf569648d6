"""What documents and manifests must look like to be believed: whoever can write to the bucket can write them.

Only what a reader relies on is asked for; ``docs/schemas/`` has all of it.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from runner.limits import COUNTS_BELOW

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Check = Callable[[Any], bool]

_ABSENT = object()
_LAUNCH_STATES = ("ended", "never started", "stopped", "gone")
MOST_SECRETS = 1000
_ON_CONFLICT = ("wait", "skip", "cancel_old")
_STATES = {"succeeded", "failed", "timed_out", "cancelled", "crashed", "lost", "refused"}
# As runner writes them. What `naming.VERSION` finds in a listing, RUNNER_SECRETS may name, and `location.check_sha256`
# takes from a person is more than that, and a start imports those before it forks.
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_VERSION = re.compile(r"\d{4}-\d\d-\d\dt[a-z0-9-]{1,64}")


def first_violation(document: Mapping[str, Any], kind: str | None = None) -> str:
    """Return the path of the first part of a document that no reader could use; empty if there is none.

    Without a ``kind`` the kind is known by what only one has; a document of none has nothing to check.
    """
    if kind is None:
        kind = next((kind for kind, names in _ONLY.items() if names & set(document)), None)
    fault = _violation(document, SHAPES[kind], kind) if kind else ""
    if kind == "end" and not fault and (document["state"] == "succeeded") != (document["exit_code"] == 0):
        return "end.exit_code"
    return fault


def entry_violation(entry: Any) -> str:
    """Return the path of the first part of an end's entry of a task that no reader could use."""
    return _violation(entry, _TASK, "task")


def _violation(value: Any, shape: Mapping[str, Any], path: str) -> str:
    if not isinstance(value, dict):
        return path
    for name, check in shape.items():
        where, part = f"{path}.{name}", value.get(name, _ABSENT)
        if isinstance(check, dict):
            found = _violation(part, check, where)
        elif isinstance(check, list):
            found = _violation_in_each(part, check[0], where)
        else:
            found = "" if check(part) else where
        if found:
            return found
    return ""


def _violation_in_each(value: Any, shape: Mapping[str, Any], path: str) -> str:
    if not isinstance(value, list):
        return path
    faults = (_violation(part, shape, f"{path}[{index}]") for index, part in enumerate(value))
    return next((fault for fault in faults if fault), "")


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value < COUNTS_BELOW


def _time(value: Any) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False


def _exit_code(value: Any) -> bool:
    return type(value) is int and 0 <= value < 256  # noqa: PLR2004 - the kernel tells no more of a process's code


def _state(value: Any) -> bool:
    return isinstance(value, str) and value in _STATES


def _seconds(value: Any) -> bool:
    return type(value) in {int, float} and 0 < value < COUNTS_BELOW


def _version(value: Any) -> bool:
    return isinstance(value, str) and bool(_VERSION.fullmatch(value))


def _digest(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64 and not set(value) - set("0123456789abcdef")  # noqa: PLR2004


def _truth(value: Any) -> bool:
    return isinstance(value, bool)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def is_secret_name(value: object) -> bool:
    """Return whether a value can be the name of a secret: also that of a file, in the folder of mounted secrets."""
    return isinstance(value, str) and bool(re.fullmatch(r"(?!\.+$)[A-Za-z0-9_.-]{1,128}", value))


def _run_id(value: Any) -> bool:
    return isinstance(value, str) and bool(_RUN_ID.fullmatch(value))


def _secret_names(value: Any) -> bool:
    """Return whether this is a list of secrets' names."""
    return isinstance(value, list) and len(value) <= MOST_SECRETS and all(map(is_secret_name, value))


def _object_of_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_text, value.values()))


def _object(value: Any) -> bool:
    return isinstance(value, dict)


def _signature(value: Any) -> bool:
    """Return whether this is flat: whether it is a signature as well is for `runner.signing` to say."""
    return isinstance(value, dict) and len(value) == 4 and all(type(part) in {str, int} for part in value.values())  # noqa: PLR2004


def _amount(value: Any) -> bool:
    return type(value) in {int, float} and 0 <= value < COUNTS_BELOW


def _amounts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_amount, value))


def _counts(value: Any) -> bool:
    return isinstance(value, list) and all(each is None or _count(each) for each in value)


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _if_there(check: Check) -> Check:
    return lambda value: value is _ABSENT or check(value)


def _shaped(shape: Mapping[str, Any]) -> Check:
    return lambda value: not _violation(value, shape, "it")


_BUNDLE = {"url": _text, "sha256": _digest}
_ERROR = {"type": _text, "message": _text}
_RESULT = {
    "key": _text,
    "size": _count,
    "sha256": _digest,
    "offset": _if_there(_count),
    "length": _if_there(_count),
}
_TASK = {
    "task": _text,
    "name": _text,
    "index": _or_none(_count),
    "mapped": _truth,
    "state": _text,
    "tries": _count,
    "started": _or_none(_time),
    "ended": _or_none(_time),
    "error": _or_none(_shaped(_ERROR | {"traceback": _text})),
    "result": _or_none(_shaped(_RESULT)),
    "cpu": _if_there(_or_none(_amount)),
}
_DEATH = {
    "trace": _or_none(_text),
    "log": _text,
    "peak_memory": _or_none(_count),
    "memory": _or_none(_text),
}
_CANCEL = {
    "by": {"host": _text, "uid": _or_none(_count)},
    "requested": _time,
    "why": _or_none(_text),
}
_TASK_PROGRESS = {
    "task": _text,
    "total": _or_none(_count),
    "running": _count,
    "succeeded": _count,
    "failed": _count,
    "skipped": _count,
}
_PROGRESS = {
    "tasks": [_TASK_PROGRESS],
    "more": _count,
    "longest": _or_none(_shaped({"task": _text, "index": _or_none(_count), "since": _time})),
}
_SERIES = {
    "cpus": _seconds,
    "memory_limit": _or_none(_count),
    **dict.fromkeys(("seconds", "cpu", "memory"), _amounts),
    **dict.fromkeys(("read", "written", "received", "sent"), _counts),
}
_USAGE = {
    "cpus": _seconds,
    "memory_limit": _or_none(_count),
    "cpu": _amount,
    **{name: _or_none(_count) for name in ("memory", "read", "written", "received", "sent")},
}
_ENVIRONMENT = {
    "resources": {
        "cpu": _if_there(_seconds),
        "memory": _if_there(_count),
        "gpu": _if_there(_count),
        "disk": _if_there(_count),
    },
    "options": _object,
}
_CONCURRENCY = {
    "max_runs": lambda value: _count(value) and value > 0,
    "on_conflict": lambda value: value in _ON_CONFLICT,
}
_ONLY = {
    "agent": {"concurrency"},
    "entry": {"queued"},
    "marker": {"taken_by"},
    "cancel": {"why"},
    "launch": {"launched"},
    "handle": {"handle"},
    "launch-end": {"events"},
    "run": {"requested", "by", "parameters"},
    "end": {"ended", "exit_code", "tasks"},
    "claim": {"pid", "started"},
}
SHAPES: dict[str, dict[str, Any]] = {
    "manifest": {
        "flow": {"name": _text, "version": _text, "key": _if_there(_text)},
        "python": {"version": _text, "implementation": _text},
        "requires": [{"module": _text, "distribution": _text, "version": _text}],
        "parameters": [{"name": _text, "required": _truth}],
        "labels": _texts,
        "image": _or_none(_text),
        "secrets": _secret_names,
        "environment": _if_there(_shaped(_ENVIRONMENT)),
        "concurrency": _if_there(_shaped(_CONCURRENCY)),
    },
    "pointer": {
        "format": lambda value: value == 1,
        "alias": _or_none(_text),
        "flow": _text,
        "place": _text,
        "version": _version,
        "sha256": _digest,
        "made": _time,
        "signature": _if_there(_signature),
    },
    "run": {
        "token": _text,
        "run_id": _text,
        "bundle": _BUNDLE,
        "parameters": _object,
        "labels": _texts,
        "image": _or_none(_text),
        "reuse": _if_there(_or_none(_shaped({"run_id": _text, "from": _or_none(_text)}))),
        "entry": _if_there(_text),
        "requested": _time,
    },
    "claim": {
        "token": _text,
        "run_id": _text,
        "attempt": _count,
        "host": _text,
        "started": _time,
        "beat": _or_none(_seconds),
        "launch": _if_there(_count),
    },
    "beat": {"progress": _if_there(_shaped(_PROGRESS)), "series": _if_there(_shaped(_SERIES))},
    "launch": {"run_id": _text, "launch": _count, "kind": _text, "name": _text, "launched": _time},
    "handle": {"run_id": _text, "launch": _count, "handle": _object_of_texts},
    "launch-end": {
        "run_id": _text,
        "launch": _count,
        "state": lambda value: value in _LAUNCH_STATES,
        "reason": _or_none(_text),
        "message": _or_none(_text),
        "exit_code": _or_none(_count),
        "events": _texts,
        "log": _texts,
        "ended": _time,
        "given_up": lambda value: isinstance(value, bool),
    },
    "end": {
        "token": _text,
        "run_id": _text,
        "attempt": _count,
        "started": _time,
        "ended": _time,
        "flow": _or_none(_text),
        "bundle": _BUNDLE,
        "state": _state,
        "exit_code": _exit_code,
        "error": _or_none(_shaped(_ERROR)),
        "tasks": [_TASK],
        "death": _if_there(_or_none(_shaped(_DEATH))),
        "cancel": _if_there(_shaped(_CANCEL)),
        "usage": _if_there(_shaped(_USAGE)),
    },
    "cancel": {"token": _text, "run_id": _text, "signature": _if_there(_signature), **_CANCEL},
    "entry": {"run_id": _run_id, "home": _text, "queued": _time},
    "labels": {"labels": _texts},
    "agent": {
        "agent": _text,
        "kind": _text,
        "labels": _texts,
        "concurrency": _count,
        "beat": _seconds,
        "version": _text,
        "pid": _count,
        "started": _time,
        "by": {"host": _text, "uid": _or_none(_count)},
    },
    "slot": {"run_id": _run_id, "slot": _count, "turn": _count, "after": _count},
    "marker": {"run_id": _run_id, "home": _text, "entry": _text, "kind": _text, "taken_by": _text},
}
