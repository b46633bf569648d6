"""What calls name that import modules, list them or open files; and what is pointed at, as it cannot be known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from runner.publishing.import_calls import Beside, Import, Unknown, Whole
from runner.publishing.import_statements import imported_in, imports_of

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import builtins, importlib, os, pkgutil
import importlib as il
import importlib.resources
import os.path as osp
from importlib import import_module, import_module as load, resources
from pathlib import Path
import acme.plug
import acme.plug as plug
from acme import plug as same
"""
BELOW = len(HEAD.splitlines()) + 1


def found_in(tmp_path: Path, lines: str, *, file: str = "more.py", is_flow: bool = False) -> list[object]:
    """Give what lines name in a module ``acme.part.more``, after some imports."""
    path = tmp_path / file
    path.write_text(HEAD)
    before = imports_of(path, "acme.part", is_flow=is_flow)
    path.write_text(f"{HEAD}{lines}\n")
    found = imports_of(path, "acme.part", is_flow=is_flow)[len(before) :]
    return [each for each in found if not isinstance(each, Beside)]


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ("importlib.import_module('a.b')", "a.b"),
        ("il.import_module(name='a.b')", "a.b"),
        ("import_module('a.' + 'b')", "a.b"),
        ("load(f'a.b')", "a.b"),
        ("__import__('a.b')", "a.b"),
        ("builtins.__import__('a.b')", "a.b"),
        ("import_module('.x', 'a.b')", "a.b.x"),
        ("import_module('..x', package='a.b')", "a.x"),
        ("import_module('.x', __package__)", "acme.part.x"),
        ("import_module(f'{__package__}.x')", "acme.part.x"),
        ("import_module('.x', plug.__name__)", "acme.plug.x"),
        ("import_module(__name__ + '.x')", "acme.part.more.x"),
        ("__import__('x', globals(), locals(), [], 1)", "acme.part.x"),
    ],
)
def test_a_name_that_is_written_out_is_imported(tmp_path: Path, call: str, name: str) -> None:
    assert found_in(tmp_path, call) == [Import(name, forgiven=False)]
    handled = f"try:\n    {call}\nexcept ImportError:\n    pass"
    assert found_in(tmp_path, handled) == [Import(name, forgiven=True)]


def test_what_is_asked_for_in_an_import_may_be_a_module(tmp_path: Path) -> None:
    found = found_in(tmp_path, "__import__('a', fromlist=['b', 'c', d])")
    assert found == [Import(name, forgiven=False) for name in ("a", "a.b", "a.c")]


@pytest.mark.parametrize(
    ("call", "begins"),
    [
        ("import_module('acme.plug.' + name)", "acme.plug."),
        ("import_module('acme.plug.' + name + '.x')", "acme.plug."),
        ("import_module(f'acme.plug.{name}')", "acme.plug."),
        ("import_module('acme.plug.%s' % name)", "acme.plug."),
        ("import_module('acme.plug.{}'.format(name))", "acme.plug."),
        ("import_module('.'.join(['acme', name]))", ""),
        ("import_module(name)", ""),
        ("import_module(f'{name!r}.x')", ""),
        ("__import__(name)", ""),
        ("import_module(f'{plug.__name__}.{name}')", "acme.plug."),
        ("import_module(f'{__package__}.{name}')", "acme.part."),
        ("import_module('.' + name, 'acme.plug')", "acme.plug."),
        ("import_module('.x_' + name, __package__)", "acme.part.x_"),
        ("import_module('.' + name, package=package)", ""),
        ("import_module('.x', package)", ""),
        ("import_module(package.__name__ + '.x')", ""),
    ],
)
def test_a_name_that_is_computed_is_told_with_its_line_and_beginning(tmp_path: Path, call: str, begins: str) -> None:
    [found] = found_in(tmp_path, f"def f(name, package):\n    return {call}")
    assert isinstance(found, Unknown)
    assert (found.line, found.begins, found.opened) == (BELOW + 1, begins, False)
    assert found_in(tmp_path, f"if __name__ == '__main__':\n    {call}") == []


def test_the_flows_own_file_has_another_name_where_it_runs(tmp_path: Path) -> None:
    [found] = found_in(tmp_path, "import_module(__name__ + '.x')", is_flow=True)
    assert isinstance(found, Unknown)


