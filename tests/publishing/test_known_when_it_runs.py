"""Modules that are imported, listed or opened by calls: the same there as at home, or pointed at when it is built."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.authors import Author

BUILD = ("-m", "runner", "build", "flow.py")


def built(author: Author, *more: str, path: str = "") -> tuple[str, list[str]]:
    """Build it; gives the URL, which is all of standard output, and the notes."""
    done = author.python(*BUILD, *more, PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    [url] = done.stdout.splitlines()
    return url, [line for line in done.stderr.splitlines() if line.startswith("note: ")]


def advised(note: str) -> list[str]:
    """Give the options that a note advises."""
    found = re.search(r"(-i .*), or include=\[", note)
    assert found
    return shlex.split(found[1])


def test_modules_that_calls_name_are_followed_like_those_of_import_statements(author: Author) -> None:
    body = [
        "import importlib, helper",
        "decoder = importlib.import_module('yaml.nodes').__name__",
        "return importlib.import_module('acme.plug.x').NAME, __import__('late').LATE, helper.more(), decoder",
    ]
    author.write(
        {
            "flow.py": author.flow("", *body),
            "helper.py": "from importlib import import_module as load\ndef more():\n    return load('deep.er').NAME\n",
            "acme/plug/__init__.py": "",
            "acme/plug/x.py": "import importlib\nNAME = importlib.import_module('.y', __package__).NAME\n",
            "acme/plug/y.py": "NAME = 'y'\n",
            "deep/er.py": "NAME = 'deeper'\n",
            "late.py": "LATE = 1\n",
            "unrelated.py": "",
        }
    )
    url, notes = built(author)
    assert author.sources(url) == [
        "acme/plug/__init__.py",
        "acme/plug/x.py",
        "acme/plug/y.py",
        "deep/er.py",
        "flow.py",
        "helper.py",
        "late.py",
    ]
    assert [need["module"] for need in author.bundle(url).manifest["requires"]] == ["yaml"]
    assert str(author.answer(url)) == author.at_home()
    assert notes == []


LOADS = """import importlib
def load(name):
    return importlib.import_module('acme.plug.' + name).NAME
"""


@pytest.mark.parametrize("in_helper", [False, True])
def test_a_computed_name_is_pointed_at_and_the_advice_works(author: Author, *, in_helper: bool) -> None:
    """So does that for a package outside of the flow's folder, which needs a place."""
    imports = "from helper import load" if in_helper else LOADS
    author.write({"flow.py": author.flow(imports, "return load('x')"), "helper.py": LOADS if in_helper else ""})
    lib = author.write({"acme/plug/x.py": "NAME = 'x'\n", "acme/plug/sub/y.py": ""}, folder="lib")
    url, [note] = built(author, path=str(lib))
    where = "helper.py, line 3" if in_helper else "flow.py, line 6"
    assert note.startswith(f"note: {where}: which module importlib.import_module('acme.plug.' + name) means")
    assert author.run(url).code == 1
    assert advised(note) == ["-i", "../lib/acme/plug=acme/plug"]
    url, notes = built(author, *advised(note), path=str(lib))
    assert notes == []
    author.root.joinpath("etl", "runs").rename(author.folder / "failed")
    assert author.answer(url) == author.at_home(lib) == "x"
    assert built(author, "-i", "helper.py", path=str(lib))[1] == [note], "another file covers nothing"


def test_a_name_of_which_nothing_is_known_is_pointed_at_until_a_module_is_included(author: Author) -> None:
    body = ["import importlib", "for name in ['one', 'two']:", "    found = importlib.import_module(name)"]
    author.write({"flow.py": author.flow("", *body, "return found.__name__"), "one.py": "", "two.py": "", "x.txt": ""})
    assert len(built(author)[1]) == len(built(author, "-i", "x.txt")[1]) == 1
    url, notes = built(author, "-i", "one.py", "-i", "two.py")
    assert notes == []
    assert author.answer(url) == author.at_home() == "two"


def test_no_note_is_made_of_what_is_installed_or_stays_behind(author: Author) -> None:
    computed = "import importlib\ndef load(name):\n    return importlib.import_module({} + name)\n"
    author.write(
        {
            "flow.py": author.flow("import helper, click, known", "import left", "return helper, click, known"),
            "helper.py": "".join(map(computed.format, ["'click.'", "'encodings.'", "'known.'"])),
            "left.py": computed.format("'what.'"),
            "known/__init__.py": "",
            "known/all.py": "",
        }
    )
    url, [note] = built(author, "-x", "left.py")
    assert "helper.py, line 9: " in note, "only of known, not all of which travels"
    assert advised(note) == ["-i", "known"]
    author.write({"known/__init__.py": "from . import all\n"})
    url, notes = built(author, "-x", "left.py")
    assert notes == []
    assert author.sources(url) == ["flow.py", "helper.py", "known/__init__.py", "known/all.py"]


