"""``runner launch``, ``doctor --launch`` and ``show`` as commands: what they refuse, and how a run is left."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING, Any, cast

import click
import pytest

from runner.cli import launch as command
from runner.cli.launches import print_launches
from runner.errors import RunHeld
from runner.runs.layout import RunLayout
from runner.runs.store import RunStore
from support.command_line import run_command

if TYPE_CHECKING:
    from runner.launchers.watch import Watcher
    from runner.runs.launches import ShownLaunch
    from support.places import Place


class Interrupted:
    """A run at which Ctrl-C is pressed once, and that is over then."""

    def __init__(self, store: RunStore) -> None:
        self.store, self.calls = store, 0

    def until_over(self) -> str:
        self.calls += 1
        if self.calls == 1:
            raise KeyboardInterrupt
        return "its end"


@pytest.fixture
def interrupted(here: Place, monkeypatch: pytest.MonkeyPatch) -> Interrupted:
    monkeypatch.setattr(command, "open_run", lambda _url: None)
    return Interrupted(RunStore(here.open(), RunLayout("etl", "r")))


@pytest.mark.parametrize(("terminal", "answer"), [(True, False), (True, click.Abort), (False, True)])
def test_a_run_that_is_left_goes_on_and_is_not_waited_for(
    interrupted: Interrupted,
    monkeypatch: pytest.MonkeyPatch,
    terminal: bool,  # noqa: FBT001
    answer: Any,
) -> None:
    """Where nobody is at the terminal nobody is asked."""

    def confirm(*_: object, **__: object) -> bool:
        if answer is click.Abort:
            raise click.Abort
        return bool(answer)

    unheard = Event()
    monkeypatch.setattr(command, "follow_log", lambda *_, **__: unheard.wait(60))
    monkeypatch.setattr(command, "_LAST_LINES_SECONDS", 3600)
    monkeypatch.setattr(click, "confirm", confirm)
    monkeypatch.setattr("sys.stdin.isatty", lambda: terminal)
    with pytest.raises(RunHeld, match="run r goes on"):
        command._watch(cast("Watcher", interrupted), follow=True, as_json=False)
    unheard.set()
    assert interrupted.calls == 1


def test_a_run_that_is_cancelled_by_ctrl_c_is_looked_after_until_it_is_over(
    interrupted: Interrupted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever launched it kills what does not hear, and tells its end: of none there would be no exit code."""
    asked = []
    monkeypatch.setattr(command, "follow_log", lambda *_, **__: None)
    monkeypatch.setattr(click, "confirm", lambda *_, **__: True)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr(command, "cancel_run", lambda store, *_, **__: asked.append(store))
    assert command._watch(cast("Watcher", interrupted), follow=True, as_json=False) == "its end"  # type: ignore[comparison-overlap]
    assert asked == [interrupted.store]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["launch", "local", "s3://a/b", "--start-timeout", "nan"], "'nan' is no number of seconds"),
        (["cancel", "s3://a/b/runs/r", "--within", "inf"], "'inf' is no number of seconds"),
        (["agent", "start", "local", "--storage", "s3://a", "--poll", "1e300"], "'1e300' is no number of seconds"),
        (["agent", "start", "local", "--storage", "s3://a", "--beat", "1e300"], "0.1<=x<=300"),
        (["agent", "start", "local", "--storage", "s3://a", "--beat", "nan"], "'nan' is no number of seconds"),
        (["agent", "start", "local", "--storage", "s3://a", "--concurrency", str(10**30)], "1<=x<=10000"),
        (["launch", "local", "file:///a/b", "--run-id", ""], "--run-id: '' is no run id"),
        (["launch", "local", "file:///a/b", "--image", ""], "--image is empty"),
        (["doctor", "--image", "team/etl"], "these options are those of a launch"),
        (["doctor", "-e", "A=b"], "these options are those of a launch"),
    ],
    ids=str,
)
def test_what_would_be_passed_over_in_silence_is_refused(arguments: list[str], told: str) -> None:
    done = run_command({}, *arguments)
    assert (done.code, told in done.stderr) == (2, True), done


def test_a_launch_that_no_platform_has_answered_is_not_under_way(capsys: pytest.CaptureFixture[str]) -> None:
    shown: ShownLaunch = {"launch": 1, "claim": None, "handle": None, "end": None}
    print_launches([shown], is_over=False)
    assert "asked for, and not answered" in capsys.readouterr().out
