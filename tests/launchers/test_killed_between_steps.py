"""A launcher that dies before or after each of its steps: the next one ends its run well, and starts it once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from runner.backends.local.files import LocalStorage
from runner.launchers import Local, watch
from runner.launchers.budgets import Budgets
from runner.launchers.launch import find, launch
from runner.launchers.order import Wishes
from runner.location import parse_location
from runner.runs.layout import RunLayout
from runner.runs.store import RunStore
from runner.settings import Settings
from support import schemas
from support.flows import publish

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.places import Place

STEPS = 14  # that a launch of a flow that succeeds takes, of which some are made again and again
SETTINGS = Settings.from_environ({"RUNNER_HEARTBEAT": "0.5"}, needs_location=False)


class Killed(BaseException):
    """What nothing catches, as a kill is not."""


@dataclass
class Death:
    """Dies at a step, before or after it is made."""

    step: int
    is_after: bool
    made: list[str] = field(default_factory=list)

    def at(self, kind: type, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        original: Callable[..., Any] = getattr(kind, name)

        def step(*arguments: Any, **options: Any) -> Any:
            self.made.append(name)
            is_due = len(self.made) == self.step
            if is_due and not self.is_after:
                raise Killed
            answer = original(*arguments, **options)
            if is_due:
                raise Killed
            return answer

        monkeypatch.setattr(kind, name, step)


@pytest.fixture(autouse=True)
def _in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(watch, "FIRST_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(watch, "REASON_SECONDS", (0.0, 0.1, 0.1))


def run(url: str, folder: Path, kind: str, **environ: str) -> str:
    """Launch the run, or look after it, to its end."""
    found = find(parse_location(url), SETTINGS)
    wishes = Wishes(parameters={"kind": kind}, environ={"RUNNER_GRACE": "1", **environ})
    budgets = Budgets(start_timeout=60, restarts=1)
    watcher = launch(found, Local(folder=str(folder)), wishes, run_id="r", budgets=budgets)
    return watcher.until_over()["state"]


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_a_launcher_that_dies_at_a_step_is_followed_by_another(
    here: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, *, is_after: bool
) -> None:
    url, death = publish(here, "launched.py"), Death(step, is_after)
    with monkeypatch.context() as patched:
        for name in ("create", "list_folder"):
            death.at(LocalStorage, name, patched)
        for name in ("launch", "describe", "remove"):
            death.at(Local, name, patched)
        try:
            run(url, tmp_path / "launches", "ok")
        except Killed:
            pass
        else:
            assert len(death.made) < step, "it did not die"
    assert run(url, tmp_path / "launches", "ok") == "succeeded"
    store = RunStore(here.open(), RunLayout("launched", "r"))
    assert list(store.list_launches()) == [1]
    assert list(store.list_attempts()) == [1]
    assert (store.read_outcome() or {"state": None})["state"] == "succeeded"
    schemas.validate_place(here)


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(1, 7))
def test_and_so_is_one_that_dies_where_a_container_has(
    here: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, *, is_after: bool
) -> None:
    """The container is killed once; the steps are those after it: its end, the launch's end, the next launch."""
    url, death = publish(here, "launched.py"), Death(step, is_after)
    folder, store = tmp_path / "launches", RunStore(here.open(), RunLayout("launched", "r"))
    mark = {"MARK": str(tmp_path / "mark")}
    with monkeypatch.context() as patched:
        original = Local.describe

        def describe(self: Local, name: str) -> Any:
            if name.endswith("-1") and store.read_claim(1) and (tmp_path / "mark").exists():
                patched.setattr(Local, "describe", original)
                self.stop(name, 0)
                death.at(LocalStorage, "create", patched)
                for step_name in ("launch", "remove"):
                    death.at(Local, step_name, patched)
            return original(self, name)

        patched.setattr(Local, "describe", describe)
        try:
            run(url, folder, "hold once", **mark)
        except Killed:
            pass
        else:
            assert len(death.made) < step, "it did not die"
    assert run(url, folder, "hold once", **mark) == "succeeded"
    outcome = store.read_outcome()
    assert outcome is not None
    assert outcome["attempt"] == 2
    assert list(RunStore(here.open(), store.layout).list_attempts()) == [1, 2]
    assert list(store.list_launches()) == [1, 2]
    schemas.validate_place(here)