@pytest.mark.parametrize("module", [False, True])
@pytest.mark.parametrize(
    "lists",
    [
        "pkgutil.iter_modules(plugins.__path__)",
        "pkgutil.walk_packages(plugins.__path__, 'plugins.')",
        "pkgutil.iter_modules([os.path.dirname(plugins.__file__)])",
    ],
)
def test_a_package_whose_modules_are_listed_travels_as_a_whole(author: Author, lists: str, *, module: bool) -> None:
    """With what its modules import, and without a note, also where what is listed is imported by its name."""
    code = (
        "import importlib, os, pkgutil, plugins\n"
        "def found():\n"
        f"    names = sorted(info.name.rpartition('.')[2] for info in {lists} if not info.ispkg)\n"
        "    return [importlib.import_module(f'plugins.{name}').NAME for name in names if name != 'deep']\n"
    )
    files: dict[str, str | bytes] = {
        "plugins/__init__.py": "raise_nothing = True\n",
        "plugins/one.py": "import shared\nNAME = shared.NAME\n",
        "plugins/two.py": "NAME = 'two'\n",
        "plugins/sub/__init__.py": "",
        "plugins/sub/deep.py": "",
        "plugins/sub/words.txt": "",
        "plugins/__pycache__/one.pyc": "",
        "shared.py": "NAME = 'shared'\n",
    }
    if module:
        files["finds.py"] = code
    imports = "from finds import found" if module else code
    author.write({"flow.py": author.flow(imports, "return found()"), **files})
    url, notes = built(author)
    assert author.sources(url) == sorted(["flow.py", *(name for name in files if not name.endswith(".pyc"))])
    assert notes == []
    assert str(author.answer(url)) == author.at_home() == "['shared', 'two']"


def test_a_package_that_lists_itself_travels_as_a_whole(author: Author) -> None:
    files: dict[str, str | bytes] = {
        "acme/rules/__init__.py": "import pkgutil\nfrom importlib import import_module\nFOUND = []\n"
        "for info in pkgutil.iter_modules(__path__):\n    import_module('.' + info.name, __name__)\n",
        "acme/rules/a.py": "from . import FOUND\nFOUND.append('a')\n",
        "acme/rules/b.py": "from . import FOUND\nFOUND.append('b')\n",
    }
    author.write({"flow.py": author.flow("import acme.rules", "return acme.rules.FOUND"), **files})
    url, notes = built(author)
    assert (author.sources(url), notes) == (sorted(["flow.py", *files]), [])
    assert str(author.answer(url)) == author.at_home() == "['a', 'b']"


def test_a_listing_of_which_the_package_is_not_known_is_pointed_at(author: Author) -> None:
    imports = "import pkgutil\ndef names(path):\n    return [each.name for each in pkgutil.iter_modules(path)]"
    author.write({"flow.py": author.flow(imports, "return names([])"), "plug.py": ""})
    url, [note] = built(author)
    assert note.startswith("note: flow.py, line 6: which module pkgutil.iter_modules(path) means is known only when")
    assert author.sources(url) == ["flow.py"]
    assert built(author, "-i", "plug.py")[1] == []


def test_a_package_whose_files_are_opened_travels_as_a_whole(author: Author) -> None:
    body = [
        "from importlib.resources import files",
        "import pkgutil",
        "deep = (files('acme') / 'sub' / 'words.txt').read_text()",
        "return deep, files('texts').joinpath('a.sql').read_text(), pkgutil.get_data('acme.sub', 'query.py')",
    ]
    files: dict[str, str | bytes] = {
        "acme/__init__.py": "",
        "acme/sub/__init__.py": "",
        "acme/sub/query.py": "no Python {{ at all }}",
        "acme/sub/needs.py": "import jsonschema",
        "acme/sub/words.txt": "words",
        "texts/a.sql": "SELECT 1",
    }
    author.write({"flow.py": author.flow("", *body), **files})
    url, notes = built(author)
    assert (author.sources(url), notes) == (sorted(["flow.py", *files]), [])
    assert author.bundle(url).manifest["requires"] == [], "nothing of it is imported"
    assert str(author.answer(url)) == author.at_home()


def test_of_a_package_whose_files_are_opened_only_those_travel_that_the_author_named(author: Author) -> None:
    lines = ["from importlib.resources import files", "return files('{0}').joinpath('a.bin').read_text()"]
    for name, init in (("models", False), ("weights", True)):
        author.write(
            {
                "flow.py": author.flow("", *(line.format(name) for line in lines)),
                f"{name}/a.bin": "a",
                f"{name}/other/__init__.py": "",
            }
        )
        author.write({f"{name}/__init__.py": ""} if init else {f"{name}/large.bin": "large"})
        url, notes = built(author, "-i", f"{name}/a.bin")
        assert author.sources(url) == ["flow.py", *[f"{name}/__init__.py"] * init, f"{name}/a.bin"]
        assert notes == []
    assert author.answer(url) == author.at_home() == "a"


def test_files_of_a_package_that_is_not_known_are_pointed_at(author: Author) -> None:
    imports = "from importlib.resources import files\ndef read(name):\n    return files(f'texts.{name}') / 'a.sql'"
    author.write({"flow.py": author.flow(imports, "return read('of').read_text()"), "texts/of/a.sql": "SELECT 1"})
    url, [note] = built(author)
    assert note.startswith("note: flow.py, line 6: which file files(f'texts.{name}') means is known only when it runs")
    assert author.sources(url) == ["flow.py"]
    assert advised(note) == ["-i", "texts"]
    url, notes = built(author, *advised(note))
    assert notes == []
    assert author.answer(url) == author.at_home() == "SELECT 1"
    author.write({"flow.py": author.flow(f"{imports}\nimport texts", "return read('of').read_text()")})
    assert built(author)[1] == [], "as all of it travels"
