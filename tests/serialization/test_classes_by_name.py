"""Results of classes of a flow's file that no pickle takes: they are found by name, where the file can be imported."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from support.authors import Author

if TYPE_CHECKING:
    from pathlib import Path

    from support.starting import Ran

CLASSES = """
import threading

class Plain:
    size = 1

class Locked:
    lock = threading.Lock()

class Inner(Locked):
    class Innermost(Plain):
        lock = threading.Lock()
"""


@pytest.fixture
def author(tmp_path: Path) -> Author:
    return Author(tmp_path, tmp_path / "storage")


def test_what_can_travel_does_and_the_rest_is_named(author: Author) -> None:
    ran = run(author, "return Plain(), Locked(), Inner(), Inner.Innermost()")
    assert ran.code == 0, ran
    assert "No module named 'flow'" in shown(author, ".")
    assert ast.literal_eval(shown(author, "project")) == ["Plain", "Locked", "Inner", "Inner.Innermost"]


def test_what_can_travel_needs_no_file(author: Author) -> None:
    assert run(author, "return [Plain(), Plain()]").code == 0
    assert ast.literal_eval(shown(author, ".")) == ["Plain", "Plain"]


def test_a_run_that_goes_on_has_them_of_its_own_file(author: Author, tmp_path: Path) -> None:
    """The result of the attempt before is of the classes that the next task knows."""
    later = [
        "@task",
        "def known(value):",
        "    import os",
        f"    os.path.exists({str(tmp_path / 'again')!r}) or os.kill(os.getpid(), 9)",
        "    return isinstance(value, Locked) and value.lock is Locked.lock",
    ]
    text = author.flow(CLASSES + "\n".join(later), "return Locked()").replace("    answer()", "    known(answer())")
    author.write({"flow.py": text})
    url = author.publish()
    assert author.run(url, RUNNER_RUN_ID="r").code != 0
    (tmp_path / "again").touch()
    assert author.run(url, RUNNER_RUN_ID="r").code == 0
    assert author.python("-m", "runner", "result", f"{author.root}/etl/runs/r", "known").stdout.strip() == "True"


def run(author: Author, line: str) -> Ran:
    author.write({"flow.py": author.flow(CLASSES, line)})
    return author.run(author.publish(), RUNNER_RUN_ID="r")


def shown(author: Author, folder: str) -> str:
    """Read the result where the author's folder, or nothing of it, can be imported; gives its classes, or the error."""
    [result] = author.root.glob("etl/runs/r/attempts/*/results/answer.pkl")
    code = f"import pickle; print([type(each).__qualname__ for each in pickle.load(open({str(result)!r}, 'rb'))])"
    done = author.python("-P", "-c", code, path=author.folder / folder)
    return done.stdout or done.stderr
