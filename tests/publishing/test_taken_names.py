"""Modules of the author's whose name another module has: refused, unless it is clear which of the two is meant."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from runner.publishing.capture import capture

if TYPE_CHECKING:
    from support.authors import Author


@pytest.mark.parametrize("arguments", [("flow.py",), ("-m", "runner", "build", "flow.py")])
@pytest.mark.parametrize("name", ["statistics", "queue", "click", "yaml"])
def test_a_module_of_the_authors_that_python_or_a_package_has_too_is_refused(
    author: Author, name: str, arguments: list[str]
) -> None:
    """Which of the two is taken depends here on the path and on what is loaded, and there it is the other one."""
    author.write({"flow.py": author.flow(f"import {name}", f"return {name}.ONE"), f"{name}.py": "ONE = 1\n"})
    done = author.python(*arguments)
    assert done.returncode == 1
    assert f"{name}.py has the name of another module" in done.stderr
    (author.folder / "project" / f"{name}.py").unlink()
    author.write({"mine/__init__.py": "", f"mine/{name}.py": "ONE = 1\n"})
    author.write({"flow.py": author.flow(f"from mine import {name}", f"return {name}.ONE")})
    assert author.answer(author.publish(*arguments)) == 1, "the advice works"


def test_a_helpers_import_of_what_an_author_has_too_is_refused_unless_it_is_left_out(author: Author) -> None:
    author.write(
        {
            "flow.py": author.flow("import helper", "return helper.HERE"),
            "helper.py": "import click\nHERE = 'site-packages' in click.__file__\n",
            "click/__init__.py": "",
        }
    )
    done = author.python("-m", "runner", "build", "flow.py")
    assert f"{author.folder}/project/click/__init__.py has the name of another module" in done.stderr
    assert "leave it out: exclude=['click'], or -x click." in done.stderr
    assert author.answer(author.publish("-m", "runner", "build", "flow.py", "-x", "click")) is True


@pytest.mark.parametrize(("file", "pattern"), [("cloudpickle/__init__.py", "cloudpickle"), ("yaml.py", "yaml.py")])
def test_what_an_author_has_of_such_a_name_is_left_out_as_the_refusal_says(
    author: Author, file: str, pattern: str
) -> None:
    author.write({"flow.py": author.flow("import cloudpickle, yaml", "return cloudpickle, yaml"), file: ""})
    command = ("-P", "-m", "runner", "build", "flow.py")
    done = author.python(*command)
    assert f"exclude=['{pattern}'], or -x {pattern}." in done.stderr
    assert author.sources(author.publish(*command, "-x", pattern)) == ["flow.py"]


def test_a_flow_that_is_built_by_an_installed_program_may_import_what_lies_beside_that_program() -> None:
    """As a doctest in ``python -m pytest``, where that program is the module ``__main__``."""
    program = ModuleType("__main__")
    program.__file__, program.__package__ = str(Path(pytest.__file__).with_name("__main__.py")), "pytest"
    found = capture(program)
    assert "_pytest" in found.others
    assert not found.files


def test_a_package_of_which_only_a_part_is_the_same_is_another(author: Author, tmp_path: Path) -> None:
    author.write({"flow.py": author.flow("import acme.part", "return acme.part.NAME"), "acme/__init__.py": ""})
    author.write({"acme/part.py": "NAME = 'mine'\n"})
    url = author.publish()
    (tmp_path / "image" / "acme").mkdir(parents=True)
    (tmp_path / "image" / "acme" / "__init__.py").write_text("")
    assert author.run(url, PYTHONPATH=str(tmp_path / "image")).code == 76, "a part is missing there"
    (tmp_path / "image" / "acme" / "part.py").write_text("NAME = 'another'\n")
    assert author.run(url, PYTHONPATH=str(tmp_path / "image")).code == 76
    (tmp_path / "image" / "acme" / "part.py").write_text("NAME = 'mine'\n")
    assert author.run(url, PYTHONPATH=str(tmp_path / "image")).code == 0


def test_a_module_that_the_image_has_too_is_refused_where_it_would_be_taken(author: Author, tmp_path: Path) -> None:
    author.write({"flow.py": author.flow("import acme", "return acme.NAME"), "acme.py": "NAME = 'mine'\n"})
    url = author.publish()
    (tmp_path / "image").mkdir()
    (tmp_path / "image" / "acme.py").write_text("NAME = 'the image has it'\n")
    ran = author.run(url, PYTHONPATH=str(tmp_path / "image"))
    assert (ran.code, "a module acme of its own" in ran.stdout) == (76, True), ran.stdout
    (tmp_path / "image" / "acme.py").write_text("NAME = 'mine'\n")
    assert author.run(url, PYTHONPATH=str(tmp_path / "image")).code == 0, "the same to the byte"


def test_modules_of_the_working_directory_never_hide_travelling_ones(author: Author) -> None:
    author.write({"flow.py": author.flow("import mine", "return mine.NAME"), "mine.py": "NAME = 'travelled'\n"})
    author.write({"mine.py": "NAME = 'hidden'\n"}, folder="elsewhere")
    url = author.publish()
    assert author.sources(url) == ["flow.py", "mine.py"]
    assert author.answer(url) == "travelled"
