"""A flow's file is imported, and does nothing besides defining what is in it."""

from __future__ import annotations

import builtins
import io
import pickle
import sys
from typing import TYPE_CHECKING

import pytest

from runner.errors import FlowFailed
from runner.model.loading import is_loading
from runner.serialization.pickling import dump_result, load_flow
from runner.serialization.source import dump_import, import_flow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], str]]:
    """Write files below a folder on the path, which nobody has imported; gives the name of the first part."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)

    def write_one(text: str, folder: str = "one") -> str:
        monkeypatch.syspath_prepend(tmp_path / folder)
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "etl_of_author.py").write_text(text)
        return "etl_of_author"

    yield write_one
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_what_has_the_name_in_the_file_is_given(write: Callable[..., str]) -> None:
    module = write("made = [1]\nflow = made\n")
    assert import_flow(module, "flow", "none") is import_flow(module, "made", "none") is sys.modules[module].made


def test_a_pickle_is_the_call_alone(write: Callable[..., str]) -> None:
    module = write("flow = [1]\n")
    data = dump_import(module, "flow", "none")
    assert len(data) < 100
    assert load_flow(data) is sys.modules[module].flow
    assert pickle.loads(data) is sys.modules[module].flow


def test_a_name_that_is_not_there_is_the_flows_failure_and_no_corrupt_bundle(write: Callable[..., str]) -> None:
    data = dump_import(write("flow = 1\n"), "absent", "none")
    with pytest.raises(FlowFailed, match=r"^etl_of_author makes no flow 'none' when it is imported") as failed:
        load_flow(data)
    assert "Make it at the top level of the file" in failed.value.hint


def test_what_the_file_raises_comes_through_and_nothing_stays_changed(write: Callable[..., str]) -> None:
    module = write("1 / 0\n")
    print_before, arguments = builtins.print, sys.argv
    with pytest.raises(ZeroDivisionError):
        import_flow(module, "flow", "none")
    assert (builtins.print, sys.argv, is_loading()) == (print_before, arguments, False)
    assert module not in sys.modules


def test_the_file_finds_no_arguments(write: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["program", "run", "--option"])
    assert import_flow(write("import sys\nseen = sys.argv\n"), "seen", "none") == ["etl_of_author.py"]
    assert sys.argv == ["program", "run", "--option"]


PRINTS = """
import contextlib, io, sys
say = print
print("at the top")
say("said at the top")
print("to standard output", file=sys.stdout)
print("to standard error", file=sys.stderr)
held = io.StringIO()
print("held", file=held)
with contextlib.redirect_stdout(io.StringIO()) as redirected:
    print("redirected")
class Lines(list):
    def write(self, text):
        self.append(text)
lines = Lines()
print("a line", file=lines)
def later():
    say("later")
    print("as well")
"""


def test_prints_to_standard_output_are_silent_until_it_is_imported(
    write: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    later = import_flow(write(PRINTS), "later", "none")
    assert capsys.readouterr() == ("", "to standard error\n")
    found = later.__globals__
    assert (found["held"].getvalue(), found["redirected"].getvalue()) == ("held\n", "redirected\n")
    assert found["lines"] == ["a line", "\n"]
    later()
    assert capsys.readouterr().out == "later\nas well\n"


BUILDS = """
from runner import Flow, build_flow, task
from runner.storage import Local

@task
def answer():
    raise SystemExit("it runs")

with Flow("My flow", storage=Local({root!r})) as flow:
    answer()
ran = flow.run()
urls = {{flow.storage.build(), build_flow(flow), build_flow(answer, storage=Local({root!r}), name="My flow")}}
text = f"{{ran.result('answer')}} {{ran.state}}"
"""


def test_it_builds_and_runs_nothing(write: Callable[..., str], tmp_path: Path) -> None:
    root = tmp_path / "storage"
    module = write(BUILDS.format(root=str(root)))
    assert import_flow(module, "urls", "none") == {f"{root.as_uri()}/my-flow"}
    assert import_flow(module, "text", "none") == " ".join(["<what a run would have given>"] * 2)
    assert not root.exists()


def test_the_file_is_executed_once(write: Callable[..., str]) -> None:
    module = write("import itertools, sys\nsys.executions = getattr(sys, 'executions', 0) + 1\nflow = other = 1\n")
    for name in ("flow", "other", "flow"):
        import_flow(module, name, "none")
    assert vars(sys).pop("executions") == 1


def test_another_files_module_of_that_name_is_forgotten(write: Callable[..., str]) -> None:
    assert import_flow(write("flow = 'one'\n", "one"), "flow", "none") == "one"
    assert import_flow(write("flow = 'another'\n", "another"), "flow", "none") == "another"


def test_what_it_defines_travels_by_value_in_results(write: Callable[..., str]) -> None:
    kind = import_flow(write("class Kind:\n    def told(self): return 'told'\n"), "Kind", "none")
    buffer = io.BytesIO()
    dump_result(kind(), buffer, "answer")
    del sys.modules["etl_of_author"]
    sys.path_importer_cache.clear()
    assert b"told" in buffer.getvalue()
    sys.path.pop(0)
    assert pickle.loads(buffer.getvalue()).told() == "told"


FLOWS = """
from runner import Flow

def made(name):
    with Flow(name) as flow:
        return flow

flows = {name: made(name) for name in ["one", "two"]}
last = made("three"), made("three")
flow = last[0]
"""


def test_a_flow_without_a_variable_is_found_by_its_name(write: Callable[..., str]) -> None:
    module = write(FLOWS)
    assert import_flow(module, None, "two").name == "two"
    del sys.modules[module]
    assert import_flow(module, "flow", "three") is sys.modules[module].last[0]
    del sys.modules[module]
    with pytest.raises(FlowFailed, match="makes no flow 'three' when it is imported"):
        import_flow(module, None, "three")


def test_a_programs_file_is_known_as_that_while_it_is_imported_too(
    write: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    module = write("import __main__\nHERE = 1\nseen = __main__.HERE\n")
    assert import_flow(module, "seen", "none", "__main__") == 1
    assert sys.modules["__main__"] is sys.modules[module]
