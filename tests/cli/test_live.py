"""A run that is followed at a terminal."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from rich.console import Console

from runner import naming
from runner.cli import live
from runner.cli.live import draw
from runner.runs.documents import encode
from runner.runs.layout import Claim, RunLayout
from runner.runs.status import RunStatus
from runner.runs.store import RunStore

if TYPE_CHECKING:
    import pytest

    from support.places import Place

HOSTILE = "[bold]x[/]\x1b[31m\u202e"


def counts(name: str, total: int | None, **more: int) -> Any:
    return {"task": name, "total": total, "running": 0, "succeeded": 0, "failed": 0, "skipped": 0, **more}


def drawn(place: Place, tasks: list[Any], *, more: int = 0, line: str = "", width: int = 100) -> str:
    """What a terminal shows of a run whose heartbeat and log say this."""
    store = RunStore(place.open(), RunLayout("f", "r"))
    longest = {"task": HOSTILE, "index": 3, "since": naming.now()}
    series = {"cpus": 4.0, "memory_limit": 8 << 30, "seconds": [1.0, 2.0], "cpu": [1.0, 1.5], "memory": [1, 10**9]}
    series |= {name: [None, None] for name in ("read", "written", "received", "sent")}
    news: Any = {"progress": {"tasks": tasks, "more": more, "longest": longest}, "series": series}
    store.write_heartbeat(Claim(1, naming.now(), naming.new_token()), 1, news)
    store.write_log_part(1, 1, b'{"stream": "stdout", "message": "the first"}\n')
    store.write_log_part(1, 2, encode({"stream": "stdout", "message": line}))
    claim: Any = {"attempt": 1, "started": naming.now(), "beat": 15.0}
    file = io.StringIO()
    draw(
        store, iter([RunStatus("running", None, claim, 1.0)]), str, Console(file=file, force_terminal=True, width=width)
    )
    return file.getvalue()


def test_each_task_has_a_bar_and_below_stand_use_and_last_line(here: Place) -> None:
    text = drawn(
        here, [counts("extract", 10, succeeded=3, failed=1, running=2), counts("load", None)], line="row 7 \x1b[2J"
    )
    assert "run r: running (beat 1 s ago), attempt 1, for 0 s" in text
    assert "4 of 10, 2 running, 1 failed" in text
    assert "0 of ?" in text
    assert "━━━" in text
    assert "0.5 of 4 processors, 1.0 GB of 8.6 GB" in text
    assert "row 7 \\x1b[2J" in text
    assert r"longest [bold]x[/]\x1b[31m\u202e[3] for 0 s" in text


def test_what_is_said_of_a_run_without_an_attempt_is_no_markup(here: Place) -> None:
    store, file = RunStore(here.open(), RunLayout("f", "r")), io.StringIO()
    console = Console(file=file, force_terminal=True, width=100)
    draw(store, iter([RunStatus("asked for")]), lambda _: "waits for an agent with [/gpu] [bold]x", console)
    assert "waits for an agent with [/gpu] [bold]x" in file.getvalue()


def test_what_may_be_left_is_told_where_it_can_be(here: Place) -> None:
    assert ", about 0 s left" in drawn(here, [counts("extract", 10, succeeded=3)])
    for tasks, more in (([counts("extract", None, succeeded=3)], 0), ([counts("extract", 10)], 0)):
        assert "left" not in drawn(here, tasks, more=more)


def test_of_many_tasks_those_that_are_not_done_are_drawn(here: Place) -> None:
    tasks = [counts(f"done-{number}", 1, succeeded=1) for number in range(30)] + [counts("waits", 1)]
    text = drawn(here, tasks, more=5)
    assert "waits" in text
    assert "done-1" not in text
    assert "and 35 more" in text
    assert "done-29" in drawn(here, tasks[:-1])


def test_a_narrow_terminal_breaks_nothing(here: Place) -> None:
    assert "0 of 1" in drawn(here, [counts("語" * 100, 1)], width=60, line="x" * 500)


def test_without_a_terminal_or_rich_nothing_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert live.can_draw()
    monkeypatch.setattr(live, "find_spec", lambda _: None)
    assert not live.can_draw()
    monkeypatch.undo()
    assert not live.can_draw()
