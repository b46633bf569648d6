"""What every launcher must do: one suite, which the tests of each run on their platform."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runner.launchers.base import object_name
from runner.runs.layout import RunLayout
from runner.runs.store import RunStore
from support import schemas
from support.flows import publish
from support.starting import inherited, start

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.launchers.base import Launcher
    from support.places import Place
    from support.starting import Ran

KEY = "launched"
KILLED_LAUNCHER = str(Path(__file__).with_name("killed_launcher.py"))
# Steps of a launch before and after which a launcher is killed, by their number: by default those after which the next
# one knows least; make launch-kills has it killed at each of them, on each platform.
STEPS = [("create", 2), ("launch", 1), ("create", 3)]
if os.environ.get("RUNNER_TEST_KILLS") == "all":
    STEPS += [("create", 1), ("create", 4), ("list_folder", 1), ("list_folder", 2), ("list_folder", 3)]
    STEPS += [("describe", 1), ("describe", 2), ("describe", 3), ("remove", 1)]
HASTE = ("--start-timeout", "60", "--start-retries", "0")


@dataclass
class Platform:
    """A launcher, a storage that its containers reach, and what only its own tools can do.

    ``options`` are those of the command line by which the containers reach that storage; ``kill`` ends a container as a
    crash of its machine would, without a word; ``is_there`` says whether the platform still has the object;
    ``keeps_logs`` whether it has a container's log when that is gone.
    """

    launcher: Launcher
    place: Place
    kill: Callable[[str], None]
    is_there: Callable[[str], bool]
    options: tuple[str, ...] = ()
    environ: dict[str, str] = field(default_factory=dict)
    url: str = ""
    keeps_logs: bool = False

    def publish(self) -> Platform:
        self.url = publish(self.place, "launched.py")
        return self

    def launch(self, kind: str, *more: str, run_id: str = "r") -> Ran:
        return start(self.place.environ | self.environ, *self.command(kind, *more, run_id=run_id))

    def command(self, kind: str, *more: str, run_id: str = "r") -> list[str]:
        return [
            *("launch", self.launcher.kind, self.url, "-p", f"kind={kind}", "--run-id", run_id),
            *self.options,
            *more,
        ]

    def begin(
        self, kind: str, *more: str, run_id: str = "r", program: tuple[str, ...] = ("-m", "runner")
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *program, *self.command(kind, *more, run_id=run_id)],
            env=inherited() | self.place.environ | self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def cancel(self, run_id: str = "r", *more: str) -> Ran:
        return start(self.place.environ, "cancel", f"{self.place.url}/{KEY}/runs/{run_id}", *more)

    def store(self, run_id: str = "r") -> RunStore:
        return RunStore(self.place.open(), RunLayout(KEY, run_id))

    def name(self, run_id: str = "r", number: int = 1) -> str:
        return object_name(self.store(run_id).url, run_id, number)

    def outcome(self, run_id: str = "r") -> Any:
        return self.store(run_id).read_outcome()

    def until_running(self, run_id: str = "r") -> None:
        """Wait until the flow's first line has run."""
        wait_for(lambda: any("/beat" in key for key in self.place.keys() if f"/{run_id}/" in key))  # noqa: SIM118


