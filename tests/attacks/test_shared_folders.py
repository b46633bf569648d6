"""Attacks in folders that others may write to: what is planted where runner is about to put something of its own."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runner import build_flow
from runner.backends.local.private import create_file, open_folder
from runner.bundle import module_folder
from runner.cli.build import load_file
from runner.runs import unsaved_ends
from runner.storage import Local
from support.starting import start

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.canary import Target

END: Any = {"run_id": "nightly", "attempt": 1, "state": "failed"}
NAME = "runner-nightly-1.json"
pytestmark = pytest.mark.timeout(60)  # what opens a pipe waits for ever


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def plant_link(path: Path) -> None:
    path.symlink_to(path.parent.parent / "victim")


def plant_dangling_link(path: Path) -> None:
    path.symlink_to(path.parent.parent / "not-there")


def plant_pipe(path: Path) -> None:
    os.mkfifo(path)


def plant_folder(path: Path) -> None:
    path.mkdir()
    (path / "full").touch()


def plant_file(path: Path) -> None:
    """A file of the attacker's, who reads whatever is written into it."""
    path.touch()
    path.chmod(0o666)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    (tmp_path / "victim").write_text("mine")
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


def nothing_happened(shared: Path) -> None:
    assert (shared.parent / "victim").read_text() == "mine"
    assert not (shared.parent / "not-there").exists()


@pytest.mark.parametrize("plant", [plant_link, plant_dangling_link, plant_pipe, plant_folder, plant_file])
def test_something_lies_where_an_end_is_kept_that_the_storage_refused(
    shared: Path, plant: Callable[[Path], None]
) -> None:
    """Run ids are known, and so is the name. The next attempt hung on a pipe, and wrote through links."""
    plant(shared / NAME)
    unsaved_ends.save(END, str(shared))
    nothing_happened(shared)
    [kept] = [each for each in shared.iterdir() if each.is_file() and not each.is_symlink()]
    assert json.loads(kept.read_text("utf-8")) == END
    assert mode(kept) == 0o600
    assert kept.name == NAME or plant is plant_folder
    unsaved_ends.discard("nightly", 2, str(shared))
    nothing_happened(shared)


