"""What holds for the house as a whole; import-linter (`make lint`) holds its layers."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "runner").rglob("*.py"))
TESTS = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if "node_modules" not in path.parts]
RIDDLES = re.compile(r"(Give|Gives|Say|Says|Tell|Tells|See the class)\b")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_few_modules_lie_directly_in_the_package() -> None:
    assert len(list((ROOT / "runner").glob("*.py"))) <= 17


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_is_read_in_five_minutes(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 400


@pytest.mark.parametrize("path", TESTS, ids=name_of)
def test_a_test_module_has_one_subject(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 600


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_docstrings_say_what_is_returned_or_what_a_thing_is(path: Path) -> None:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    nodes = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, kinds)]
    assert [node.name for node in nodes if RIDDLES.match(ast.get_docstring(node) or "")] == []


def test_loose_dictionaries_are_few() -> None:
    """What is stored, or sent between processes, has a type; values that may be anything are what is left."""
    found = {name_of(path): path.read_text("utf-8").count("dict[str, Any]") for path in MODULES}
    assert sum(found.values()) < 30, {name: count for name, count in found.items() if count}


def test_package_modules_hold_no_code_but_the_lazy_names() -> None:
    code = {"runner", "runner/backends", "runner/cli", "runner/launchers"}
    for path in MODULES:
        if path.name == "__init__.py" and name_of(path.parent) not in code:
            [docstring] = ast.parse(path.read_text("utf-8")).body
            assert isinstance(docstring, ast.Expr)


def test_all_that_is_shown_goes_through_one_place() -> None:
    """What writes to a terminal elsewhere would have to know by itself what a terminal must not get."""
    written = re.compile(r"\bclick\.(?:echo|secho|style)\(|(?<![\w.])print\(|\bstd(?:out|err)\.write\(")
    shown = {name_of(path): written.findall(path.read_text("utf-8")) for path in MODULES}
    assert {name: len(calls) for name, calls in shown.items() if calls and name != "runner/cli/format.py"} == {
        "runner/__main__.py": 1,  # a constant
        "runner/errors.py": 6,  # examples
        "runner/publishing/docker_engine.py": 1,  # printable
        "runner/publishing/publish.py": 3,  # an id, and printable
        "runner/runs/unsaved_ends.py": 1,  # JSON
        "runner/signing/keys.py": 1,  # a repr
    }
