"""Which files are found for a flow, and what is refused."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from runner.errors import FlowFailed, UsageError
from runner.publishing.capture import Captured, capture, defining_module, installed_part

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from support.authors import Author


def sources_of(folder: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> list[str]:
    """Capture, in this process, what the folder's ``flow.py`` reaches."""
    return sorted(captured(folder, monkeypatch, **options).files)


def captured(folder: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Captured:
    monkeypatch.syspath_prepend(folder)
    module = ModuleType("__main__")
    module.__file__ = str(folder / "flow.py")
    before = set(sys.modules)
    try:
        return capture(module, **options)
    finally:
        for name in set(sys.modules) - before:
            del sys.modules[name]


def test_hidden_files_caches_and_version_control_never_travel(author: Author, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = author.write(
        {
            "flow.py": "import hides\n",
            "hides/__init__.py": "",
            "hides/.env": "SECRET=1",
            "hides/.git/config": "",
            "hides/__pycache__/x.dat": "",
            "hides/CVS/Entries": "",
            "hides/old.pyc": "",
            "hides/data/.hidden/x": "",
            "hides/data/kept.txt": "",
        }
    )
    assert sources_of(folder, monkeypatch) == ["hides/__init__.py", "hides/data/kept.txt"]


def test_of_a_package_without_a_file_only_modules_travel_and_what_they_name(
    author: Author, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = "from pathlib import Path\nTEXT = (Path(__file__).parent / 'named.txt').read_text()\n"
    files = {"spread/part/__init__.py": "", "spread/part/data.txt": "", "spread/other/large.bin": ""}
    folder = author.write({"flow.py": "import spread.mod, spread.part\n", "spread/mod.py": named, **files})
    author.write({"spread/named.txt": "", "spread/many.txt": "", "bare/a/data.txt": ""})
    mine = ["spread/mod.py", "spread/named.txt", "spread/part/__init__.py", "spread/part/data.txt"]
    assert sources_of(folder, monkeypatch) == mine
    author.write({"flow.py": "import bare\n"})
    assert sources_of(folder, monkeypatch) == ["bare/a/data.txt"], "of which nothing else could be wanted"


def test_links_that_lead_nowhere_or_upwards_are_passed_over(author: Author, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = author.write({"flow.py": "import linked\n", "linked/__init__.py": "", "linked/data/x.txt": ""})
    (folder / "linked" / "data" / "up").symlink_to(folder / "linked" / "data")
    (folder / "linked" / "data" / "nowhere").symlink_to(folder / "absent")
    author.write({"shared/y.txt": ""})
    (folder / "linked" / "data" / "shared").symlink_to(folder / "shared")
    assert sources_of(folder, monkeypatch) == ["linked/__init__.py", "linked/data/shared/y.txt", "linked/data/x.txt"]


def test_above_the_limit_it_refuses_and_names_the_largest_files(
    author: Author, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = author.write({"flow.py": "import heavy\n", "heavy/__init__.py": "", "heavy/small.txt": "x"})
    for name in ("big.dat", "bigger.dat"):
        with (folder / "heavy" / name).open("wb") as file:
            file.truncate((30 if name == "bigger.dat" else 25) * 1024 * 1024)
    with pytest.raises(FlowFailed, match=r"58 MB, more than 50 MB; the largest files: heavy/bigger.dat \(31.5 MB\); "):
        captured(folder, monkeypatch)
    assert "heavy/big.dat" in sources_of(folder, monkeypatch, exclude=["bigger.dat"])


def test_an_include_that_is_not_there_is_refused(author: Author, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = author.write({"flow.py": ""})
    with pytest.raises(UsageError, match=r"include: there is no .*absent\.py"):
        captured(folder, monkeypatch, include=["absent.py"])


@pytest.mark.parametrize("text", ["def broken(:\n", "x = '\0'\n"])
def test_a_module_that_cannot_be_parsed_is_named(author: Author, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    folder = author.write(
        {"flow.py": "try:\n    import broken_one\nexcept SyntaxError:\n    pass\n", "broken_one.py": text}
    )
    with pytest.raises(FlowFailed, match=r"broken_one.py cannot be parsed"):
        captured(folder, monkeypatch)


def test_a_notebook_reaches_nothing(tmp_path: Path) -> None:
    assert capture(None) == capture(ModuleType("__main__")) == Captured()
    notebook = ModuleType("__main__")
    notebook.__file__ = str(tmp_path / "flow.ipynb")
    assert capture(notebook) == Captured()


def test_relative_imports_that_lead_nowhere_and_parents_that_fail_are_passed_over(
    author: Author, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = author.write(
        {
            "flow.py": "from . import nothing\nfrom ... import more\nimport fails.part\nfrom star import *\n",
            "fails/__init__.py": "raise RuntimeError('on import')\n",
            "fails/part.py": "",
            "star.py": "from .x import y\n",
        }
    )
    assert sources_of(folder, monkeypatch) == ["fails/__init__.py", "star.py"]


def test_to_look_for_modules_imports_nothing_that_is_installed(author: Author) -> None:
    author.write(
        {
            "flow.py": "import runner.publishing.capture, sys\n"
            "found = runner.publishing.capture.capture(sys.modules['__main__'])\n"
            "print('numpy' in sys.modules, sorted(found.files))\n"
            "def never():\n    import numpy.linalg, looked_at\n",
            "looked_at.py": "import numpy.linalg\nraise SystemError\n",
        }
    )
    assert author.python("flow.py").stdout.strip() == "False ['looked_at.py']"


def test_a_module_whose_folder_is_listed_stands_for_its_package(
    author: Author, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "import acme.part, alone, os, pkgutil\npkgutil.iter_modules([os.path.dirname({}.__file__)])\n"
    folder = author.write({"acme/__init__.py": "", "acme/part.py": "", "acme/more.py": "", "alone.py": "", "no.py": ""})
    author.write({"flow.py": text.format("acme.part")})
    assert sources_of(folder, monkeypatch) == ["acme/__init__.py", "acme/more.py", "acme/part.py", "alone.py"]
    author.write({"flow.py": text.format("alone")})
    assert sources_of(folder, monkeypatch) == ["acme/__init__.py", "acme/part.py", "alone.py"]


def test_a_path_is_no_name_of_a_package(author: Author, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python would find a namespace package there, anywhere on the machine."""
    private = author.write({"key": ""}, folder="private")
    calls = f"import_module('sub/folder'); import_module('{private}'); files('{private}')\n"
    text = f"from importlib import import_module\nfrom importlib.resources import files\n{calls}"
    folder = author.write({"flow.py": text, "sub/folder/x.txt": ""})
    assert sources_of(folder, monkeypatch) == []


def test_the_module_of_a_flow_is_the_authors_or_none() -> None:
    assert defining_module("__main__") is sys.modules["__main__"]
    assert defining_module(__name__) is sys.modules[__name__]
    for name in ("json", "click", "runner.model.flow", "sys", "no_such_module"):
        assert defining_module(name) is None


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("numpy.linalg.norm", "numpy"),
        ("google.cloud.storage.client", "google.cloud.storage"),
        ("google", None),
        ("no_such_module", None),
        ("sys", None),
        (__name__, None),
    ],
)
def test_the_installed_part_of_a_name_lies_below_its_namespaces(name: str, part: str | None) -> None:
    assert installed_part(name) == part


def test_a_package_that_has_no_folder_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    class Finder:
        @staticmethod
        def find_spec(name: str, _path: Sequence[str] | None = None, _target: object = None) -> ModuleSpec | None:
            if name != "nobodys":
                return None
            spec = ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = ["__editable__.hook"]
            return spec

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    assert installed_part("nobodys.part") is None