AS_NOBODY = """
import os, pathlib, shutil, sys  # whose files nobody may read
from runner.runs import unsaved_ends
from runner.bundle import module_folder
from runner.backends.local.private import open_folder
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
unsaved_ends.save({"run_id": "nightly", "attempt": 1}, sys.argv[1])
module_folder.sweep(sys.argv[1])
try:
    open_folder(f"{sys.argv[1]}/runner-modules-of-another")
except PermissionError as error:
    print("refused:", error.strerror)
print(oct(os.stat(module_folder.make_folder(sys.argv[1])).st_mode))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_it_is_anothers_and_cannot_be_removed(shared: Path) -> None:
    """In /tmp nobody may replace what is another's: the end is kept beside it, and the other's folder is left alone."""
    for folder in (shared.parent, *shared.parent.parents[:-1]):
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(folder.stat().st_mode | 0o111)
    (shared / NAME).write_text("planted")
    (shared / NAME).chmod(0o666)
    other = shared / "runner-modules-of-another"
    other.mkdir()
    other.chmod(0o755)
    (other / "module.py").touch()
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(shared)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done
    assert done.stdout.splitlines()[1:] == ["refused: it is another user's", "0o40700"]
    assert (shared / NAME).read_text() == "planted"
    assert (other / "module.py").exists()
    [kept] = shared.glob(f".{NAME}.*")
    assert (mode(kept), kept.stat().st_uid) == (0o600, 65534)


@pytest.mark.parametrize("plant", [plant_link, plant_pipe, plant_file])
def test_something_is_named_like_a_folder_of_modules(shared: Path, plant: Callable[[Path], None]) -> None:
    """Every retried attempt sweeps up what killed ones left, opens what has such a name, and hung on a pipe."""
    plant(shared / "runner-modules-x")
    dead = shared / "runner-modules-dead"
    (dead / "package").mkdir(parents=True)
    module_folder.sweep(str(shared))
    nothing_happened(shared)
    assert os.path.lexists(shared / "runner-modules-x")
    assert not dead.exists()


def test_a_link_is_named_like_a_folder_of_modules_and_leads_to_somebodys_own(shared: Path) -> None:
    home = shared.parent / "home"
    home.mkdir()
    (home / "thesis").touch()
    (shared / "runner-modules-x").symlink_to(home)
    module_folder.sweep(str(shared))
    assert (home / "thesis").exists()
    with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
        open_folder(str(shared / "runner-modules-x"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_what_a_folder_of_modules_would_be_is_anothers(shared: Path) -> None:
    """A root process would take a folder that another user made, who can exchange the modules in it."""
    other = shared / "runner-modules-x"
    other.mkdir()
    os.chown(other, 65534, 65534)
    with pytest.raises(PermissionError, match="another user's"):
        open_folder(str(other))
    module_folder.sweep(str(shared))
    assert other.exists()


@pytest.fixture
def ran(target: Target) -> str:
    def flow() -> str:
        return "payroll of everybody"

    location = build_flow(flow, name="etl", storage=Local(target.place.url.removeprefix("file://")))
    assert start({"RUNNER_LOCATION": location, "RUNNER_RUN_ID": "r"}).code == 0
    return f"{target.place.url}/etl/runs/r"


@pytest.mark.parametrize("plant", [plant_link, plant_dangling_link, plant_pipe, plant_folder, plant_file])
def test_something_lies_where_a_result_is_written_before_it_is_whole(
    shared: Path, ran: str, plant: Callable[[Path], None]
) -> None:
    """The name of the partial file was known, and what was planted there was written through, or waited for."""
    plant(shared / ".copy.pkl.part")
    assert start({}, "result", ran, "-o", str(shared / "copy.pkl")).code == 0
    nothing_happened(shared)
    assert mode(shared / "copy.pkl") == 0o600
    assert b"payroll of everybody" in (shared / "copy.pkl").read_bytes()
    assert sorted(each.name for each in shared.iterdir()) == [".copy.pkl.part", "copy.pkl"]


@pytest.mark.parametrize("plant", [plant_link, plant_dangling_link, plant_file])
def test_a_link_lies_where_a_result_is_written(shared: Path, ran: str, plant: Callable[[Path], None]) -> None:
    """It is replaced, not followed; a file that everybody may read does not get the result, it is replaced as well."""
    plant(shared / "copy.pkl")
    assert start({}, "result", ran, "-o", str(shared / "copy.pkl")).code == 0
    nothing_happened(shared)
    assert not (shared / "copy.pkl").is_symlink()
    assert mode(shared / "copy.pkl") == 0o600


def test_a_pipe_or_a_device_lies_where_a_result_is_written(shared: Path, ran: str) -> None:
    """Root, asked to write to /dev/null, would replace it with a file."""
    plant_pipe(shared / "copy.pkl")
    (shared / "null").symlink_to(os.devnull)
    for name in ("copy.pkl", "null"):
        done = start({}, "result", ran, "-o", str(shared / name))
        assert done.code == 2, done
        assert "is no plain file" in done.stderr
    assert sorted(each.name for each in shared.iterdir()) == ["copy.pkl", "null"]


def test_the_name_of_a_new_file_is_not_known_before(shared: Path) -> None:
    made = [create_file(str(shared), "x") for _ in range(2)]
    for descriptor, path in made:
        os.close(descriptor)
        assert mode(Path(path)) == 0o600
    assert made[0][1] != made[1][1]


def test_the_modules_of_a_run_are_for_its_user_alone(target: Target, shared: Path) -> None:
    """Whoever may write in the folder of a run's modules decides what the run imports next."""
    (shared.parent / "author").mkdir()
    (shared.parent / "author/helper.py").write_text("WHERE = __file__\n")
    (shared.parent / "author/flow.py").write_text(
        "import os\nimport helper\nfrom runner import Flow, task\n\n\n@task\ndef look():\n"
        "    folder = os.stat(os.path.dirname(helper.WHERE))\n"
        "    print('modes', oct(folder.st_mode), helper.WHERE)\n\n\n"
        "with Flow('f') as flow:\n    look()\n"
    )
    before = os.umask(0)
    try:
        flow = load_file(shared.parent / "author/flow.py").flow
        flow.storage = Local(target.place.url.removeprefix("file://"))
        done = start({"RUNNER_LOCATION": flow.storage.build(), "TMPDIR": str(shared)})
    finally:
        os.umask(before)
    assert done.code == 0, done
    assert f"modes 0o40700 {shared}/runner-modules-" in done.stdout
