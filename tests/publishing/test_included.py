"""What an author takes along by its name, and puts at another place than its own."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from runner.errors import RunnerError
from runner.publishing.capture import capture

if TYPE_CHECKING:
    from pathlib import Path

    from support.authors import Author

PLUGINS: dict[str, str | bytes] = {
    "acme/plug/x.py": "from . import base\nNAME = base.NAME + 'x'\n",
    "acme/plug/base.py": "NAME = 'acme '\n",
}


@pytest.mark.parametrize("init", [False, True])
@pytest.mark.parametrize("cli", [False, True])
def test_a_folder_is_imported_from_the_place_that_it_was_given(author: Author, *, cli: bool, init: bool) -> None:
    """The packages above it are namespaces, or the author's own if those travel."""
    include = "../lib/acme/plug=acme/plug"
    lines = ["import importlib", "name = 'x'", "return importlib.import_module('acme.plug.' + name).NAME"]
    imports = "import acme" if init else ""
    author.write({"flow.py": author.flow(imports, *lines, options="" if cli else f"include=['{include}']")})
    lib = author.write(PLUGINS | ({"acme/__init__.py": ""} if init else {}), folder="lib")
    command = ("-m", "runner", "build", "flow.py", "-i", include) if cli else ("flow.py",)
    url = author.publish(*command, path=lib)
    assert author.sources(url) == [*["acme/__init__.py"] * init, "acme/plug/base.py", "acme/plug/x.py", "flow.py"]
    assert author.answer(url) == author.at_home(lib) == "acme x"


def test_a_file_and_the_top_are_places_too_and_what_included_modules_import_travels(author: Author) -> None:
    includes = "include=['../lib/one.py=acme/plug/uno.py', '../lib/data=.', '../lib/words=text/many']"
    body = "return acme_uno(), importlib.resources.files('text').joinpath('many/w.txt').read_text()"
    imports = (
        "import importlib, importlib.resources\nfrom top import top\n"
        "def acme_uno():\n    return importlib.import_module('.'.join(['acme', 'plug', 'uno'])).ONE, top()"
    )
    author.write({"flow.py": author.flow(imports, body, options=includes), "own.py": "ONE = 1\n"})
    author.write({"one.py": "from own import ONE\n", "words/w.txt": "words"}, folder="lib")
    lib = author.write({"top.py": "def top():\n    return 'top'\n", "deep/d.csv": ""}, folder="lib/data")
    url = author.publish(path=lib)
    author.write({"text/many/w.txt": "words", "acme/plug/uno.py": "from own import ONE\n"})
    assert author.sources(url) == ["acme/plug/uno.py", "deep/d.csv", "flow.py", "own.py", "text/many/w.txt", "top.py"]
    assert str(author.answer(url)) == author.at_home(lib)


