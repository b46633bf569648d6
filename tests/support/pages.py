"""Facts about runs of any size, and in any state, from which pages are made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

from runner.reports.gathered import Attempt, FlowFacts, Gathered, Series
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
    "word": "x" * LONG,
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


def example() -> Gathered:
    """A run such as people have them: the first attempt was lost, and in the second one row could not be cleaned."""
    cleaned = [
        task_of(number, started=at(402 + number % 4 * 6), ended=at(407 + number % 4 * 6 + number % 3))
        for number in range(24)
    ]
    words = "row 7 has no <price>: it can't be cleaned"
    cleaned[7] = failed_task(7, words, started=at(408), ended=at(431), tries=3)
    one: Any = {"index": None, "mapped": False}
    tasks = [
        task_of(slug="extract", started=None, ended=None, tries=0, **one),
        task_of(slug="weather", started=at(401), ended=at(415), **one),
        *cleaned,
        *(
            task_of(slug=slug, state="skipped", started=None, ended=None, tries=0, result=None, **one)
            for slug in ("load", "mail")
        ),
    ]
    bundle = {"url": "s3://my-flows/rides-report/2026-11-22t12-10-24-845190-00-00", "sha256": "5b9b36068cf88b8c" * 4}
    end = end_of(
        tasks, "failed", attempt=2, started=at(400), ended=at(432), flow="rides report", host="runner-one-2",
        bundle=bundle, error={"type": "FlowFailed", "message": f"task clean[7] failed: ValueError: {words}"},
    )  # fmt: skip
    lost = end_of(
        [], "lost", ended=at(380), flow="rides report", host="runner-one-1", bundle=bundle,
        error={"type": "Lost", "message": "runner-one-1 has shown no sign of life for 3 heartbeats"},
    )  # fmt: skip
    log = [
        "12:17:04 INFO    runner.run: run one begins: s3://my-flows/rides-report/2026-11-22t12-10-24-845190-00-00",
        "12:17:04 INFO    runner.resume: 1 results of earlier attempts are there",
        *(f"12:17:{6 + number:02} INFO    clean[{number}]: cleaned {412 + number * 31} rides" for number in range(6)),
        *(
            f"12:17:{15 + n * 7} WARNING clean[7]: task clean[7] failed, try {n} of 3: ValueError: {words}"
            for n in (1, 2)
        ),
        f"12:17:35 ERROR   runner.run: task clean[7] failed: ValueError: {words}",
    ]
    stopped: Any = {"reason": "NodeShutdown", "message": "the node was shut down", "exit_code": 137, "state": "gone"}
    points = [(BEGAN.timestamp() + 400 + second, 3e8 + 2.4e7 * second + second % 5 * 2e7) for second in range(32)]
    return gathered(
        end,
        run_id="one",
        url="s3://my-flows/rides-report/runs/one",
        request=request_of(parameters={"day": "2026-11-21"}, bundle=bundle),
        attempts=[
            Attempt(1, claim_of(host="runner-one-1"), lost, at(290)),
            Attempt(2, claim_of(2, started=at(400), host="runner-one-2"), end),
        ],
        attempt_count=2,
        launches=[launch(1, launch_end(given_up=False, **stopped)), launch(2)],
        launch_count=2,
        log=log,
        flow=flow_of(
            ("extract", False, []), ("weather", False, []), ("clean", True, ["extract"]),
            ("load", False, ["clean", "weather"]), ("mail", False, ["load"]),
        ),
        resources=[Series("memory", "bytes", points, 2e9, 2)],
    )  # fmt: skip


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


def launch(number: int = 1, end: Any = None) -> Any:
    """A launch, as it is shown."""
    claim = {
        "format": 1, "token": "t", "run_id": "r", "launch": number, "kind": "kubernetes", "name": f"runner-r-{number}",
        "image": "org/runner:aws", "launched": at(-20), "by": {"host": "laptop", "uid": None},
    }  # fmt: skip
    return {"launch": number, "claim": claim, "handle": None, "end": end}


def launch_end(number: int = 1, *, given_up: bool = True, **changed: Any) -> Any:
    """What became of one that never started."""
    return {
        "format": 1, "token": "t", "run_id": "r", "launch": number, "state": "never started",
        "reason": "ImagePullBackOff", "message": "no such image", "exit_code": None, "events": ["Failed to pull"],
        "log": ["exec format error"], "ended": at(-5), "given_up": given_up,
    } | changed  # fmt: skip


def everywhere(words: str, count: int) -> Any:
    """Facts of which every text is this one."""

    def changed(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: changed(part, name) for name, part in value.items()}
        if isinstance(value, list):
            return [changed(part) for part in value]
        kept = {"started", "ended", "state", "requested", "launched", "sha256"}
        return words if isinstance(value, str) and key not in kept else value

    tasks = [failed_task(number) if number % 2 else task_of(number) for number in range(min(count, 20))]
    tasks = [changed(task) | {"task": f"{words}{number % 3}"} for number, task in enumerate(tasks)]
    tasks = (tasks * (count // len(tasks) + 1))[:count]
    death = {"trace": words * 50, "log": words, "peak_memory": 5, "memory": words}
    cancel = {"by": {"host": words, "uid": 1}, "requested": at(0), "why": words}
    end = changed(end_of([], "failed")) | {"tasks": tasks, "death": death, "cancel": cancel}
    given = launch_end(events=[words] * 30, log=[words] * 30)
    uses = [(f"{words}{number}", True, [f"{words}{number - 1}"]) for number in range(100)]
    flow = flow_of(*uses, requires=[{"module": words, "distribution": words, "version": words}] * 500)
    claim = changed(claim_of())
    handle = {**launch_end(), "handle": {words: words}, "taken": at(0)}
    return gathered(
        end,
        run_id="r",
        url=f"s3://b/{words}/runs/r",
        request=changed(request_of(parameters={f"{words}{number}": [words] for number in range(200)})),
        attempts=[Attempt(number, claim, end) for number in range(1, 51)],
        launches=[launch(number, changed(given)) | {"handle": handle} for number in range(1, 21)],
        log=[words] * 300,
        notes=[words] * 20,
        flow=flow,
        unreadable=words,
        untrusted=words,
        waits=words,
        resources=[Series(words, words, [(0.0, 1.0), (1.0, 2.0)], 3.0)] * 30,
    )


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
