"""Before a bundle is published it is loaded without its author's files, and must give the same flow."""

from __future__ import annotations

import logging
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from runner import Flow, FlowFailed, Parameter, task
from runner.publishing import proof
from runner.publishing.features import features_of
from runner.publishing.telling import Seen
from runner.storage import Local

if TYPE_CHECKING:
    from pathlib import Path

    from support.authors import Author

BUILD = ("-m", "runner", "build", "flow.py", "--storage", "storage")
APART = "import os, sys, time\nAPART = sys.flags.isolated\n"


def refused(author: Author, *command: str, path: Path | None = None) -> str:
    """Build the project's flow, which must be refused, and leave nothing in the storage; gives why."""
    done = author.python(*(command or BUILD), path=path)
    assert (done.returncode, done.stdout) == (1, ""), done
    assert not author.root.exists()
    assert not (author.folder / "project" / "storage").exists()
    return done.stderr


@pytest.mark.parametrize("place", ["beside", "on the path"])
def test_a_module_that_does_not_travel_is_missed_at_build(author: Author, place: str) -> None:
    found = "import importlib\nFOUND = importlib.import_module(''.join(['hid', 'den']))\n"
    author.write({"flow.py": author.flow("import helper", "return helper.FOUND.ONE"), "helper.py": found})
    author.write({"hidden.py": "ONE = 1\n"}, "project" if place == "beside" else "other")
    path = None if place == "beside" else author.folder / "other"
    why = refused(author, path=path)
    assert "needs a module that is not installed here: hidden (helper.py, line 2)" in why
    assert "Take hidden along, with include=[…] or -i, if it is yours." in why
    assert author.publish(*BUILD, "--no-check", path=path).startswith("file://")
    if place == "beside":
        assert author.publish(*BUILD, "-i", "hidden.py").startswith("file://")


def test_the_line_that_imports_what_is_missing_is_told(author: Author) -> None:
    """What Python itself finds in a way of the author's is found nowhere else."""
    way = "import sys, types\nsys.modules['made_up'] = types.ModuleType('made_up')\nsys.modules['made_up'].ONE = 1\n"
    flow = author.flow("import way\nimport made_up", "return made_up.ONE", by_value=True)
    author.write({"flow.py": flow, "way.py": way})
    why = refused(author, "flow.py")
    assert "flow.py, line 5: the flow could not be loaded where it runs: the flow needs a module" in why
    author.write({"flow.py": author.flow("import way\nimport made_up", "return made_up.ONE")})
    assert author.answer(author.publish()) == 1, "where the file travels, the way is there before"


def test_a_file_that_is_read_while_a_module_is_imported_must_travel(author: Author) -> None:
    author.write({"flow.py": author.flow("import helper", "return helper.WORDS"), "words.txt": "a b"})
    author.write({"helper.py": "WORDS = open('words.txt').read().split()\n"})
    assert "helper.py, line 1: the flow's own code raised FileNotFoundError" in refused(author)
    inside = "from importlib.resources import files\nWORDS = (files(__name__) / 'words.txt').read_text().split()\n"
    author.write({"helper.py": "", "good/__init__.py": inside, "good/words.txt": "a b"})
    author.write({"flow.py": author.flow("import good", "return good.WORDS")})
    assert author.answer(author.publish()) == ["a", "b"]


ODD = """
class Odd:
    def __init__(self, size):
        self.size = size
    def __reduce__(self):
        return {}
"""


@pytest.mark.parametrize(
    ("lines", "reduced", "said"),
    [
        ("HELD = Odd(3)", "(int, (3,))", "line 11: HELD in answer would be another thing"),
        ("HELD = [1, Odd(3)]", "(int, (3,))", "line 11: HELD in answer would have another value"),
        ("def HELD(a=Odd(2)): pass", "(tuple, ())", "line 11: a default of HELD would have another value"),
    ],
)
def test_a_value_that_is_another_one_when_it_is_unpickled_is_refused(
    author: Author, lines: str, reduced: str, said: str
) -> None:
    author.write({"flow.py": author.flow(f"{ODD.format(reduced)}\n{lines}", "return HELD", by_value=True)})
    assert f"flow.py, {said} where the flow runs" in refused(author, "flow.py")


def test_where_the_file_travels_such_a_value_is_what_it_is_at_home(author: Author) -> None:
    lines = f"{ODD.format('(int, (3,))')}\nHELD = [1, Odd(3)]\ndef default(a=Odd(2)): return a.size"
    author.write({"flow.py": author.flow(lines, "return HELD[1].size, type(HELD[1]).__name__, default()")})
    assert author.answer(author.publish()) == (3, "Odd", 2)


@pytest.mark.parametrize(("by_value", "known"), [(False, {"a": 1}), (True, {})])
def test_what_is_imported_by_name_may_be_in_another_state(
    author: Author, known: dict[str, int], *, by_value: bool
) -> None:
    state = "import time\nSTARTED = time.time()\nKNOWN = {}\ndef know(): KNOWN['a'] = 1\n"
    lines = "from state import KNOWN, STARTED, know\nif STARTED: know()"
    flow = author.flow(lines, "return KNOWN, STARTED > 0", by_value=by_value)
    author.write({"flow.py": flow, "state.py": state})
    assert author.answer(author.publish()) == (known, True)


def test_what_is_left_out_on_purpose_is_told_and_not_compared(author: Author) -> None:
    author.write({"flow.py": author.flow("import acme.part", "return acme.part.ONE")})
    author.write({"acme/__init__.py": "", "acme/part.py": "ONE = 1\n"})
    done = author.python(*BUILD, "-x", "acme/*")
    assert done.returncode == 0, done.stderr
    assert "was not loaded to prove that it can be: acme is not to travel with it" in done.stderr


