"""A file that ends the process which imports it: nothing that loads it ends as if all had been done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.starting import start

if TYPE_CHECKING:
    from pathlib import Path

FLOW = """
import os, sys, threading
from runner import Flow, task
from runner.storage import Local

@task
def answer():
    return 1

with Flow("etl", storage=Local({root!r})) as flow:
    answer()
"""


def write(folder: Path, last: str) -> Path:
    file = folder / "project" / "flow.py"
    file.parent.mkdir()
    file.write_text(FLOW.format(root=str(folder / "storage")) + last + "\n")
    return file


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["text", "json"])
@pytest.mark.parametrize(
    ("last", "said"),
    [
        ("os._exit(0)", "flow.py, line 12: os._exit ends the process"),
        ("sys.exit(0)", "flow.py, line 12: the file cannot be loaded: SystemExit: 0"),
        ("os.execl(sys.executable, sys.executable, '-c', 'pass')", "flow.py, line 12: os.execv ends the process"),
        ("threading.Timer(0, lambda: os._exit(0)).start(); threading.Event().wait(5)", "flow.py, line 12: os._exit"),
    ],
)
def test_a_build_fails_with_the_line(tmp_path: Path, last: str, said: str, options: tuple[str, ...]) -> None:
    done = start({}, "build", f"{write(tmp_path, last)}:flow", *options)
    assert done.code == 1, done
    assert said in done.stdout + done.stderr
    assert not (tmp_path / "storage").exists()


@pytest.mark.parametrize("end", ["os._exit(0)", "sys.exit(0)"])
def test_so_does_the_proof_the_check_and_the_run(tmp_path: Path, end: str) -> None:
    file = write(tmp_path, f"if not os.path.exists({str(tmp_path / 'project')!r}): {end}")
    proven = start({}, "build", f"{file}:flow")
    assert "flow.py, line 12: " in proven.stderr  # its values travel instead
    assert start({"RUNNER_LOCATION": proven.stdout.strip()}).code == 0
    unproven = start({}, "build", f"{file}:flow", "--no-check")
    file.rename(tmp_path / "flow.py")
    file.parent.rmdir()
    checked = start({}, "check", unproven.stdout.strip())
    assert checked.code == 1, checked
    assert "flow.py, line 12: " in checked.stderr
    assert start({"RUNNER_LOCATION": unproven.stdout.strip()}).code == 1


def test_a_thread_that_the_file_starts_neither_builds_nor_runs(tmp_path: Path) -> None:
    """Not even when the file has been imported, as in a timer; at home it may."""
    marker = tmp_path / "marker"
    does = f"(flow.storage.build(), flow.run(), open({str(marker)!r}, 'a').write('.'))"
    late = f"threading.Timer({{}}, lambda: {does}).start()"
    file = write(tmp_path, "\n".join(late.format(seconds) for seconds in (0, 0.05)))
    file.write_text(file.read_text().replace("    return 1", f"    while not os.path.exists({str(marker)!r}): pass"))
    done = start({}, "build", f"{file}:flow", "--no-check")
    assert done.code == 0, done
    marker.unlink(missing_ok=True)
    ran = start({"RUNNER_LOCATION": done.stdout.strip()})
    assert ran.code == 0, ran
    assert [line["message"] for line in ran.lines].count("task answer succeeded") == 1
    assert len(list((tmp_path / "storage/etl").glob("2*"))) == 1
