"""The top of the page: the run's state and why it is so, the first error, and what to type next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.launchers.remedies import remedy_for
from runner.reports.gathered import seconds_at, seconds_text, time_text
from runner.reports.markup import Html, block, fields, joined, section, tag, text
from runner.runs.display import label, size_text
from runner.runs.log_entries import line_text, read_entry

if TYPE_CHECKING:
    from runner.reports.gathered import Gathered
    from runner.schema.documents import EndDocument, TaskRecord

LAST_LINES = 30
_TRACEBACK, _LOG = 25_000, 25_000  # bytes
SIGNS = {"good": "✓", "bad": "✗", "odd": "■", "open": "●"}  # of kinds; the style has them too
_KINDS = {"succeeded": "good", "cancelled": "odd", "skipped": "odd"}
_BAD = frozenset({"failed", "timed_out", "crashed", "lost", "refused"})


def kind_of(state: str) -> str:
    """Return as what a state is shown: ``good``, ``bad``, ``odd`` for what was not run to its end, or ``open``."""
    return _KINDS.get(state, "bad" if state in _BAD else "open")


def state_cell(state: str) -> tuple[Html, str]:
    """Return a state as a cell of a table, with the class that gives it its sign and colour."""
    return text(state), f'"state {kind_of(state)}"'


def headline(facts: Gathered) -> Html:
    """Return the page's head: whose run it is, its state, and why."""
    end = facts.end
    flow = (end["flow"] if end else None) or _flow_name(facts)
    named = tag("p", Html("Flow "), tag("b", text(flow, 300)), class_="of") if flow else Html()
    state = "given up" if facts.was_given_up else facts.status.state
    kind = kind_of("failed" if facts.was_given_up else state)
    mark = tag("b", text(state if facts.was_given_up else facts.status.text), class_=f"state {kind}")
    whys = [tag("p", text(why, 4000, lines=True), class_="why") for why in _whys(facts) if why]
    as_of = joined(Html(", as of "), _time(facts.made)) if facts.is_live or end is None else Html()
    return tag(
        "header",
        named,
        tag("h1", Html("Run "), text(facts.run_id)),
        tag("p", mark, as_of, class_="now"),
        *whys,
        *_warnings(facts),
        _times(facts),
        class_=kind,
    )


def _flow_name(facts: Gathered) -> str:
    return facts.flow.manifest["flow"]["name"] if facts.flow.manifest else ""


def _time(time: str | None) -> Html:
    if seconds_at(time) is None:
        return text(time or "", 60)
    return tag("time", text(time_text(time)), datetime=text(f"{str(time)[:19]}Z", 60))


def _whys(facts: Gathered) -> list[str]:
    end = facts.end
    if end is None:
        return [_why_given_up(facts) if facts.was_given_up else "", facts.waits, _who_cancels(facts)]
    whys = [end["error"]["message"] if end["error"] else ""]
    if cancel := end.get("cancel"):
        whys.append(f"Asked for by {cancel['by']['host']}" + (f": {cancel['why']}" if cancel["why"] else ""))
    if not facts.is_concluded:
        whys.append("The run is not over: the next start with its id goes on with it.")
    return whys


def _why_given_up(facts: Gathered) -> str:
    end = facts.launches[-1]["end"]
    assert end is not None  # noqa: S101 - it is what tells that the run was given up
    said = ": ".join(part for part in (end["reason"], end["message"]) if part)
    return " ".join(
        part for part in (f"No platform began it: {said or end['state']}.", remedy_for(end["reason"] or ""))
    )


def _who_cancels(facts: Gathered) -> str:
    if facts.cancel is None:
        return ""
    why = f": {facts.cancel['why']}" if facts.cancel["why"] else ""
    return f"{facts.cancel['by']['host']} asked for its end{why}"


def _warnings(facts: Gathered) -> list[Html]:
    """Return what a reader must know before believing the rest."""
    said = [
        f"The outcome cannot be read, so this is its last attempt's end: {facts.unreadable}"
        if facts.unreadable
        else "",
        f"Signed by nobody who is trusted here: {facts.untrusted}" if facts.untrusted else "",
        *(f"Left out: {note}" for note in facts.notes[:10]),
        f"Left out: {len(facts.notes) - 10} more" if len(facts.notes) > 10 else "",  # noqa: PLR2004
    ]
    return [tag("p", text(one, 600), class_="warning") for one in said if one]


