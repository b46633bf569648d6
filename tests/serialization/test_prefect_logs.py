"""Prefect's log and runner's are one: real flows of all its major versions, built from their files and run."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import prefects
from support.places import Place, local_place
from support.starting import Ran, inherited

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[2]


def built_and_run(major: int, file: str, folder: Path) -> tuple[Place, Ran]:
    """Build the only flow in a file, without its name, and run it as run r."""
    python = prefects.prefect_python(major, ROOT, ROOT / ".cache")
    environ = inherited() | (prefects.prefect_environ(python, folder / "prefect") if major > 1 else {})
    place = local_place(folder / "flows")
    command = [str(python), "-W", "ignore", "-m", "runner"]

    def start(*arguments: str, **more: str) -> Ran:
        done = subprocess.run(
            [*command, *arguments], env=environ | more, capture_output=True, text=True, check=False, timeout=140
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    built = start("build", str(prefects.HERE / file), "--storage", place.url)
    assert built.code == 0, built
    url = built.stdout.splitlines()[-1]
    return place, start("run", url, RUNNER_RUN_ID="r", RUNNER_LOG_FORMAT="json")


def assert_logged_once(done: Ran, messages: Iterable[str], task: str) -> None:
    assert done.code == 0, done
    for message in messages:
        found = [line for line in done.lines if message in str(line["message"])]
        assert len(found) == 1, (message, done.stdout)
        assert found[0].items() >= {"run_id": "r", "task": task, "attempt": 1}.items()
        assert "stream" not in found[0]
    assert [line["logger"] for line in done.lines if line["message"].startswith("run r begins")] == ["runner.run"]
    assert [line for line in done.lines if line.get("stream")] == []


@pytest.mark.parametrize(("major", "file"), [(1, "plain_1.py"), (2, "plain_later.py"), (3, "plain_later.py")])
def test_every_line_comes_once_with_its_run_and_task(major: int, file: str, tmp_path: Path) -> None:
    """https://github.com/PrefectHQ/prefect/issues/3524, 12518 and 18872: lines twice, or in Prefect's form alone."""
    _, done = built_and_run(major, file, tmp_path)
    assert_logged_once(done, ["said by prefect's logger", "said by mine", "printed"], "plain-flow")


def test_a_task_that_imports_prefect_takes_no_line_away(tmp_path: Path) -> None:
    _, done = built_and_run(3, "native.py", tmp_path)
    assert_logged_once(done, ["said by mine", "said by runner's logger"], "work")
