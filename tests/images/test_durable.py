"""What becomes of a run whose container is stopped, killed, or given too little of something."""

from __future__ import annotations

import json
import pickle
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from support.containers import ETL, docker, options_of, run_image
from support.flows import located, outcome_of, publish
from support.starting import Ran

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.places import Place

RUN = "durable/runs/r"
DURABLE = ["first", "square 1", "square 2", "square 3"]
PATIENCE = 60  # seconds for what a container does in two
ENOUGH = 64  # processes and threads: what the smallest container platforms allow is more


@pytest.fixture
def backend() -> str:
    return "s3"


@pytest.fixture
def slim(images: dict[str, str]) -> str:
    return images["slim-py3.11"]


class Container:
    """A run with one run id, in one container after the other, and the folder where its tasks leave notes."""

    def __init__(self, image: str, place: Place, diary: Path) -> None:
        self.image, self.place, self.diary = image, place, diary
        self.names: list[str] = []
        publish(place, "durable.py")

    def begin(self, kind: str, *options: str, go: bool = False, **environ: str) -> str:
        """Start a container, and wait until what comes before its trouble is durable."""
        name = self.start(kind, *options, **environ)
        results = [f"{RUN}/attempts/0001/results/{slug}.pkl" for slug in ("first", "square/0", "square/1", "square/2")]
        self.wait_until(lambda: set(results) <= set(self.place.keys()) and "trouble" in self.notes(), name)
        if go:
            self.go()
        return name

    def start(self, kind: str | None, *options: str, **environ: str) -> str:
        """Start a container, of which the parameters are those with which the run began if no kind is given."""
        given = located(self.place, "durable") | {"RUNNER_RUN_ID": "r", "RUNNER_HEARTBEAT": "1"} | environ
        if kind:
            given["RUNNER_PARAMETERS"] = json.dumps({"kind": kind})
        docker_options = ["--network=host", f"--volume={self.diary}:/diary", *options_of(given), *options]
        started = docker("run", "--detach", *docker_options, self.image)
        assert started.code == 0, started
        self.names.append(started.stdout.strip())
        return self.names[-1]

    def go(self) -> None:
        (self.diary / "go").touch()

    def ended(self, name: str) -> Ran:
        """Wait for a container's end, and give its exit code and what it wrote."""
        code = int(docker("wait", name).stdout)
        logs = docker("logs", name)
        return Ran(code, logs.stdout, logs.stderr)

    def wait_until(self, holds: Any, name: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, docker("logs", name)
            running = docker("inspect", "--format={{.State.Running}}", name).stdout == "true\n"
            assert running or holds(), docker("logs", name)
            time.sleep(0.05)

    def notes(self) -> list[str]:
        path = self.diary / "notes"
        return path.read_text().splitlines() if path.exists() else []

    def end(self, number: int) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.place.read(f"{RUN}/attempts/{number:04d}/end.json"))
        return found

    def has(self, name: str) -> bool:
        return f"{RUN}/{name}" in set(self.place.keys())

    def goes_on(self, number: int, *options: str, **environ: str) -> None:
        """Start it once more, and see it end well as this attempt, without what was durable being run again."""
        before = Counter(self.notes())
        self.go()
        last = self.ended(self.start(None, *options, **environ))
        assert last.code == 0, last
        outcome = outcome_of(self.place, "r", "durable")
        assert (outcome["state"], outcome["attempt"]) == ("succeeded", number)
        results = {(task["task"], task["index"]): task["result"] for task in outcome["tasks"]}
        assert pickle.loads(self.place.read(results[("last", None)]["key"])) == "the sum is 14"
        assert results[("first", None)]["key"] == f"{RUN}/attempts/0001/results/first.pkl"
        ran = Counter(self.notes()) - before
        assert not ran & Counter(DURABLE), ran
        assert Counter(self.notes())["last"] == 1

    def remove(self) -> None:
        for name in self.names:
            docker("rm", "--force", name)


@pytest.fixture
def container(slim: str, place: Place, tmp_path: Path) -> Iterator[Container]:
    diary = tmp_path / "diary"
    diary.mkdir()
    diary.chmod(0o777)
    made = Container(slim, place, diary)
    try:
        yield made
    finally:
        made.remove()


