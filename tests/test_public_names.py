"""Every public name says what it takes, returns and raises, and has an example, which is run here."""

from __future__ import annotations

import ast
import builtins
import doctest
import inspect
import logging
import os
import re
import subprocess
import sys
import textwrap
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import runner
from runner import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
SECTION = re.compile(r"^(Args|Returns|Raises|Example):$", re.MULTILINE)


def public_names() -> dict[str, Any]:
    """What authors import, by its full name."""
    modules = {"runner": runner.__all__, "runner.storage": import_module("runner.storage").__all__}
    modules["runner.environments"] = ["LocalEnvironment"]
    modules["runner.errors"] = [name for name, value in vars(errors).items() if is_defined_in_errors(name, value)]
    names = {(module, name) for module, names in modules.items() for name in names if name != "__version__"}
    return {f"{module}.{name}": getattr(import_module(module), name) for module, name in sorted(names)}


def is_defined_in_errors(name: str, value: object) -> bool:
    return not name.startswith("_") and getattr(value, "__module__", "") == "runner.errors"


def methods() -> dict[str, Any]:
    """The public methods and properties of public classes, each once, where runner defines it."""
    classes = {kind for value in PUBLIC.values() if isinstance(value, type) for kind in value.__mro__}
    ours = sorted(
        (kind for kind in classes if kind.__module__.startswith("runner")), key=lambda kind: kind.__qualname__
    )
    return {
        f"{kind.__qualname__}.{name}": member
        for kind in ours
        for name, member in vars(kind).items()
        if (name == "__call__" or not name.startswith("_"))
        and (isinstance(member, property | classmethod) or inspect.isfunction(member))
    }


PUBLIC = public_names()
METHODS = methods()
DOCUMENTED = {name: member for name, member in METHODS.items() if not (member.__doc__ or "").startswith("See `")}


def sections(documented: Any) -> dict[str, str]:
    """A docstring's sections by their heads."""
    parts = SECTION.split(inspect.getdoc(documented) or "")
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def entries(section: str) -> list[str]:
    """What a section lists: the names before the colons of its lines of the first level."""
    return re.findall(r"^(?: {4})?\*{0,2}(\w+): ", textwrap.dedent(section), re.MULTILINE)


def function_of(documented: Any) -> Any:
    """What is called: of a class its own initializer, of a property its getter."""
    if isinstance(documented, type):
        return vars(documented).get("__init__")
    if isinstance(documented, property):
        return documented.fget
    return getattr(documented, "__func__", documented)


def parameters_of(documented: Any) -> list[str]:
    function = function_of(documented)
    if function is None:
        return []
    names = list(inspect.signature(function).parameters)
    return [name for name in names if name not in {"self", "cls"}]


def raised_in(documented: Any) -> set[str]:
    """The classes of the errors that a function raises in its own body."""
    function = function_of(documented)
    if function is None:
        return set()
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    raised = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)]
    return {call.func.id for call in raised if isinstance(call.func, ast.Name)}


@pytest.mark.parametrize("name", [*PUBLIC, *DOCUMENTED])
def test_what_it_takes_is_listed(name: str) -> None:
    documented = PUBLIC.get(name) or DOCUMENTED[name]
    if parameters := parameters_of(documented):
        assert entries(sections(documented).get("Args", "")) == parameters


@pytest.mark.parametrize("name", [*PUBLIC, *DOCUMENTED])
def test_what_it_returns_is_said(name: str) -> None:
    documented = PUBLIC.get(name) or DOCUMENTED[name]
    is_called = not isinstance(documented, type | property)
    returns = is_called and function_of(documented).__annotations__["return"] != "None"
    assert ("Returns" in sections(documented)) == returns


@pytest.mark.parametrize("name", [*PUBLIC, *DOCUMENTED])
def test_what_it_raises_is_listed(name: str) -> None:
    documented = PUBLIC.get(name) or DOCUMENTED[name]
    listed = entries(sections(documented).get("Raises", ""))
    assert raised_in(documented) <= {*listed}
    for each in listed:
        assert hasattr(errors, each) or hasattr(builtins, each), each


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_has_an_example(name: str) -> None:
    assert ">>> " in sections(PUBLIC[name]).get("Example", "")


@pytest.mark.parametrize("module", ["runner", "runner.storage"])
def test_names_that_are_imported_when_first_used_are_listed_before(module: str) -> None:
    """By ``dir()``, and so by completion, ``help()`` and Sphinx; https://github.com/globus/globus-sdk-python/pull/603."""
    script = f"import {module} as it; print({{*it.__all__}} <= {{*dir(it)}}, *sorted({{*it.__all__}} & {{*vars(it)}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", *(["__version__"] if module == "runner" else [])]


def test_a_type_checker_refuses_a_name_that_is_not_there(tmp_path: Path) -> None:
    """Where it sees ``__getattr__`` it takes any name; https://github.com/pytest-dev/pytest/issues/11325."""
    (tmp_path / "etl.py").write_text(
        "from runner import Flow, Flwo\nfrom runner.storage import S3, S4, Location, declare\n"
    )
    mypy = [sys.executable, "-m", "mypy", "--follow-imports=silent", "--ignore-missing-imports", "etl.py"]
    where = {**os.environ, "MYPYPATH": str(ROOT)}
    done = subprocess.run(mypy, cwd=tmp_path, env=where, capture_output=True, text=True, check=False)
    refused = re.findall(r'^etl.py:\d: error: Module "([\w.]+)" has no attribute "(\w+)"', done.stdout, re.MULTILINE)
    assert refused == [("runner", "Flwo"), ("runner.storage", "S4")]


def test_no_module_of_runners_hides_a_public_name() -> None:
    """Importing a submodule sets it on its package; https://github.com/scientific-python/lazy-loader/pull/171."""
    modules = {path.stem for path in (ROOT / "runner").iterdir()}
    assert modules.isdisjoint({*runner.__all__, *vars(runner)["_HOMES"]})


@pytest.fixture
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty working folder, and an environment whose changes are undone."""
    monkeypatch.chdir(tmp_path)
    before = dict(os.environ)
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
    os.environ.clear()
    os.environ.update(before)


EXAMPLES = {
    name: documented for name, documented in {**PUBLIC, **DOCUMENTED}.items() if "Example" in sections(documented)
}


@pytest.mark.usefixtures("_elsewhere")
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_runs(name: str) -> None:
    parser = doctest.DocTestParser()
    example = parser.get_doctest(inspect.getdoc(EXAMPLES[name]) or "", {"__name__": "__main__"}, name, None, None)
    output: list[str] = []
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=output.append)
    assert result.attempted
    assert result.failed == 0, "".join(output)