@pytest.mark.parametrize(
    ("path", "package"),
    [
        ("acme.plug.__path__", "acme.plug"),
        ("plug.__path__", "acme.plug"),
        ("same.__path__", "acme.plug"),
        ("import_module('acme.plug').__path__", "acme.plug"),
        ("(found.__path__)", "acme.plug"),
        ("__path__", "acme.part"),
        ("[os.path.dirname(__file__)]", "acme.part"),
        ("[osp.dirname(osp.abspath(__file__))]", "acme.part"),
        ("[os.path.join(os.path.dirname(__file__), 'plugs')]", "acme.part.plugs"),
        ("[os.path.join(os.path.dirname(__file__), '..', 'plugs')]", "acme.plugs"),
        ("[str(Path(__file__).parent)]", "acme.part"),
        ("[str(Path(__file__).resolve().parent.parent / 'plugs')]", "acme.plugs"),
        ("[str(Path(__file__).absolute().parent.joinpath('plugs', 'in'))]", "acme.part.plugs.in"),
        ("[os.path.dirname(plug.__file__)]", "acme.plug"),
        ("[str(here / 'plugs')]", "acme.part.plugs"),
        ("paths", "acme.part.plugs"),
        ("[*plug.__path__]", "acme.plug"),
        ("list(plug.__path__)", "acme.plug"),
    ],
)
@pytest.mark.parametrize("call", ["pkgutil.iter_modules({})", "pkgutil.walk_packages(path={}, prefix='x.')"])
def test_a_package_whose_modules_are_listed_is_known(tmp_path: Path, call: str, path: str, package: str) -> None:
    lines = [
        "found = il.import_module('acme.plug')",
        "here = Path(__file__).parent",
        "paths = [str(here / 'plugs')]",
        call.format(path),
    ]
    found = [each for each in found_in(tmp_path, "\n".join(lines)) if not isinstance(each, Import)]
    assert found == [Whole(package, forgiven=False, opened=False)]


def test_of_several_packages_all_are_known_or_none(tmp_path: Path) -> None:
    for path in ("plug.__path__ + __path__", "[*plug.__path__, os.path.dirname(__file__)]"):
        found = found_in(tmp_path, f"pkgutil.iter_modules({path})")
        assert found == [Whole(name, forgiven=False, opened=False) for name in ("acme.plug", "acme.part")]
    for path in ("plug.__path__ + more.path", "[*plug.__path__, more]"):
        [unknown] = found_in(tmp_path, f"def f(more):\n    pkgutil.iter_modules({path})")
        assert isinstance(unknown, Unknown)


@pytest.mark.parametrize(
    "path",
    [
        "paths",
        "['plugs']",
        "[os.getcwd()]",
        "given.__path__",
        "[os.path.join(here, given)]",
        "[str(again)]",
        "[str(Path(__file__).parents[given])]",
    ],
)
def test_a_path_of_which_nothing_is_known_is_told(tmp_path: Path, path: str) -> None:
    """A variable that is set twice, or by way of itself, is not known either."""
    lines = ["again = Path(again).parent", "paths = 1", "paths = 2", f"def f(given):\n    pkgutil.iter_modules({path})"]
    [found] = found_in(tmp_path, "\n".join(lines))
    assert isinstance(found, Unknown)
    assert found_in(tmp_path, "pkgutil.iter_modules()\npkgutil.iter_modules(None)\nimport_module()") == []


@pytest.mark.parametrize(
    ("call", "package"),
    [
        ("importlib.resources.files('a.b')", "a.b"),
        ("resources.files(package='a.b')", "a.b"),
        ("resources.files(anchor=plug)", "acme.plug"),
        ("resources.files(acme.plug)", "acme.plug"),
        ("resources.files(__package__)", "acme.part"),
        ("resources.files(__name__)", "acme.part"),
        ("resources.files()", "acme.part"),
        ("resources.read_text('a.b', 'x.txt')", "a.b"),
        ("pkgutil.get_data(__name__, 'x.txt')", "acme.part"),
    ],
)
def test_a_package_whose_files_are_opened_is_known(tmp_path: Path, call: str, package: str) -> None:
    assert found_in(tmp_path, call) == [Whole(package, forgiven=False, opened=True)]


def test_a_package_whose_files_are_opened_and_that_is_computed_is_told(tmp_path: Path) -> None:
    assert found_in(tmp_path, "resources.files('a.' + 'b'.lower())") == [
        Unknown(BELOW, "resources.files('a.' + 'b'.lower())", "a.", opened=True)
    ]


def test_functions_import_what_they_call_by_its_name() -> None:
    def called() -> object:
        import importlib

        again = importlib.import_module(".relative", "json")
        return importlib.import_module("json.decoder"), __import__("csv"), again, importlib.import_module("x" + "y" * 2)

    functions: list[Any] = [called]
    assert imported_in(functions) >= {"importlib", "json.decoder", "csv"}
    assert "x" not in imported_in(functions)