def stored_tasks(end: dict[str, Any]) -> set[str]:
    names = ((task["task"], task["index"]) for task in end["tasks"] if task["result"])
    return {task if index is None else f"{task}[{index}]" for task, index in names}


def test_docker_stop_cancels_the_flow_and_the_next_start_goes_on(container: Container) -> None:
    name = container.begin("wait")
    began = time.monotonic()
    assert docker("stop", "--time=30", name).code == 0
    assert time.monotonic() - began < 10
    done = container.ended(name)
    assert done.code == 143, done
    assert "SIGTERM" in done.error["message"]
    end = container.end(1)
    assert (end["state"], end["exit_code"]) == ("cancelled", 143)
    assert stored_tasks(end) == {"first", "square[0]", "square[1]", "square[2]"}
    assert not container.has("outcome.json")
    container.goes_on(2)


def test_docker_stop_ends_a_flow_in_native_code_that_never_returns(container: Container) -> None:
    name = container.begin("block", go=True, RUNNER_GRACE="1")
    container.wait_until(lambda: "block" in container.notes(), name)
    assert docker("stop", "--time=30", name).code == 0
    assert container.ended(name).code == 143
    assert container.end(1)["state"] == "cancelled"
    container.goes_on(2)


def test_as_process_1_it_is_stopped_too(container: Container) -> None:
    name = container.begin("wait", "--entrypoint=/opt/runner/bin/runner")
    assert docker("exec", name, "cat", "/proc/1/comm").stdout.strip() != "tini"
    assert docker("stop", "--time=30", name).code == 0
    assert container.ended(name).code == 143
    assert container.end(1)["state"] == "cancelled"
    container.goes_on(2)


def test_docker_kill_leaves_nothing_and_the_next_start_calls_it_lost_and_goes_on(container: Container) -> None:
    name = container.begin("wait", RUNNER_HEARTBEAT="0.5")
    assert docker("kill", name).code == 0
    assert container.ended(name).code == 137
    assert not container.has("attempts/0001/end.json")
    container.goes_on(2, RUNNER_HEARTBEAT="0.5")
    assert container.end(1)["state"] == "lost"


def test_a_second_container_of_a_run_that_lives_leaves_it_alone(container: Container) -> None:
    name = container.begin("wait")
    other = container.ended(container.start("wait"))
    assert other.code == 75, other
    assert not container.has("attempts/0002/claim.json")
    container.go()
    assert container.ended(name).code == 0
    repeated = container.ended(container.start("wait"))
    assert repeated.code == 0, repeated
    assert Counter(container.notes()) == Counter([*DURABLE, "trouble", "last"])


def test_a_flow_killed_for_memory_says_so_with_the_limit_and_goes_on_with_more(container: Container) -> None:
    name = container.begin("eat", "--memory=192m", "--memory-swap=192m", go=True)
    done = container.ended(name)
    assert done.code == 137, done
    reported = done.error["message"]
    assert "the kernel killed it for memory: the limit is 192 MiB (/sys/fs/cgroup/" in reported
    assert "give it more (docker run --memory" in reported
    end = container.end(1)
    assert (end["state"], end["exit_code"], end["error"]["message"]) == ("crashed", 137, reported)
    assert not container.has("outcome.json")
    container.goes_on(2)


def test_a_flow_killed_by_another_hand_is_not_said_to_have_been_killed_for_memory(container: Container) -> None:
    done = container.ended(container.begin("be_killed", "--memory=192m", go=True))
    assert done.code == 137, done
    assert "SIGKILL" in done.error["message"]
    assert "the kernel killed it" not in done.error["message"]
    assert container.end(1)["state"] == "crashed"
    container.goes_on(2)


def test_a_flow_that_starts_too_many_threads_fails_by_itself_and_runner_tells(container: Container) -> None:
    done = container.ended(container.begin("start_threads", f"--pids-limit={ENOUGH}", go=True))
    assert done.code == 1, done
    assert "can't start new thread" in done.error["message"]
    outcome = outcome_of(container.place, "r", "durable")
    assert (outcome["state"], outcome["exit_code"]) == ("failed", 1)