def wait_for(condition: Callable[[], Any], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


class LaunchContract:
    """The suite: a module's fixture ``platform`` gives the launcher, and a subclass with the name ``Test…`` runs it."""

    @pytest.fixture(autouse=True)
    def _documents_are_as_described(self, platform: Platform) -> Any:
        yield
        schemas.validate_place(platform.place)

    def test_a_flow_that_succeeds_is_launched_followed_and_told(self, platform: Platform) -> None:
        done = platform.launch("ok", "-f", *HASTE)
        assert done.code == 0, done
        assert "it says ok" in done.stdout
        assert platform.outcome()["state"] == "succeeded"
        store = platform.store()
        assert store.read_launch(1)["name"] == platform.name()  # type: ignore[index]
        end = store.read_launch_end(1)
        assert end is not None
        assert (end["state"], end["exit_code"]) == ("ended", 0)
        claim = store.read_claim(1)
        assert claim is not None
        assert claim["launch"] == 1
        assert not platform.is_there(platform.name())

    @pytest.mark.parametrize(("kind", "code", "state"), [("fail", 1, "failed"), ("segfault", 139, "crashed")])
    def test_it_ends_with_the_code_of_the_run(self, platform: Platform, kind: str, code: int, state: str) -> None:
        done = platform.launch(kind, "-f", *HASTE)
        assert done.code == code, done
        shown = json.loads(start(platform.place.environ, "show", platform.store().url, "--json").stdout)
        assert (shown["state"], shown["exit_code"]) == (state, code)

    def test_a_run_that_is_refused_is_told_and_not_tried_again(self, platform: Platform) -> None:
        done = platform.launch("ok", "-f", "-e", "RUNNER_MIN_VERSION=2099-01-01", "--start-retries", "3")
        assert done.code == 79, done
        assert len(platform.store().list_launches()) == 1

    def test_without_following_it_returns_when_the_run_has_begun(self, platform: Platform) -> None:
        done = platform.launch("hold", *HASTE)
        assert done.code == 0, done
        assert platform.store().url in done.stdout
        assert platform.store().read_claim(1)
        assert platform.cancel().code == 0
        again = platform.launch("hold", "-f", *HASTE)
        assert again.code == 143, again
        wait_for(lambda: not platform.is_there(platform.name()))

    def test_to_launch_a_run_again_is_to_look_after_it(self, platform: Platform) -> None:
        assert platform.launch("hold", "-d").code == 0
        platform.until_running()
        followed = platform.begin("hold", "-f", *HASTE)
        assert platform.cancel().code == 0
        out, _ = followed.communicate(timeout=120)
        assert followed.returncode == 143, out
        assert len(platform.store().list_launches()) == 1

    def test_a_cancelled_run_is_over_whatever_its_flow_does(self, platform: Platform) -> None:
        followed = platform.begin("ignore everything", "-f", *HASTE)
        platform.until_running()
        done = platform.cancel("r", "--why", "wrong month")
        assert done.code == 0, done
        out, _ = followed.communicate(timeout=120)
        assert followed.returncode == 143, out
        assert platform.outcome()["cancel"]["why"] == "wrong month"
        assert not platform.is_there(platform.name())

    def test_a_container_that_died_without_a_word_has_its_end_written(self, platform: Platform) -> None:
        followed = platform.begin("hold", "-f", *HASTE)
        platform.until_running()
        platform.kill(platform.name())
        out, _ = followed.communicate(timeout=120)
        assert followed.returncode == 137, out
        assert re.search("run r (crashed|lost): ", out), out
        end = platform.store().read_end(1)
        assert end is not None
        assert end["state"] in {"crashed", "lost"}
        assert platform.outcome() is None

    def test_what_died_is_launched_again_where_that_is_allowed(self, platform: Platform) -> None:
        followed = platform.begin("hold once", "-f", "--restarts", "1")
        platform.until_running()
        platform.kill(platform.name())
        out, _ = followed.communicate(timeout=120)
        assert followed.returncode == 0, out
        assert len(platform.store().list_launches()) == 2
        assert platform.outcome()["attempt"] == 2

    @pytest.mark.parametrize(("step", "number"), STEPS)
    @pytest.mark.parametrize("moment", ["before", "after"])
    def test_a_launcher_that_is_killed_at_a_step_is_taken_up_by_the_next_one(
        self, platform: Platform, moment: str, step: str, number: int
    ) -> None:
        killed = platform.begin("ok", "-f", program=(KILLED_LAUNCHER, moment, step, str(number)))
        out, _ = killed.communicate(timeout=120)
        assert killed.returncode == -signal.SIGKILL, out
        done = platform.launch("ok", "-f", *HASTE)
        assert done.code == 0, done
        assert platform.outcome()["state"] == "succeeded"
        assert list(platform.store().list_launches()) == [1]
        assert list(platform.store().list_attempts()) == [1]
        assert platform.store().read_launch_end(1)
        assert not platform.is_there(platform.name())

    def test_a_run_that_is_over_is_not_launched_again(self, platform: Platform) -> None:
        assert platform.launch("ok", "-f", *HASTE).code == 0
        again = platform.launch("ok", "-f", *HASTE)
        assert (again.code, "it is over" in again.stderr) == (0, True), again
        assert len(platform.store().list_launches()) == 1

    def test_two_launchers_of_one_run_start_it_once(self, platform: Platform) -> None:
        both = [platform.begin("ok", "-f", *HASTE) for _ in range(2)]
        for launcher in both:
            out, _ = launcher.communicate(timeout=120)
            assert launcher.returncode == 0, out
        assert len(platform.store().list_launches()) == 1
        assert list(platform.store().list_attempts()) == [1]

    def test_what_is_rendered_is_always_the_same_and_reaches_no_platform(self, platform: Platform) -> None:
        rendered = [platform.launch("ok", "--render") for _ in range(2)]
        assert rendered[0].code == 0, rendered[0]
        assert rendered[0].stdout == rendered[1].stdout
        assert platform.url in rendered[0].stdout
        assert not platform.store().exists()

    def test_a_secret_is_passed_by_reference_alone(self, platform: Platform) -> None:
        platform.url = publish(platform.place, "launched.py", secrets=("DB_PASSWORD",))
        refused = platform.launch("ok", "-e", "DB_PASSWORD=hunter-22222")
        assert (refused.code, "--secret DB_PASSWORD=" in refused.stderr) == (2, True), refused
        assert not platform.store().exists()

    def test_doctor_tries_a_launch_and_leaves_nothing_behind(self, platform: Platform) -> None:
        """In the place of the flow the container is given a command: `Order.command`."""
        before = set(platform.place.keys())
        command = (
            "doctor",
            "--launch",
            platform.launcher.kind,
            platform.url,
            "-p",
            "kind=ok",
            *platform.options,
            "--json",
        )
        done = start(platform.place.environ | platform.environ, *command)
        assert done.code == 0, done
        checks = json.loads(done.stdout)["checks"]
        assert {check["about"].partition(":")[0] for check in checks} == {
            f"launch on {platform.launcher.kind}",
            f"inside of it on {platform.launcher.kind}",
        }
        assert "load" in {check["check"] for check in checks}
        assert set(platform.place.keys()) == before
        wrong = start(platform.place.environ | platform.environ, *command, "-e", "RUNNER_TIMEOUT=never")
        assert wrong.code == 78, wrong

    def test_each_step_can_be_repeated(self, platform: Platform) -> None:
        assert platform.launch("hold", *HASTE).code == 0
        launcher, name = platform.launcher, platform.name()
        wait_for(lambda: launcher.describe(name).phase == "running")  # a platform may know it later than the storage
        for _ in range(2):
            launcher.stop(name, 1)
        wait_for(lambda: launcher.describe(name).phase in {"ended", "absent"})
        for _ in range(2):
            launcher.remove(name)
        assert launcher.describe(name).phase in {"ended", "absent"}  # some forget it by themselves, later
        launcher.stop(name, 1)
        wait_for(lambda: platform.keeps_logs or launcher.logs(name) == [])
