"""What the storage tells of a run that is not over, in the shape of the end that it will have."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from runner.runs.documents import FORMAT
from runner.runs.stored_results import list_results
from runner.runs.trailer import TRAILER

if TYPE_CHECKING:
    from runner.runs.status import RunStatus
    from runner.runs.store import RunStore
    from runner.schema.documents import BundleReference, ClaimDocument
    from runner.schema.progress import Progress, UsageRecord, UsageSeries


class StoredResult(TypedDict):
    """A `ResultRecord` of which the object alone tells: its pickle's digest and type are in no listing."""

    key: str
    size: int
    sha256: None
    type: None


class StoredTask(TypedDict):
    """A `TaskRecord` of a task, or an element, whose result lies there; what no object tells is None."""

    task: str
    name: None
    index: int | None
    mapped: bool
    state: str
    tries: None
    started: None
    ended: None
    error: None
    result: StoredResult
    cpu: None


class LivingDocument(TypedDict):
    """An `EndDocument` of a run that has no end, with its last claim, its progress and use, and its heartbeat's age."""

    format: int
    token: str | None
    run_id: str
    attempt: int | None
    started: str | None
    ended: None
    host: str | None
    python: str | None
    flow: None
    bundle: BundleReference | None
    state: str
    exit_code: None
    error: None
    tasks: list[StoredTask]
    silent: float | None
    claim: ClaimDocument | None
    progress: Progress | None
    usage: UsageRecord | None
    series: UsageSeries | None


def stored_tasks(store: RunStore) -> list[StoredTask]:
    """Return the tasks of a run whose results lie in its storage, of all attempts."""
    stored = dict(list_results(store))
    return [
        {
            "task": slug,
            "name": None,
            "index": index,
            "mapped": index is not None,
            "state": "succeeded",
            "tries": None,
            "started": None,
            "ended": None,
            "error": None,
            "result": {"key": entry.key, "size": max(0, entry.size - TRAILER.size), "sha256": None, "type": None},
            "cpu": None,
        }
        for (slug, index), entry in sorted(stored.items(), key=lambda each: (each[0][0], each[0][1] or 0))
    ]


def living_document(store: RunStore, status: RunStatus) -> LivingDocument:
    """Return what is known of a run without an end."""
    claim, request = status.claim, store.read_request()
    news = store.read_news(claim["attempt"]) if claim else {}
    series = news.get("series")
    return {
        "format": FORMAT,
        "token": claim["token"] if claim else None,
        "run_id": store.run_id,
        "attempt": claim["attempt"] if claim else None,
        "started": claim["started"] if claim else None,
        "ended": None,
        "host": claim["host"] if claim else None,
        "python": claim["python"] if claim else None,
        "flow": None,
        "bundle": request["bundle"] if request else None,
        "state": status.state,
        "exit_code": None,
        "error": None,
        "tasks": stored_tasks(store),
        "silent": status.silence,
        "claim": claim,
        "progress": news.get("progress"),
        "usage": _used(series) if series else None,
        "series": series,
    }


def _used(series: UsageSeries) -> UsageRecord:
    """Return what a run has used so far, as its end will have it."""

    def last(counts: list[int | None]) -> int | None:
        return counts[-1] if counts else None

    return {
        "cpus": series["cpus"],
        "memory_limit": series["memory_limit"],
        "cpu": max(series["cpu"], default=0.0),
        "memory": max(series["memory"], default=None),
        "read": last(series["read"]),
        "written": last(series["written"]),
        "received": last(series["received"]),
        "sent": last(series["sent"]),
    }