def _times(facts: Gathered) -> Html:
    end = facts.end
    began = facts.attempts[0].started if facts.attempts and facts.attempts[0].number == 1 else None
    asked = facts.request["requested"] if facts.request else None
    ended = end["ended"] if end else None
    return fields(
        ("Asked for", _time(asked)),
        ("Began", joined(_time(began), _after(asked, began))),
        ("Ended", joined(_time(ended), _after(began, ended))),
        ("Attempts", Html(f"{facts.attempt_count:,}") if facts.attempt_count else Html("none")),
        ("Exit code", Html(str(end["exit_code"])) if end else Html()),
        ("Peak memory", memory_of(end)),
    )


def _after(start: str | None, end: str | None) -> Html:
    first, last = seconds_at(start), seconds_at(end)
    if first is None or last is None or last - first < 0.1:  # noqa: PLR2004 - of a wait nobody has noticed
        return Html()
    return Html(f", after {seconds_text(last - first)}")


def memory_of(end: EndDocument | None) -> Html:
    """Return how much memory a process that died had at the most, where that is known."""
    death = end.get("death") if end else None
    return Html(size_text(death["peak_memory"])) if death and death["peak_memory"] else Html()


def first_error(facts: Gathered) -> Html:
    """Return the error of the task that failed first, what is known of a dead process, and the log's last lines."""
    end = facts.end
    parts: list[Html] = []
    failed: list[TaskRecord] = [task for task in end["tasks"] if task["error"]] if end else []
    if failed:
        first = min(failed, key=lambda task: (task["state"] != "failed", seconds_at(task["ended"]) or float("inf")))
        parts += _error_of(first, len(failed))
    death = end.get("death") if end else None
    if death:
        parts += [tag("p", text(death["memory"], 600))] if death["memory"] else []
        parts += _lines("Where the process was when it died", death["trace"] or "", _TRACEBACK, keep_end=False)
    if end is None or end["state"] != "succeeded":
        lines = "\n".join(facts.log or _written(facts)).split("\n")
        parts += _lines(f"The log's last {LAST_LINES} lines", "\n".join(lines[-LAST_LINES:]), _LOG)
    return section("error", "What happened", *parts)


def _written(facts: Gathered) -> list[str]:
    """Return the last that was written, where no log was shipped: as the supervisor saw it, or the platform."""
    death = facts.end.get("death") if facts.end else None
    end = facts.launches[-1]["end"] if facts.launches else None
    written = death["log"].split("\n") if death else end["log"] if end else []
    return [line_text(read_entry(line.encode(errors="backslashreplace"))) for line in written]


def _error_of(task: TaskRecord, count: int) -> list[Html]:
    error = task["error"]
    assert error is not None  # noqa: S101 - such a task was chosen
    others = f" It was the first of {count:,}." if count > 1 else ""
    said = joined(
        tag("b", text(label(task), 300)),
        Html(" raised "),
        tag("code", text(error["type"], 300)),
        Html(": "),
        text(error["message"], 4000, lines=True),
        Html(others),
    )
    return [tag("p", said, class_="raised"), *_lines("Traceback", error["traceback"], _TRACEBACK)]


def _lines(title: str, lines: str, most: int, *, keep_end: bool = True) -> list[Html]:
    if not lines.strip():
        return []
    shown = text(lines.rstrip(), most, keep_end=keep_end, lines=True)
    return [tag("h3", Html(title)), block(shown, title, "block end" if keep_end else "block")]


def next_step(facts: Gathered) -> Html:
    """Return the commands that go on from here."""
    shown = [
        joined(tag("p", Html(what)), tag("pre", tag("code", text(f"runner {command}", 3000)), class_="command"))
        for what, command in _commands(facts)
    ]
    return section("next", "What to do next", *shown)


def _commands(facts: Gathered) -> list[tuple[str, str]]:
    from shlex import quote

    url = quote(facts.url)
    resume = f"run --resume {url}"
    if facts.is_live:
        stop = ("End it:", f"cancel {url}")
        if facts.status.state == "asked for":
            return [("Follow it until it is over:", f"show -f {url}"), stop]
        return [("Follow its log:", f"logs -f {url}"), stop]
    if facts.end and facts.end["state"] == "succeeded":
        return [("Get what its tasks gave:", f"result {url}")]
    if facts.is_concluded:
        return [("Run again what failed, as a new run that takes the results of this one:", f"retry {url}")]
    if facts.status.state == "unreadable":
        return [("See what can be read:", f"show {url}")]
    return [("Go on with it; results that are stored are taken:", resume)]
