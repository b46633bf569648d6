"""Facts about runs of any size, and in any state, from which pages are made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

from runner.reports.gathered import Attempt, FlowFacts, Gathered
from runner.runs.status import RunStatus

BEGAN = datetime(2026, 11, 22, 12, 10, 24, tzinfo=UTC)
LONG = 10_000
HOSTILE = {
    "script": "</script><script>alert(1)</script>",
    "attribute": "\"' onload=alert(1) x='",
    "style": "</style><img src=x onerror=alert(1)>",
    "comment": "<!-- --> --!> <![CDATA[ ]]>",
    "entity": "&lt;b&gt; &#0; &amp;",
    "template": "{{7*7}} ${7*7} %s {0}",
    "bidi": "\u202etxt.exe\u202c \u2066x\u2069 \u200f",
    "nul": "a\0b\x07\x1b[31mred\x1b[0m\x1b]0;title\x07",
    "half": "\ud800 \udfff",
    "lines": "one\ntwo\r\nthree\u2028four\x85five",
    "long": "<&\"'>" * (LONG // 5),
    "wide": "漢" * LONG,
    "joined": "e" + "\u0301" * LONG,
}


def at(seconds: float) -> str:
    """A time of a document, so many seconds after the run began."""
    return (BEGAN + timedelta(seconds=seconds)).isoformat(timespec="microseconds")


def task_of(number: int = 0, slug: str = "clean", **changed: Any) -> Any:
    """A record of one element of a mapped task."""
    return {
        "task": slug, "name": slug, "index": number, "mapped": True, "state": "succeeded", "tries": 1,
        "started": at(number * 0.01), "ended": at(number * 0.01 + 1 + number % 7), "error": None,
        "result": {
            "key": f"etl/runs/r/attempts/0001/results/{slug}/{number}.pkl",
            "size": 100 + number, "sha256": "0" * 64, "type": "int",
        },
    } | changed  # fmt: skip


def failed_task(number: int = 0, words: str = "no price", **changed: Any) -> Any:
    """A record of one that failed."""
    trace = f'Traceback (most recent call last):\n  File "etl.py", line 3, in clean\nValueError: {words}\n'
    error = {"type": "ValueError", "message": words, "traceback": trace}
    return task_of(number, state="failed", error=error, result=None, **changed)


def end_of(tasks: Any = (), state: str = "succeeded", **changed: Any) -> Any:
    """An end, as runner writes it."""
    failed = state != "succeeded"
    return {
        "format": 1, "token": "t", "run_id": "r", "attempt": 1, "started": at(0), "ended": at(60), "host": "h",
        "python": "3.11.2", "flow": "etl", "bundle": {"url": "s3://b/etl/1", "sha256": "0" * 64}, "state": state,
        "exit_code": int(failed), "error": {"type": "FlowFailed", "message": "it failed"} if failed else None,
        "tasks": list(tasks),
    } | changed  # fmt: skip


def request_of(**changed: Any) -> Any:
    """What a run was asked to do."""
    return {
        "format": 1, "token": "t", "run_id": "r", "bundle": {"url": "s3://b/etl/1", "sha256": "0" * 64},
        "parameters": {"day": "2026-02-01"}, "labels": ["gpu"], "image": "org/runner:aws", "executor": "threads",
        "requested": at(-30), "by": {"host": "laptop", "uid": 1000},
    } | changed  # fmt: skip


def claim_of(number: int = 1, **changed: Any) -> Any:
    """The claim of an attempt."""
    return {
        "format": 1, "token": "t", "run_id": "r", "attempt": number, "host": "h", "pid": 1, "image": None,
        "python": "3.11.2", "started": at(0), "beat": 15.0,
    } | changed  # fmt: skip


def flow_of(*uses: tuple[str, bool, list[str]], **changed: Any) -> FlowFacts:
    """What a bundle says of tasks: slug, whether it is mapped, and for which it waits."""
    manifest: Any = {
        "format": 1, "flow": {"name": "etl", "version": "1"}, "runner": "0.1.0", "cloudpickle": "3.1",
        "python": {"version": "3.11.2", "implementation": "cpython"}, "labels": [], "image": None,
        "requires": [{"module": "numpy", "distribution": "numpy", "version": "2.0"}],
        "parameters": [{"name": "day", "required": True}, {"name": "limit", "required": False, "default": 12}],
        "tasks": [
            {"task": slug, "name": slug, "mapped": mapped, "upstream": upstream} for slug, mapped, upstream in uses
        ],
        "secrets": ["DB_PASSWORD"], "members": [],
    }  # fmt: skip
    return FlowFacts(manifest | changed)


def gathered(end: Any = None, **changed: Any) -> Gathered:
    """What is known of a run that has this end, or, without one, lives."""
    claim = claim_of()
    facts: dict[str, Any] = {
        "run_id": "r",
        "url": "s3://b/etl/runs/r",
        "prefix": "etl/runs/r",
        "made": at(100),
        "status": RunStatus(end["state"] if end else "running", end, claim, None if end else 4.0),
        "request": request_of(),
        "attempts": [Attempt(1, claim, end, None if end else at(96))],
        "tasks": end["tasks"] if end else [],
        "log": ["12:10:24 INFO    runner.run: run r begins", "reading"],
        "attempt_count": 1,
    }
    return Gathered(**facts | changed)


def many(count: int, failing: int = 50) -> Gathered:
    """A run of so many elements of a few mapped tasks, of which each ``failing``-th failed."""
    tasks = [
        failed_task(number, slug=f"task-{number % 7}")
        if number % failing == 3
        else task_of(number, f"task-{number % 7}")
        for number in range(count)
    ]
    log = [f"12:10:24 INFO    task-{number}: line {number}" for number in range(300)]
    return gathered(end_of(tasks, "failed"), log=log)


class Outline(HTMLParser):
    """The elements and texts of a page, as a browser takes them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in {"meta", "link"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in {"script", "style"}:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)