def test_a_path_may_have_an_equals_sign_of_its_own(author: Author, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = author.write({"flow.py": "", "data/day=1/x.csv": "", "data/day=2/x.csv": ""})
    include = ["data/day=1", "data/day=1/x.csv=first.csv", "data/day=2/x.csv=days/day=2/y.csv"]
    assert sources_of(folder, monkeypatch, include) == ["data/day=1/x.csv", "days/day=2/y.csv", "first.csv"]


def test_what_is_named_twice_to_the_same_place_is_taken_once(author: Author, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = author.write({"flow.py": "import kept\n", "kept.py": "", "a/x.txt": ""})
    include = ["a=b", "a=b", "a/x.txt=b/x.txt", "a", "a/x.txt", "kept.py"]
    assert sources_of(folder, monkeypatch, include) == ["a/x.txt", "b/x.txt", "kept.py"]


def sources_of(folder: Path, monkeypatch: pytest.MonkeyPatch, include: list[str], *exclude: str) -> list[str]:
    monkeypatch.syspath_prepend(folder)
    module = ModuleType("__main__")
    module.__file__ = str(folder / "flow.py")
    before = set(sys.modules)
    try:
        return sorted(capture(module, include, exclude).files)
    finally:
        for name in set(sys.modules) - before:
            del sys.modules[name]


FILES: dict[str, str | bytes] = {
    "flow.py": "import kept\n",
    "kept.py": "",
    "plug/x.py": "",
    "plug2/x.py": "",
    "data/1.csv": "",
    ".env": "",
    "empty/.keep": "",
}


@pytest.mark.parametrize(
    ("include", "said", "advice"),
    [
        (["plug="], "the place after its = is empty", "The top of what travels is a dot"),
        (["plug= "], "the place after its = is empty", "The top of what travels is a dot"),
        (["=acme"], "no path stands there", "Write PATH=PLACE, as in src/plug=acme/plug"),
        ([""], "no path stands there", "The flow's own folder is a dot"),
        (["plug=/acme"], "the place /acme is no path below the top", "Give one that is relative"),
        (["plug=../acme"], "the place ../acme is no path below the top", "Give one that is relative"),
        (["plug=acme\\plug"], "is no path below the top", "with / and without .., as acme/plug"),
        (["plug=acme/.plug"], "the place acme/.plug is hidden", "Give another one"),
        (["data=__pycache__"], "the place __pycache__ is hidden", "Give another one"),
        (["kept.py=acme/"], "the place acme/ names a folder", "Name the file as well: acme/kept.py"),
        (["data/1.csv=."], "the place . names a folder", "Name the file as well: 1.csv"),
        (["kept.py=acme/kept"], "a module at acme/kept could not be imported", "acme/kept.py"),
        (["plug=acme.plug"], "'acme.plug' in its place is no name that an import", "Write acme/plug."),
        (["plug=my-plug"], "'my-plug' in its place is no name that an import", "Give letters, digits and _"),
        (["kept.py=acme/class.py"], "'class' in its place is no name", "no keyword"),
        (["plug=json/plug"], "that name is taken by Python", "Give a place below a name of your own"),
        (["plug=click"], "that name is taken by ", "Give a place below a name of your own"),
        (["plug=click/plug"], "that name is taken by ", "Give a place below a name of your own"),
        (["plug=acme", "plug2=acme"], "the place acme is given twice, to ", "Give each its own"),
        (["plug=acme", "plug2/x.py=acme/x.py"], "plug2/x.py would lie at acme/x.py, and there", "at another place"),
        (["plug/x.py=kept.py"], "plug/x.py would lie at kept.py, and there lies ", "at another place"),
        (["plug=kept/plug"], "kept.py hides that folder", "Put it at a place below another name"),
        (
            ["plug=acme/plug", "plug2/x.py=acme.py"],
            "plug2/x.py hides that folder",
            "Put it at a place below another name",
        ),
        (["absent"], "there is no ", "relative to the file that defines the flow"),
        (["absent/day=1"], "absent/day=1, nor, to be put at 1, ", "relative to the file that defines the flow"),
        ([".env"], ".env travels: it is empty or hidden", "give it another name, as in -i .settings=settings"),
        (["empty=acme"], "empty travels: it is empty or hidden", "Leave it out"),
        (["data=con/x"], "a device on some systems", "Rename it"),
        (["data=kept.py"], "kept.py", "Rename it"),
    ],
)
def test_a_place_where_it_cannot_be_is_refused(author: Author, include: list[str], said: str, advice: str) -> None:
    author.write(FILES | {"flow.py": author.flow("import kept", "return kept.__name__")})
    done = author.python("-m", "runner", "build", "flow.py", *(part for each in include for part in ("-i", each)))
    assert done.returncode == (1 if advice == "Rename it" else 2), done.stderr
    assert "Traceback" not in done.stderr
    assert said in done.stderr
    assert advice in done.stderr
    assert not done.stdout
    assert not author.root.exists()


def test_what_is_left_behind_is_in_nobodys_way(author: Author, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = author.write(FILES)
    with pytest.raises(RunnerError, match=r"would lie at acme/x\.py"):
        sources_of(folder, monkeypatch, ["plug=acme", "plug2/x.py=acme/x.py"])
    assert sources_of(folder, monkeypatch, ["plug=acme", "plug2=acme/more"], "acme/x.py") == [
        "acme/more/x.py",
        "kept.py",
    ]


def test_the_advice_for_what_is_hidden_works(author: Author, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sources_of(author.write(FILES), monkeypatch, [".env=settings"]) == ["kept.py", "settings"]


def test_a_folder_is_left_behind_with_all_in_it(author: Author, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = author.write(FILES | {"data/a.txt": "", "data/b/c.txt": "", "data/b/d.csv": ""})
    assert sources_of(folder, monkeypatch, ["data"], "data") == ["kept.py"]
    assert sources_of(folder, monkeypatch, ["data"], "b") == sources_of(folder, monkeypatch, ["data"], "data/b/")
    assert "data/a.txt" in sources_of(folder, monkeypatch, ["data"], "data/b")