def test_a_container_of_enough_processes_runs_a_flow(container: Container) -> None:
    container.go()
    done = container.ended(container.start("wait", f"--pids-limit={ENOUGH}"))
    assert done.code == 0, done


@pytest.mark.parametrize("limit", [2, 3, 4, 6, 8, 10, 12, 16, 24])
def test_a_container_of_too_few_processes_ends_and_says_why(container: Container, limit: int) -> None:
    container.go()
    name = container.start("wait", f"--pids-limit={limit}")
    deadline = time.monotonic() + PATIENCE
    while docker("inspect", "--format={{.State.Running}}", name).stdout == "true\n":
        assert time.monotonic() < deadline, docker("logs", name)
        time.sleep(0.1)
    done = container.ended(name)
    assert "Traceback" not in done.stdout + done.stderr, done
    if done.code:
        assert done.code not in {1, 70}, done
        assert "--pids-limit" in done.stdout + done.stderr, done
    else:
        assert outcome_of(container.place, "r", "durable")["state"] == "succeeded"


def test_a_full_tmp_is_survived_by_a_flow_that_needs_none(container: Container) -> None:
    container.go()
    done = container.ended(container.start("wait", "--read-only", "--tmpfs=/tmp:size=4k"))
    assert done.code == 0, done
    assert done.stderr == ""


def test_a_task_that_fills_tmp_fails_by_itself(container: Container) -> None:
    done = container.ended(container.begin("fill_the_disk", "--read-only", "--tmpfs=/tmp:size=1m", go=True))
    assert done.code == 1, done
    assert "No space left on device" in done.error["message"]
    assert outcome_of(container.place, "r", "durable")["state"] == "failed"


def test_modules_that_do_not_fit_into_tmp_are_refused_with_what_to_do(slim: str, place: Place) -> None:
    publish(place, "modular/modular.py")
    done = run_image(slim, environ=located(place, "modular"), options=["--read-only", "--tmpfs=/tmp:size=4k"])
    assert done.code == 78, done
    assert "No space left on device" in done.error["message"]
    assert "--tmpfs" in done.error["message"]


def test_results_that_do_not_fit_end_with_73_and_say_where_the_disk_is_full(slim: str, place: Place) -> None:
    publish(place, "etl.py")
    environ = located(place, ETL) | {"RUNNER_RESULTS": "/results"}
    done = run_image(slim, environ=environ, options=["--tmpfs=/results:size=1m,mode=1777"])
    assert done.code == 73, done
    assert "No space left on device" in done.error["message"]


def test_docker_starts_a_run_again_that_failed_and_it_goes_on(container: Container) -> None:
    name = container.begin("be_killed", "--restart=on-failure:3", go=True)
    container.wait_until(lambda: container.has("outcome.json"), name)
    done = container.ended(name)
    assert done.code == 0, done
    assert docker("inspect", "--format={{.RestartCount}}", name).stdout == "1\n"
    assert container.end(1)["state"] == "crashed"
    assert outcome_of(container.place, "r", "durable")["attempt"] == 2
    assert Counter(container.notes()) == Counter([*DURABLE, "trouble", "be_killed", "trouble", "last"])


def test_of_twelve_containers_at_once_one_runs(container: Container) -> None:
    container.go()
    names = [container.start("wait") for _ in range(12)]
    codes = Counter(container.ended(name).code for name in names)
    assert set(codes) <= {0, 75}, codes
    assert codes[0] >= 1
    assert Counter(container.notes()) == Counter({**dict.fromkeys(DURABLE, 1), "trouble": 1, "last": 1})
    assert outcome_of(container.place, "r", "durable")["attempt"] == 1


def test_the_readmes_way_to_take_a_platforms_id_works(container: Container) -> None:
    container.go()
    given = located(container.place, "durable") | {"AWS_BATCH_JOB_ID": "r", "RUNNER_PARAMETERS": '{"kind": "wait"}'}
    options = ["--network=host", f"--volume={container.diary}:/diary", *options_of(given)]
    command = ["sh", "-c", "RUNNER_RUN_ID=$AWS_BATCH_JOB_ID exec runner run"]
    done = docker("run", "--rm", *options, container.image, *command)
    assert done.code == 0, done
    assert outcome_of(container.place, "r", "durable")["run_id"] == "r"