def test_a_question_that_nobody_answers_there_is_told_as_such(author: Author) -> None:
    author.write({"flow.py": author.flow("import helper", "return helper.NAME"), "helper.py": "NAME = input()\n"})
    why = author.python("-c", "import io, sys; sys.stdin = io.StringIO('a'); import flow; flow.flow.storage.build()")
    assert "EOFError: input() finds nobody to answer where the flow runs (make it a Parameter)" in why.stderr
    assert "helper.py, line 1" in why.stderr
    assert not author.root.exists()


def test_what_modules_print_is_seen_once(author: Author) -> None:
    author.write({"flow.py": author.flow("import helper", "return helper"), "helper.py": "print('hello from here')\n"})
    done = author.python(*BUILD)
    assert (done.returncode, (done.stdout + done.stderr).count("hello from here")) == (0, 1)


def test_a_process_that_dies_is_told(author: Author) -> None:
    author.write({"flow.py": author.flow("import helper", "return helper")})
    author.write({"helper.py": f"{APART}if APART: print('bye', flush=True), os._exit(3)\n"})
    assert "helper.py, line 3: os._exit ends the process that loads the file" in refused(author)


def test_a_process_that_is_killed_is_told(author: Author) -> None:
    author.write({"flow.py": author.flow("import helper", "return helper")})
    author.write({"helper.py": f"{APART}if APART: print('bye', flush=True), os.abort()\n"})
    assert "the process that loads the flow ends with -6" in refused(author)


def test_what_modules_start_holds_nobody_up(author: Author) -> None:
    author.write({"flow.py": author.flow("import helper", "return 1")})
    thread = "import threading\nthreading.Thread(target=time.sleep, args=(90,), daemon=not APART).start()\n"
    child = "import subprocess\nif APART: subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(20)'])\n"
    author.write({"helper.py": f"{APART}{thread}{child}"})
    assert author.answer(author.publish()) == 1


def test_a_flow_that_never_loads_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "_LONGEST", 1)
    built = Flow("slow", storage=Local(tmp_path / "storage"))
    monkeypatch.setattr(proof, "_BEGIN", "import time; time.sleep(60)")
    with pytest.raises(FlowFailed, match="does not load within 1 seconds"):
        built.storage.build()
    assert not (tmp_path / "storage").exists()


@pytest.mark.parametrize("name", ["", "/no/python"])
def test_where_no_process_can_be_started_a_warning_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    monkeypatch.setattr(sys, "executable", name)
    with caplog.at_level(logging.WARNING):
        assert Flow("unproven", storage=Local(tmp_path)).storage.build()
    assert "the bundle was not loaded to prove that it can be" in caplog.text


def test_only_what_is_installed_can_be_imported_there(author: Author) -> None:
    """Neither the author's folder, nor the one that Python is started in, nor runner's own tree."""
    seen = "import sys\nSEEN = sys.path\nif sys.flags.isolated: raise ImportError(repr(SEEN))\n"
    author.write({"flow.py": author.flow("import helper", "return helper.SEEN"), "helper.py": seen})
    [line] = [line for line in refused(author).splitlines() if "does not fit what is installed" in line]
    assert str(author.folder / "project") not in line
    assert "site-packages" in line
    root = subprocess.run(
        [sys.executable, "-c", "import runner; print(runner.__path__[0])"], capture_output=True, text=True, check=True
    ).stdout.rpartition("/")[0]
    assert f"'{root}'" not in line or "site-packages" in root


LIMIT = 1


@task
def told(number: int, *more: Any) -> Any:
    return number + LIMIT, more


def flow_of(*arguments: Any, default: Any = 1, **rules: Any) -> Flow:
    with Flow("compared") as flow:
        told(*arguments, Parameter("number", default=default))
    flow.nodes[0].task = task(told.function, **rules) if rules else told
    return flow


@pytest.mark.parametrize(
    "other",
    [
        flow_of(2),
        flow_of(1.0),
        flow_of("1"),
        flow_of([1]),
        flow_of(1, 2),
        flow_of(1, default=1.0),
        flow_of(1, default=None),
        flow_of(1, retries=1),
        flow_of(1, timeout=1),
        flow_of(1, trigger="all_finished"),
        flow_of(1, checkpoint=False),
    ],
)
def test_features_tell_flows_apart(other: Flow) -> None:
    def told_of(flow: Flow) -> list[tuple[str, str]]:
        return [(each.label, each.told) for each in features_of(flow, Seen(__name__))]

    assert told_of(flow_of(1)) == told_of(flow_of(1)) != told_of(other)


def test_features_follow_functions_wherever_they_are_wrapped() -> None:
    def inner() -> int:
        return LIMIT

    class Kind:
        kept = staticmethod(inner)

        @property
        def of(self) -> int:
            return LIMIT

        def method(self) -> int:
            return LIMIT

    with Flow("wrapped") as flow:
        for each in (partial(inner), Kind().method, Kind):
            task(each, name="each")()
    labels = {each.label for each in features_of(flow, Seen(__name__))}
    names = [f"test_features_follow_functions_wherever_they_are_wrapped.<locals>.{name}" for name in ("inner", "Kind")]
    assert {
        f"LIMIT in {names[0]}",
        f"LIMIT in {names[1]}.of",
        f"LIMIT in {names[1]}.method",
    } <= labels
